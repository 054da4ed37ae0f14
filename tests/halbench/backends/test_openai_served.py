"""The openai backend with transformers' own server, against the hf backend."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from random import Random

import pytest

pytest.importorskip("openai")
pytest.importorskip("PIL")

from chat_backends import free_port
from PIL import Image

from halbench.backends.openai import open_backend
from halbench.errors import InputError
from halbench.types import BackendOptions, Decoding, Item


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llava", "idefics3", "scenes:base"])
def test_a_served_checkpoint_gives_the_same_greedy_answers_as_hf(tmp_path, family):
    """64 items on 16 images: text, tokens and finish are equal, in float32 on a CPU.

    The one difference is in `finish`: `transformers serve` calls an answer cut off that ends with its last allowed token.
    """
    pytest.importorskip("fastapi", reason="needs transformers[serving]")
    pytest.importorskip("uvicorn", reason="needs transformers[serving]")
    pytest.importorskip("torch")
    import tiny_checkpoints

    from halbench.backends import hf
    from halbench.models import names

    make = getattr(tiny_checkpoints, family, None)
    checkpoint = make(tmp_path / "checkpoint") if make else names.packaged_checkpoint(family)
    questions = ("Describe this image in detail.", "Is there a dog?", "How many chairs?", "What colour is the cup?")
    items = []
    for n in range(16):
        path = tmp_path / (f"{n}.png" if n % 2 else f"{n}.jpg")
        Image.frombytes("RGB", (40, 30), Random(n).randbytes(40 * 30 * 3)).save(path)
        items += [Item(f"{n}/{k}", (path,), question, None, "all") for k, question in enumerate(questions)]
    decoding = Decoding(max_new_tokens=24)

    def facts(rows):
        return {row.item: (row.text, row.tokens, row.state, row.finish if row.tokens < 24 else None) for row in rows}

    direct = facts(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")).generate(items, decoding))

    port = free_port()
    (tmp_path / "home/hub").mkdir(parents=True)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(checkpoint), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, tmp_path / "log")
        options = BackendOptions(base_url=f"http://127.0.0.1:{port}/v1")
        served = facts(open_backend(str(checkpoint), options).generate(items, decoding))
        with pytest.raises(InputError, match="is not served"):  # this server is pinned to its checkpoint
            next(open_backend("another", options).generate(items, decoding))
    finally:
        process.terminate()
        process.wait(30)
    assert len({text for text, *_ in direct.values()}) > 16, "answers must depend on image and question"
    assert served == direct


def wait_for(url, process, log):
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
    raise AssertionError(f"no server after two minutes: {log.read_text()[-2000:]}")

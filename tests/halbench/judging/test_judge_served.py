"""A judge behind transformers' own server."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from halbench.folders.run import RunFolder
from halbench.judging.judge import judge
from halbench.judging.options import JudgeOptions

pytest.importorskip("openai")


def readable(item: str, text: str) -> bool:
    return "Rating:" in text


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.begin({})
    return run


@pytest.mark.slow
def test_a_served_checkpoint_judges(folder: RunFolder, tmp_path: Path) -> None:
    """Any server will do: this one is transformers' own, with a model that talks gibberish."""
    pytest.importorskip("uvicorn")
    from tiny_checkpoints import llava

    model = str(llava(tmp_path / "tiny"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "hub").mkdir()
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", model, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = (tmp_path / "log").open("w")
    with log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        try:
            for _ in range(120):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.5)
            served = JudgeOptions(model, f"http://127.0.0.1:{port}/v1", max_tokens=8)
            prompts = {"1": "Is there a dog?", "2": "How many chairs are there?"}
            verdicts = judge(prompts, lambda item, text: bool(text), served, folder)[0]
            assert judge(prompts, readable, replace(served, attempts=1), folder)[0] == verdicts
            unreadable = judge({"3": "Rate it"}, readable, served, folder)[0]["3"]
        finally:
            process.kill()
    assert [(row.state, row.served_model) for row in verdicts.values()] == [("ok", f"{model}@main")] * 2
    assert verdicts["1"].reply != verdicts["2"].reply
    assert (unreadable.state, unreadable.attempts, unreadable.error) == ("unparsable", 3, "cut off at max_tokens")

"""Variants on disk: what cannot be read counts as absent, and any number of hosts may write the same one."""

import os
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from dog_pairs import image_of
from PIL import Image

from baselines.types import Pair, Variant
from baselines.view_tools.tools import Tools
from baselines.view_tools.variant_cache import read_variant, write_variant
from baselines.view_tools.variants import make_variant

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))


@pytest.mark.parametrize("images", [None, (), (NOISE,), (NOISE, NOISE.rotate(90, expand=True))])
def test_a_variant_is_read_as_it_was_written(tmp_path: Path, images):
    written = Variant("Was?", "Ein Hünd.", images, reward=0.5, notes={"boxes": [["dog", 1, 2, 3, 4]], "hit": ["dog"]})
    write_variant(tmp_path / "v", written)
    read = read_variant(tmp_path / "v")
    assert replace(read, images=None) == replace(written, images=None)
    assert (read.images is None) == (images is None)
    assert [image.tobytes() for image in read.images or ()] == [image.tobytes() for image in images or ()]


def test_a_missing_variant_is_none(tmp_path: Path):
    assert read_variant(tmp_path / "v") is None


def damaged(data: bytes) -> list[bytes]:
    """Cut short at many places, and with bytes changed at many places."""
    cuts = [data[: len(data) * part // 20] for part in range(20)]
    changes = [data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :] for at in range(0, min(len(data), 60))]
    return [*cuts, *changes, b"", b"\0" * len(data), b"{}", b"[]", b'{"images": 1}', b'{"images": "x"}']


@pytest.mark.parametrize("name", ["v.json", "v-0.png"])
def test_a_damaged_file_makes_a_variant_absent_and_never_fails(tmp_path: Path, name: str):
    write_variant(tmp_path / "v", Variant("p", "a", (NOISE,)))
    path = tmp_path / name
    whole = path.read_bytes()
    absent = 0
    for data in damaged(whole):
        path.write_bytes(data)
        variant = read_variant(tmp_path / "v")
        absent += variant is None
        if name == "v-0.png" and len(data) < len(whole) - 20:
            assert variant is None, f"{len(data)} of {len(whole)} bytes"
    assert absent > 20
    path.unlink()
    assert read_variant(tmp_path / "v") is None


@pytest.mark.parametrize(("suffix", "data"), [("json", b'{"prompt": "What is'), ("png", b"\x89PNG\r\n\x1a\n half")])
def test_an_unreadable_variant_is_made_again(suffix, data, dog_pairs: list[Pair], tools: Tools, reference, tmp_path):
    tools = replace(tools, reference=reference, cache=tmp_path)
    first = make_variant("adversarial", dog_pairs[0], 0, tools)
    (path,) = (tmp_path / "adversarial").glob(f"*.{suffix}")
    whole = path.read_bytes()
    path.write_bytes(data)
    again = make_variant("adversarial", dog_pairs[0], 0, tools)
    assert path.read_bytes() == whole
    assert image_of(again).tobytes() == image_of(first).tobytes()


def test_two_hosts_with_one_process_id_write_the_same_variants(tmp_path: Path):
    """Containers share small process ids, and their users a cache; two threads of one process stand for them."""
    errors = []

    def write() -> None:
        for number in range(60):
            try:
                write_variant(tmp_path / f"v{number}", Variant("p", "a", (NOISE,)))
            except Exception as error:
                errors.append(error)

    threads = [Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    variants = [read_variant(tmp_path / f"v{number}") for number in range(60)]
    assert all(variant is not None and image_of(variant).tobytes() == NOISE.tobytes() for variant in variants)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial")]

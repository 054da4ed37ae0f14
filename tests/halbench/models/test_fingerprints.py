"""Fingerprints of checkpoints."""

import shutil

from halbench.models.fingerprints import fingerprint


def test_a_checkpoint_is_known_by_its_content_and_not_by_its_place(checkpoints, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(checkpoints / "llava", copy)
    original = fingerprint(str(checkpoints / "llava"))
    assert fingerprint(str(copy)) == original
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(data))
    assert fingerprint(str(copy)) != original

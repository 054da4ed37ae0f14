"""What a user may call a model."""

from pathlib import Path

import pytest

from halbench.models.names import HUB_NAME, packaged_checkpoint, recorded_name


def test_scenes_base_is_a_folder_of_the_package_and_other_names_stay():
    assert (Path(packaged_checkpoint("scenes:base")) / "model.safetensors").is_file()
    assert packaged_checkpoint("org/model") == "org/model"


def test_a_folder_is_recorded_by_its_last_part_only(tmp_path, monkeypatch):
    (tmp_path / "checkpoint-500").mkdir()
    monkeypatch.chdir(tmp_path / "checkpoint-500")
    assert recorded_name(str(tmp_path / "checkpoint-500")) == recorded_name(".") == "checkpoint-500"
    assert recorded_name("org/model") == "org/model"


@pytest.mark.parametrize(
    ("name", "is_one"), [("org/model-1.5", True), ("./a", False), ("../a", False), ("a/b/c", False), ("model", False)]
)
def test_a_hub_name_has_two_parts(name, is_one):
    assert bool(HUB_NAME.fullmatch(name)) is is_one

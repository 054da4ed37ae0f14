"""The chosen suite and data."""

from halbench import plugins
from halbench.evaluation.choice import SUITES, DataChoice, SuiteChoice


def test_the_help_lists_every_built_in_suite():
    assert all(name in SUITES for name in plugins.names("halbench.suites"))


def test_data_and_images_are_where_the_user_says_and_else_in_halbench_data(tmp_path, monkeypatch):
    monkeypatch.setenv("HALBENCH_DATA", str(tmp_path / "shared"))
    assert DataChoice().open().image_folder("amber") == tmp_path / "shared/amber/images"
    chosen = SuiteChoice(tmp_path / "own", tmp_path / "photos", "amber").open()
    assert (chosen.root, chosen.image_folder("amber")) == (tmp_path / "own", tmp_path / "photos")


def test_what_halbench_makes_is_kept_out_of_shared_data(tmp_path, monkeypatch):
    monkeypatch.setenv("HALBENCH_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert DataChoice().open().made("scenes") == tmp_path / "cache/halbench/scenes"
    assert DataChoice(tmp_path / "own").open().made("scenes") == tmp_path / "own/scenes"

"""A training folder: its record, its checkpoints and its log."""

import dataclasses
import json

import pytest
import small_reports

from baselines.training.recipes import Recipe
from halbench.errors import InputError
from halbench.folders.training import NOT_PART_OF_METHOD, TrainingFolder

SETTINGS = {
    "objective": {"name": "dpo", "config": {"beta": 0.1}},
    "recipe": {"seed": 1, "learning_rate": 0.1},
    "model": "m",
    "dtype": "auto",
}


def test_every_field_without_effect_is_a_field_of_a_recipe():
    assert set(NOT_PART_OF_METHOD) <= {field.name for field in dataclasses.fields(Recipe)}


def test_the_record_of_a_complete_training_holds_its_method_without_pairs_and_seed(tmp_path):
    folders = [
        TrainingFolder(small_reports.training(tmp_path / str(seed), "dpo", seed, f"pairs{seed}", "abc"))
        for seed in (1, 2)
    ]
    first, second = (folder.complete_record() for folder in folders)
    assert (first.objective, first.seed, first.learning_rate, first.pairs_hash) == ("dpo", 1, 2e-4, "pairs1")
    assert first.result == "abc"
    assert first.method == second.method
    assert first.method["model"] == "base"


def test_a_folder_belongs_to_one_set_of_settings(tmp_path):
    folder = TrainingFolder(tmp_path)
    assert folder.open_or_create(SETTINGS) is False
    assert folder.open_or_create(SETTINGS) is False
    with pytest.raises(InputError, match=r'other settings \(model: "m" \(recorded\), "n" \(requested\)\)'):
        folder.open_or_create({**SETTINGS, "model": "n"})
    proof = {"pairs": "p", "used": 1, "dropped": [], "unreadable": 0, "seed": 1, "order": [], "views": {}}
    proof |= {"model": "m", "reference": "r"}
    folder.finish({"settings": SETTINGS, "identity": proof, "steps": 1, "seconds": 0.5})
    assert folder.open_or_create(SETTINGS) is True
    assert folder.is_complete()


def test_an_unfinished_training_has_no_complete_record(tmp_path):
    TrainingFolder(tmp_path).open_or_create(SETTINGS)
    with pytest.raises(InputError, match="training is not finished; repeat its command to resume"):
        TrainingFolder(tmp_path).complete_record()


@pytest.mark.parametrize("settings", [None, {}, {**SETTINGS, "recipe": 3}])
def test_an_edited_record_is_refused(tmp_path, settings):
    record = {"format": 1, "status": "complete", "settings": settings, "identity": {"pairs": "x"}}
    (tmp_path / "training.json").write_text(json.dumps(record))
    with pytest.raises(
        InputError, match=r"training\.json(: settings)?: (missing )?field '(settings|objective|recipe)'"
    ):
        TrainingFolder(tmp_path).complete_record()


def test_a_folder_without_a_record_or_of_another_format_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no training\.json; expected"):
        TrainingFolder(tmp_path).record()
    (tmp_path / "training.json").write_text('{"format": 7}')
    with pytest.raises(InputError, match="format 7; this halbench reads format 1"):
        TrainingFolder(tmp_path).record()


def test_the_newest_complete_checkpoint_is_the_one_to_resume_from(tmp_path):
    for step in (9, 10, 20):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        (checkpoint / "optimizer.pt").write_text("x")
        (checkpoint / "rng_state.pth").write_text("x")
        (checkpoint / "trainer_state.json").write_text("{}")
    folder = TrainingFolder(tmp_path)
    assert folder.last_checkpoint(1).name == "checkpoint-20"
    (tmp_path / "checkpoint-20/trainer_state.json").write_text('{"half')
    assert folder.last_checkpoint(1).name == "checkpoint-10"
    (tmp_path / "checkpoint-10/optimizer.pt").unlink()
    assert folder.last_checkpoint(1).name == "checkpoint-9"
    assert folder.last_checkpoint(2) is None  # the random states of two processes


def test_the_log_is_cut_back_to_the_step_from_which_training_resumes(tmp_path):
    folder = TrainingFolder(tmp_path)
    folder.log_path.write_text("".join(f'{{"step": {step}}}\n' for step in range(1, 8)) + '{"step": 8, "lo')
    folder.cut_log(5)
    assert [row["step"] for row in folder.log()] == [1, 2, 3, 4, 5]

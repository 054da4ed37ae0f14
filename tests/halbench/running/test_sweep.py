"""Many models on many suites: each model loaded once, what is finished kept, what changed noticed, failures written down."""

import shutil

from small_sweeps import opened, written

from halbench.folders.run import RunFolder
from halbench.running.several import Suites
from halbench.running.sweep import progress_of, run_cells
from halbench.running.sweep_file import read_sweep


def run(file):
    """Place of each cell below the sweep's folder -> what became of it."""
    cells, suites = read_sweep(file), Suites()
    suites.check(cells)
    return {
        "/".join(outcome.cell.folder.path.parts[-3:]): outcome.problem or ("run" if outcome.result else "kept")
        for outcome in run_cells(cells, suites)
    }


def states(file):
    suites = Suites()
    return [progress_of(cell, suites).state for cell in read_sweep(file)]


def test_each_model_is_loaded_once_and_not_at_all_when_its_cells_are_finished(folder, monkeypatch):
    loaded = opened(monkeypatch)
    file = written(folder, "once")
    assert set(run(file).values()) == {"run"}
    assert loaded == ["llava", "llava_next", "idefics3"]
    assert set(run(file).values()) == {"kept"}
    assert loaded == ["llava", "llava_next", "idefics3"]
    manifest = RunFolder(folder / "once/llava/short/scenes").manifest()
    assert (manifest.name, manifest.signature.count("max_new_tokens=5")) == ("llava, short", 1)


def test_a_model_that_cannot_be_opened_fails_until_it_can_and_does_not_stop_the_others(folder):
    models = {"late": str(folder / "late"), "llava": str(folder / "llava")}
    file = written(folder, "broken", models=models)
    found = run(file)
    assert ["does not exist" in found[f"{model}/short/few"] for model in models] == [True, False]
    assert states(file) == ["failed"] * 3 + ["done"] * 3
    assert "does not exist" in (folder / "broken/late/short/few.failed").read_text()
    shutil.copytree(folder / "llava", folder / "late")
    assert list(run(file).values()) == ["run"] * 3 + ["kept"] * 3
    assert (states(file), list((folder / "broken").rglob("*.failed"))) == (["done"] * 6, [])


def test_a_cell_that_lacks_answers_is_resumed_and_one_of_another_checkpoint_is_refused(folder):
    file = written(folder, "resumed", models={"m": str(folder / "llava")})
    run(file)
    cell = folder / "resumed/m/short/scenes"
    rows = (cell / "responses.jsonl").read_text().splitlines(keepends=True)
    (cell / "responses.jsonl").write_text("".join(rows[:5]))
    manifest = (cell / "manifest.json").read_text().replace('"complete"', '"running"')
    (cell / "manifest.json").write_text(manifest)
    found = progress_of(read_sweep(file)[0], Suites())
    assert (found.state, found.answered, found.items) == ("partial", 5, 18)
    assert run(file) == {"m/short/scenes": "run", "m/short/few": "kept", "m/short/shapes": "kept"}
    other = written(folder, "resumed", models={"m": str(folder / "llava_next")})
    assert states(other) == ["changed"] * 3
    assert all("made with other settings" in outcome for outcome in run(other).values())


def test_a_checkpoint_that_was_deleted_after_its_run_leaves_a_finished_cell(folder):
    shutil.copytree(folder / "llava", folder / "short_lived")
    file = written(folder, "deleted", models={"m": str(folder / "short_lived")})
    run(file)
    shutil.rmtree(folder / "short_lived")
    assert states(file) == ["done"] * 3


def test_answers_that_are_accepted_later_are_scored_anew_and_not_generated_anew(folder):
    strict = {"few": {"suite": "scenes", "options": {"scenes": 2}, "limit": 5}}
    models = {"m": str(folder / "llava")}
    file = written(folder, "accepted", models=models, suites=strict)
    run(file)
    found = progress_of(read_sweep(file)[0], Suites())
    assert (found.state, found.final, "cut off" in found.problem) == ("incomplete", True, True)
    assert run(file) == {"m/short/few": "kept"}
    answers = (folder / "accepted/m/short/few/responses.jsonl").read_bytes()
    file = written(folder, "accepted", models=models, suites={"few": {**strict["few"], "allow": ["cut", "empty"]}})
    assert states(file) == ["changed"]
    assert run(file) == {"m/short/few": "run"}
    assert states(file) == ["done"]
    assert (folder / "accepted/m/short/few/responses.jsonl").read_bytes() == answers


def test_a_damaged_cell_is_named_and_the_others_are_counted(folder):
    file = written(folder, "damaged", models={"m": str(folder / "llava")})
    run(file)
    (folder / "damaged/m/short/scenes/manifest.json").write_text("{")
    found = [progress_of(cell, Suites()) for cell in read_sweep(file)]
    assert [progress.state for progress in found] == ["failed", "done", "done"]
    assert "manifest.json" in found[0].problem

"""A run folder that was edited or damaged: every field of every file, changed in every way, gives one line or the numbers."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_reports
from stored import score

import halbench
from halbench.data.datasets import open_data
from halbench.errors import InputError
from halbench.files.records import read_json, write_json, write_jsonl
from halbench.folders.run import RunFolder
from halbench.statistics.resampling import Resampling

pytest.importorskip("jinja2")
ODD = (None, "x", 7, [], {"a": {"b": []}}, 10**400, True)
FEW = Resampling(n_resamples=100)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of scenes, "a" and "b"."""
    root = tmp_path_factory.mktemp("runs")
    small_reports.run(root / "a", 1, scenes=2)
    small_reports.run(root / "b", 0, scenes=2)
    return root


def fields_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every field, and of every first element of a list."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, member in inside:
        yield from fields_of(member, (*path, name))


def mutations(value: Any) -> Iterator[tuple[str, Any]]:
    """The value with one field deleted or replaced, for every field and every odd value."""
    for path in fields_of(value):
        for odd in ("deleted", *ODD):
            changed = copy.deepcopy(value)
            owner = changed
            for name in path[:-1]:
                owner = owner[name]
            if odd == "deleted":
                del owner[path[-1]]
            else:
                owner[path[-1]] = odd
            yield f"{'.'.join(map(str, path))} = {str(odd)[:20]}", changed


def actions(run: Path, other: Path, out: Path) -> dict[str, Any]:
    """What may be done with a run folder."""
    return {
        "load": lambda: halbench.load(run).frame(),
        "compare": lambda: halbench.compare(run, other, FEW),
        "gate": lambda: halbench.gate(run, other, resampling=FEW),
        "score": lambda: score(None, run, open_data(out)),
        "samples": lambda: halbench.report([run], "samples", out=out),
        "leaderboard": lambda: halbench.report([run], "leaderboard", out=out),
    }


def write(run: Path, name: str, value: Any) -> None:
    """Write a file of a folder whose checksums are not recorded, as those of earlier versions."""
    if name != "manifest.json":
        manifest = read_json(run / "manifest.json")
        del manifest["files"]
        write_json(run / "manifest.json", manifest)
    (write_jsonl if name.endswith(".jsonl") else write_json)(run / name, value)


@pytest.mark.slow
@pytest.mark.simulation
@pytest.mark.parametrize("name", ["manifest.json", "results.json", "scores.jsonl", "responses.jsonl"])
def test_every_field_changed_in_every_way_gives_one_line_or_works(runs, tmp_path, name):
    source = runs / "a" / name
    lines = name.endswith(".jsonl")
    rows = [json.loads(line) for line in source.read_text().splitlines()] if lines else read_json(source)
    listed = isinstance(rows, list)
    failed = []
    for what, changed in mutations(rows[0] if listed else rows):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(runs / "a", tmp_path / "run")
        write(tmp_path / "run", name, [changed, *rows[1:]] if listed else changed)
        for action, call in actions(tmp_path / "run", runs / "b", tmp_path / "out").items():
            try:
                call()
            except InputError as error:
                if "\n" in str(error):
                    failed.append(f"{action}: {what}: several lines: {error}")
            except Exception as error:
                failed.append(f"{action}: {what}: {error!r}")
    assert failed == []


@pytest.mark.parametrize("name", ["scores.jsonl", "results.json", "responses.jsonl"])
def test_a_file_that_changed_after_the_run_was_scored_is_refused(runs, tmp_path, name):
    run = tmp_path / "run"
    shutil.copytree(runs / "a", run)
    file = run / name
    file.write_text(file.read_text().replace("1", "2", 1))
    line = rf"{name} has changed since the run was scored; score it again: halbench score --responses"
    for action in ("load", "compare", "gate"):
        with pytest.raises(InputError, match=line):
            actions(run, runs / "b", tmp_path / "out")[action]()
    report = halbench.report([run], "leaderboard", out=tmp_path / "out")
    assert not report.written
    assert name in report.notes[0]


def test_a_folder_without_checksums_is_read_as_before(runs, tmp_path):
    shutil.copytree(runs / "a", tmp_path / "run")
    write(tmp_path / "run", "results.json", read_json(runs / "a/results.json"))
    assert halbench.load(tmp_path / "run").frame().equals(halbench.load(runs / "a").frame())


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        (("settings", "limit"), "x", r"manifest\.json: settings: field 'limit' of RunSettings cannot be \"x\""),
        (("signature_fields",), "x", r"manifest\.json: field 'signature_fields' of Manifest cannot be \"x\""),
        (("settings", "suite", "options"), 3, r"settings: suite: field 'options' of SuiteSettings cannot be 3"),
        (("status",), "done", r"field 'status' of Manifest cannot be \"done\""),
        (("files",), [], r"field 'files' of Manifest cannot be \[\]"),
    ],
)
def test_an_edited_manifest_is_one_line_with_its_field(runs, tmp_path, field, value, line):
    shutil.copytree(runs / "a", tmp_path / "run")
    manifest = read_json(tmp_path / "run/manifest.json")
    owner = manifest
    for name in field[:-1]:
        owner = owner[name]
    owner[field[-1]] = value
    write_json(tmp_path / "run/manifest.json", manifest)
    for call in actions(tmp_path / "run", runs / "b", tmp_path / "out").values():
        if "report" not in call.__code__.co_names:
            with pytest.raises(InputError, match=line):
                call()


@pytest.mark.parametrize("rows", [[3], {}, [], "x", [{"suite": "scenes"}]])
def test_results_that_are_none_are_one_line(runs, tmp_path, rows):
    shutil.copytree(runs / "a", tmp_path / "run")
    write(tmp_path / "run", "results.json", rows)
    with pytest.raises(InputError, match=r"results\.json: (contains no results|row 1: expected|row 1: missing field)"):
        RunFolder(tmp_path / "run").results()

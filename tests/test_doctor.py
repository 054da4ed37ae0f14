"""What `halbench doctor` finds: a machine in order, and one thing wrong at a time."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from halbench.cli import doctor
from halbench.datasets import Data
from halbench.types import Item, Response


def command(*arguments: str) -> Result:
    app = typer.Typer()
    doctor.add_to(app)
    app.command("other")(lambda: None)  # with a single command typer leaves its name out
    return CliRunner().invoke(app, list(arguments))


def states(findings: list[doctor.Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def problems(findings: list[doctor.Finding]) -> list[doctor.Finding]:
    return [finding for finding in findings if finding.state == "problem"]


def test_a_machine_in_order_has_no_problems(data: Data):
    shown = command("doctor", "--data", str(data.root))
    assert shown.exit_code == 0, shown.output
    for name in ("python", "halbench", "numpy", "nltk", "language", "amber", "mmhal", "free disk", "checkpoint cache"):
        assert f" {name} " in shown.stdout


def test_the_report_as_json_is_one_object(tmp_path):
    report = json.loads(command("doctor", "--json", "--data", str(tmp_path)).stdout)
    assert report["ok"] == all(finding["state"] != "problem" for finding in report["findings"])
    assert {"name", "state", "detail"} == set(report["findings"][0])


def test_what_is_optional_and_missing_is_no_problem():
    found = {finding.name: finding for finding in [*doctor.packages(), *doctor.spacy_models()]}
    absent = [found[name] for name in (*doctor.OPTIONAL, *doctor.SPACY_MODELS) if doctor.version_of(name) is None]
    assert all(finding.state == "none" and finding.detail.startswith("not installed") for finding in absent)


def install(folder: Path, name: str, version: str, code: str) -> None:
    """A package as pip leaves it."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    (folder / f"{name}-{version}.dist-info").mkdir()
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )


def test_another_nltk_than_the_pinned_one_is_a_problem(tmp_path, monkeypatch):
    install(tmp_path, "nltk", "3.10.0", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    (problem,) = problems(doctor.packages())
    assert problem.detail == "3.10.0; numbers are pinned to 3.9.1: pip install nltk==3.9.1"


@pytest.mark.parametrize(
    ("code", "state"),
    [("", "ok"), ("raise RuntimeError('operator torchvision::nms does not exist')", "problem")],
    ids=["one that can be imported", "one built for another torch"],
)
def test_torchvision_is_really_imported(tmp_path, monkeypatch, code, state):
    install(tmp_path, "torchvision", "0.99.0", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = doctor.torchvision()
    assert finding.state == state
    assert "torchvision" not in sys.modules
    if state == "problem":
        assert "operator torchvision::nms does not exist" in finding.detail
        assert "pip uninstall torchvision" in finding.detail


def test_language_resources_that_differ_from_the_pinned_ones_are_a_problem(data: Data, tmp_path, monkeypatch):
    import nltk

    shutil.copytree(data.root / "nltk_data", tmp_path / "nltk_data", copy_function=shutil.copyfile)
    changed = tmp_path / "nltk_data/tokenizers/punkt_tab/english/abbrev_types.txt"
    changed.parent.chmod(0o755)
    changed.write_text("dr\nmr\n")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk_data")])
    (finding,) = doctor.language(Data(tmp_path))
    assert finding.state == "problem"
    assert str(changed) in finding.detail


def test_missing_language_resources_are_a_problem_with_the_command_that_gets_them(tmp_path, monkeypatch):
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    (finding,) = doctor.language(Data(tmp_path))
    assert (finding.state, "halbench data fetch nltk_data" in finding.detail) == ("problem", True)


def test_data_that_is_not_there_is_no_problem_but_wrong_data_is(tmp_path):
    assert problems(doctor.data_files(Data(tmp_path))) == []
    (tmp_path / "pope").mkdir()
    (tmp_path / "pope/coco_pope_random.jsonl").write_text("{}\n")
    (problem,) = problems(doctor.data_files(Data(tmp_path)))
    assert problem.name == "pope"
    assert "coco_pope_random.jsonl differs" in problem.detail


ITEMS = [Item(str(n), Path(f"{n}.jpg"), "What?", None, "all") for n in range(3)]


def said(*texts: str, state: str = "ok") -> dict[str, Response]:
    return {str(n): Response(str(n), text, state=state) for n, text in enumerate(texts)}  # type: ignore[arg-type]


def test_answers_are_the_same_or_the_first_difference_is_shown():
    same = doctor.compare_answers("m", ITEMS, 8, said("a", "b", "c"), said("a", "b", "c"))
    assert (same.identical, same.first_difference) == (3, None)
    other = doctor.compare_answers("m", ITEMS, 8, said("a", "b", "c"), said("a", "x", "y"))
    assert other.identical == 1
    assert other.first_difference == doctor.Difference("1.jpg", "What?", "b", "x")


def test_answers_that_fail_alike_are_not_the_same():
    failed = said("", "", "", state="error")
    assert doctor.compare_answers("m", ITEMS, 8, failed, failed).identical == 0


def test_drawn_pictures_are_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = doctor.draw(4, tmp_path / "a"), doctor.draw(4, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len({path.read_bytes() for path in first}) == 4


def test_an_image_folder_without_images_is_refused(tmp_path):
    shown = command("doctor", "--batch-parity", "any", "--images", str(tmp_path))
    assert "expected a folder with .jpg or .png files" in str(shown.exception)


def test_a_model_says_the_same_one_by_one_and_in_batches(tmp_path):
    pytest.importorskip("torch")
    import tiny_checkpoints

    checkpoint = tiny_checkpoints.llava(tmp_path)
    shown = command(
        "doctor",
        "--batch-parity",
        str(checkpoint),
        "--items",
        "4",
        "--batch-size",
        "2",
        "--dtype",
        "float32",
        "--device",
        "cpu",
    )
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("4 of 4 answers are the same at batch size 1 and 2")

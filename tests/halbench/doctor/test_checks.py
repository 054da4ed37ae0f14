"""What `halbench doctor` checks: one thing wrong at a time."""

import shutil
import sys
from pathlib import Path

import pytest

from halbench.data.datasets import Data
from halbench.doctor import checks
from halbench.scoring_tools import language


def problems(findings: list[checks.Finding]) -> list[checks.Finding]:
    return [finding for finding in findings if finding.state == "problem"]


def test_what_is_optional_and_missing_is_no_problem():
    findings = {finding.name: finding for finding in [*checks.packages(), *checks.spacy_models()]}
    absent = [findings[name] for name in (*checks.OPTIONAL, *checks.SPACY_MODELS) if checks.version_of(name) is None]
    assert all(finding.state == "none" and finding.detail.startswith("not installed") for finding in absent)


def install(folder: Path, name: str, version: str, code: str) -> None:
    """A package as pip leaves it."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    (folder / f"{name}-{version}.dist-info").mkdir()
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )


def test_another_textblob_than_the_pinned_one_is_a_problem(tmp_path, monkeypatch):
    install(tmp_path, "textblob", "0.20.0", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    problem = next(found for found in problems(checks.packages()) if found.name == "textblob")
    assert problem.detail == "0.20.0; numbers are pinned to 0.19.0: pip install textblob==0.19.0"


def test_an_nltk_that_splits_text_differently_is_a_problem(data, monkeypatch):
    monkeypatch.setattr(language.WordTokenizer, "PUNCTUATION", [])
    found = checks.language(data)[0]
    assert (found.state, found.detail[:16]) == ("problem", "NLTK behaves as ")
    assert "pip install nltk==3.9.4" in found.detail


@pytest.mark.parametrize(
    ("code", "state"),
    [("", "ok"), ("raise RuntimeError('operator torchvision::nms does not exist')", "none")],
    ids=["one that can be imported", "one built for another torch"],
)
def test_torchvision_is_really_imported(tmp_path, monkeypatch, code, state):
    install(tmp_path, "torchvision", "0.99.0", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = checks.torchvision()
    assert finding.state == state
    assert sys.modules.get("torchvision") is None
    if state == "none":
        assert "0.99.0 cannot be imported (RuntimeError: operator torchvision::nms does not exist)" in finding.detail
        assert "images are processed by Pillow" in finding.detail


def test_language_resources_that_differ_from_the_pinned_ones_are_a_problem(data: Data, tmp_path, monkeypatch):
    import nltk

    shutil.copytree(data.root / "nltk_data", tmp_path / "nltk_data", copy_function=shutil.copyfile)
    changed = tmp_path / "nltk_data/tokenizers/punkt_tab/english/abbrev_types.txt"
    changed.parent.chmod(0o755)
    changed.write_text("dr\nmr\n")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk_data")])
    (finding,) = checks.language(Data(tmp_path))
    assert finding.state == "problem"
    assert str(changed) in finding.detail


def test_missing_language_resources_are_a_problem_with_the_command_that_gets_them(tmp_path, monkeypatch):
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    (finding,) = checks.language(Data(tmp_path))
    assert (finding.state, "halbench data fetch nltk_data" in finding.detail) == ("problem", True)


def test_missing_data_is_no_problem_but_wrong_data_is(tmp_path):
    assert problems(checks.data_files(Data(tmp_path))) == []
    (tmp_path / "pope").mkdir()
    (tmp_path / "pope/coco_pope_random.jsonl").write_text("{}\n")
    (problem,) = problems(checks.data_files(Data(tmp_path)))
    assert problem.name == "pope"
    assert "coco_pope_random.jsonl differs" in problem.detail

"""Run folders of a small suite, written as `halbench score --out` writes them, and the suite as a plugin file."""

from pathlib import Path
from typing import Any

from halbench import comparison
from halbench.evaluation import load_suite
from halbench.records import write_jsonl
from halbench.run_folder import RunFolder
from halbench.types import Score

SUITE = """
from dataclasses import dataclass

from halbench.ratios import ratio_metric
from halbench.types import Decoding, Suite

@dataclass(frozen=True)
class Options:
    pass

TEXT, QUESTIONS = ("descriptions",), ("questions",)
SUITE = Suite(
    name="tiny",
    version="1",
    title="Tiny",
    options=Options,
    decoding=Decoding(max_new_tokens=16),
    metrics=(
        ratio_metric("chair", "hallucinated", "mentions", "lower", groups=TEXT),
        ratio_metric("cover", "covered", "truths", "higher", groups=TEXT),
        ratio_metric("length", "words", "texts", "neither", unit="words", groups=TEXT),
        ratio_metric("score", "rating", "texts", "higher", unit="rating", groups=TEXT),
        ratio_metric("unread", "unread", "asked", "lower", groups=QUESTIONS),
        ratio_metric("accuracy", "right", "asked", "higher", groups=(*QUESTIONS, "all")),
    ),
    groups={"descriptions": TEXT, "questions": QUESTIONS, "all": TEXT + QUESTIONS},
    load=lambda data, options, rows: None,
    match=lambda items, rows: [],
)
"""


def suite_file(folder: Path) -> Path:
    """The small suite as a plugin."""
    path = folder / "tiny.py"
    path.write_text(SUITE)
    return path


def description(
    number: int, hallucinated: int, covered: int, words: int = 20, rating: int = 3, mentions: int = 10
) -> Score:
    """One description of image `number`."""
    counts = {
        "hallucinated": hallucinated,
        "mentions": mentions,
        "covered": covered,
        "truths": 6,
        "words": words,
        "texts": 1,
        "rating": rating,
    }
    return Score(f"d{number}", f"{number}.jpg", "descriptions", counts)


def question(number: int, right: bool, unread: bool = False) -> Score:
    """One question on image `number`."""
    return Score(f"q{number}", f"{number}.jpg", "questions", {"right": right, "unread": unread, "asked": 1})


def write_run(folder: Path, name: str, scores: list[Score], nltk: str = "3.9.1", **manifest: object) -> Path:
    """A complete run folder called `name`; manifest: fields over the usual ones (None leaves one out)."""
    version = load_suite(str(suite_file(folder))).version
    run = RunFolder(folder / name)
    run.path.mkdir()
    write_jsonl(run.scores_path, scores)
    fields = {
        "status": "complete",
        "settings": {
            "suite": {"name": "tiny", "version": version, "options": {}},
            "model": {"name": name},
        },
        "signature": f"suite:tiny|nltk:{nltk}",
        "signature_fields": {"suite": "tiny", "version": version, "nltk": nltk},
        **manifest,
    }
    run.write_manifest({key: value for key, value in fields.items() if value is not None})
    return run.path


def compare(a: Path, b: Path, **options: Any) -> comparison.Comparison:
    return comparison.compare(a, b, suite_file=str(a.parent / "tiny.py"), **options)


def gate(run: Path, baseline: Path, margins: Path, **options: Any) -> comparison.Gate:
    return comparison.gate(run, baseline, margins, suite_file=str(run.parent / "tiny.py"), **options)

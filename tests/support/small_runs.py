"""Run folders of a small suite, written as `halbench score --out` writes them, and the suite as a plugin file."""

from pathlib import Path

import numpy as np

from halbench.comparing import comparison, gating
from halbench.evaluation.coverage import Coverage, coverage
from halbench.evaluation.suites import load_suite
from halbench.files.records import write_jsonl
from halbench.folders.run import RunFolder
from halbench.statistics.resampling import Resampling
from halbench.types import Item, Score

N_RESAMPLES = 1000

SUITE = """
from dataclasses import dataclass

from halbench.scoring_tools.ratios import ratio_metric
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
        ratio_metric(
            "chair", "hallucinated", "mentions", "lower", groups=TEXT, main=TEXT, companions=("cover", "length"), margin=0.01
        ),
        ratio_metric("cover", "covered", "truths", "higher", groups=TEXT, main=TEXT),
        ratio_metric("length", "words", "texts", "neither", unit="words", groups=TEXT, main=TEXT),
        ratio_metric("score", "rating", "texts", "higher", unit="rating", groups=TEXT),
        ratio_metric("unread", "unread", "asked", "lower", groups=QUESTIONS, companions=(), unread=True),
        ratio_metric("accuracy", "right", "asked", "higher", groups=(*QUESTIONS, "all"), main=QUESTIONS),
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


def good(n: int = 60) -> list[Score]:
    """Descriptions with 1 or 2 of 10 mentions hallucinated, and questions of which five in six are right."""
    return [description(i, 1 + i % 2, 3 + i % 3, 20 + i % 5, 3 + i % 2) for i in range(n)] + [
        question(i, i % 6 != 0) for i in range(n)
    ]


def bad(n: int = 60) -> list[Score]:
    """Two more hallucinations in each description, everything else alike."""
    return [description(i, 3 + i % 2, 3 + i % 3, 20 + i % 5, 3 + i % 2) for i in range(n)] + [
        question(i, i % 6 != 0) for i in range(n)
    ]


def noisy(
    seed: int = 0, chair: float = 0.2, cover: float = 0.5, words: int = 30, right: float = 0.8, n: int = 120
) -> list[Score]:
    """Noisy descriptions and questions with these expected values."""
    rng = np.random.default_rng(seed)
    return [
        description(i, int(rng.binomial(10, chair)), int(rng.binomial(6, cover)), int(rng.poisson(words)))
        for i in range(n)
    ] + [question(i, bool(rng.random() < right)) for i in range(n)]


def covered(scores: list[Score]) -> Coverage:
    """The coverage of a run with these scores."""
    items = {score.item: Item(score.item, (Path(score.cluster),), "", None, score.group) for score in scores}
    return coverage(list(items.values()), scores, [])


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
            "items": "120",
            "decoding": None,
            "model": {"name": name},
            "limit": None,
        },
        "signature": f"suite:tiny|nltk:{nltk}",
        "signature_fields": {"suite": "tiny", "version": version, "nltk": nltk},
        "coverage": covered(scores),
        **manifest,
    }
    run.write_manifest({key: value for key, value in fields.items() if value is not None})
    return run.path


def resampling(level: float = 0.95) -> Resampling:
    """Few resamples, for speed."""
    return Resampling(level, N_RESAMPLES)


def compare(a: Path, b: Path, level: float = 0.95) -> comparison.Comparison:
    return comparison.compare(a, b, resampling(level), str(a.parent / "tiny.py"))


def gate(run: Path, baseline: Path, margins: Path | None = None) -> gating.Gate:
    return gating.gate(run, baseline, margins, resampling(), str(run.parent / "tiny.py"))

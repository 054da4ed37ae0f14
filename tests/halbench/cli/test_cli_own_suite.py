"""A suite of a user's own through the commands: gated like halbench's own, and its mistakes named in one line."""

import own_suite
import pytest
from own_suite import COVERAGE, MADE_UP
from stored import jsonl, score

from halbench.data.datasets import Data

TALKATIVE, SILENT = "good good good good bad", "good"


@pytest.fixture
def answers(tmp_path):
    """Files of two models: one names 80 % of what the images show, the other says a quarter of what the first one says."""
    for name, text in (("a", TALKATIVE), ("b", SILENT)):
        jsonl(tmp_path / f"{name}.jsonl", [{"id": number, "response": text} for number in range(60)])
    return tmp_path


@pytest.mark.parametrize("margins", [None, "made_up: 0.01\n"], ids=["the suite's own margins", "a margin on made_up"])
def test_a_model_that_says_a_quarter_does_not_pass_the_gate(answers, halbench, margins):
    suite = own_suite.write(answers, MADE_UP, COVERAGE)
    for name in ("a", "b"):
        score(str(suite), answers / f"{name}.jsonl", Data(answers), out=answers / name)
    chosen = ()
    if margins:
        (answers / "margins.yaml").write_text(margins)
        chosen = ("--margins", "margins.yaml")
    gated = halbench("gate", "b", "--baseline", "a", "--suite", "own.py", *chosen)
    assert gated.returncode == 1
    made_up, coverage = (line.split() for line in gated.stdout.splitlines() if "↓" in line or "↑" in line)
    assert (made_up[0], made_up[2]) == ("pass", "made_up")
    assert (coverage[0], coverage[2]) == ("regression", "coverage")
    assert "gated as a companion of made_up" in gated.stdout
    assert gated.stdout.endswith("gate: regression\n")


def test_a_suite_without_the_companion_is_refused(answers, halbench):
    own_suite.write(answers, MADE_UP.replace('companions=("coverage",)', "companions=()"), COVERAGE)
    refused = halbench("score", "--suite", "own.py", "--responses", "a.jsonl")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("halbench: suite own: empty answers leave all/made_up undefined")
    assert refused.stderr.count("\n") == 1


MISTAKES = {
    "score raises": ("response.text.split()", "response.txt.split()", "AttributeError: 'Response' object has no attribute 'txt'"),
    "load raises": ('truth = ["good"] * 5', 'truth = data.truth["good"]', "AttributeError: 'Data' object has no attribute 'truth'"),
    "match raises": ("return match_by_id_or_question(items, rows, ", "return match_by_id(items, rows, ", "NameError: name 'match_by_id' is not defined"),
    "a wrong item": ('(Path(f"{n}.jpg"),)', 'Path(f"{n}.jpg")', "TypeError: Item.images: expected a tuple of paths"),
    "score leaves": ("    words = response.text.split()", "    raise SystemExit(0)", "SystemExit: 0"),
    "a formula raises": (MADE_UP, 'Metric("made_up", lambda c: c.bad, "lower", companions=("coverage",))', "AttributeError: 'dict' object has no attribute 'bad'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_suite_of_ones_own_is_named_with_file_and_line(answers, halbench, name):
    right, wrong, message = MISTAKES[name]
    path = own_suite.write(answers, MADE_UP, COVERAGE)
    source = path.read_text()
    assert right in source
    path.write_text(source.replace(right, wrong))
    line = 1 + next(number for number, text in enumerate(path.read_text().splitlines()) if wrong in text)
    failed = halbench("score", "--suite", "own.py", "--responses", "a.jsonl")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.count("\n") == 1
    assert f"own.py:{line}: {message}" in failed.stderr
    assert "(in your suite, line: " in failed.stderr

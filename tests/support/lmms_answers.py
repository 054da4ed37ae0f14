"""What lmms-eval hands to our tasks, and its numbers against those of `halbench score`."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from halbench.data.datasets import Data
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.suites import load_suite
from halbench.files.records import read_json, read_jsonl
from halbench.lmms_tasks import suite_task

SETTINGS = ("SET", "JUDGE", "JUDGE_BASE_URL", "JUDGE_PROMPT", "JUDGE_KWARGS")


def no_settings(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No settings but those of the test; runs/ and what halbench makes itself go to the folder."""
    for name in SETTINGS:
        monkeypatch.delenv(f"HALBENCH_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.chdir(folder)
    suite_task.evaluate.cache_clear()


def answers(suite: str, texts: Mapping[str, str]) -> dict[str, list[suite_task.Answer]]:
    """What lmms-eval hands to each metric for these texts (item id -> text)."""
    kept = [suite_task.answer({"suite": suite, "item": item}, [text]) for item, text in texts.items()]
    names = suite_task.metric_names(load_suite(suite))
    return {name: [row[name] for row in kept] for name in names}


def values(suite: str, texts: Mapping[str, str]) -> dict[str, object]:
    """Metric -> lmms-eval's value for these texts."""
    return {name: suite_task.value(given) for name, given in answers(suite, texts).items()}


def stored(data: Data, name: str, id_field: str, text_field: str) -> dict[str, str]:
    """Item id -> text, from a file of real responses."""
    path = data.root / "responses" / name
    rows = read_json(path) if path.suffix == ".json" else [row for _, row in read_jsonl(path)]
    return {str(row[id_field]): row[text_field].strip() for row in rows}


def same_numbers(values: Mapping[str, object], evaluation: Evaluation) -> None:
    """Check lmms-eval's values (metric -> value) against all rows of an evaluation."""
    rows = {suite_task.full_name(row.group, row.metric): row for row in evaluation.results}
    assert rows.keys() <= values.keys()
    for name, value in values.items():
        row = rows.get(name)
        expected = "no score" if row is None or not row.n else "undefined" if row.value is None else row.value
        assert value == expected, name

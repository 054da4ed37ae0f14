"""Which metrics get a column, and their headings."""

import pandas as pd

from reports.main_metrics import main_metrics


def result(group: str, metric: str, **fields: object) -> dict[str, object]:
    """A row of results."""
    usual = {"better": "lower", "unit": "fraction", "label": metric.title(), "main": False, "companions": ()}
    return {"group": group, "metric": metric, "unread": False, "published": None, "description": "", **usual, **fields}


def labels(*rows: dict[str, object]) -> list[str]:
    return [metric.label for metric in main_metrics(pd.DataFrame(rows))]


def test_headline_metrics_are_columns_with_direction_and_unit():
    rows = (
        result("all", "chair", main=True, label="CHAIRi"),
        result("all", "detail"),
        result("all", "score", main=True, better="higher", unit="rating"),
        result("all", "length", main=True, better="neither", unit="words"),
    )
    assert labels(*rows) == ["CHAIRi ↓ (%)", "Score ↑", "Length (words)"]


def test_a_headline_metric_is_never_shown_without_its_companions():
    rows = (
        result("all", "made_up", main=True, companions=("all/named", "other/named")),
        result("all", "named", better="higher"),
        result("all", "detail"),
        result("other", "named", better="higher"),
    )
    assert labels(*rows) == ["Made_Up ↓ (%)", "Named, all ↑ (%)", "Named, other ↑ (%)"]


def test_a_metric_that_is_a_headline_of_two_groups_names_them():
    rows = (result("random", "f1", main=True), result("own_list", "f1", main=True), result("own_list", "x", main=True))
    assert labels(*rows) == ["F1, random ↓ (%)", "F1, own list ↓ (%)", "X ↓ (%)"]


def test_a_suite_without_headline_metrics_shows_all_of_its_first_group_but_unread_answers():
    rows = (result("all", "a"), result("all", "unread", unread=True), result("all", "b"), result("other", "c"))
    assert labels(*rows) == ["A ↓ (%)", "B ↓ (%)"]


def test_results_without_rows_have_no_columns():
    assert main_metrics(pd.DataFrame()) == []

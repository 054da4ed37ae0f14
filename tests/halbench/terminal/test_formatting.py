"""Numbers as text, rounded by their unit."""

from halbench.terminal.formatting import (
    format_amount,
    format_difference,
    format_interval,
    format_p,
    format_scored,
    format_value,
    metric_label,
)


def test_numbers_are_rounded_by_their_unit():
    assert [format_value(x, u) for x, u in ((0.07816, "fraction"), (2.345, "rating"), (96.94, "words"))] == [
        "7.8%",
        "2.35",
        "96.9",
    ]
    assert format_value(None, "fraction") == "undefined"
    assert format_difference(-0.0004, "fraction") == "+0.0"
    assert format_difference(0.0123, "fraction") == "+1.2"
    assert format_interval(0.071, 0.0856, "fraction") == "[7.1, 8.6]"
    assert format_interval(None, None, "rating") == "-"
    assert [format_amount(0.012, "fraction"), format_amount(-1.3, "words")] == ["1.2 points", "1.3 words"]
    assert [format_p(p) for p in (0.0004, 0.0412, None)] == ["<0.001", "0.041", "-"]
    assert [metric_label("x", better) for better in ("lower", "higher", "neither")] == ["x ↓", "x ↑", "x"]


def test_what_lacks_a_score_is_shown_as_a_count():
    assert format_scored(96, 1.0) == "100%"
    assert format_scored(95, 95 / 96) == "95/96"
    assert format_scored(1003, 1003 / 1004) == "1003/1004"
    assert format_scored(0, 0.0) == "0%"

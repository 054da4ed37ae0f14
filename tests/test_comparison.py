import json
from dataclasses import replace

import pytest
from small_runs import compare, description, question, write_run

from halbench import comparison
from halbench.errors import InputError
from halbench.formatting import format_amount, format_difference, format_interval, format_p, format_value, metric_label
from halbench.statistics import holm, mcnemar

FOLDS = 1000


def good(n=60):
    """Descriptions with 1 or 2 of 10 mentions hallucinated, and questions of which five in six are right."""
    return [description(i, 1 + i % 2, 3 + i % 3, 20 + i % 5, 3 + i % 2) for i in range(n)] + [
        question(i, i % 6 != 0) for i in range(n)
    ]


def bad(n=60):
    """Two more hallucinations in each description, everything else alike."""
    return [description(i, 3 + i % 2, 3 + i % 3, 20 + i % 5, 3 + i % 2) for i in range(n)] + [
        question(i, i % 6 != 0) for i in range(n)
    ]


def rows_of(comparison):
    return {(found.row.group, found.row.metric): found for found in comparison.rows}


def test_a_difference_is_b_minus_a_of_summed_counts(tmp_path):
    found = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad()), folds=FOLDS)
    chair = rows_of(found)["descriptions", "chair"]
    assert (chair.row.a, chair.row.b) == (90 / 600, 210 / 600)
    assert chair.row.difference == pytest.approx(0.2)
    assert chair.row.p < 0.01
    assert chair.verdict == "worse"
    assert (chair.row.n, chair.row.images, chair.row.left_out) == (60, 60, 0)
    assert (found.n, found.left_out, found.suite, found.signature) == (120, 0, "tiny", "suite:tiny|nltk:3.9.1")


def test_the_other_way_round_everything_changes_its_sign(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad())
    there, back = (rows_of(compare(*pair, folds=FOLDS))["descriptions", "chair"] for pair in ((a, b), (b, a)))
    assert back.row.difference == -there.row.difference
    assert (back.row.low, back.row.high) == pytest.approx((-there.row.high, -there.row.low))
    assert back.row.p == there.row.p
    assert back.verdict == "better"


def test_each_metric_stands_in_the_groups_that_the_suite_names_and_the_runs_hold(tmp_path):
    both = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad()), folds=FOLDS)
    assert list(rows_of(both)) == [
        ("descriptions", "chair"),
        ("descriptions", "cover"),
        ("descriptions", "length"),
        ("descriptions", "score"),
        ("questions", "accuracy"),
        ("all", "accuracy"),
    ]
    part = compare(write_run(tmp_path, "c", good()[:60]), write_run(tmp_path, "d", bad()[:60]), folds=FOLDS)
    assert {group for group, _ in rows_of(part)} == {"descriptions"}


def test_the_share_of_unread_answers_stands_there_only_where_some_were_unread(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", [*good()[:-1], question(59, False, unread=True)])
    assert ("questions", "unread") not in rows_of(compare(a, a, folds=FOLDS))
    assert rows_of(compare(a, b, folds=FOLDS))["questions", "unread"].row.b == 1 / 60


def test_a_run_does_not_differ_from_itself(tmp_path):
    a = write_run(tmp_path, "a", good())
    for found in compare(a, a, folds=FOLDS).rows:
        assert (found.row.difference, found.row.low, found.row.high, found.row.p) == (0, 0, 0, 1)
        assert found.verdict == "no difference shown"


def test_p_values_are_adjusted_over_the_whole_table(tmp_path):
    b = [
        replace(s, counts={**s.counts, "right": i % 5 != 0}) if s.group == "questions" else s
        for i, s in enumerate(bad())
    ]
    rows = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b), folds=FOLDS).rows
    assert [found.p_holm for found in rows] == holm([found.row.p for found in rows])
    assert any(found.p_holm > found.row.p for found in rows)


def test_each_kind_of_metric_gets_its_own_test(tmp_path):
    b = [
        replace(s, counts={**s.counts, "right": i % 4 != 0})
        if s.group == "questions"
        else replace(s, counts={**s.counts, "rating": i % 5})
        for i, s in enumerate(bad())
    ]
    rows = rows_of(compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b), folds=FOLDS))
    methods = {key: found.row.method for key, found in rows.items()}
    assert methods["descriptions", "chair"] == "permutation"
    assert methods["descriptions", "score"] == "Wilcoxon"
    assert methods["questions", "accuracy"] == "McNemar"
    # Right in a: i % 6; in b (shifted by the 60 descriptions): i % 4.
    only_a = sum(i % 6 != 0 and i % 4 == 0 for i in range(60))
    only_b = sum(i % 6 == 0 and i % 4 != 0 for i in range(60))
    assert rows["questions", "accuracy"].row.p == mcnemar(only_a, only_b)


def test_a_metric_without_a_better_side_is_called_higher_or_lower(tmp_path):
    longer = [replace(s, counts={**s.counts, "words": s.counts["words"] + 9}) for s in good()[:60]]
    a, b = write_run(tmp_path, "a", good()[:60]), write_run(tmp_path, "b", longer)
    assert rows_of(compare(a, b, folds=FOLDS))["descriptions", "length"].verdict == "higher"
    assert rows_of(compare(b, a, folds=FOLDS))["descriptions", "length"].verdict == "lower"


def test_a_value_of_0_by_0_is_undefined_and_not_compared(tmp_path):
    mute = [description(i, 0, 0, words=0, mentions=0) for i in range(60)]
    rows = rows_of(compare(write_run(tmp_path, "a", good()[:60]), write_run(tmp_path, "b", mute), folds=FOLDS))
    chair = rows["descriptions", "chair"]
    assert (chair.row.b, chair.row.difference, chair.row.p, chair.p_holm) == (None, None, None, None)
    assert chair.verdict == "undefined"
    assert rows["descriptions", "cover"].verdict == "worse"


def test_only_items_that_both_runs_scored_are_used_and_the_others_are_told(tmp_path):
    a, b = good(), bad()
    a[0] = replace(a[0], counts={}, state="error", error="image unreadable")
    b[1] = replace(b[1], state="unscored")
    b[60] = replace(b[60], counts={}, state="missing")
    found = compare(write_run(tmp_path, "a", a), write_run(tmp_path, "b", b), folds=FOLDS)
    assert (found.n, found.left_out) == (117, 3)
    chair = rows_of(found)["descriptions", "chair"].row
    assert (chair.n, chair.left_out) == (58, 2)
    assert chair.a == sum(1 + i % 2 for i in range(2, 60)) / 580
    accuracy = rows_of(found)["questions", "accuracy"].row
    assert (accuracy.n, accuracy.left_out) == (59, 1)


def test_items_may_stand_in_any_order(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad())
    c = write_run(tmp_path, "c", bad()[::-1])
    assert [x.row for x in compare(a, b, folds=FOLDS).rows] == [x.row for x in compare(a, c, folds=FOLDS).rows]


# What is refused


def refused(a, b):
    with pytest.raises(InputError) as error:
        compare(a, b, folds=FOLDS)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_runs_with_different_signatures_are_refused_with_the_fields_that_differ(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad(), nltk="3.10")
    message = refused(a, b)
    assert "different signatures" in message
    assert 'nltk: "3.9.1" there, "3.10" here' in message
    assert "suite:" not in message


def test_signatures_that_differ_in_the_line_alone_are_refused_too(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad(), signature="suite:tiny|nltk:?")
    assert "suite:tiny|nltk:? here" in refused(a, b)


def test_fields_that_differ_under_one_signature_line_are_refused_too(tmp_path):
    fields = {"suite": "tiny", "version": "1", "nltk": "3.10"}
    b = write_run(tmp_path, "b", bad(), signature_fields=fields)
    assert 'nltk: "3.9.1" there, "3.10" here' in refused(write_run(tmp_path, "a", good()), b)


def test_runs_of_different_suites_are_refused(tmp_path):
    other = {"suite": {"name": "amber"}}
    assert "of 'amber'" in refused(
        write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad(), settings=other, signature="suite:amber")
    )


def test_another_item_set_is_refused_with_the_first_item(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad()[:-2])
    assert "has 2 items that" in refused(a, b)
    assert "'q58'" in refused(b, a)


def test_an_item_that_lies_on_another_image_is_refused(tmp_path):
    b = bad()
    b[7] = replace(b[7], image="other.jpg")
    assert "'d7' has another image" in refused(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b))


def test_an_item_that_stands_twice_is_refused(tmp_path):
    b = bad()
    assert "item 'd3' stands there twice" in refused(
        write_run(tmp_path, "a", good()), write_run(tmp_path, "b", [*b, b[3]])
    )


def test_an_incomplete_run_is_refused_and_says_what_is_missing(tmp_path):
    coverage = {"items": 120, "scored": 46, "empty": 0, "missing": 74, "errors": 0, "unscored": 0}
    coverage |= {"reasons": [], "duplicates": [], "share": 46 / 120}
    b = write_run(tmp_path, "b", bad(), status="incomplete", coverage=coverage)
    message = refused(write_run(tmp_path, "a", good()), b)
    assert "only complete runs" in message
    assert "46 of 120 items scored (74 without a response)" in message


def test_a_run_that_was_killed_is_refused(tmp_path):
    b = write_run(tmp_path, "b", [], status="running", signature=None, signature_fields=None)
    assert "was not finished" in refused(write_run(tmp_path, "a", good()), b)


@pytest.mark.parametrize("field", ["signature", "signature_fields", "settings"])
def test_a_manifest_without_a_needed_field_is_refused(tmp_path, field):
    b = write_run(tmp_path, "b", bad(), **{field: None})
    assert f"missing field '{field}'" in refused(write_run(tmp_path, "a", good()), b)


def test_a_complete_run_without_scores_is_refused(tmp_path):
    b = write_run(tmp_path, "b", bad())
    (b / "scores.jsonl").unlink()
    assert "expected one score per line" in refused(write_run(tmp_path, "a", good()), b)


@pytest.mark.parametrize("counts", [{"hallucinated": "3"}, {"hallucinated": None}])
def test_counts_that_are_no_numbers_are_refused(tmp_path, counts):
    b = write_run(tmp_path, "b", [replace(score, counts=counts) for score in bad()])
    assert "item 'd0': counts must be numbers" in refused(write_run(tmp_path, "a", good()), b)


def test_counts_that_are_no_object_are_refused_with_their_line(tmp_path):
    b = write_run(tmp_path, "b", [replace(score, counts=[1]) for score in bad()])
    assert "scores.jsonl:1: field 'counts' of Score cannot be [1]" in refused(write_run(tmp_path, "a", good()), b)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    assert "no manifest.json here" in refused(write_run(tmp_path, "a", good()), tmp_path / "nothing")


def test_runs_without_one_item_scored_in_both_are_refused(tmp_path):
    nothing = [replace(score, state="unscored") for score in bad()]
    assert "no item is scored in both" in refused(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", nothing))


# The command


def test_the_table_shows_values_differences_arrows_and_the_signature(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", bad())
    found = halbench("compare", "a", "b", "--suite", "tiny.py", "--resamples", FOLDS)
    assert (found.returncode, found.stderr) == (0, "")
    (line,) = [line for line in found.stdout.splitlines() if "chair" in line]
    assert line.split()[:5] == ["descriptions", "chair", "↓", "15.0%", "35.0%"]
    assert "+20.0" in line
    assert line.rstrip().endswith("worse")
    assert "120 items scored in both runs, 0 left out" in found.stdout
    assert "suite:tiny|nltk:3.9.1" in found.stdout


def test_json_is_one_object_with_flat_unrounded_rows(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", bad())
    found = halbench(
        "compare", "a", "b", "--suite", "tiny.py", "--resamples", FOLDS, "--level", 0.9, "--seed", 5, "--json"
    )
    told = json.loads(found.stdout)
    assert {key: told[key] for key in ("a", "b", "suite", "level", "resamples", "seed", "left_out")} == {
        "a": "a",
        "b": "b",
        "suite": "tiny",
        "level": 0.9,
        "resamples": FOLDS,
        "seed": 5,
        "left_out": 0,
    }
    row = told["rows"][0]
    assert (row["group"], row["metric"], row["better"], row["unit"]) == ("descriptions", "chair", "lower", "fraction")
    assert row["b"] == 0.35
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["p"] <= row["p_holm"]


def test_the_command_refuses_in_one_line_with_exit_code_2(tmp_path, halbench):
    write_run(tmp_path, "a", good())
    write_run(tmp_path, "b", bad(), nltk="3.10")
    found = halbench("compare", "a", "b", "--suite", "tiny.py")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("halbench: a (there) and b (here) have different signatures")
    assert found.stderr.count("\n") == 1


@pytest.mark.slow
def test_two_real_amber_runs_are_told_apart(tmp_path, data, halbench):
    for name in ("llava15_7b__amber_g", "llava15_7b_2shot__amber_g"):
        scored = halbench(
            "score", "--suite", "amber", "--responses", data.root / f"responses/amber/{name}.json", "--out", name
        )
        assert scored.returncode == 0, scored.stderr
    a, b = tmp_path / "llava15_7b__amber_g", tmp_path / "llava15_7b_2shot__amber_g"
    rows = rows_of(comparison.compare(a, b, folds=FOLDS))
    chair, cover = rows["generative", "chair"], rows["generative", "cover"]
    assert (round(100 * chair.row.a, 1), round(100 * chair.row.b, 1), chair.verdict) == (7.8, 5.6, "better")
    assert (round(100 * cover.row.a, 1), round(100 * cover.row.b, 1), cover.verdict) == (51.7, 50.4, "worse")


# Numbers as text


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

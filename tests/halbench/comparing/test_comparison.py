"""Two run folders, paired item by item: differences, tests, verdicts, and what is refused."""

from dataclasses import replace

import pytest
from small_runs import bad, compare, covered, description, good, question, resampling, write_run
from stored import score

from halbench.comparing import comparison
from halbench.errors import InputError
from halbench.statistics.paired_tests import holm, mcnemar


def rows_of(result):
    return {(compared.row.group, compared.row.metric): compared for compared in result.rows}


def test_a_difference_is_b_minus_a_of_summed_counts(tmp_path):
    result = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad()))
    chair = rows_of(result)["descriptions", "chair"]
    assert (chair.row.a, chair.row.b) == (90 / 600, 210 / 600)
    assert chair.row.difference == pytest.approx(0.2)
    assert chair.row.p < 0.01
    assert chair.verdict == "worse"
    assert (chair.row.n, chair.row.clusters, chair.row.left_out) == (60, 60, 0)
    assert (result.n, result.left_out, result.suite, result.signature) == (120, 0, "tiny", "suite:tiny|nltk:3.9.1")


def test_the_other_way_round_everything_changes_its_sign(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad())
    forth, back = (rows_of(compare(*pair))["descriptions", "chair"] for pair in ((a, b), (b, a)))
    assert back.row.difference == -forth.row.difference
    assert (back.row.low, back.row.high) == pytest.approx((-forth.row.high, -forth.row.low))
    assert back.row.p == forth.row.p
    assert back.verdict == "better"


def test_each_metric_is_shown_for_the_groups_of_the_suite_that_the_runs_have(tmp_path):
    both = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad()))
    assert list(rows_of(both)) == [
        ("descriptions", "chair"),
        ("descriptions", "cover"),
        ("descriptions", "length"),
        ("descriptions", "score"),
        ("questions", "accuracy"),
        ("all", "accuracy"),
    ]
    part = compare(write_run(tmp_path, "c", good()[:60]), write_run(tmp_path, "d", bad()[:60]))
    assert {group for group, _ in rows_of(part)} == {"descriptions"}


def test_the_share_of_unread_answers_is_shown_only_if_some_were_unread(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", [*good()[:-1], question(59, False, unread=True)])
    assert ("questions", "unread") not in rows_of(compare(a, a))
    assert rows_of(compare(a, b))["questions", "unread"].row.b == 1 / 60


def test_a_run_does_not_differ_from_itself(tmp_path):
    a = write_run(tmp_path, "a", good())
    for compared in compare(a, a).rows:
        row = compared.row
        assert (row.difference, row.p) == (0, 1)
        assert row.low == pytest.approx(-row.high)
        assert row.low < 0
        assert compared.verdict == "not significant"


def test_p_values_are_adjusted_over_the_whole_table(tmp_path):
    b = [
        replace(s, counts={**s.counts, "right": i % 5 != 0}) if s.group == "questions" else s
        for i, s in enumerate(bad())
    ]
    rows = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b)).rows
    assert [compared.p_holm for compared in rows] == holm([compared.row.p for compared in rows])
    assert any(compared.p_holm > compared.row.p for compared in rows)


def test_each_kind_of_metric_gets_its_own_test(tmp_path):
    b = [
        replace(s, counts={**s.counts, "right": i % 4 != 0})
        if s.group == "questions"
        else replace(s, counts={**s.counts, "rating": i % 5})
        for i, s in enumerate(bad())
    ]
    rows = rows_of(compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b)))
    methods = {key: compared.row.method for key, compared in rows.items()}
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
    assert rows_of(compare(a, b))["descriptions", "length"].verdict == "higher"
    assert rows_of(compare(b, a))["descriptions", "length"].verdict == "lower"


def test_a_value_of_0_by_0_is_undefined_and_not_compared(tmp_path):
    mute = [description(i, 0, 0, words=0, mentions=0) for i in range(60)]
    rows = rows_of(compare(write_run(tmp_path, "a", good()[:60]), write_run(tmp_path, "b", mute)))
    chair = rows["descriptions", "chair"]
    assert (chair.row.b, chair.row.difference, chair.row.p, chair.p_holm) == (None, None, None, None)
    assert chair.verdict == "undefined"
    assert rows["descriptions", "cover"].verdict == "worse"


def test_only_items_scored_in_both_runs_are_used_and_the_others_are_counted(tmp_path):
    a, b = good(), bad()
    a[0] = replace(a[0], counts={}, state="error", error="image unreadable")
    b[1] = replace(b[1], state="unscored")
    b[60] = replace(b[60], counts={}, state="missing")
    result = compare(write_run(tmp_path, "a", a), write_run(tmp_path, "b", b))
    assert (result.n, result.left_out) == (117, 3)
    chair = rows_of(result)["descriptions", "chair"].row
    assert (chair.n, chair.left_out) == (58, 2)
    assert chair.a == sum(1 + i % 2 for i in range(2, 60)) / 580
    accuracy = rows_of(result)["questions", "accuracy"].row
    assert (accuracy.n, accuracy.left_out) == (59, 1)


def test_items_may_stand_in_any_order(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad())
    c = write_run(tmp_path, "c", bad()[::-1])
    assert [x.row for x in compare(a, b).rows] == [x.row for x in compare(a, c).rows]


# What lacks a score


def test_one_item_that_lacks_a_score_is_left_out_of_both_runs_and_the_comparison_says_so(tmp_path):
    b = bad()
    b[5] = replace(b[5], counts={}, state="unscored")
    result = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b))
    assert result.notes == ("Compared on the 119 of 120 items that both runs have; A lacks 0 and B lacks 1.",)
    assert result.incomplete == ()
    assert rows_of(result)["descriptions", "chair"].verdict == "worse"


def test_an_incomplete_run_is_compared_on_the_items_that_both_have_and_nothing_is_tested(tmp_path):
    b = [replace(s, counts={}, state="missing") if i % 60 < 30 else s for i, s in enumerate(bad())]
    result = compare(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b))
    assert result.notes == ("Compared on the 60 of 120 items that both runs have; A lacks 0 and B lacks 60.",)
    assert result.incomplete == (f"{tmp_path / 'b'} is incomplete: 60 of 120 items scored (60 without a response)",)
    chair = rows_of(result)["descriptions", "chair"]
    assert chair.row.difference == pytest.approx(0.2)
    assert {(c.verdict, c.p_holm, c.row.p) for c in result.rows} == {("incomplete", None, None)}


def test_an_item_with_several_answers_is_left_out_of_both_runs(tmp_path):
    b = write_run(tmp_path, "b", [*bad(), replace(bad()[3], counts={})])
    result = compare(write_run(tmp_path, "a", good()), b)
    assert (result.n, result.left_out) == (119, 1)
    assert "1 duplicate id (all rows scored): d3" in result.incomplete[0]


def test_empty_cut_and_refused_answers_are_named_where_the_runs_differ(tmp_path):
    a = write_run(tmp_path, "a", good())
    b = write_run(tmp_path, "b", bad(), coverage=replace(covered(bad()), empty=1, refused=4))
    assert compare(a, b).notes == ("Empty, cut or refused answers: A none; B 1 empty, 4 refusals.",)
    assert compare(b, b).notes == ()


def test_a_run_of_nothing_but_empty_answers_is_not_better(tmp_path):
    b = write_run(tmp_path, "b", good(), coverage=replace(covered(good()), empty=120))
    result = compare(write_run(tmp_path, "a", bad()), b)
    assert rows_of(result)["descriptions", "chair"].verdict == "incomplete"
    assert "120 empty" in result.incomplete[0]


# What is refused


def refused(a, b):
    with pytest.raises(InputError) as error:
        compare(a, b)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_runs_with_different_signatures_are_refused_with_the_fields_that_differ(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad(), nltk="3.10")
    message = refused(a, b)
    assert "their signatures differ" in message
    assert 'nltk: "3.9.1" in A, "3.10" in B' in message
    assert "suite:" not in message


def test_signatures_that_differ_in_the_line_alone_are_refused_too(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad(), signature="suite:tiny|nltk:?")
    assert "suite:tiny|nltk:? in B" in refused(a, b)


def test_fields_that_differ_under_one_signature_line_are_refused_too(tmp_path):
    fields = {"suite": "tiny", "version": "1", "nltk": "3.10"}
    b = write_run(tmp_path, "b", bad(), signature_fields=fields)
    assert 'nltk: "3.9.1" in A, "3.10" in B' in refused(write_run(tmp_path, "a", good()), b)


def test_runs_of_different_suites_are_refused(tmp_path):
    other = {"suite": {"name": "amber", "version": "1", "options": {}}, "items": "120", "decoding": None, "model": {}}
    other["limit"] = None
    assert "of 'amber'" in refused(
        write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad(), settings=other, signature="suite:amber")
    )


def test_another_item_set_is_refused_with_the_first_item(tmp_path):
    a, b = write_run(tmp_path, "a", good()), write_run(tmp_path, "b", bad()[:-2])
    assert "has 2 items that" in refused(a, b)
    assert "'q58'" in refused(b, a)


def test_an_item_with_another_image_is_refused(tmp_path):
    b = bad()
    b[7] = replace(b[7], cluster="other.jpg")
    assert "'d7' has different images" in refused(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", b))


def test_a_second_score_that_the_run_does_not_name_is_refused(tmp_path):
    b = write_run(tmp_path, "b", [*bad(), bad()[3]], coverage=covered(bad()))
    assert "item 'd3' has two scores" in refused(write_run(tmp_path, "a", good()), b)


def test_a_run_that_was_killed_is_refused(tmp_path):
    b = write_run(tmp_path, "b", [], status="running", signature=None, signature_fields=None)
    assert "not finished; repeat its command" in refused(write_run(tmp_path, "a", good()), b)


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
    assert "scores.jsonl:1: field 'counts' of Score cannot be {" in refused(write_run(tmp_path, "a", good()), b)


def test_counts_that_are_no_object_are_refused_with_their_line(tmp_path):
    b = write_run(tmp_path, "b", [replace(score, counts=[1]) for score in bad()])
    assert "scores.jsonl:1: field 'counts' of Score cannot be [1]" in refused(write_run(tmp_path, "a", good()), b)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    assert "no manifest.json; expected" in refused(write_run(tmp_path, "a", good()), tmp_path / "nothing")


def test_runs_without_one_item_scored_in_both_are_refused(tmp_path):
    nothing = [replace(score, state="unscored") for score in bad()]
    assert "no item is scored in both" in refused(write_run(tmp_path, "a", good()), write_run(tmp_path, "b", nothing))


@pytest.mark.slow
def test_two_real_amber_runs_are_distinguished(tmp_path, data):
    for name in ("llava15_7b__amber_g", "llava15_7b_2shot__amber_g"):
        score("amber", data.root / f"responses/amber/{name}.json", data, out=tmp_path / name)
    a, b = tmp_path / "llava15_7b__amber_g", tmp_path / "llava15_7b_2shot__amber_g"
    rows = rows_of(comparison.compare(a, b, resampling()))
    chair, cover = rows["generative", "chair"], rows["generative", "cover"]
    assert (round(100 * chair.row.a, 1), round(100 * chair.row.b, 1), chair.verdict) == (7.8, 5.6, "better")
    assert (round(100 * cover.row.a, 1), round(100 * cover.row.b, 1), cover.verdict) == (51.7, 50.4, "worse")

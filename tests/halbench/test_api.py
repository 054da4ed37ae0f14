"""`import halbench` in a notebook: runs as data frames, comparisons and gates as the command line gives them."""

import subprocess
import sys
from pathlib import Path

import own_suite
import pytest
from written_responses import written

import halbench
from halbench.files.records import read_json, write_json
from halbench.judging.options import JudgeOptions

TALKATIVE = "bad good good good good"
TERSE = "good"


@pytest.fixture
def suite(tmp_path):
    return str(own_suite.write(tmp_path, own_suite.MADE_UP, own_suite.COVERAGE))


@pytest.fixture
def answers(tmp_path):
    def write(text, name="answers.jsonl", count=60):
        return written(tmp_path, [{"id": str(number), "response": text} for number in range(count)], name)

    return write


def test_importing_halbench_imports_nothing_heavy():
    loaded = "import sys, halbench; print([m for m in ('numpy', 'pandas', 'torch', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert {"score", "run", "compare", "gate", "load", "report", "InputError"} <= set(dir(halbench))
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        _ = halbench.scores


def test_a_run_is_two_frames_and_a_table(suite, answers):
    run = halbench.score(suite, answers(TALKATIVE))
    assert run.complete
    metrics = run.frame().set_index("metric")
    assert metrics.loc["made_up", ["value", "main", "n", "coverage"]].tolist() == [0.2, True, 60, 1.0]
    assert metrics.loc["made_up", "low"] <= 0.2 <= metrics.loc["made_up", "high"]
    items = run.items()
    assert (len(items), items["text"][0], items["bad"].sum(), items["evidence"][0]) == (
        60,
        TALKATIVE,
        60,
        {"hallucinated": ["bad"]},
    )
    assert "Made up ↓" in run._repr_html_()
    assert run.signature in run._repr_html_()


def test_a_run_that_was_written_is_loaded_as_it_was(suite, answers, tmp_path):
    run = halbench.score(suite, answers(TALKATIVE), out=tmp_path / "run")
    loaded = halbench.load(tmp_path / "run", suite_file=suite)
    assert loaded.frame().equals(run.frame())
    assert loaded.items().equals(run.items())
    assert (loaded.signature, loaded.coverage, loaded.path) == (run.signature, run.coverage, tmp_path / "run")
    assert read_json(tmp_path / "run/results.json")[0]["value"] == run.frame()["value"][0]


def test_saying_less_is_a_regression_though_less_is_made_up(suite, answers):
    talkative, terse = halbench.score(suite, answers(TALKATIVE)), halbench.score(suite, answers(TERSE, "terse.jsonl"))
    changes = halbench.compare(talkative, terse).frame().set_index("metric")
    assert changes["verdict"].to_dict() == {"made_up": "better", "coverage": "worse"}
    assert changes["difference"].round(6).to_dict() == {"made_up": -0.2, "coverage": -0.6}
    verdict = halbench.gate(terse, baseline=talkative, margins={"made_up": 0.01})
    assert (verdict.outcome, verdict.passed) == ("regression", False)
    assert dict(zip(verdict.frame()["metric"], verdict.frame()["verdict"], strict=True)) == {
        "made_up": "pass",
        "coverage": "regression",
    }
    assert "regression" in verdict._repr_html_()


def test_runs_in_folders_compare_by_path(suite, answers, tmp_path):
    for name, text in (("a", TALKATIVE), ("b", TERSE)):
        halbench.score(suite, answers(text), out=tmp_path / name)
    loaded = [halbench.load(tmp_path / name, suite_file=suite) for name in "ab"]
    assert halbench.compare(*loaded).frame().equals(halbench.compare(loaded[0], tmp_path / "b").frame())


def test_an_incomplete_run_says_so_and_is_compared_without_a_verdict(suite, answers):
    incomplete, whole = halbench.score(suite, answers(TALKATIVE, count=30)), halbench.score(suite, answers(TALKATIVE))
    assert not incomplete.complete
    assert "INCOMPLETE: 30 of 60" in incomplete._repr_html_()
    changes = halbench.compare(whole, incomplete)
    assert set(changes.frame()["verdict"]) == {"incomplete"}
    assert "Compared on the 30 of 60 items that both runs have; A lacks 0 and B lacks 30." in changes._repr_html_()
    verdict = halbench.gate(incomplete, whole)
    assert (verdict.outcome, verdict.passed) == ("incomplete", False)
    assert "is incomplete: 30 of 60 items scored" in verdict._repr_html_()


def test_model_text_is_shown_as_text(suite, tmp_path):
    evil = [{"id": str(number), "response": "<script>bad</script>"} for number in range(60)]
    run = halbench.score(suite, written(tmp_path, evil), out=tmp_path / "<b>run")
    assert "<b>" not in halbench.compare(run, run)._repr_html_()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda suite: halbench.score("ambr", "x.json"), "did you mean 'amber'"),
        (lambda suite: halbench.score(suite, "x.json"), "x.json"),
        (lambda suite: halbench.score(None, "x.json"), "x.json: no such file or folder"),
        (lambda suite: halbench.score(None, __file__), "--suite is required"),
        (lambda suite: halbench.run("m", suite, batchsize=2), r"unknown option 'batchsize'"),
        (lambda suite: halbench.load("nowhere"), "nowhere"),
    ],
)
def test_mistakes_raise_the_line_of_the_command_line(call, message, suite):
    with pytest.raises(halbench.InputError, match=message):
        call(suite)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": -1}, "limit: expected at least 1, found -1"),
        ({"limit": 0}, "limit: expected at least 1, found 0"),
        ({"limit": True}, "limit: expected a whole number, found True"),
        ({"limit": "3"}, "limit: expected a whole number, found '3'"),
        ({"limit": 2.5}, "limit: expected a whole number, found 2.5"),
        ({"batch_size": 0}, "batch_size: expected at least 1, found 0"),
        ({"batch_size": "4"}, "batch_size: expected a whole number or 'auto', found '4'"),
        ({"dtype": "fp16"}, "dtype: unknown value 'fp16'"),
        ({"seed": "x"}, "seed: expected a whole number"),
        ({"generation": "x=3"}, "generation: expected a mapping"),
        ({"generation": {"temperature": float("nan")}}, "generation: expected a mapping"),
        ({"generation": {"x": object()}}, "generation: expected a mapping"),
        ({"generation": {"num_beams": 0}}, r"\(generation= in Python\) num_beams=0: expected a whole number from 1"),
        ({"options": "x=1"}, "options: expected a mapping"),
        ({"images": 3}, "images: expected a path, found 3"),
        ({"judge": 3}, "judge: expected text, found 3"),
        ({"judge": JudgeOptions("m", concurrency=0)}, "concurrency: expected at least 1"),
        ({"judge": JudgeOptions("m", extra={"stream": True})}, r"\(extra= in Python\) stream: is set by halbench"),
    ],
)
def test_an_argument_that_its_flag_would_refuse_is_named(arguments, message, suite, answers, tmp_path):
    with pytest.raises(halbench.InputError, match=message):
        halbench.run(answers(TALKATIVE), suite, backend="replay", out=tmp_path / "run", **arguments)


def test_arguments_of_the_other_functions_are_checked_as_well(suite, answers, tmp_path):
    halbench.score(suite, answers(TALKATIVE), out=tmp_path / "run")
    for call, message in (
        (lambda: halbench.load(None), "path: expected a path, found None"),
        (lambda: halbench.score(3, "x.json"), "suite: expected text, found 3"),
        (lambda: halbench.score(suite, [{"id": "0"}]), "responses: expected a path"),
        (lambda: halbench.gate(tmp_path / "run", tmp_path / "run"), r"--suite FILE \(suite_file= in Python\)"),
    ):
        with pytest.raises(halbench.InputError, match=message):
            call()


def test_a_path_does_where_a_name_or_several_are_expected(suite, answers, tmp_path):
    run = halbench.score(Path(suite), answers(TALKATIVE), out=str(tmp_path / "run"))
    assert halbench.compare(run, tmp_path / "run").comparison.n == 60
    assert halbench.compare(tmp_path / "run", tmp_path / "run", suite_file=Path(suite)).comparison.n == 60
    wide = {"made_up": 0.1, "coverage": 0.1}
    assert halbench.gate(tmp_path / "run", tmp_path / "run", margins=wide, suite_file=suite).passed
    report = halbench.report(tmp_path / "run", "leaderboard", out=tmp_path / "report", formats="csv")
    assert [path.suffix for path in report.written] == [".csv"]


def test_several_answers_to_one_question_are_shown_with_their_own_scores(suite, tmp_path):
    rows = [{"id": str(number), "response": TALKATIVE} for number in range(60)]
    rows.insert(30, {"id": "0", "response": "bad bad"})
    run = halbench.score(suite, written(tmp_path, rows[:-1]), out=tmp_path / "run")
    for items in (run.items(), halbench.load(tmp_path / "run").items()):
        asked = items[items["item"] == "0"]
        assert list(zip(asked["text"], asked["bad"], strict=True)) == [(TALKATIVE, 1), ("bad bad", 2)]
        assert items["text"].isna().tolist() == [False] * 60 + [True], "the last question was not answered"


def test_a_repeated_response_of_a_run_folder_is_shown_once_as_it_was_scored(suite, answers, tmp_path):
    halbench.run(answers(TALKATIVE), suite, backend="replay", out=tmp_path / "run")
    file = tmp_path / "run/responses.jsonl"
    first = file.read_text().splitlines()[0].replace(TALKATIVE, "failed")
    manifest = read_json(tmp_path / "run/manifest.json")
    write_json(tmp_path / "run/manifest.json", manifest | {"files": {}})
    file.write_text(f"{first}\n{file.read_text()}")
    assert set(halbench.load(tmp_path / "run").items()["text"]) == {TALKATIVE}


def test_a_count_that_is_called_like_a_column_does_not_replace_it(suite, answers):
    text = Path(suite).read_text()
    Path(suite).write_text(text.replace('"slots": 5}', '"slots": 5, "text": 7, "item": 8, "count_item": 9}'))
    first = halbench.score(suite, answers(TALKATIVE)).items().iloc[0]
    assert (first["item"], first["text"]) == ("0", TALKATIVE)
    assert first[["count_text", "count_count_item", "count_item"]].tolist() == [7, 8, 9]


def test_an_identity_of_several_values_is_the_same_in_memory_and_in_a_folder(suite, answers, tmp_path):
    text = Path(suite).read_text()
    Path(suite).write_text(text.replace("score, {})", 'score, {"labels": ("a", "b")})'))
    run = halbench.score(suite, answers(TALKATIVE), out=tmp_path / "run")
    assert halbench.compare(run, tmp_path / "run").comparison.n == 60

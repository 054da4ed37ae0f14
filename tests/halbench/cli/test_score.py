"""halbench score: what it prints where, and with which exit code."""

import json
import re
import subprocess
import sys

import pytest
from judged_runs import ANSWERS, EXCERPTS, JUDGED, judged_run


def responses_of(data, name):
    return data.root / "responses" / name


def test_the_paper_s_llava_numbers_are_printed_with_intervals(halbench, data):
    done = halbench("score", "--suite", "amber", "--responses", responses_of(data, "amber/llava15_7b__amber_g.json"))
    assert done.returncode == 0, done.stderr
    for metric, number in {"chair": "7.8%", "cover": "51.7%", "hal": "35.9%", "cog": "4.3%"}.items():
        (line,) = [line for line in done.stdout.splitlines() if f"{metric} " in line and "%" in line]
        assert number in line
        assert "[" in line
    assert "suite:amber|version:1|items:1004-" in done.stdout


def test_json_is_one_object_on_stdout(halbench, data):
    file = responses_of(data, "chair/minigpt4_ours.jsonl")
    settings = ("--set", "captions=pattern", "--set", "truth=pattern")
    done = halbench("score", "--suite", "chair", "--responses", file, *settings, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["suite"] == "chair"
    assert "captions:pattern|truth:pattern" in result["signature"]
    assert result["coverage"]["share"] == 1.0
    row = {metric["name"]: metric for metric in result["metrics"]}["chair_i"]
    assert row["value"] == pytest.approx(0.0875, abs=1e-4)
    assert row["low"] < row["value"] < row["high"]
    assert (row["group"], row["n"], row["better"], row["official"]) == ("all", 500, "lower", 8.8)


def test_duplicate_ids_are_scored_as_officially_named_and_make_the_run_incomplete(halbench, data):
    done = halbench("score", "--suite", "amber", "--responses", responses_of(data, "amber/gen_edge.json"), "--json")
    assert done.returncode == 2
    assert {row["name"]: row["official"] for row in json.loads(done.stdout)["metrics"]}["chair"] == 61.4
    assert "1 duplicate id (all rows scored): 3" in done.stderr
    assert "981 without a response" in done.stderr


@pytest.mark.slow
def test_a_run_folder_can_be_scored_again_with_other_options(halbench, data, tmp_path):
    source = responses_of(data, "amber/gen_precise_s1.json")
    assert halbench("score", "--suite", "amber", "--responses", source, "--out", "run").returncode == 0
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "manifest.json",
        "responses.jsonl",
        "scores.jsonl",
        "results.json",
    }
    again = halbench("score", "--suite", "amber", "--responses", "run", "--json")
    assert json.loads(again.stdout)["signature"] == manifest["signature"]
    table = data.root / "amber/similarity_standin_wordnet.json"
    other = halbench("score", "--suite", "amber", "--responses", "run", "--set", f"similarity={table}", "--json")
    assert {row["name"]: row["official"] for row in json.loads(other.stdout)["metrics"]}["chair"] == 9.1


@pytest.mark.slow
def test_a_run_folder_of_other_settings_is_refused_with_what_differs(halbench, data):
    file = responses_of(data, "chair/minigpt4_ours.jsonl")
    assert halbench("score", "--suite", "chair", "--responses", file, "--out", "run").returncode == 0
    done = halbench("score", "--suite", "chair", "--responses", file, "--set", "truth=pattern", "--out", "run")
    assert done.returncode == 2
    assert 'suite.options.truth: "wordnet" (recorded), "pattern" (requested)' in done.stderr


MISTAKES = {
    "unknown suite": (["--suite", "ambr", "--responses", "{amber}"], "unknown suite 'ambr'; did you mean 'amber'?"),
    "unknown option": (["--suite", "amber", "--responses", "{amber}", "--set", "similarty=exact"], "unknown option 'similarty'; did you mean 'similarity'?"),
    "unknown value": (["--suite", "chair", "--responses", "{chair}", "--set", "truth=patern"], "did you mean 'pattern'?"),
    "wrong suite": (["--suite", "object_halbench", "--responses", "{amber}"], "gen_edge.json: entry 1: image '24' is not among the 300 of Object HalBench. Wrong --suite?"),
    "captions given to amber": (["--suite", "amber", "--responses", "{chair}"], "no id"),
    "no file": (["--suite", "amber", "--responses", "nowhere.json"], "nowhere.json: no such file"),
    "no table": (["--suite", "amber", "--responses", "{amber}", "--set", "similarity=nowhere.json"], "similarity=nowhere.json: no such file; expected exact, spacy or a table file"),
    "no stored extractions": (["--suite", "object_halbench", "--responses", "{plain}", "--set", "extraction=stored"], "expected rows with a field extract_objs"),
    "a judge for a suite that asks none": (["--suite", "pope", "--responses", "{pope}", "--judge", "gpt-4o"], "needs no judge"),
    "another run's judgements": (["--suite", "mmhal", "--responses", "{mmhal}", "--judgements", "{short}"], "expected a list of 96 chat completions"),
    "no data folder": (["--suite", "amber", "--responses", "{amber}", "--data", "empty"], "Get it with: halbench data fetch amber"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_line_and_exit_code_2(halbench, data, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "short.json").write_text("[]")
    files = {
        "amber": responses_of(data, "amber/gen_edge.json"),
        "chair": responses_of(data, "chair/minigpt4_ours.jsonl"),
        "plain": responses_of(data, "object_halbench/real_llava15_7b__object_halbench.jsonl"),
        "pope": responses_of(data, "pope/real_llava15_7b__pope_adv.jsonl"),
        "mmhal": responses_of(data, "mmhal/blip2_2.7b.json"),
        "short": tmp_path / "short.json",
    }
    arguments, complaint = MISTAKES[name]
    done = halbench("score", *(argument.format(**files) for argument in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_pipe_is_no_regression(data):
    command = [sys.executable, "-m", "halbench", "score", "--suite", "chair", "--json", "--responses"]
    command += [str(data.root / "responses/chair/minigpt4_ours.jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == ""


def test_a_run_that_lacks_verdicts_is_printed_with_the_bounds_of_its_numbers(halbench, tmp_path):
    judged_run(tmp_path / "part", unreadable=3)
    done = halbench("score", "--responses", "part", "--judgements", "part_judge.json", "--data", EXCERPTS)
    assert done.returncode == 2
    assert re.search(r"all +score ↑ .* 21/24 +1\.\d\d to \d\.\d\d", done.stdout)
    assert "bounds: the value if each item without a score came out as badly, or as well, as it can." in done.stdout
    whole = halbench("score", "--suite", "mmhal", "--responses", ANSWERS, "--judgements", JUDGED, "--data", EXCERPTS)
    assert (whole.returncode, "bounds" in whole.stdout) == (0, False)

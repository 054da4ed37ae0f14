"""The command line as a user meets it: what is printed where, and with which exit code."""

import json
import subprocess
import sys

import pytest

from halbench.records import read_json


def responses_of(data, name):
    return data.root / "responses" / name


def test_help_needs_no_torch_and_names_every_verb(halbench):
    found = halbench("--help")
    assert found.returncode == 0
    for verb in ("run", "generate", "score", "compare", "gate", "data", "doctor"):
        assert f"  {verb} " in found.stdout
    heavy = "import sys; sys.argv = ['halbench', '--help']\nfrom halbench.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    heavy += "print('heavy:', [name for name in ('torch', 'transformers', 'spacy', 'nltk', 'numpy', 'pandas') if name in sys.modules])"
    assert (
        "heavy: []" in subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout
    )


def test_the_paper_s_llava_numbers_are_printed_with_intervals(halbench, data):
    found = halbench("score", "--suite", "amber", "--responses", responses_of(data, "amber/llava15_7b__amber_g.json"))
    assert found.returncode == 0, found.stderr
    for metric, number in {"chair": "7.8%", "cover": "51.7%", "hal": "35.9%", "cog": "4.3%"}.items():
        (line,) = [line for line in found.stdout.splitlines() if f"{metric} " in line and "%" in line]
        assert number in line
        assert "[" in line
    assert "suite:amber|version:1|items:1004-" in found.stdout


def test_json_is_one_object_on_stdout(halbench, data):
    found = halbench(
        "score",
        "--suite",
        "chair",
        "--responses",
        responses_of(data, "chair/minigpt4_ours.jsonl"),
        "--set",
        "captions=pattern",
        "--set",
        "truth=pattern",
        "--json",
    )
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["suite"] == "chair"
    assert "captions:pattern|truth:pattern" in told["signature"]
    assert told["coverage"]["share"] == 1.0
    row = {metric["name"]: metric for metric in told["metrics"]}["chair_i"]
    assert row["value"] == pytest.approx(0.0875, abs=1e-4)
    assert row["low"] < row["value"] < row["high"]
    assert (row["group"], row["n"], row["better"], row["official"]) == ("all", 500, "lower", 8.8)


def test_duplicate_ids_are_scored_as_officially_named_and_make_the_run_incomplete(halbench, data):
    found = halbench("score", "--suite", "amber", "--responses", responses_of(data, "amber/gen_edge.json"), "--json")
    assert found.returncode == 2
    assert {row["name"]: row["official"] for row in json.loads(found.stdout)["metrics"]}["chair"] == 61.4
    assert "duplicate ids, every row of which was scored (1): 3" in found.stderr
    assert "981 without a response" in found.stderr


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
    found = halbench("score", "--suite", "chair", "--responses", file, "--set", "truth=pattern", "--out", "run")
    assert found.returncode == 2
    assert 'suite.options.truth: "wordnet" there, "pattern" here' in found.stderr


MISTAKES = {
    "unknown suite": (["--suite", "ambr", "--responses", "{amber}"], "unknown suite 'ambr'; did you mean 'amber'?"),
    "unknown option": (["--suite", "amber", "--responses", "{amber}", "--set", "similarty=exact"], "unknown option 'similarty'; did you mean 'similarity'?"),
    "unknown value": (["--suite", "chair", "--responses", "{chair}", "--set", "truth=patern"], "did you mean 'pattern'?"),
    "wrong suite": (["--suite", "object_halbench", "--responses", "{amber}"], "gen_edge.json: entry 1: image '24' is none of the 300 of Object HalBench. Wrong --suite?"),
    "captions given to amber": (["--suite", "amber", "--responses", "{chair}"], "no id"),
    "no file": (["--suite", "amber", "--responses", "nowhere.json"], "nowhere.json: no such file"),
    "no table": (["--suite", "amber", "--responses", "{amber}", "--set", "similarity=nowhere.json"], "similarity=nowhere.json: no such file; expected exact, spacy or a table file"),
    "no stored extractions": (["--suite", "object_halbench", "--responses", "{plain}", "--set", "extraction=stored"], "expected rows with a field extract_objs"),
    "a judge for a suite that asks none": (["--suite", "pope", "--responses", "{pope}", "--judge", "gpt-4o"], "asks no judge"),
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
    found = halbench("score", *(argument.format(**files) for argument in arguments))
    assert found.returncode == 2
    assert found.stdout == ""
    assert complaint in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_bug_is_no_regression(halbench, tmp_path, data):
    (tmp_path / "broken.py").write_text(
        "from dataclasses import replace\nfrom halbench.suites.amber import SUITE\n"
        "def load(data, options, rows):\n    raise RuntimeError('broken plugin')\n"
        "SUITE = replace(SUITE, load=load)\n"
    )
    found = halbench("score", "--suite", "broken.py", "--responses", responses_of(data, "amber/gen_edge.json"))
    assert found.returncode == 70
    assert "broken plugin" in found.stderr


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("OSError(28, 'No space left on device', 'runs/a')", "a file cannot be read or written"),
        ("OSError(30, 'Read-only file system', 'a.png')", "a file cannot be read or written"),
        ("RuntimeError('I/O error: No space left on device (os error 28)')", "a file cannot be read or written"),
        ("ModuleNotFoundError('no torch', name='torch')", "this needs: pip install 'halbench[hf]' (no module 'torch')"),
    ],
)
def test_a_full_disk_and_a_missing_extra_are_one_line_wherever_they_are_met(tmp_path, raised, told):
    script = f"""
import sys
from halbench import cli, datasets
def broken(*arguments): raise {raised}
datasets.open_data = broken
sys.argv = ["halbench", "score", "--suite", "amber", "--responses", "a.json"]
cli.main()
"""
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1), found.stderr
    assert told in found.stderr


@pytest.mark.parametrize("verb", ["report", "view"])
def test_reports_name_their_extra_before_anything_is_read(tmp_path, verb):
    script = f"""
import sys
sys.modules["jinja2"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "jinja2" else found(name)
from halbench import cli
sys.argv = ["halbench", *{["report", "all", "x"] if verb == "report" else ["view", "x"]}]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"halbench: halbench {verb} needs: pip install 'halbench[reports]' (no module 'jinja2')\n"


@pytest.mark.slow
def test_a_command_that_fails_before_its_first_answer_leaves_no_folder(halbench, tmp_path):
    pytest.importorskip("torch")
    found = halbench("run", "--model", "./ckpt/", "--suite", "scenes", "--set", "scenes=2", "--data", tmp_path / "data")
    assert found.returncode == 2
    assert not any((tmp_path / "runs").glob("*"))


@pytest.mark.slow
def test_a_damaged_answer_is_named_and_the_finished_run_stays_finished(halbench, tmp_path):
    pytest.importorskip("torch")
    command = (
        "run",
        "--model",
        "scenes:base",
        "--suite",
        "scenes",
        "--set",
        "scenes=2",
        "--data",
        tmp_path / "data",
        "--out",
        "a",
    )
    assert halbench(*command).returncode == 0
    responses = tmp_path / "a/responses.jsonl"
    whole = responses.read_text().splitlines()
    responses.write_text("\n".join([whole[0], whole[1][:20], *whole[2:]]) + "\n")
    found = halbench(*command)
    assert (found.returncode, "responses.jsonl:2" in found.stderr) == (2, True)
    assert "Remove that line, and its item is asked again" in found.stderr
    assert read_json(tmp_path / "a/manifest.json")["status"] == "complete"
    responses.write_text("\n".join([whole[0], *whole[2:]]) + "\n")
    assert halbench(*command).returncode == 0
    assert sorted(responses.read_text().splitlines()) == sorted(whole)

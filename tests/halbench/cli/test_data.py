"""halbench data status and verify: what they print, and with which exit code."""

import json

import typer
from small_data import mmhal_folder, sha256
from typer.testing import CliRunner, Result

from halbench.cli.data import add_to
from halbench.data.datasets import Data, read_sources


def command(*arguments: str) -> Result:
    app = typer.Typer()
    add_to(app)
    app.command("other")(lambda: None)  # with a single command typer leaves its name out
    return CliRunner().invoke(app, list(arguments))


def test_status_gives_the_command_that_gets_the_rest(tmp_path):
    mmhal_folder(tmp_path, images=2)
    shown = command("data", "status", "mmhal", "--data", str(tmp_path))
    assert shown.exit_code == 0
    assert "score: ready" in shown.stdout
    assert "2 of 3 images" in shown.stdout
    assert f"halbench data fetch mmhal --images --data {tmp_path}" in shown.stdout


def test_status_as_json_is_one_object(tmp_path):
    mmhal_folder(tmp_path, images=1)
    shown = json.loads(command("data", "status", "mmhal", "--json", "--data", str(tmp_path)).stdout)
    (suite,) = shown["suites"]
    assert suite["score"] == {"ready": True, "missing": []}
    assert (suite["run"]["images"], suite["run"]["images_missing"]) == (3, 2)


def test_verify_shows_what_differs_and_exits_2(tmp_path):
    mmhal_folder(tmp_path, images=0)
    shown = command("data", "verify", "mmhal", "--data", str(tmp_path))
    assert shown.exit_code == 2
    template = read_sources().files["mmhal/mmhal-bench_answer_template.json"]
    found = sha256((tmp_path / template.file).read_bytes())
    assert f"differs   {template.file}  expected {template.sha256['bytes']}, found {found}" in shown.stdout
    assert "missing   mmhal/eval_gpt_mmhal.py (optional)" in shown.stdout


def test_verify_as_json_is_one_object(tmp_path):
    shown = command("data", "verify", "pope", "--json", "--data", str(tmp_path))
    assert shown.exit_code == 2
    report = json.loads(shown.stdout)
    assert report["ok"] is False
    assert [row["state"] for row in report["files"]] == ["missing"] * 3


def test_verify_passes_on_the_real_data(data: Data):
    shown = command("data", "verify", "--data", str(data.root))
    assert shown.exit_code == 0, shown.output

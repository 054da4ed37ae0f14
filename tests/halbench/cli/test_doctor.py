"""halbench doctor: a machine in order, and batches that change no answer."""

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from halbench.cli import doctor
from halbench.data.datasets import Data


def command(*arguments: str) -> Result:
    app = typer.Typer()
    doctor.add_to(app)
    app.command("other")(lambda: None)  # with a single command typer leaves its name out
    return CliRunner().invoke(app, list(arguments))


def test_a_machine_in_order_has_no_problems(data: Data):
    shown = command("doctor", "--data", str(data.root))
    assert shown.exit_code == 0, shown.output
    for name in ("python", "halbench", "numpy", "nltk", "language", "amber", "mmhal", "free disk", "checkpoint cache"):
        assert f" {name} " in shown.stdout


def test_the_report_as_json_is_one_object(tmp_path):
    report = json.loads(command("doctor", "--json", "--data", str(tmp_path)).stdout)
    assert report["ok"] == all(finding["state"] != "problem" for finding in report["findings"])
    assert {"name", "state", "detail"} == set(report["findings"][0])


def test_an_image_folder_without_images_is_refused(tmp_path):
    shown = command("doctor", "--batch-parity", "any", "--images", str(tmp_path))
    assert "expected a folder with .jpg or .png files" in str(shown.exception)


def test_a_model_says_the_same_one_by_one_and_in_batches(tmp_path):
    pytest.importorskip("torch")
    import tiny_checkpoints

    checkpoint = tiny_checkpoints.llava(tmp_path)
    shown = command(
        *("doctor", "--batch-parity", str(checkpoint), "--items", "4", "--batch-size", "2"),
        *("--dtype", "float32", "--device", "cpu"),
    )
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("4 of 4 answers are the same at batch size 1 and 2")

"""What an evaluation records about itself."""

import platform
from pathlib import Path

import pytest
from toy_suite import ANSWERS, SUITE, TASK

import halbench
from halbench.evaluation.evaluate import default_folder, environment, evaluate, run_settings
from halbench.judging.judgements import NO_JUDGEMENTS, Judgements
from halbench.suites import chair
from halbench.types import Decoding


def test_an_evaluation_carries_its_signature_in_every_result():
    evaluation = evaluate(SUITE, TASK, ANSWERS, Decoding(8), NO_JUDGEMENTS)
    assert evaluation.signature.endswith("|decoding:greedy,max_new_tokens=8")
    assert {row.signature for row in evaluation.results} == {evaluation.signature}
    judged = evaluate(SUITE, TASK, ANSWERS, None, Judgements({}, {"judge": "m"}))
    assert judged.signature.endswith("|judge:m|decoding:stored")


def test_the_environment_names_versions_and_no_machine():
    versions = environment()
    assert (versions["halbench"], versions["python"]) == (halbench.__version__, platform.python_version())
    assert "numpy" in versions
    assert "lmms-eval" not in versions or versions["lmms-eval"]
    assert platform.node() not in versions.values()


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("llava-hf/llava-1.5-7b-hf", "llava-1.5-7b-hf__toy"),
        ("./ckpt/", "ckpt__toy"),
        ("scenes:base", "scenes-base__toy"),
        ("/", "model__toy"),
    ],
)
def test_a_run_goes_to_a_folder_of_its_model_and_suite(model, folder):
    assert default_folder(model, SUITE) == Path("runs") / folder


def test_the_settings_of_a_run_hold_everything_that_must_not_change():
    settings = run_settings(chair.SUITE, chair.Options(captions="pattern"), TASK, {"model": "m"}, Decoding(8), 200)
    assert settings["suite"] == {
        "name": "chair",
        "version": chair.SUITE.version,
        "options": {"captions": "pattern", "truth": "wordnet", "images": ""},
    }
    assert settings["items"].startswith("200-")
    assert (settings["model"], settings["limit"]) == ({"model": "m"}, 200)

"""The files that make our suites tasks of lmms-eval: one per suite, written into the user's cache."""

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from halbench.evaluation.suites import load_suite
from halbench.lmms_tasks import generation_arguments, suite_task, task_text, write_tasks
from halbench.plugins import names
from halbench.types import Decoding

SUITES = names("halbench.suites")


class Named(yaml.SafeLoader):
    """Reads `!function a.b.c` as lmms-eval does if there is no file a/b.py next to the YAML file."""


def named(loader, node):
    module, _, name = loader.construct_scalar(node).rpartition(".")
    return getattr(importlib.import_module(module), name)


Named.add_constructor("!function", named)


def read_task(suite: str):
    return yaml.load(task_text(load_suite(suite), Path("/data/placeholder.json")), Named)


def test_there_is_one_task_per_suite_in_the_users_cache_and_its_data_file_exists(tmp_path):
    folder = write_tasks()
    assert folder.is_relative_to(tmp_path / "cache/halbench/lmms_tasks")
    assert sorted(path.name for path in folder.glob("*.yaml")) == [f"halbench_{name}.yaml" for name in SUITES]
    for path in folder.glob("*.yaml"):
        task = yaml.load(path.read_text("utf-8"), Named)
        assert task["task"] == path.stem
        assert Path(task["dataset_kwargs"]["data_files"]["test"]).is_file()


def test_writing_again_gives_the_same_folder_and_a_changed_task_another_one(monkeypatch):
    folder = write_tasks()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert write_tasks() == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    load = load_suite
    monkeypatch.setattr("halbench.lmms_tasks.load_suite", lambda name: replace(load(name), decoding=Decoding(7)))
    assert write_tasks() != folder


def test_two_processes_may_write_at_once(tmp_path):
    command = [sys.executable, "-c", "from halbench.lmms_tasks import write_tasks; print(write_tasks())"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    (folder,) = {process.communicate(timeout=1800)[0].strip() for process in processes}
    assert sorted(path.name for path in Path(folder).iterdir())[-1] == "placeholder.json"
    assert not list(Path(folder).glob("*.partial"))


def test_a_folder_with_an_odd_name_stays_readable(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a: b # c 'd'"))
    for path in write_tasks().glob("*.yaml"):
        task = yaml.load(path.read_text("utf-8"), Named)
        assert Path(task["dataset_kwargs"]["data_files"]["test"]).is_file()


@pytest.mark.parametrize("name", SUITES)
def test_a_task_is_its_suite_with_the_published_decoding(name):
    task, suite = read_task(name), load_suite(name)
    assert (task["task"], task["dataset_name"]) == (f"halbench_{suite.name}", suite.name)
    assert task["metadata"] == {"version": int(suite.version)}
    assert task["generation_kwargs"] == {
        "max_new_tokens": suite.decoding.max_new_tokens,
        "num_beams": suite.decoding.num_beams,
        "temperature": suite.decoding.temperature,
        "do_sample": False,
        "until": [],
    }
    assert (suite.decoding.top_p, suite.decoding.extra) == (1.0, {})


def test_sampling_and_further_arguments_of_a_suite_reach_lmms_eval():
    decoding = Decoding(8, temperature=0.7, top_p=0.9, extra={"top_k": 5})
    arguments = {"max_new_tokens": 8, "num_beams": 1, "temperature": 0.7, "do_sample": True, "until": []}
    assert generation_arguments(decoding) == {**arguments, "top_p": 0.9, "top_k": 5}


@pytest.mark.parametrize("name", SUITES)
def test_a_task_lists_every_metric_in_every_group_once_and_says_which_side_is_better(name):
    task, suite = read_task(name), load_suite(name)
    assert task["metric_list"] == getattr(suite_task, f"metrics_of_{name}")
    listed = {entry["metric"]: entry["higher_is_better"] for entry in task["metric_list"]}
    reported = sum(len(set(metric.groups) & suite.groups.keys()) for metric in suite.metrics)
    assert len(listed) == len(task["metric_list"]) == reported
    assert not any("," in name for name in listed), "lmms-eval separates metric and filter by a comma"
    for metric in suite.metrics:
        for group in metric.groups:
            if group in suite.groups:
                expected = {"higher": True, "lower": False, "neither": None}[metric.better]
                assert listed[metric.name if group == "all" else f"{group}_{metric.name}"] is expected


def test_the_module_has_no_metrics_of_anything_else():
    with pytest.raises(AttributeError):
        suite_task.metrics_of_nothing  # noqa: B018

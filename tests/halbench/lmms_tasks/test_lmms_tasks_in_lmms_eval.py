"""Our tasks in lmms-eval itself. Skipped without it: pip install -c constraints.txt -e '.[lmms-eval]'."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lmms_answers import same_numbers, stored
from stored import score

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.suites import load_suite
from halbench.files.records import read_json, read_jsonl
from halbench.lmms_tasks import suite_task, write_tasks
from halbench.models.names import packaged_checkpoint
from halbench.types import BackendOptions

pytest.importorskip("lmms_eval", reason="needs: pip install 'halbench[lmms-eval]'")
hf = pytest.importorskip("halbench.backends.hf")

from lmms_models import Replay  # noqa: E402


def lmms_eval(*arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line of lmms-eval, without network."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "lmms_eval", "--include_path", str(write_tasks()), *map(str, arguments)],
        cwd=folder,
        env=os.environ | offline | environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )


def printed_values(stdout: str) -> dict[str, str]:
    """Metric -> value of lmms-eval's table."""
    cells = [
        [cell.strip() for cell in line.split("|")] for line in stdout.splitlines() if line.startswith("|halbench_")
    ]
    return {row[4]: row[6] for row in cells}


@pytest.mark.slow
def test_lmms_evals_command_line_prints_the_numbers_of_halbench_score(tmp_path):
    model = f"pretrained={packaged_checkpoint('scenes:base')},device=cpu,device_map=cpu,dtype=float32"
    done = lmms_eval(
        *("--tasks", "halbench_scenes", "--model", "llava_hf", "--model_args", model, "--limit", 64),
        *("--batch_size", 1, "--log_samples", "--output_path", "logs"),
        folder=tmp_path,
    )
    (log,) = (tmp_path / "logs").rglob("*_samples_halbench_scenes.jsonl")
    (results,) = (tmp_path / "logs").rglob("*_results.json")
    evaluation = score("scenes", log, Data(tmp_path))
    exact = read_json(results)["results"]["halbench_scenes"]
    names = suite_task.metric_names(evaluation.suite)
    same_numbers({name: exact[f"{name},none"] for name in names}, evaluation)
    shown = printed_values(done.stdout)
    for name in names:
        value = exact[f"{name},none"]
        assert float(shown[name]) == round(value, 4) if isinstance(value, float) else shown[name] == value
    assert "halbench: scenes: INCOMPLETE: 64 of 6259 items scored (6195 without a response)" in done.stderr
    assert evaluation.signature in done.stderr
    # The same checkpoint through our own command gives the same answers.
    suite = load_suite("scenes")
    task = suite.load(Data(tmp_path), suite.options(scenes=11), None)
    backend = hf.open_backend("scenes:base", BackendOptions(device="cpu"))
    direct = {row.item: row.text for row in backend.generate(task.items[:64], suite.decoding)}
    assert {row["item"]: row["prediction"] for _, row in read_jsonl(log)} == direct


@pytest.fixture
def pictured(data, tmp_path, monkeypatch) -> Data:
    """The suites' data, with a picture for every image that a suite asks about."""
    root = tmp_path / "data"
    photograph = next((data.root / "images").glob("*.jpg"))
    for suite in ("amber", "chair", "mmhal", "object_halbench"):
        (root / suite).mkdir(parents=True)
        for path in (data.root / suite).iterdir():
            if path.name != "images":
                (root / suite / path.name).symlink_to(path)
        (root / suite / "images").mkdir()
        loaded = load_suite(suite)
        for item in loaded.load(Data(root), loaded.options(), None).items:
            for path in item.images:
                if not path.exists():
                    path.symlink_to(photograph)
    monkeypatch.setenv("HALBENCH_DATA", str(root))
    return Data(root)


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "datasets"))
    from lmms_eval.api import task

    task._resolve_hf_datasets_cache_dir.cache_clear()
    yield
    task._resolve_hf_datasets_cache_dir.cache_clear()


@pytest.mark.slow
def test_all_tasks_run_in_one_command_and_aggregate_real_responses_as_halbench_score_does(
    pictured, data, offline, capsys
):
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    texts = {
        "amber": stored(data, "amber/llava15_7b__amber_g.json", "id", "response"),
        "chair": stored(data, "chair/llava-1.5_greedy.jsonl", "image_id", "caption"),
        "mmhal": stored(data, "mmhal/llava_7b.json", "image_id", "model_answer"),
        "object_halbench": stored(data, "object_halbench/real_responses__kchaosun_beam.jsonl", "image_id", "answer"),
    }
    model = Replay({f"halbench_{suite}": given for suite, given in texts.items()})
    results = simple_evaluate(
        model=model,
        tasks=[f"halbench_{suite}" for suite in texts],
        task_manager=TaskManager(include_path=str(write_tasks())),
        bootstrap_iters=0,
    )
    assert results["n-samples"]["halbench_amber"]["original"] == 15220
    for suite in texts:
        samples = results["samples"][f"halbench_{suite}"]
        log = pictured.root / f"{suite}.jsonl"
        log.write_text("".join(json.dumps(sample, default=str) + "\n" for sample in samples), "utf-8")
        evaluation = score(suite, log, pictured)
        numbers = results["results"][f"halbench_{suite}"]
        names = suite_task.metric_names(evaluation.suite)
        same_numbers({name: numbers[f"{name},none"] for name in names}, evaluation)
        assert evaluation.coverage.complete == (suite != "mmhal")
    assert {
        results["results"]["halbench_mmhal"][f"{name},none"] for name in suite_task.metric_names(load_suite("mmhal"))
    } == {"no score"}
    assert "mmhal: no judge, so its metrics will be 'no score'; set HALBENCH_JUDGE=MODEL" in capsys.readouterr().err
    assert len({sample["item"] for sample in results["samples"]["halbench_chair"]}) == 500


def test_questions_on_missing_images_are_not_run_and_count_as_missing(pictured, offline, capsys):
    import datasets

    gone = suite_task.suite_and_task("mmhal").items[0]
    gone.images[0].unlink()
    placeholder = datasets.Dataset.from_list([{"see": ""}])
    placeholder.info.config_name = "mmhal"
    documents = suite_task.documents(placeholder)
    assert len(documents) == 95
    assert gone.id not in documents["item"]
    assert "mmhal: 1 of 96 items are skipped, because their images are missing" in capsys.readouterr().err


def test_a_task_without_any_image_is_refused_before_anything_is_run(data, monkeypatch, tmp_path):
    import datasets

    placeholder = datasets.Dataset.from_list([{"see": ""}])
    placeholder.info.config_name = "amber"
    with pytest.raises(InputError, match=r"none of the 15220 items of amber has all its images .* Set HALBENCH_DATA"):
        suite_task.documents(placeholder)


TEXT_ONLY = """
from dataclasses import replace
from pathlib import Path
from halbench.suites import scenes

def load(data, options, rows):
    task = scenes.load(data, options, rows)
    first, second, third, *_ = task.items
    two = (*first.images, *task.items[-1].images)
    return replace(task, items=[first, replace(second, images=()), replace(third, images=two)])

SUITE = replace(scenes.SUITE, load=load)
"""


def test_questions_without_an_image_or_with_two_are_documents_too(offline, tmp_path, monkeypatch):
    import datasets

    (tmp_path / "mixed.py").write_text(TEXT_ONLY)
    suite = load_suite("mixed.py")
    monkeypatch.setattr(suite_task, "load_suite", lambda name: suite)
    monkeypatch.setattr(suite_task, "assignments", lambda name: ["scenes=2"])
    placeholder = datasets.Dataset.from_list([{"see": ""}])
    placeholder.info.config_name = "scenes"
    documents = suite_task.documents(placeholder)
    assert [len(suite_task.pictures(document)) for document in documents] == [1, 0, 2]

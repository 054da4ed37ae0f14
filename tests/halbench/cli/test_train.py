"""halbench train: killed and resumed, on several processes, and with an objective of one's own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_training
from in_process import run_in_process
from paths import ROOT
from small_training import RECIPE, largest_difference, log_rows, plan

from baselines.training import data_proof
from baselines.training.train import train
from halbench.folders.training import TrainingFolder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_training.checkpoint(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_training.write_pairs(tmp_path_factory.mktemp("data") / "pairs")


@pytest.fixture(scope="module")
def undisturbed(model: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished mDPO run of six steps."""
    out = tmp_path_factory.mktemp("undisturbed") / "mdpo"
    train(plan("mdpo", model, pairs, out))
    return out


def command(model: Path, pairs: Path, out: Path, *launcher: str) -> list[str]:
    options = {
        "objective": "mdpo",
        "model": model,
        "data": pairs,
        "out": out,
        "cache": out.parent / "cache",
        "device": "cpu",
        "dtype": "float32",
        "epochs": RECIPE.epochs,
        "batch-size": RECIPE.batch_size,
        "learning-rate": RECIPE.learning_rate,
        "lora-r": RECIPE.lora_r,
        "lora-alpha": RECIPE.lora_alpha,
        "save-steps": RECIPE.save_steps,
        "config": out.parent / "recipe.yaml",
    }
    (out.parent / "recipe.yaml").write_text("warmup_ratio: 0.0\n")
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [sys.executable, *launcher, "-m", "baselines", "train", *flags]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3, 5])
def test_a_run_killed_at_any_step_resumes_to_the_same_weights(rows, undisturbed, model, pairs, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(command(model, pairs, out), stderr=subprocess.PIPE, text=True)
    log = out / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.read_text().count("\n") >= rows) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "adapter_config.json").exists(), "else it was not killed in time"
    again = subprocess.run(command(model, pairs, out), capture_output=True, text=True, timeout=1800)
    assert again.returncode == 0, again.stderr
    assert "order" in again.stdout
    assert (out / "adapter_model.safetensors").read_bytes() == (undisturbed / "adapter_model.safetensors").read_bytes()
    assert [row["step"] for row in log_rows(out)] == [1, 2, 3, 4, 5, 6]


CONFIG = ROOT / "experiments" / "accelerate" / "ddp.yaml"
TORCHRUN = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone")
ACCELERATE = ("-m", "accelerate.commands.launch", "--config_file", str(CONFIG), "--num_processes", "2")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate launch"])
def test_two_processes_train_what_one_does(launcher, undisturbed, model, pairs, tmp_path):
    done = subprocess.run(
        command(model, pairs, tmp_path / "out", *launcher),
        capture_output=True,
        text=True,
        timeout=1800,
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    one, two = (TrainingFolder(out).record()["identity"] for out in (undisturbed, tmp_path / "out"))
    assert two["processes"] == 2, "else it was one process"
    assert data_proof.differences(one, two) == []
    assert [row["loss"] for row in log_rows(tmp_path / "out")] == pytest.approx(
        [row["loss"] for row in log_rows(undisturbed)], abs=1e-5
    )
    assert largest_difference(tmp_path / "out", undisturbed) < 1e-5


MISTAKES = {
    "no Config": ("class Config", "class Setting", r"own.py: does not define Config"),
    "no loss_at_start": ("def loss_at_start", "def start", r"own.py: does not define loss_at_start"),
    "a Config that is no dataclass": ("@dataclass(frozen=True)\n", "", r"own.py: Config must be a dataclass"),
    "a field without default": ("start: float = 0.0", "start: float", r"own.py: Config: 'start' has no default"),
    "a field that JSON does not know": ("float = 0.0", "object = print", r"own.py: Config: a value cannot be written"),
    "a Config that raises": (
        "start: float = 0.0",
        "start: float = 0.0\n    def __post_init__(self): raise ValueError('too small')",
        r"own.py:10: ValueError: too small",
    ),
    "a view named twice": ('("chosen",', '("chosen", "chosen",', r"own.py: VIEWS: 'chosen' is named twice"),
    "a loss without config": (
        "loss(scored, config)",
        "loss(scored)",
        r"own.py:11: loss\(\) cannot be called as halbench",
    ),
    "a start without config": (
        "at_start(config):\n    return config.start",
        "at_start():\n    return 0.0",
        r"own.py:15: loss_at_start\(\) cannot be called",
    ),
    "a loss without gradient": ("EXPRESSION", "-margin.detach()", r"own.py:11: loss\(\): per_pair does not depend on"),
    "no terms": ("{}", "None", r"own.py:11: loss\(\): terms: expected dict, found NoneType"),
    "a term that training logs itself": (
        "{}",
        "{'learning_rate': margin}",
        r"own.py:11: loss\(\): terms: 'learning_rate' cannot be the name of a term",
    ),
    "one view as text": ('("chosen", "rejected")', '"chosen"', r"own.py: VIEWS: expected a tuple of names of views"),
    "a view that nobody knows": ('"rejected")', '"reject")', r"unknown view 'reject'; did you mean 'rejected'"),
    "a loss that is a tensor": ("Loss(EXPRESSION, {})", "margin", r"own.py:11: loss\(\): expected Loss, found Tensor"),
    "a mean loss": (
        "EXPRESSION",
        "margin.mean()",
        r"own.py:11: loss\(\): per_pair: expected a value for each of 4 pairs, found shape \[\]",
    ),
    "a term that is a number": ("{}", "{'margin': 0.5}", r"own.py:11: loss\(\): margin: expected Tensor, found float"),
    "an attribute that nothing has": (
        "scored.log_ratio",
        "scored.logratio",
        r"own.py:12: AttributeError: 'Scored' object has no attribute 'logratio'",
    ),
    "a view that is not among its own": (
        'log_ratio("rejected")',
        'log_ratio("cropped")',
        r"own.py:12: KeyError: 'cropped'",
    ),
    "a start that is text": (
        "return config.start",
        "return 'zero'",
        r"own.py:15: loss_at_start\(\): expected a number or None",
    ),
    "a module that raises": ("VIEWS =", "VIEWS = 1 / 0\nVIEWS =", r"own.py:5: ZeroDivisionError: division by zero"),
    "no Python": ("def loss(", "def loss((", r"own.py:11: not valid Python"),
}


def own_training(objective: Path, model: Path, pairs: Path, *others: object) -> subprocess.CompletedProcess[str]:
    given = {"--objective": objective, "--model": model, "--data": pairs, "--out": objective.parent / "out"}
    flags = [part for flag in {**given, "--cache": objective.parent / "cache"}.items() for part in flag]
    return run_in_process("train", *flags, "--device", "cpu", "--dtype", "float32", "--batch-size", 4, *others)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_an_objective_of_ones_own_is_one_line(mistake, model, pairs, tmp_path):
    old, new, complaint = MISTAKES[mistake]
    path = tmp_path / "own.py"
    assert old in small_training.OBJECTIVE
    path.write_text(small_training.OBJECTIVE.replace(old, new).replace("EXPRESSION", "-margin"))
    done = own_training(path, model, pairs)
    assert done.returncode == 2
    check_one_line(done.stderr, complaint)


def check_one_line(stderr: str, complaint: str) -> None:
    """The last line names the mistake, and all others are those of the progress display."""
    *others, last = stderr.splitlines()
    assert re.search(complaint, last), stderr
    assert last.startswith("halbench: ")
    assert all(line.startswith("halbench: ") and "bug" not in line for line in others), stderr


VIEW = """
from baselines.types import Variant

VERSION, NEEDS = "1", ()

def make(pair, seed, tools):
    if pair.id == "p0":  # which is also made in the main process, where its forward pass is checked
        return Variant(pair.prompt, pair.chosen)
    return Variant(pair.prompt, pair.chosen, tuple(RESULT))
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ("pair.pictures", "own_view.py:9: AttributeError: 'Pair' object has no attribute 'pictures'"),
        ("[pair.prompt]", r"own_view.py:6: make\(\): images: expected Image, found str"),
    ],
)
def test_a_mistake_in_a_view_of_ones_own_is_one_line(workers, result, complaint, model, pairs, tmp_path):
    """Also where a worker process makes it."""
    view, path = tmp_path / "own_view.py", tmp_path / "own.py"
    view.write_text(VIEW.replace("RESULT", result))
    path.write_text(
        small_training.OBJECTIVE.replace("EXPRESSION", "-margin").replace('"rejected")', f'"rejected", {str(view)!r})')
    )
    done = own_training(path, model, pairs, "--workers", workers)
    assert done.returncode == 2
    check_one_line(done.stderr, complaint)

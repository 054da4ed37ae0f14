"""Training: from a known loss to an adapter that the harness opens, and the same result after an interruption."""

import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import small_training
import tiny_checkpoints
import torch
from small_training import CPU, RECIPE, adapter_weights, interrupt_after, largest_difference, log_rows, plan

from baselines.encoding.collation import collate
from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import as_scoring_model
from baselines.pairs.preferences import read_pairs
from baselines.training.train import train
from baselines.training.trainer import ProgressCallback
from baselines.types import Variant
from halbench.errors import InputError
from halbench.files.interruption import Interrupted, interruptible
from halbench.files.records import write_json
from halbench.folders.training import TrainingFolder
from halbench.models.checkpoints import open_checkpoint
from halbench.terminal import progress


@pytest.mark.parametrize(("objective", "start"), [("dpo", math.log(2)), ("mdpo", 3 * math.log(2))])
def test_training_starts_at_the_known_loss_and_lowers_it(objective, start, model, pairs, tmp_path):
    train(plan(objective, model, pairs, tmp_path / "out", replace(RECIPE, epochs=5)))
    rows = log_rows(tmp_path / "out")
    assert [row["step"] for row in rows] == list(range(1, 16))
    assert rows[0]["loss"] == pytest.approx(start, abs=1e-5)
    assert rows[-1]["loss"] < 0.8 * start


def test_the_result_is_an_adapter_that_the_harness_opens(undisturbed, model, pairs):
    """The opened model scores answers differently from the base."""
    tuned, base = open_checkpoint(str(undisturbed), CPU), open_checkpoint(str(model), CPU)
    pair = read_pairs(pairs).pairs[0]
    scores = []
    for checkpoint in (tuned, base):
        made = Encoder(checkpoint, packed=True).example(pair, {"chosen": Variant(pair.prompt, pair.chosen)})
        with torch.no_grad():
            scores.append(as_scoring_model(checkpoint.model)(**collate(made.sequences, 0, True)).logp)
    assert (scores[0] - scores[1]).abs().max() > 1e-2
    assert tuned.identity["adapter"] == TrainingFolder(undisturbed).record()["result"]


@pytest.mark.parametrize("family", ["llava_next", "idefics3", "smolvlm"])
def test_other_families_train_the_same_way(family, pairs, tmp_path):
    saved = getattr(tiny_checkpoints, family)(tmp_path / family)
    train(plan("mdpo", saved, pairs, tmp_path / "out"))
    rows = log_rows(tmp_path / "out")
    assert rows[0]["loss"] == pytest.approx(3 * math.log(2), abs=1e-4)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert "adapter" in open_checkpoint(str(tmp_path / "out"), CPU).identity


def test_an_interrupted_run_ends_with_the_same_bytes(undisturbed, model, pairs, tmp_path):
    unfinished = plan("mdpo", model, pairs, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), interrupt_after(3):
        train(unfinished)
    assert not (unfinished.out / "adapter_model.safetensors").exists()
    train(unfinished)
    assert (unfinished.out / "adapter_model.safetensors").read_bytes() == (
        undisturbed / "adapter_model.safetensors"
    ).read_bytes()
    losses = [[(row["step"], row["loss"]) for row in log_rows(out)] for out in (unfinished.out, undisturbed)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("step", [3, 6])
def test_a_signal_ends_training_at_the_step_with_a_checkpoint_and_the_same_bytes_follow(
    step, undisturbed, model, pairs, tmp_path
):
    def end(self, args, state, control, **others):
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    unfinished = plan("mdpo", model, pairs, tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressCallback, "on_step_end", end)
        with pytest.raises(Interrupted), interruptible():
            train(unfinished)
    assert TrainingFolder(unfinished.out).last_checkpoint(1) == unfinished.out / f"checkpoint-{step}"
    assert not (unfinished.out / "adapter_model.safetensors").exists()
    train(unfinished)
    name = "adapter_model.safetensors"
    assert (unfinished.out / name).read_bytes() == (undisturbed / name).read_bytes()
    assert [row["loss"] for row in log_rows(unfinished.out)] == [row["loss"] for row in log_rows(undisturbed)]


def test_a_checkpoint_that_was_cut_short_is_passed_over(undisturbed, model, pairs, tmp_path):
    unfinished = plan("mdpo", model, pairs, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), interrupt_after(3):
        train(unfinished)
    torn = unfinished.out / "checkpoint-4"
    shutil.copytree(unfinished.out / "checkpoint-2", torn)
    (torn / "trainer_state.json").write_text('{"global_step": ')
    assert TrainingFolder(unfinished.out).last_checkpoint(1) == unfinished.out / "checkpoint-2"
    train(unfinished)
    assert all(
        torch.equal(weight, adapter_weights(undisturbed)[name])
        for name, weight in adapter_weights(unfinished.out).items()
    )


def test_a_finished_run_is_not_trained_again(undisturbed, model, pairs):
    before = (undisturbed / "log.jsonl").stat().st_mtime_ns
    with interrupt_after(1):
        record = train(plan("mdpo", model, pairs, undisturbed))
    assert record["status"] == "complete"
    assert (undisturbed / "log.jsonl").stat().st_mtime_ns == before


def test_other_settings_for_the_same_folder_are_refused_with_what_differs(undisturbed, model, pairs):
    other = plan("mdpo", model, pairs, undisturbed, replace(RECIPE, learning_rate=5e-4), settings={"beta": 0.2})
    with pytest.raises(
        InputError, match=r"beta: 0.1 \(recorded\), 0.2 \(requested\).*learning_rate: 0.001 \(recorded\), 0.0005 \(req"
    ):
        train(other)


def test_a_folder_that_holds_something_else_is_refused(model, pairs, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        train(plan("dpo", model, pairs, tmp_path))


def test_a_training_resumes_only_with_the_number_of_processes_that_started_it(undisturbed, model, pairs, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    record = TrainingFolder(tmp_path / "out").record()
    record["settings"]["processes"] = 2
    write_json(tmp_path / "out/training.json", record)
    with pytest.raises(InputError, match=r"processes: 2 \(recorded\), 1 \(requested\)"):
        train(plan("mdpo", model, pairs, tmp_path / "out"))


def test_micro_batches_add_up_to_the_same_training(undisturbed, model, pairs, tmp_path):
    train(plan("mdpo", model, pairs, tmp_path / "out", replace(RECIPE, micro_batch_size=2)))
    assert largest_difference(tmp_path / "out", undisturbed) < 1e-5
    assert [row["loss"] for row in log_rows(tmp_path / "out")] == pytest.approx(
        [row["loss"] for row in log_rows(undisturbed)], abs=1e-5
    )


@pytest.mark.parametrize(("family", "images"), [("llava", 0), ("llava", 2), ("idefics3", 2)])
def test_pairs_of_text_alone_and_of_two_images_are_trained(family, images, tmp_path):
    saved = getattr(tiny_checkpoints, family)(tmp_path / family)
    pairs = small_training.write_pairs(tmp_path / "pairs", images=images)
    train(plan("dpo", saved, pairs, tmp_path / "out"))
    rows = log_rows(tmp_path / "out")
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_an_image_term_is_trained_on_pairs_of_two_images(model, tmp_path):
    pairs = small_training.write_pairs(tmp_path / "pairs", images=2)
    train(plan("mdpo", model, pairs, tmp_path / "out"))
    rows = log_rows(tmp_path / "out")
    assert rows[0]["loss"] == pytest.approx(3 * math.log(2), abs=1e-4)
    assert abs(rows[0]["image_margin/cropped"]) > 1e-4, "both images are cropped"


REJECTED_IMAGES = """
from dataclasses import dataclass
from baselines.losses.preference_terms import three_terms, three_terms_at_start
from baselines.objectives.mdpo import Config

VIEWS = ("chosen", "rejected", "rejected_images")

def loss(scored, config):
    return three_terms(scored, "rejected_images", config)

def loss_at_start(config):
    return three_terms_at_start(config)
"""


def test_mdpo_on_the_data_s_own_rejected_images_is_a_file_of_a_few_lines(model, tmp_path):
    path = tmp_path / "own_mdpo.py"
    path.write_text(REJECTED_IMAGES)
    pairs = small_training.write_pairs(tmp_path / "pairs", rejected_images=True)
    record = train(plan(str(path), model, pairs, tmp_path / "out", replace(RECIPE, epochs=5)))
    rows = log_rows(tmp_path / "out")
    assert rows[0]["loss"] == pytest.approx(3 * math.log(2), abs=1e-4)
    assert rows[-1]["loss"] < rows[0]["loss"]
    gained = [row["log_ratio/chosen"] - row["log_ratio/rejected_images"] for row in rows]
    assert gained[0] == pytest.approx(0, abs=1e-4)
    assert gained[-1] > 0.1, "the true image became likelier than the rejected one"
    assert record["identity"]["views"]["rejected_images"]["version"] == "1"


def test_pairs_without_rejected_images_are_refused_where_an_objective_shows_them(model, pairs, tmp_path):
    path = tmp_path / "own_mdpo.py"
    path.write_text(REJECTED_IMAGES)
    with pytest.raises(InputError, match="pair p0 has no rejected_images, which view 'rejected_images' shows"):
        train(plan(str(path), model, pairs, tmp_path / "out"))


def test_a_log_file_gets_a_line_while_training_runs(model, pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    train(plan("dpo", model, pairs, tmp_path / "out"))
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("halbench: views and reference log-probs of pairs: 4 of 12") for line in lines)
    (fourth,) = [line for line in lines if line.startswith("halbench: training steps: 4 of 6")]
    assert fourth.endswith(f"left, loss {log_rows(tmp_path / 'out')[3]['loss']:.4f}")


HOLD = """
import sys
from pathlib import Path
from halbench.folders.training import TrainingFolder
with TrainingFolder(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_two_trainings_never_write_one_folder(model, pairs, tmp_path):
    dpo = plan("dpo", model, pairs, tmp_path / "out")
    command = [sys.executable, "-c", HOLD, str(dpo.out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="another halbench is writing to this folder"):
            train(dpo)
        other.communicate("")
    assert not (dpo.out / "training.json").exists()

"""Training: the same result after a kill and on several processes, proof of what was seen, and no silent nonsense."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_training
import tiny_checkpoints
import tiny_detectors
import torch
from safetensors.torch import load_file
from small_training import RECIPE, log_rows, plan

from baselines import adaptation, identity, progress, trainer, training_folder
from baselines.collation import Encoder, collate
from baselines.types import Variant
from halbench.backends.hf import open_checkpoint
from halbench.errors import InputError
from halbench.records import write_json
from halbench.types import BackendOptions

CPU = BackendOptions(device="cpu", dtype="float32")


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
    trainer.train(plan("mdpo", model, pairs, out), progress.silent)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter_model.safetensors")


def stops_at(what: str, count: int) -> progress.Show:
    """A display that interrupts when so much of `what` is done."""

    @contextmanager
    def show(name: str, total: int, done: int) -> Iterator[progress.Advance]:
        seen = done

        def advance(more: int) -> None:
            nonlocal seen
            seen += more
            if name == what and seen >= count:
                raise KeyboardInterrupt

        yield advance

    return show


@pytest.mark.parametrize(("objective", "start"), [("dpo", math.log(2)), ("mdpo", 3 * math.log(2))])
def test_training_starts_at_the_known_loss_and_lowers_it(objective, start, model, pairs, tmp_path):
    trainer.train(plan(objective, model, pairs, tmp_path / "out", replace(RECIPE, epochs=5)), progress.silent)
    rows = log_rows(tmp_path / "out")
    assert [row["step"] for row in rows] == list(range(1, 16))
    assert rows[0]["loss"] == pytest.approx(start, abs=1e-5)
    assert rows[-1]["loss"] < 0.8 * start


def test_the_log_holds_terms_margins_and_speed(undisturbed):
    row = log_rows(undisturbed)[-1]
    named = {"loss", "grad_norm", "learning_rate", "text", "image", "anchor", "margin", "accuracy", "tokens_per_second"}
    by_view = {
        f"{what}/{view}" for what in ("logp", "log_ratio", "tokens") for view in ("chosen", "rejected", "cropped")
    }
    assert named | by_view | {"image_margin/cropped", "image_accuracy/cropped", "peak_memory_gb"} <= row.keys()
    assert row["margin"] == pytest.approx(row["log_ratio/chosen"] - row["log_ratio/rejected"], abs=1e-4)
    assert row["image_margin/cropped"] == pytest.approx(row["logp/chosen"] - row["logp/cropped"], abs=1e-3)


def test_the_result_is_an_adapter_that_the_harness_opens(undisturbed, model, pairs):
    """And the model that it opens scores the answers as the last log row says of the trained policy's direction."""
    tuned, base = open_checkpoint(str(undisturbed), CPU), open_checkpoint(str(model), CPU)
    pair = trainer.read_pairs(pairs).pairs[0]
    scores = []
    for checkpoint in (tuned, base):
        made = Encoder(checkpoint, packed=True).example(pair, {"chosen": Variant(pair.prompt, pair.chosen)})
        with torch.no_grad():
            scores.append(trainer.scoring(checkpoint.network)(**collate(made.sequences, 0, True)).logp)
    assert (scores[0] - scores[1]).abs().max() > 1e-2
    assert tuned.identity["adapter"] == training_folder.read_training(undisturbed)["result"]


def test_only_the_language_models_linear_layers_are_adapted(undisturbed):
    layers = {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in weights(undisturbed)}
    kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert {name.rpartition(".")[2] for name in layers} == set(kinds)
    assert all(name.startswith("model.language_model.layers.") for name in layers)
    assert len(layers) == 2 * len(kinds)


@pytest.mark.parametrize("family", ["llava_next", "idefics3", "smolvlm"])
def test_other_families_train_the_same_way(family, pairs, tmp_path):
    saved = getattr(tiny_checkpoints, family)(tmp_path / family)
    trainer.train(plan("mdpo", saved, pairs, tmp_path / "out"), progress.silent)
    rows = log_rows(tmp_path / "out")
    assert rows[0]["loss"] == pytest.approx(3 * math.log(2), abs=1e-4)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert "adapter" in open_checkpoint(str(tmp_path / "out"), CPU).identity


def test_qwens_vision_tower_is_neither_adapted_nor_trained():
    network, _ = tiny_checkpoints.qwen2_vl()
    pattern = re.compile(adaptation.language_layers(network))
    linear = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    found = [name for name in linear if pattern.fullmatch(name)]
    assert found
    assert all(name.startswith("model.language_model.layers.") for name in found)
    adaptation.without_vision(network)
    frozen = {name.split(".")[1] for name, weight in network.named_parameters() if not weight.requires_grad}
    assert frozen == {"visual"}


def test_an_interrupted_run_ends_with_the_same_bytes(undisturbed, model, pairs, tmp_path):
    wanted = plan("mdpo", model, pairs, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        trainer.train(wanted, stops_at("training", 3))
    assert not (wanted.out / "adapter_model.safetensors").exists()
    trainer.train(wanted, progress.silent)
    assert (wanted.out / "adapter_model.safetensors").read_bytes() == (
        undisturbed / "adapter_model.safetensors"
    ).read_bytes()
    losses = [[(row["step"], row["loss"]) for row in log_rows(out)] for out in (wanted.out, undisturbed)]
    assert losses[0] == losses[1]


def test_a_checkpoint_that_was_cut_short_is_passed_over(undisturbed, model, pairs, tmp_path):
    wanted = plan("mdpo", model, pairs, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        trainer.train(wanted, stops_at("training", 3))
    torn = wanted.out / "checkpoint-4"
    shutil.copytree(wanted.out / "checkpoint-2", torn)
    (torn / "trainer_state.json").write_text('{"global_step": ')
    assert training_folder.last_checkpoint(wanted.out, 1) == wanted.out / "checkpoint-2"
    trainer.train(wanted, progress.silent)
    assert all(torch.equal(weight, weights(undisturbed)[name]) for name, weight in weights(wanted.out).items())


def test_a_finished_run_is_not_trained_again(undisturbed, model, pairs):
    before = (undisturbed / "log.jsonl").stat().st_mtime_ns
    found = trainer.train(plan("mdpo", model, pairs, undisturbed), stops_at("training", 1))
    assert found["status"] == "complete"
    assert (undisturbed / "log.jsonl").stat().st_mtime_ns == before


def test_other_settings_for_the_same_folder_are_refused_with_what_differs(undisturbed, model, pairs):
    other = plan("mdpo", model, pairs, undisturbed, replace(RECIPE, learning_rate=5e-4), settings={"beta": 0.2})
    with pytest.raises(InputError, match=r"beta: 0.1 there, 0.2 here.*learning_rate: 0.001 there, 0.0005 here"):
        trainer.train(other, progress.silent)


def test_a_folder_that_holds_something_else_is_refused(model, pairs, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        trainer.train(plan("dpo", model, pairs, tmp_path), progress.silent)


def test_two_objectives_prove_that_they_saw_the_same_data(undisturbed, model, pairs, tmp_path):
    dpo = trainer.train(plan("dpo", model, pairs, tmp_path / "dpo"), progress.silent)["identity"]
    mdpo = training_folder.read_training(undisturbed)["identity"]
    assert identity.differences(dpo, mdpo) == []
    other = trainer.train(plan("dpo", model, pairs, tmp_path / "other", replace(RECIPE, seed=1)), progress.silent)
    differing = " ".join(identity.differences(other["identity"], mdpo))
    assert "order" in differing
    assert "seed: 1 there, 0 here" in differing
    assert "chosen" not in differing, "the chosen answers are the same whatever the seed"


def test_objectives_share_the_reference_cache(undisturbed, model, pairs, tmp_path, monkeypatch):
    """After mDPO, DPO needs no pass of the reference."""

    def unwanted(*arguments: Any) -> None:
        raise AssertionError("the reference was run again")

    shutil.copytree(undisturbed.parent / "cache", tmp_path / "cache")
    monkeypatch.setattr("baselines.reference.keep", unwanted)
    trainer.train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, max_steps=1)), progress.silent)


def test_the_order_on_record_is_the_one_that_was_trained(undisturbed, model, pairs, tmp_path):
    short, long = (
        trainer.train(
            plan("mdpo", model, pairs, tmp_path / str(steps), replace(RECIPE, max_steps=steps)), progress.silent
        )
        for steps in (1, 99)
    )
    whole = training_folder.read_training(undisturbed)
    assert (short["steps"], long["steps"]) == (1, whole["steps"])
    assert len(short["identity"]["order"]) == 1
    assert identity.differences(whole["identity"], long["identity"]) == []
    assert "order" in "; ".join(identity.differences(whole["identity"], short["identity"]))


def test_a_training_goes_on_with_the_number_of_processes_that_began_it(undisturbed, model, pairs, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    record = training_folder.read_training(tmp_path / "out")
    record["settings"]["processes"] = 2
    write_json(tmp_path / "out/training.json", record)
    with pytest.raises(InputError, match=r"processes 2 there and 1 here|processes.*2.*1"):
        trainer.train(plan("mdpo", model, pairs, tmp_path / "out"), progress.silent)


def test_micro_batches_add_up_to_the_same_training(undisturbed, model, pairs, tmp_path):
    trainer.train(plan("mdpo", model, pairs, tmp_path / "out", replace(RECIPE, micro_batch_size=2)), progress.silent)
    apart = max(float((w - weights(undisturbed)[name]).abs().max()) for name, w in weights(tmp_path / "out").items())
    assert apart < 1e-5
    assert [row["loss"] for row in log_rows(tmp_path / "out")] == pytest.approx(
        [row["loss"] for row in log_rows(undisturbed)], abs=1e-5
    )


def test_gradient_checkpointing_changes_no_result(undisturbed, model, pairs, tmp_path):
    recipe = replace(RECIPE, gradient_checkpointing=True)
    trainer.train(plan("mdpo", model, pairs, tmp_path / "out", recipe), progress.silent)
    apart = max(float((w - weights(undisturbed)[name]).abs().max()) for name, w in weights(tmp_path / "out").items())
    assert apart < 1e-6


def test_full_training_leaves_the_vision_tower_as_it_was(model, pairs, tmp_path):
    recipe = replace(RECIPE, full=True, learning_rate=1e-4, epochs=4)
    trainer.train(plan("dpo", model, pairs, tmp_path / "out", recipe), progress.silent)
    before, after = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "out"))
    changed = {
        name.partition(".")[0] + "." + name.split(".")[1] for name in before if (before[name] != after[name]).any()
    }
    assert not any("vision" in name for name in changed)
    assert any("language" in name for name in changed)
    assert any("projector" in name for name in changed)
    assert log_rows(tmp_path / "out")[-1]["loss"] < math.log(2)
    open_checkpoint(str(tmp_path / "out"), CPU)


def test_any_objective_can_be_trained_as_a_curriculum(model, pairs, tmp_path):
    wanted = plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, order="curriculum", epochs=1))
    objective = trainer.open_objective("dpo", {})
    found = trainer.read_pairs(wanted.data)
    prepared = trainer.prepare(
        wanted, objective, wanted.model, found, trainer.training_arguments(wanted), progress.silent
    )
    (order,) = prepared.order
    entropy = [
        float(prepared.batches.cache.tokens(prepared.data[index].keys()["chosen"]).entropy.mean()) for index in order
    ]
    assert max(entropy[:4]) <= min(entropy[4:8])
    assert max(entropy[4:8]) <= min(entropy[8:])


def test_pairs_that_are_too_long_are_left_out_and_named(model, pairs, tmp_path):
    lengths = [len(pair.chosen) for pair in trainer.read_pairs(pairs).pairs]
    recipe = replace(RECIPE, max_length=55, max_steps=1)
    found = trainer.train(plan("dpo", model, pairs, tmp_path / "out", recipe), progress.silent)["identity"]
    assert 0 < len(found["dropped"]) < len(lengths)
    assert found["used"] == len(lengths) - len(found["dropped"])


def test_when_all_pairs_are_too_long_nothing_is_trained(model, pairs, tmp_path):
    with pytest.raises(InputError, match="all 12 pairs are longer than 10 tokens"):
        trainer.train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, max_length=10)), progress.silent)


OWN_OBJECTIVE = """
from dataclasses import dataclass
from baselines.types import Loss

VIEWS = ("chosen", "rejected")

@dataclass(frozen=True)
class Config:
    start: float = 0.0

def loss(scored, config):
    margin = scored.log_ratio("chosen") - scored.log_ratio("rejected")
    return Loss(EXPRESSION, {})

def loss_at_start(config):
    return config.start
"""


def own_objective(folder: Path, expression: str) -> str:
    path = folder / "own.py"
    path.write_text(OWN_OBJECTIVE.replace("EXPRESSION", expression))
    return str(path)


def test_an_objective_of_ones_own_is_one_file(model, pairs, tmp_path):
    found = trainer.train(plan(own_objective(tmp_path, "-margin"), model, pairs, tmp_path / "out"), progress.silent)
    assert found["settings"]["objective"]["name"] == "own"
    assert len(found["settings"]["objective"]["file"]) == 12
    assert log_rows(tmp_path / "out")[-1]["margin"] > 0


def test_a_loss_that_does_not_start_where_it_must_stops_the_run(model, pairs, tmp_path):
    wanted = plan(own_objective(tmp_path, "-margin"), model, pairs, tmp_path / "out", settings={"start": 0.7})
    with pytest.raises(InputError, match=r"must be 0.70000, found -?0.0000"):
        trainer.train(wanted, progress.silent)


def test_a_reference_of_another_model_stops_the_run(undisturbed, model, pairs, tmp_path):
    cache = shutil.copytree(undisturbed.parent / "cache", tmp_path / "cache")
    from baselines.reference import ReferenceCache
    from halbench.records import read_json

    (folder,) = (cache / "reference").iterdir()
    entries = ReferenceCache(cache, read_json(folder / "identity.json"))
    for path in folder.glob("*.safetensors"):
        path.unlink()
    entries.unsaved = {key: value - 1 for key, value in entries.entries.items()}
    entries.flush()
    with pytest.raises(InputError, match="policy and reference must agree"):
        trainer.train(plan("mdpo", model, pairs, tmp_path / "out"), progress.silent)


def test_a_loss_that_is_no_number_stops_with_step_and_pairs(model, pairs, tmp_path):
    objective = own_objective(tmp_path, "-margin / (margin.abs().max() < 1e-3)")
    with pytest.raises(InputError, match=r"step 2: the loss of 4 pairs is not finite \(pairs p\d+"):
        trainer.train(plan(objective, model, pairs, tmp_path / "out"), progress.silent)


def test_an_unknown_setting_of_an_objective_is_refused():
    with pytest.raises(InputError, match="objective 'dpo' has no setting 'betta'; did you mean 'beta'"):
        trainer.open_objective("dpo", {"betta": 1})


@pytest.mark.parametrize("value", ["much", True])
def test_a_setting_of_the_wrong_kind_is_refused(value):
    with pytest.raises(InputError, match="setting 'beta': expected float, found"):
        trainer.open_objective("dpo", {"beta": value})


def test_a_model_whose_own_forward_says_otherwise_is_refused(model, pairs, tmp_path, monkeypatch):
    """As with a family that caps or scales its logits behind the head."""
    from transformers import LlavaForConditionalGeneration as Llava

    plain = Llava.forward

    def scaled(self: Any, *arguments: Any, **named: Any) -> Any:
        output = plain(self, *arguments, **named)
        output.logits = output.logits * 0.5
        return output

    monkeypatch.setattr(Llava, "forward", scaled)
    with pytest.raises(InputError, match="the training forward does not suit a 'llava' model"):
        trainer.train(plan("dpo", model, pairs, tmp_path / "out"), progress.silent)


def test_a_scoring_network_still_generates(model):
    """MBPO's views and rollouts sample from the model that is being trained."""
    checkpoint = open_checkpoint(str(model), CPU)
    ids = torch.tensor([[5, 6, 7]])
    plain = checkpoint.network.generate(input_ids=ids, max_new_tokens=5)
    assert trainer.scoring(checkpoint.network).generate(input_ids=ids, max_new_tokens=5).equal(plain)


def test_training_does_not_start_from_an_adapter(undisturbed, pairs, tmp_path):
    with pytest.raises(InputError, match="is an adapter; training starts from a whole checkpoint"):
        trainer.train(plan("dpo", undisturbed, pairs, tmp_path / "out"), progress.silent)


def test_a_batch_that_cannot_be_shared_out_is_refused(model, pairs, tmp_path):
    with pytest.raises(InputError, match="expected a multiple of 1 processes x --micro-batch-size 3"):
        trainer.train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, micro_batch_size=3)), progress.silent)


def test_a_gpu_is_not_chosen_by_number(model, pairs, tmp_path):
    wanted = replace(plan("dpo", model, pairs, tmp_path / "out"), options=BackendOptions(device="cuda:1"))
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES"):
        trainer.train(wanted, progress.silent)


def test_an_unknown_schedule_is_refused(model, pairs, tmp_path):
    with pytest.raises(InputError, match="lr_scheduler 'cosin'; did you mean 'cosine'"):
        trainer.train(
            plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, lr_scheduler="cosin")), progress.silent
        )


def test_four_bits_without_bitsandbytes_say_what_to_install(model, pairs, tmp_path):
    pytest.importorskip("peft")
    if adaptation.find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is here")
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        trainer.train(plan("dpo", model, pairs, tmp_path / "out", replace(RECIPE, load_in_4bit=True)), progress.silent)


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
def test_a_run_killed_at_any_step_goes_on_to_the_same_weights(rows, undisturbed, model, pairs, tmp_path):
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
    again = subprocess.run(command(model, pairs, out), capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert "order" in again.stdout
    assert (out / "adapter_model.safetensors").read_bytes() == (undisturbed / "adapter_model.safetensors").read_bytes()
    assert [row["step"] for row in log_rows(out)] == [1, 2, 3, 4, 5, 6]


CONFIG = Path(__file__).parent.parent / "experiments" / "accelerate" / "ddp.yaml"
TORCHRUN = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone")
ACCELERATE = ("-m", "accelerate.commands.launch", "--config_file", str(CONFIG), "--num_processes", "2")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate launch"])
def test_two_processes_train_what_one_does(launcher, undisturbed, model, pairs, tmp_path):
    done = subprocess.run(
        command(model, pairs, tmp_path / "out", *launcher),
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "training.json").read_text())
    assert found["identity"]["processes"] == 2, "else it was one process"
    assert identity.differences(found["identity"], training_folder.read_training(undisturbed)["identity"]) == []
    assert [row["loss"] for row in log_rows(tmp_path / "out")] == pytest.approx(
        [row["loss"] for row in log_rows(undisturbed)], abs=1e-5
    )
    apart = max(float((w - weights(undisturbed)[name]).abs().max()) for name, w in weights(tmp_path / "out").items())
    assert apart < 1e-5


def test_a_detector_finds_the_key_objects_of_mfpo_and_is_not_loaded_for_others(model, pairs, tmp_path):
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    recipe = replace(RECIPE, epochs=1, detector=str(dino))
    trainer.train(plan("mfpo", model, pairs, tmp_path / "mfpo", recipe), progress.silent)
    seen = training_folder.read_training(tmp_path / "mfpo")["identity"]["views"]["region_noised"]
    assert re.match(r"[1-9]\d* of \d+ keywords found", seen["regions"])
    (dino / "config.json").unlink()
    trainer.train(plan("dpo", model, pairs, tmp_path / "dpo", recipe), progress.silent)
    with pytest.raises(InputError, match="grounding model"):
        trainer.train(plan("mfpo", model, pairs, tmp_path / "again", recipe), progress.silent)

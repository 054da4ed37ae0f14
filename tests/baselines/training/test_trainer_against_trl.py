"""DPO here and in TRL's DPOTrainer: same checkpoint, pairs, order and settings give the same numbers.

TRL is no dependency: pip install 'trl==1.16.*' to run this.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_training
import torch
import transformers
from transformers import TrainerCallback

from baselines.pairs.preferences import read_pairs
from baselines.training.adaptation import adapted, language_layers
from baselines.training.arguments import training_arguments
from baselines.training.open_objective import open_objective
from baselines.training.prepare import prepare
from baselines.training.trainer import PreferenceTrainer
from halbench.folders.training import TrainingFolder
from halbench.models.images import open_image

trl = pytest.importorskip("trl", reason="needs TRL 1.16 beside halbench")
STEPS = 20


class FirstGradient(TrainerCallback):
    """Keeps the gradients of the first step, by the parameters' names."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        if not self.gradients:
            for name, weight in model.named_parameters():
                if weight.grad is not None:
                    self.gradients[name] = weight.grad.clone()


def trainable(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def ours(plan: Any, gradient: FirstGradient) -> tuple[list[float], list[dict[str, torch.Tensor]], list[int]]:
    """Losses of all steps, first and final adapter weights, and the order of the pairs."""
    arguments = training_arguments(plan)
    objective = open_objective("dpo", {})
    pairs = read_pairs(plan.data)
    prepared = prepare(plan, objective, plan.model, pairs, arguments)
    model = adapted(prepared.model, plan.recipe, plan.model)
    order = [index for epoch in prepared.order for index in epoch]
    plan.out.mkdir()
    log = TrainingFolder(plan.out).log_path
    trainer = PreferenceTrainer(model, arguments, prepared.data, prepared.batches, order, objective, log)
    trainer.add_callback(gradient)
    before = trainable(model)
    trainer.train()
    return [row["loss"] for row in small_training.log_rows(plan.out)], [before, trainable(model)], order


def theirs(
    plan: Any, order: list[int], before: dict[str, torch.Tensor], gradient: FirstGradient
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The same from TRL, which gets the pairs in the order in which we trained them, and our first adapter weights."""
    from datasets import Dataset
    from peft import LoraConfig

    recipe = plan.recipe
    arguments = trl.DPOConfig(
        output_dir=str(plan.out / "trl"),
        max_steps=recipe.max_steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler,
        warmup_steps=0,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.adam_beta1,
        adam_beta2=recipe.adam_beta2,
        max_grad_norm=recipe.max_grad_norm,
        beta=0.1,
        max_length=None,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    pairs = read_pairs(plan.data).pairs

    def turn(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    rows = [
        {
            "image": open_image(pairs[index].images[0]),
            "prompt": turn("user", pairs[index].prompt),
            "chosen": turn("assistant", pairs[index].chosen),
            "rejected": turn("assistant", pairs[index].rejected),
        }
        for index in order
    ]

    class InOrder(trl.DPOTrainer):  # type: ignore[misc, name-defined]
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    model = transformers.AutoModelForImageTextToText.from_pretrained(plan.model, dtype=torch.float32)
    trainer = InOrder(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=transformers.AutoProcessor.from_pretrained(plan.model),
        peft_config=LoraConfig(r=recipe.lora_r, lora_alpha=recipe.lora_alpha, target_modules=language_layers(model)),
    )
    trainer.add_callback(gradient)
    missing = trainer.model.load_state_dict(before, strict=False)
    assert not missing.unexpected_keys
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return losses, trainable(trainer.model)


@pytest.mark.slow
def test_loss_gradients_and_twenty_steps_equal_trls(tmp_path: Path):
    model = small_training.checkpoint(tmp_path / "model")
    pairs = small_training.write_pairs(tmp_path / "pairs", count=16)
    recipe = replace(small_training.RECIPE, epochs=5, max_steps=STEPS, lr_scheduler="constant")
    plan = small_training.plan("dpo", model, pairs, tmp_path / "out", recipe)
    our_gradient, their_gradient = FirstGradient(), FirstGradient()
    our_losses, (before, our_weights), order = ours(plan, our_gradient)
    their_losses, their_weights = theirs(plan, order, before, their_gradient)

    assert len(our_losses) == len(their_losses) == STEPS
    assert our_losses[0] == pytest.approx(their_losses[0], abs=1e-4)
    assert our_gradient.gradients.keys() == their_gradient.gradients.keys()
    gradients = max(float((our_gradient.gradients[n] - g).abs().max()) for n, g in their_gradient.gradients.items())
    curve = max(abs(a - b) for a, b in zip(our_losses, their_losses, strict=True))
    weights = max(float((our_weights[name] - weight).abs().max()) for name, weight in their_weights.items())
    print(f"gradients {gradients:.1e}, loss curve {curve:.1e}, final weights {weights:.1e}; losses {our_losses}")
    assert max(float(g.abs().max()) for g in their_gradient.gradients.values()) > 1e-2, "else equality says nothing"
    assert gradients < 1e-4
    assert our_losses[-1] < our_losses[0]
    assert curve < 1e-4

"""One trainer for all objectives, on transformers.Trainer.

It knows no objective's name: it computes the log-probs of an objective's views and hands them to its loss.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from baselines.training import preflight
from baselines.training.batches import Batches, PairViews, scored_batch
from baselines.training.open_objective import Objective
from baselines.training.processes import in_any_process
from baselines.training.rollouts import Rollouts, online_log
from baselines.training.step_log import StepLog, batch_log
from baselines.types import Loss
from halbench.errors import InputError
from halbench.files.records import dumps
from halbench.terminal.progress import Steps


class PreferenceTrainer(Trainer):  # type: ignore[misc]
    """transformers.Trainer over views. order: pair indices of all epochs, one after the other."""

    def __init__(
        self,
        model: Any,
        arguments: TrainingArguments,
        data: PairViews,
        batches: Batches,
        order: Sequence[int],
        objective: Objective,
        log_path: Path,
        rollouts: Rollouts | None = None,
        **others: Any,
    ) -> None:
        super().__init__(model, arguments, data_collator=batches, train_dataset=data, **others)
        self.order, self.objective, self.log_path = order, objective, log_path
        self.rollouts = rollouts
        self.rollout_part = (-1, 0)  # step, and the number of the micro-batch in it
        self.step_log = StepLog()
        # Else the loss of accumulated micro-batches would be added up instead of averaged.
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> Any:
        """All epochs as one pass in the recorded order, so that a resumed run skips to its position in it."""
        return self.accelerator.prepare(
            DataLoader(
                self.train_dataset,
                batch_size=self.args.per_device_train_batch_size,
                sampler=self.order,
                collate_fn=self.data_collator,
                num_workers=self.args.dataloader_num_workers,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def compute_loss(
        self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean loss of a batch of pairs, plus that of the policy's own answers if the objective learns from them."""
        scored = scored_batch(model, inputs)
        loss = self.objective.loss(scored, self.objective.config)
        preflight.check_finite(loss, self.state.global_step + 1, inputs["ids"])
        if self.state.global_step == 0:
            expected = self.objective.loss_at_start(self.objective.config)
            preflight.check_start(scored, loss, expected, inputs["ids"], precision(self.args, model))
        tokens = int(inputs["arguments"]["inputs"]["attention_mask"].sum())
        row, mean = batch_log(scored, loss, inputs["altered"]), loss.per_pair.mean()
        if self.rollouts is not None:
            online = self.online(model, self.rollouts)
            row |= online_log(online)
            mean = mean + online.per_pair.mean()
        self.step_log.add(row, inputs["ids"], tokens)
        return (mean, scored) if return_outputs else mean

    def online(self, model: Any, rollouts: Rollouts) -> Loss:
        """The loss of this micro-batch's share of the step's rollouts."""
        step = self.state.global_step
        part = self.rollout_part[1] + 1 if self.rollout_part[0] == step else 0
        self.rollout_part = step, part
        loss = rollouts(self.accelerator.unwrap_model(model), step, part)
        if not torch.isfinite(loss.per_pair.detach()).all():
            raise InputError(
                f"step {step + 1}: the loss of rollouts is not finite. The last saved checkpoint is unaffected; lower the "
                "learning rate"
            )
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means of the step, and write a row of log.jsonl."""
        if "loss" in logs:
            ids = self.step_log.ids
            logs = {**logs, **self.step_log.take(self.accelerator)}
            if not all(value == value and abs(value) != float("inf") for value in logs.values()):
                raise InputError(
                    f"step {self.state.global_step}: the gradient or a term is not finite (pairs {', '.join(ids[:8])}). "
                    "The last saved checkpoint is unaffected; lower the learning rate, or inspect these pairs"
                )
            if self.is_world_process_zero():
                with self.log_path.open("a", encoding="utf-8") as file:
                    file.write(dumps({"step": self.state.global_step, **logs}) + "\n")
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: inputs are nested here, and frozen towers would make the Trainer's formula wrong anyway."""
        return 0


def precision(arguments: TrainingArguments, model: Any) -> torch.dtype:
    """The type in which forward passes compute."""
    if arguments.bf16:
        return torch.bfloat16
    dtype: torch.dtype = getattr(model, "module", model).dtype
    return dtype


class StopCallback(TrainerCallback):  # type: ignore[misc]
    """Saves a checkpoint and ends training at the end of a step, if ending() says so in any process."""

    def __init__(self, ending: Callable[[], bool]) -> None:
        self.ending, self.stopped = ending, False

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.stopped = self.stopped or in_any_process(self.ending(), args.device)
        if self.stopped:
            control.should_save = control.should_training_stop = True


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Shows every step, with its loss. A step is logged when it ends, see training_arguments."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        if "loss" in (logs or {}):
            self.steps.advance(1, f"loss {logs['loss']:.4f}")

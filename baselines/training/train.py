"""Training on preference pairs, from the plan to the finished folder."""

import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import transformers
from transformers import TrainingArguments

from baselines.pairs.preferences import read_pairs
from baselines.training.adaptation import adapted
from baselines.training.arguments import training_arguments
from baselines.training.base_model import checkpoint_source
from baselines.training.batches import plain_worker_errors
from baselines.training.open_objective import Objective, objective_identity, open_objective
from baselines.training.prepare import Prepared, prepare
from baselines.training.processes import broadcast_from_main
from baselines.training.recipes import TrainingPlan
from baselines.training.trainer import PreferenceTrainer, ProgressCallback, StopCallback
from halbench.files.interruption import Interrupted, uninterrupted
from halbench.folders.training import TrainingFolder
from halbench.models.checkpoints import Checkpoint
from halbench.models.fingerprints import fingerprint
from halbench.terminal.progress import progress, say


def train(plan: TrainingPlan) -> dict[str, Any]:
    """Train, or resume training, by the plan; returns the content of training.json."""
    transformers.utils.logging.set_verbosity_error()
    objective = open_objective(plan.objective, plan.settings)
    source = checkpoint_source(plan.model)
    pairs = read_pairs(plan.data, plan.images)
    arguments = training_arguments(plan)
    is_main = arguments.process_index == 0
    settings = {
        "objective": objective_identity(plan.objective, objective),
        "model": fingerprint(source),
        "pairs": pairs.hash,
        "recipe": asdict(plan.recipe),
        "dtype": plan.options.dtype,
        "processes": arguments.world_size,
    }
    folder = TrainingFolder(plan.out)
    with folder.lock() if is_main else nullcontext(), plain_worker_errors():
        if broadcast_from_main(folder.open_or_create(settings) if is_main else False):
            return folder.record()
        begun = time.monotonic()
        prepared = prepare(plan, objective, source, pairs, arguments)
        trained = adapted(prepared.model, plan.recipe, source)
        trainer = run(trained, prepared, objective, plan, arguments)
        record = {
            "settings": settings,
            "identity": prepared.proof,
            "steps": int(trainer.state.global_step),
            "seconds": round(time.monotonic() - begun, 1),
        }
        weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # gathered from all processes if sharded
        if is_main:
            save_result(trained, weights, prepared.checkpoint, plan)
            folder.finish({**record, "result": fingerprint(str(plan.out))})
        broadcast_from_main(True)  # no process ends before the result is written
        return folder.record()


def run(
    trained: Any,
    prepared: Prepared,
    objective: Objective,
    plan: TrainingPlan,
    arguments: TrainingArguments,
) -> PreferenceTrainer:
    """The trainer after its last step. It starts from the last whole checkpoint, if there is one. A SIGTERM or SIGHUP ends
    it with a checkpoint at the end of the step."""
    order = [index for epoch in prepared.order for index in epoch]
    folder = TrainingFolder(plan.out)
    trainer = PreferenceTrainer(
        trained, arguments, prepared.data, prepared.batches, order, objective, folder.log_path, prepared.rollouts
    )
    trainer.remove_callback(transformers.PrinterCallback)
    last = folder.last_checkpoint(arguments.world_size)
    done = int(last.name.rpartition("-")[2]) if last else 0
    if trainer.is_world_process_zero():
        if folder.log_path.is_file():
            say(
                f"resuming after step {done}, the last checkpoint"
                if done
                else "starting over: the earlier run was stopped before its first checkpoint (--save-steps)"
            )
        folder.cut_log(done)
    with progress("training steps", len(order) // plan.recipe.batch_size, done) as steps, uninterrupted() as ending:
        stop = StopCallback(ending)
        trainer.add_callback(ProgressCallback(steps))
        trainer.add_callback(stop)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    if stop.stopped:  # by the signal of another process
        raise Interrupted(signal.SIGTERM)
    return trainer


def save_result(trained: Any, weights: Mapping[str, Any], checkpoint: Checkpoint, plan: TrainingPlan) -> None:
    """Write the adapter, or the whole model with its processor, to the output folder. weights: by parameter name."""
    trained.save_pretrained(plan.out, state_dict=weights)
    (plan.out / "README.md").unlink(missing_ok=True)  # peft's blank form
    if plan.recipe.full:
        checkpoint.processor.save_pretrained(plan.out)

"""A recipe as the arguments of transformers.Trainer."""

import os

import torch
import transformers
from transformers import TrainingArguments

from baselines.training.recipes import TrainingPlan
from halbench.errors import InputError, did_you_mean


def training_arguments(plan: TrainingPlan) -> TrainingArguments:
    """The recipe as arguments of transformers.Trainer. Starts the process group if there are several processes."""
    recipe = plan.recipe
    on_cpu = plan.options.device == "cpu" or not (plan.options.device or torch.cuda.is_available())
    world = int(os.environ.get("WORLD_SIZE", "1"))
    share, rest = divmod(recipe.batch_size, world)
    micro = recipe.micro_batch_size or share
    if rest or not share or share % micro:
        raise InputError(
            f"--batch-size {recipe.batch_size}: expected a multiple of {world} processes x --micro-batch-size {micro}"
        )
    if plan.options.device not in (None, "cpu", "cuda"):
        raise InputError(
            f"device '{plan.options.device}': training takes cpu or cuda; choose a GPU with CUDA_VISIBLE_DEVICES, several "
            "with torchrun --nproc-per-node N -m halbench train ..."
        )
    schedulers = [kind.value for kind in transformers.SchedulerType]
    if recipe.lr_scheduler not in schedulers:
        raise InputError(f"lr_scheduler '{recipe.lr_scheduler}'{did_you_mean(recipe.lr_scheduler, schedulers)}")
    allows_bfloat16 = plan.options.dtype in ("auto", "bfloat16")
    arguments = TrainingArguments(
        output_dir=str(plan.out),
        num_train_epochs=1,  # one pass over the order of all epochs
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=share // micro,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler,
        warmup_steps=recipe.warmup_ratio,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.adam_beta1,
        adam_beta2=recipe.adam_beta2,
        max_grad_norm=recipe.max_grad_norm,
        optim="adamw_torch",
        # An adapter is trained in float32 on a base in bfloat16. A whole model is trained in float32 with autocast, since
        # steps of 1e-5 vanish in bfloat16.
        bf16=recipe.full and allows_bfloat16 and not on_cpu,
        ddp_find_unused_parameters=False,
        use_cpu=on_cpu,
        seed=recipe.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=1,
        remove_unused_columns=False,
        dataloader_num_workers=plan.workers,
        disable_tqdm=True,
        report_to=plan.report_to,
    )
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1  # one process, one GPU; else the Trainer spreads batches over all GPUs by threads
    return arguments

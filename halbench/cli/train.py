"""halbench train: tune a model on preference pairs; the same command goes on where an earlier one stopped."""

from pathlib import Path
from typing import Annotated

import typer

from halbench.cli import options as shared


def add_to(app: typer.Typer) -> None:
    app.command(help="Tune a model on preference pairs: DPO, mDPO, MFPO, MBPO, or an objective of your own.")(train)


def train(
    objective: Annotated[
        str | None, typer.Option("--objective", help="dpo, mdpo, mfpo, mbpo ...; or a .py file.", metavar="NAME")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Checkpoint folder, hub name, or scenes:base.", metavar="MODEL")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Preference pairs: folder, file or hub dataset.", metavar="PAIRS")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the result.", metavar="DIR")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML with any of these options; flags win.", metavar="FILE")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the objective, e.g. beta=0.2. May be repeated.", metavar="NAME=VALUE"),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of order, views and adapter. Default: 0.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Default: 1e-5.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Default: 3.")] = None,
    max_steps: Annotated[int | None, typer.Option("--max-steps", min=1, help="Stop after so many steps.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", "-b", min=1, help="Pairs per step, over all processes. Default: 32.")
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option("--micro-batch-size", min=1, help="Pairs per forward pass. Default: all of a step's.")
    ] = None,
    order: Annotated[
        str | None, typer.Option("--order", help="shuffled or curriculum. Default: the objective's.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", min=1, help="Longer pairs are left out. Default: the model's limit.")
    ] = None,
    online: Annotated[
        str | None,
        typer.Option(
            "--online", help="Closed questions for MBPO's online groups: scenes, or a JSONL file.", metavar="QUESTIONS"
        ),
    ] = None,
    online_per_step: Annotated[
        int | None, typer.Option("--online-per-step", min=1, help="Questions per step. Default: 4.")
    ] = None,
    detector: shared.Detector = None,
    segmenter: shared.Segmenter = None,
    word_vectors: shared.WordVectors = None,
    lora_r: Annotated[int | None, typer.Option("--lora-r", min=1, help="Default: 64.")] = None,
    lora_alpha: Annotated[int | None, typer.Option("--lora-alpha", min=1, help="Default: 128.")] = None,
    full: Annotated[
        bool | None, typer.Option("--full", help="Train all weights but the vision tower's, not an adapter.")
    ] = None,
    load_in_4bit: Annotated[
        bool | None, typer.Option("--load-in-4bit", help="Keep the base in 4 bits (needs bitsandbytes).")
    ] = None,
    gradient_checkpointing: Annotated[
        bool | None, typer.Option("--gradient-checkpointing", help="Less memory, slower.")
    ] = None,
    save_steps: Annotated[
        int | None, typer.Option("--save-steps", min=1, help="Steps between checkpoints. Default: 50.")
    ] = None,
    dtype: shared.Dtype = shared.DtypeName.auto,
    device: shared.Device = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare images.")] = 0,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", help="Where the pairs' relative image paths start. Default: beside them.", metavar="DIR"
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", help="Keeps reference log-probs and costly views. Default: the user cache.", metavar="DIR"
        ),
    ] = None,
    report_to: Annotated[str, typer.Option("--report-to", help="tensorboard, wandb ... or none.")] = "none",
    trust_remote_code: shared.TrustRemoteCode = False,
) -> None:
    import os

    from baselines.recipes import plan
    from halbench.types import BackendOptions

    flags = {
        "objective": objective,
        "model": model,
        "data": data,
        "out": out,
        "seed": seed,
        "learning_rate": learning_rate,
        "epochs": epochs,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "order": order,
        "max_length": max_length,
        "online": online,
        "online_per_step": online_per_step,
        "detector": detector,
        "segmenter": segmenter,
        "word_vectors": word_vectors,
        "lora_r": lora_r,
        "lora_alpha": lora_alpha,
        "full": full,
        "load_in_4bit": load_in_4bit,
        "gradient_checkpointing": gradient_checkpointing,
        "save_steps": save_steps,
    }
    options = BackendOptions(dtype=dtype.value, device=device, trust_remote_code=trust_remote_code)
    wanted = plan(flags, settings or [], config, cache, options, images, workers, report_to)

    from baselines import identity, progress
    from baselines import trainer as training

    main = os.environ.get("RANK", "0") == "0"
    found = training.train(wanted, progress.on_stderr if main else progress.silent)
    if main:
        print(identity.describe(found["identity"]))
        print(
            f"{found['steps']} steps in {found['seconds']:.0f} s. Run it: halbench run --model {wanted.out} --suite ..."
        )

"""What a training run does: flags override a YAML file, which overrides the published defaults.

# experiments/mdpo_published.yaml
objective: mdpo
epochs: 3
learning_rate: 1e-5
settings: {beta: 0.1}      # fields of the objective's Config
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from halbench.errors import InputError, did_you_mean
from halbench.files.yaml_files import read_yaml
from halbench.settings import Rule, option, parse_arguments, rules
from halbench.types import BackendOptions


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The defaults are mDPO's: arXiv 2406.11839 section 4.1, luka-group/mDPO bunny/config.yaml.

    batch_size: pairs per step, whatever the number of processes. micro_batch_size: None for all of a process's share.
    order: None for the objective's. max_length: image tokens included; longer pairs are left out and counted, nothing
    is truncated. full: all weights but the vision tower's, instead of an adapter. online: see pairs/questions.py; only
    used by objectives with online groups. online_per_step: the objective's group_size is the number of answers to each
    question. detector, segmenter: see view_tools/grounding.py; word_vectors: see view_tools/keywords.py; only used by
    views that look for key objects.
    """

    epochs: int = option(3, "Passes over the pairs.", minimum=1)
    batch_size: int = option(32, "Pairs per step, over all processes.", "--batch-size", "-b", minimum=1)
    micro_batch_size: int | None = option(
        None, "Pairs per forward pass; lower it if memory runs out.", minimum=1, otherwise="all of a step's"
    )
    learning_rate: float = option(1e-5, "Peak learning rate.")
    lr_scheduler: str = option("cosine", "Any of transformers' schedulers.")
    warmup_ratio: float = option(0.1, "Share of the steps with a rising learning rate.")
    weight_decay: float = option(0.05, "Weight decay of AdamW.")
    adam_beta1: float = option(0.9, "First moment decay of AdamW.")
    adam_beta2: float = option(0.98, "Second moment decay of AdamW.")
    max_grad_norm: float = option(1.0, "Gradients are clipped to this norm.")
    lora_r: int = option(64, "Rank of the adapter.", minimum=1)
    lora_alpha: int = option(128, "Scale of the adapter.", minimum=1)
    full: bool = option(False, "Train all weights but the vision tower's, not an adapter.")
    load_in_4bit: bool = option(False, "Load the base model in 4-bit (needs bitsandbytes).")
    gradient_checkpointing: bool = option(False, "Use less memory; slower.")
    order: str | None = option(None, "Order of the pairs: shuffled or curriculum.", otherwise="the objective's")
    max_length: int | None = option(
        None, "Leave out pairs of more tokens than this.", minimum=1, otherwise="the model's limit"
    )
    online: str | None = option(
        None, "Closed questions for MBPO's online groups: scenes, or a JSONL file.", metavar="QUESTIONS"
    )
    online_per_step: int = option(4, "Closed questions per step.", minimum=1)
    online_temperature: float = option(1.0, "Sampling temperature of answers to closed questions.")
    detector: str | None = option(
        None, "Model that finds key objects in pairs without boxes: Grounding DINO or OWLv2.", metavar="MODEL"
    )
    segmenter: str | None = option(
        None, "SAM model that outlines the detected objects, where boxes are too coarse.", metavar="MODEL"
    )
    word_vectors: str | None = option(
        None, "spaCy model for the similarity of key words.", metavar="NAME", otherwise="string similarity"
    )
    max_steps: int | None = option(None, "Stop after this many steps.", minimum=1)
    save_steps: int = option(50, "Steps between checkpoints.", minimum=1)
    seed: int = option(0, "Random seed of the order, the views and the adapter's first weights.")


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained, on what data, and the folder of the result. settings: fields of the objective's Config."""

    objective: str = option(MISSING, "dpo, mdpo, mfpo, mbpo, ... or a .py file.", metavar="NAME")
    model: str = option(
        MISSING, "Checkpoint folder or hub name to start from, or scenes:base.", "--model", "-m", metavar="MODEL"
    )
    data: str = option(MISSING, "Preference pairs: a folder, a file or a hub dataset.", metavar="PAIRS")
    out: Path = option(MISSING, "Folder for the result.", "--out", "-o", metavar="DIR")
    cache: Path | None = option(
        None, "Folder for reference log-probs and expensive views.", metavar="DIR", otherwise="the user's cache"
    )
    images: Path | None = option(
        None,
        "Folder that the pairs' relative image paths start from.",
        metavar="DIR",
        otherwise="the pairs' own folder",
    )
    workers: int = option(0, "Processes that prepare images.", minimum=0)
    report_to: str = option("none", "Where to log training: tensorboard, wandb, ... or none.")
    recipe: Recipe = field(default_factory=Recipe)
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: BackendOptions = field(default_factory=BackendOptions)


NEEDED = ("objective", "model", "data", "out")
MODEL_OPTIONS = ("dtype", "device", "trust_remote_code", "template_kwargs")
"""The fields of BackendOptions that training takes."""


def plan(
    flags: Mapping[str, Any],
    recipe_flags: Mapping[str, Any],
    assignments: Sequence[str] = (),
    config: Path | None = None,
    model_flags: Mapping[str, Any] = MappingProxyType({}),
) -> TrainingPlan:
    """The plan of a command line. flags, recipe_flags, model_flags: the fields of TrainingPlan, Recipe and BackendOptions
    that the user gave, which override a config file. assignments: "beta=0.2" of --set."""
    file = read_config(config) if config else {}
    settings = dict(file.get("settings") or {})
    for assignment in assignments:
        settings |= parse_arguments("--set", assignment)
    written = {name: value for name, value in file.items() if value is not None}
    chosen = {**{name: value for name, value in written.items() if name in PLAN_RULES}, **flags}
    missing = next((name for name in NEEDED if name not in chosen), None)
    if missing is not None:
        raise InputError(f"--{missing} is needed, as an option or in a --config file")
    recipe = Recipe(**{**{name: value for name, value in file.items() if name in RECIPE_RULES}, **recipe_flags})
    options = {**{name: value for name, value in written.items() if name in MODEL_OPTIONS}, **model_flags}
    if recipe.full and recipe.load_in_4bit:
        raise InputError("--full and --load-in-4bit exclude each other: 4-bit weights cannot be trained, only adapted")
    if recipe.segmenter and not recipe.detector:
        raise InputError("--segmenter needs --detector, which finds the objects that it outlines")
    chosen |= {name: str(chosen[name]) for name in ("objective", "model", "data")}
    chosen |= {name: Path(chosen[name]) for name in ("out", "cache", "images") if name in chosen}
    return TrainingPlan(**chosen, recipe=recipe, settings=settings, options=BackendOptions(**options))


def rules_of(kind: type[Any], names: Sequence[str] = ()) -> dict[str, Rule]:
    """The rules of the fields that have a flag, or of those among `names`."""
    return {name: rule for name, rule in rules(kind).items() if rule.flag and (not names or name in names)}


RECIPE_RULES: Mapping[str, Rule] = rules_of(Recipe)
PLAN_RULES: Mapping[str, Rule] = rules_of(TrainingPlan)
RULES: Mapping[str, Rule] = {**RECIPE_RULES, **PLAN_RULES, **rules_of(BackendOptions, MODEL_OPTIONS)}


def read_config(path: Path) -> dict[str, Any]:
    """Option -> value from a YAML file. Raises InputError for an unknown name and a value of the wrong type."""
    return checked_options(path, read_mapping(path), ["settings", *RULES])


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    values = read_yaml(path) or {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected options as 'name: value', found {type(values).__name__}")
    return values


def checked_options(where: Path | str, options: Mapping[Any, Any], known: Sequence[str]) -> dict[str, Any]:
    """The options, those of a recipe in its types. Raises InputError, which starts with `where`, for unknown names."""
    for name in options:
        if name not in known:
            raise InputError(f"{where}: unknown option '{name}'{did_you_mean(str(name), known)}")
    return {name: _value(where, name, value) for name, value in options.items()}


def _value(where: Path | str, name: str, value: Any) -> Any:
    if name == "settings" and not isinstance(value, dict | None):
        raise InputError(f"{where}: settings: expected 'name: value' lines, found {value!r}")
    if name not in RULES:
        return value
    if RULES[name].kind is float and isinstance(value, str):
        with suppress(ValueError):
            value = float(value)  # YAML reads 1e-5, without a point, as text
    return RULES[name](f"{where}: {name}", value)

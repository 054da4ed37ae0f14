"""What a training run is asked to do: flags over a YAML file over the published defaults.

# experiments/mdpo_published.yaml
objective: mdpo
epochs: 3
learning_rate: 1e-5
settings: {beta: 0.1}      # fields of the objective's Config
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from halbench.errors import InputError, did_you_mean
from halbench.suite_options import parse_arguments
from halbench.types import BackendOptions


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The defaults are mDPO's: arXiv 2406.11839 section 4.1, luka-group/mDPO bunny/config.yaml.

    batch_size: pairs per step, whatever the number of processes. micro_batch_size: pairs per forward pass and process;
    None: all of a process's share. order: "shuffled" or "curriculum"; None leaves it to the objective. max_length: tokens
    of prompt and answer, the image's included; None: what the model's positions allow. Longer pairs are left out and
    counted; nothing is cut. full: all weights but the vision tower's, instead of an adapter. online: what an objective with
    online groups (MBPO) asks the policy in each step: "scenes" or a JSONL file, see questions.py; None asks nothing, and other
    objectives leave it unused.
    online_per_step: questions per step, each answered as often as the objective's group_size says.
    detector, segmenter: models that find key objects in pairs without boxes, see grounding.py. word_vectors: spaCy model for
    the similarity of key words, see keywords.py. Views that look for no key objects leave all three unused.
    """

    epochs: int = 3
    batch_size: int = 32
    micro_batch_size: int | None = None
    learning_rate: float = 1e-5
    lr_scheduler: str = "cosine"
    warmup_ratio: float = 0.1
    weight_decay: float = 0.05
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    max_grad_norm: float = 1.0
    lora_r: int = 64
    lora_alpha: int = 128
    full: bool = False
    load_in_4bit: bool = False
    gradient_checkpointing: bool = False
    order: str | None = None
    max_length: int | None = None
    online: str | None = None
    online_per_step: int = 4
    online_temperature: float = 1.0
    detector: str | None = None
    segmenter: str | None = None
    word_vectors: str | None = None
    max_steps: int | None = None
    save_steps: int = 50
    seed: int = 0


def default_cache() -> Path:
    """Where reference log-probs and costly views are kept by default: in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "halbench"


@dataclass(frozen=True)
class TrainingPlan:
    """What the user asks for. data: a folder, a file or a dataset of the hub. settings: fields of the objective's Config.
    images: where relative image paths start from. cache: folder of reference log-probs and costly views, None for the
    user's cache directory. workers: processes that prepare images.
    """

    objective: str
    model: str
    data: str
    out: Path
    cache: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: BackendOptions = field(default_factory=BackendOptions)
    images: Path | None = None
    workers: int = 0
    report_to: str = "none"


WHAT = ("objective", "model", "data", "out")


def plan(
    flags: Mapping[str, Any],
    assignments: Sequence[str],
    config: Path | None,
    cache: Path | None,
    options: BackendOptions,
    images: Path | None = None,
    workers: int = 0,
    report_to: str = "none",
) -> TrainingPlan:
    """The plan of a command line. flags: option -> value, None where it was not given. assignments: "beta=0.2" of --set.
    cache: None for the user's cache directory."""
    written = read_config(config) if config else {}
    given = {name: value for name, value in flags.items() if value is not None}
    merged = {**written, **given}
    settings = dict(written.get("settings") or {})
    for assignment in assignments:
        settings |= parse_arguments("--set", assignment)
    missing = [name for name in WHAT if merged.get(name) is None]
    if missing:
        raise InputError(f"--{missing[0]} is needed, as an option or in a --config file")
    recipe = Recipe(**{name: merged[name] for name in RECIPE_TYPES if name in merged})
    if recipe.full and recipe.load_in_4bit:
        raise InputError("--full and --load-in-4bit exclude each other: 4-bit weights cannot be trained, only adapted")
    if recipe.segmenter and not recipe.detector:
        raise InputError("--segmenter needs --detector, which finds what is outlined")
    objective, model, data, out = (str(merged[name]) for name in WHAT)
    return TrainingPlan(objective, model, data, Path(out), cache, recipe, settings, options, images, workers, report_to)


RECIPE_TYPES: Mapping[str, Any] = {f.name: get_type_hints(Recipe)[f.name] for f in fields(Recipe)}


def read_config(path: Path) -> dict[str, Any]:
    """Option -> value from a YAML file; unknown names and values of another kind are errors."""
    return checked_options(path, read_yaml(path), [*WHAT, "settings", *RECIPE_TYPES])


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds."""
    try:
        found = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected options as 'name: value', found {type(found).__name__}")
    return found


def checked_options(where: Path | str, found: Mapping[Any, Any], known: Sequence[str]) -> dict[str, Any]:
    """The options with those of a recipe as its types want them; names that are not known are errors. where: for these."""
    for name in found:
        if name not in known:
            raise InputError(f"{where}: unknown option '{name}'{did_you_mean(str(name), known)}")
    return {name: _value(where, name, value) for name, value in found.items()}


def _value(where: Path | str, name: str, value: Any) -> Any:
    if name not in RECIPE_TYPES:
        return value
    kinds = get_args(RECIPE_TYPES[name]) or (RECIPE_TYPES[name],)
    if float in kinds and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-5, without a point, as text
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: {name}: expected a number, found {value!r}") from error
    if type(value) not in kinds:
        raise InputError(f"{where}: {name}: expected {kinds[0].__name__}, found {value!r}")
    return value

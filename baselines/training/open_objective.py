"""Opening an objective: a module of baselines.objectives, or a file of the user's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from baselines.types import Logps, Loss, Scored
from halbench import plugins
from halbench.errors import InputError, did_you_mean
from halbench.files.records import dumps, file_hash
from halbench.folders.training_log import RESERVED

OnlineLoss = Callable[[Logps, Logps, Logps, torch.Tensor, torch.Tensor, Any], Loss]
"""(policy, old, reference, rewards, group, config) -> Loss; see objectives/mbpo.py."""


@dataclass(frozen=True)
class Objective:
    """A loaded objective: see baselines/objectives."""

    name: str
    views: tuple[str, ...]
    config: Any
    loss: Callable[[Scored, Any], Loss]
    loss_at_start: Callable[[Any], float | None]
    online_loss: OnlineLoss | None = None


def open_objective(name: str, values: Mapping[str, Any]) -> Objective:
    """The objective `name` (or a path to a .py file) with these fields of its Config. Raises InputError for an unknown
    field, and for a user's file that is no objective; its functions raise it for a result of the wrong type."""
    module = plugins.load("baselines.objectives", name)
    views, config_type, loss, loss_at_start = plugins.required(module, "VIEWS", "Config", "loss", "loss_at_start")
    if not isinstance(views, tuple | list) or not views or not all(isinstance(view, str) for view in views):
        raise InputError(f"{module.__file__}: VIEWS: expected a tuple of names of views, found {views!r}")
    if repeated := next((view for view in views if views.count(view) > 1), None):
        raise InputError(f"{module.__file__}: VIEWS: '{repeated}' is named twice; name each view once")
    plugins.check_call(loss, "scored", "config")
    plugins.check_call(loss_at_start, "config")
    if hasattr(module, "online_loss"):
        plugins.check_call(module.online_loss, "policy", "old", "reference", "rewards", "group", "config")

    def checked_loss(scored: Scored, config: Any) -> Loss:
        return check_loss(loss(scored, config), [*scored.policy.values()], plugins.location(module, "loss"))

    def checked_start(config: Any) -> float | None:
        start: float | None = loss_at_start(config)
        if start is not None and type(start) not in (int, float):
            where = plugins.location(module, "loss_at_start")
            raise InputError(f"{where}: expected a number or None, found {type(start).__name__}")
        return start

    def checked_online(policy: Logps, *others: Any) -> Loss:
        return check_loss(module.online_loss(policy, *others), [policy], plugins.location(module, "online_loss"))

    online = checked_online if hasattr(module, "online_loss") else None
    config = open_config(name, module, config_type, values)
    return Objective(name, tuple(views), config, checked_loss, checked_start, online)


def open_config(name: str, module: ModuleType, config_type: Any, values: Mapping[str, Any]) -> Any:
    """An objective's Config with these values."""
    if not (isinstance(config_type, type) and is_dataclass(config_type)):
        raise InputError(f"{module.__file__}: Config must be a dataclass, found {config_type!r}")
    known = {setting.name: setting for setting in fields(config_type)}
    for key in values:
        if key not in known:
            raise InputError(f"objective '{name}' has no setting '{key}'{did_you_mean(str(key), known)}")
    for key, setting in known.items():
        if key not in values and setting.default is setting.default_factory is MISSING:
            raise InputError(
                f"{module.__file__}: Config: '{key}' has no default; give it one, or name it with --set {key}="
            )
    config = config_type(**{key: setting_value(known[key], value) for key, value in values.items()})
    try:
        dumps(asdict(config))
    except (TypeError, ValueError) as error:
        raise InputError(f"{module.__file__}: Config: a value cannot be written to training.json ({error})") from error
    return config


def setting_value(setting: Field[Any], value: Any) -> Any:
    """A value as the type of a Config's field, which is that of the field's default."""
    if isinstance(setting.default, float) and type(value) in (int, float):
        return float(value)
    if setting.default is not MISSING and type(value) is not type(setting.default):
        raise InputError(f"setting '{setting.name}': expected {type(setting.default).__name__}, found {value!r}")
    return value


def check_loss(loss: Any, policy: Sequence[Logps], where: str) -> Loss:
    """What a loss function returned. Raises InputError unless it is a Loss of one value per pair that the policy can learn
    from, and its terms can be logged."""
    checked, pairs = plugins.checked(loss, Loss, where), len(policy[0].mask)
    for name in plugins.checked(checked.terms, dict, f"{where}: terms"):
        if not isinstance(name, str) or name.split("/")[0] in RESERVED:
            raise InputError(
                f"{where}: terms: {name!r} cannot be the name of a term; text is expected, and none of {', '.join(RESERVED)}, "
                "which training logs itself"
            )
    for name, value in {"per_pair": checked.per_pair, **checked.terms}.items():
        tensor = plugins.checked(value, torch.Tensor, f"{where}: {name}")
        if tensor.shape != (pairs,):
            raise InputError(
                f"{where}: {name}: expected a value for each of {pairs} pairs, found shape {list(tensor.shape)}"
            )
    if not checked.per_pair.requires_grad and any(logps.token.requires_grad for logps in policy):
        raise InputError(f"{where}: per_pair does not depend on the policy's log-probs, so there is nothing to learn")
    return checked


def objective_identity(name: str, objective: Objective) -> dict[str, Any]:
    """Name and settings; for a file also the hash of its text."""
    file = {"file": file_hash(Path(name), 12)} if name.endswith(".py") else {}
    return {"name": Path(name).stem, "config": asdict(objective.config), **file}

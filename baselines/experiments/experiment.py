"""An experiment: objectives x learning rates x seeds, all on one model, one set of pairs and one suite.

# experiments/scenes.yaml
model: scenes:base
pairs: {pairs: 400, seed: 0}        # made by `halbench scenes pairs`; or the path of existing ones
suite: {name: scenes, options: {scenes: 300}}
recipe: {epochs: 2, batch_size: 16}
objectives: {dpo: , mdpo: {settings: {beta: 0.2}}}      # an objective's own options override the recipe
seeds: [0, 1, 2]
learning_rates: [2e-4]
columns: [descriptions/chair, questions/accuracy]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from baselines.training.recipes import RECIPE_RULES, checked_options, read_mapping
from halbench.errors import InputError, did_you_mean
from halbench.evaluation.choice import Acceptance
from halbench.running.plan import Plan
from halbench.scenes_tools.pair_options import PairOptions
from halbench.settings import rules

FIELDS = ("model", "pairs", "suite", "recipe", "objectives", "seeds", "learning_rates", "columns")
PAIR_OPTIONS = tuple(field.name for field in fields(PairOptions) if "flag" in field.metadata)
OVERRIDES = ("settings", *(name for name in RECIPE_RULES if name != "seed"))


@dataclass(frozen=True)
class Cell:
    """One training run with its evaluation. config: the options for `halbench train --config`."""

    objective: str
    learning_rate: float
    seed: int
    config: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The objective's name; of a file, without folder and suffix."""
        return Path(self.objective).stem

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.label}-lr{self.learning_rate:g}-seed{self.seed}"


@dataclass(frozen=True)
class Experiment:
    """What an ablation does. pairs: a path, or how to make them. columns: "group/metric" of the table; empty for the
    suite's main metrics. limit: only the suite's first items. allow: see Acceptance."""

    model: str
    pairs: str | Mapping[str, Any]
    suite: str
    options: Mapping[str, Any]
    limit: int | None
    allow: tuple[str, ...]
    recipe: Mapping[str, Any]
    cells: Sequence[Cell]
    columns: Sequence[str]


def read_experiment(path: Path) -> Experiment:
    """The experiment in a file. Cells are ordered by seed, so that the first ones already compare all objectives."""
    values = read_mapping(path)
    for name in values:
        if name not in FIELDS:
            raise InputError(f"{path}: unknown field '{name}'{did_you_mean(str(name), FIELDS)}")
    for name in ("model", "pairs", "suite", "objectives"):
        if not values.get(name):
            raise InputError(f"{path}: '{name}' is needed")
    pairs = values["pairs"]
    if isinstance(pairs, dict):
        known_only(f"{path}: pairs", pairs, PAIR_OPTIONS)
    suite: dict[str, Any] = (
        {"name": values["suite"]} if isinstance(values["suite"], str) else mapping(path, values, "suite")
    )
    known_only(f"{path}: suite", suite, ("name", "options", "limit", "allow"))
    if "name" not in suite:
        raise InputError(f"{path}: suite: 'name' is needed")
    recipe = checked_options(f"{path}: recipe", mapping(path, values, "recipe"), OVERRIDES[1:])
    return Experiment(
        model=str(values["model"]),
        pairs=pairs if isinstance(pairs, dict) else str(pairs),
        suite=str(suite["name"]),
        options=mapping(path, suite, "options"),
        limit=rules(Plan)["limit"](f"{path}: suite: limit", suite.get("limit")),
        allow=rules(Acceptance)["allow"](f"{path}: suite: allow", suite.get("allow", [])),
        recipe=recipe,
        cells=read_cells(path, values, recipe),
        columns=[str(column) for column in sequence(path, values, "columns", [])],
    )


def read_cells(path: Path, values: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Cell]:
    """Every combination in the file; an objective with a learning rate of its own is trained with that one only."""
    objectives = mapping(path, values, "objectives")
    seeds = sequence(path, values, "seeds", [0])
    rates = sequence(path, values, "learning_rates", [recipe.get("learning_rate", 1e-5)])
    cells = []
    for seed in seeds:
        if type(seed) is not int:
            raise InputError(f"{path}: seeds: expected whole numbers, found {seed!r}")
        for rate in rates:
            for objective in objectives:
                where = f"{path}: objectives: {objective}"
                own = checked_options(where, mapping(f"{path}: objectives", objectives, objective), OVERRIDES)
                if "learning_rate" in own and rate != rates[0]:
                    continue
                config = checked_options(
                    where, {"objective": objective, **recipe, "learning_rate": rate, **own, "seed": seed}, CONFIG
                )
                cells.append(Cell(str(objective), config["learning_rate"], seed, config))
    names = [cell.name for cell in cells]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path}: two cells are called {repeated}; name each objective, seed and learning rate once")
    return cells


CONFIG = ("objective", "settings", *RECIPE_RULES)


def mapping(where: Path | str, values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field of 'name: value' lines; {} if it is missing."""
    value = values.get(name) or {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: {name}: expected 'name: value' lines, found {value!r}")
    return value


def sequence(path: Path, values: Mapping[str, Any], name: str, default: list[Any]) -> list[Any]:
    """A field that is a list."""
    value = values.get(name, default)
    if not isinstance(value, list) or (default and not value):
        raise InputError(f"{path}: {name}: expected a list, found {value!r}")
    return value


def known_only(where: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise InputError for a name that is not known."""
    for name in values:
        if name not in known:
            raise InputError(f"{where}: unknown option '{name}'{did_you_mean(str(name), known)}")

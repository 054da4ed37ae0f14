"""An experiment: objectives x learning rates x seeds, all on one model, one set of pairs and one suite.

# experiments/scenes.yaml
model: scenes:base
pairs: {pairs: 400, seed: 0}        # made by `halbench scenes pairs`; or the path of pairs that are there
suite: {name: scenes, options: {scenes: 300}}
recipe: {epochs: 2, batch_size: 16}
objectives: {dpo: , mdpo: {settings: {beta: 0.2}}}      # what is written here goes over the recipe
seeds: [0, 1, 2]
learning_rates: [2e-4]
columns: [descriptions/chair, questions/accuracy]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.recipes import RECIPE_TYPES, checked_options, read_yaml
from halbench.errors import InputError, did_you_mean

FIELDS = ("model", "pairs", "suite", "recipe", "objectives", "seeds", "learning_rates", "columns")
MADE = ("pairs", "samples", "temperature", "seed")  # options of `halbench scenes pairs`
OVER = ("settings", *(name for name in RECIPE_TYPES if name != "seed"))


@dataclass(frozen=True)
class Cell:
    """One training run with its evaluation. config: what `halbench train --config` takes."""

    objective: str
    learning_rate: float
    seed: int
    config: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The objective's name, also of one that is given as a file."""
        return Path(self.objective).stem

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.label}-lr{self.learning_rate:g}-seed{self.seed}"


@dataclass(frozen=True)
class Experiment:
    """What an ablation is asked to do. pairs: a path, or how they are made. columns: "group/metric" of the table; empty
    for all of the suite's first group. limit: only the suite's first items."""

    model: str
    pairs: str | Mapping[str, Any]
    suite: str
    options: Mapping[str, Any]
    limit: int | None
    recipe: Mapping[str, Any]
    cells: Sequence[Cell]
    columns: Sequence[str]


def read_experiment(path: Path) -> Experiment:
    """An experiment's file. Cells come seed by seed, so that a part of them already compares all objectives."""
    found = read_yaml(path)
    for name in found:
        if name not in FIELDS:
            raise InputError(f"{path}: unknown field '{name}'{did_you_mean(str(name), FIELDS)}")
    for name in ("model", "pairs", "suite", "objectives"):
        if not found.get(name):
            raise InputError(f"{path}: '{name}' is needed")
    pairs = found["pairs"]
    if isinstance(pairs, dict):
        known_only(f"{path}: pairs", pairs, MADE)
    suite: dict[str, Any] = (
        {"name": found["suite"]} if isinstance(found["suite"], str) else mapping(path, found, "suite")
    )
    known_only(f"{path}: suite", suite, ("name", "options", "limit"))
    if "name" not in suite:
        raise InputError(f"{path}: suite: 'name' is needed")
    recipe = checked_options(f"{path}: recipe", mapping(path, found, "recipe"), OVER[1:])
    return Experiment(
        model=str(found["model"]),
        pairs=pairs if isinstance(pairs, dict) else str(pairs),
        suite=str(suite["name"]),
        options=mapping(path, suite, "options"),
        limit=suite.get("limit"),
        recipe=recipe,
        cells=cells(path, found, recipe),
        columns=[str(column) for column in sequence(path, found, "columns", [])],
    )


def cells(path: Path, found: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Cell]:
    """Every combination that the file asks for; an objective that names its own learning rate is trained with that alone."""
    objectives = mapping(path, found, "objectives")
    seeds = sequence(path, found, "seeds", [0])
    rates = sequence(path, found, "learning_rates", [recipe.get("learning_rate", 1e-5)])
    made = []
    for seed in seeds:
        if type(seed) is not int:
            raise InputError(f"{path}: seeds: expected whole numbers, found {seed!r}")
        for rate in rates:
            for objective, over in objectives.items():
                where = f"{path}: objectives: {objective}"
                own = checked_options(where, over or {}, OVER)
                if "learning_rate" in own and rate != rates[0]:
                    continue
                config = checked_options(
                    where, {"objective": objective, **recipe, "learning_rate": rate, **own, "seed": seed}, CONFIG
                )
                made.append(Cell(str(objective), config["learning_rate"], seed, config))
    names = [cell.name for cell in made]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path}: two cells are called {twice}; name each objective, seed and learning rate once")
    return made


CONFIG = ("objective", "settings", *RECIPE_TYPES)


def mapping(path: Path, found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field that holds 'name: value' lines; {} where it is not there."""
    value = found.get(name) or {}
    if not isinstance(value, dict):
        raise InputError(f"{path}: {name}: expected 'name: value' lines, found {value!r}")
    return value


def sequence(path: Path, found: Mapping[str, Any], name: str, default: list[Any]) -> list[Any]:
    """A field that holds a list."""
    value = found.get(name, default)
    if not isinstance(value, list) or (default and not value):
        raise InputError(f"{path}: {name}: expected a list, found {value!r}")
    return value


def known_only(where: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in found:
        if name not in known:
            raise InputError(f"{where}: unknown option '{name}'{did_you_mean(str(name), known)}")

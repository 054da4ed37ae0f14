"""A sweep: models x suites x decodings, as run folders that any other command reads.

    out: runs/sweep
    models:
      base: scenes:base
      tuned: {model: runs/tuned, batch_size: 16}         # any option of the backend; backend: vllm
    suites:
      scenes: {options: {scenes: 100}}
      mmhal: {judge: {model: gpt-4o-2024-08-06}}
    decodings:                                           # none: the suites' published ones
      greedy: {}
      beams: {num_beams: 5}
    backend: {dtype: bfloat16}                           # for all models

    OUT/MODEL/SUITE, or with decodings OUT/MODEL/DECODING/SUITE

A model is loaded once for all its unfinished cells, and not at all if there are none. A cell that fails is named at the end and
does not stop the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from halbench.errors import InputError, did_you_mean
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.evaluation.evaluate import Evaluation, run_settings
from halbench.files.records import as_json
from halbench.files.yaml_files import read_yaml
from halbench.folders.run import RunFolder
from halbench.judging.judgements import check_judging
from halbench.judging.options import JudgeOptions, Judging, judge_options
from halbench.reasoning import Reasoning
from halbench.running.opening import OneModel
from halbench.running.plan import Plan
from halbench.running.run import open_plan, planned_decoding, run
from halbench.running.several import Outcome, attempted
from halbench.settings import Rule, rules
from halbench.types import BackendOptions, Response

FIELDS = ("out", "models", "suites", "decodings", "backend")
MODEL_RULES = rules(BackendOptions) | {"model": Rule(str), "backend": Rule(str)}
SUITE_FIELDS = ("options", "limit", "judge", "judgements", "judge_prompt", "allow", "data", "images")
REASONING = {field.name for field in fields(Reasoning)}
State = Literal["done", "incomplete", "partial", "to do", "other settings"]


@dataclass(frozen=True)
class Cell:
    """One model on one suite under one decoding. out: folder of the sweep. model: its name in the sweep."""

    out: Path
    model: str
    suite: str
    plan: Plan
    choice: SuiteChoice
    options: BackendOptions
    judging: Judging
    acceptance: Acceptance

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.plan.out or Path())

    @property
    def name(self) -> str:
        """Its place among the sweep's folders."""
        return str(self.folder.path)


@dataclass(frozen=True)
class Progress:
    """How far a cell has come. answered: items with an answer, of `items`."""

    state: State
    answered: int
    items: int


def read_sweep(path: Path) -> list[Cell]:
    """The cells of a sweep, model by model. Raises InputError, with the field, for what is unknown or of a wrong type."""
    values = mapping(str(path), read_yaml(path))
    known_only(str(path), values, FIELDS)
    for name in ("models", "suites"):
        if not values.get(name):
            raise InputError(f"{path}: '{name}' is needed: 'name: ...' lines")
    out = Path(Rule(str)(f"{path}: out", values.get("out", f"runs/{path.stem}")))
    common = checked(f"{path}: backend", mapping(f"{path}: backend", values.get("backend")), MODEL_RULES)
    decodings = mapping(f"{path}: decodings", values.get("decodings")) or {"": {}}
    cells = []
    for model, given in mapping(f"{path}: models", values["models"]).items():
        where = f"{path}: models: {model}"
        own = {"model": given} if isinstance(given, str) else mapping(where, given)
        settings = {**common, **checked(where, own, MODEL_RULES)}
        if "model" not in settings:
            raise InputError(f"{where}: 'model' is needed: a checkpoint folder, adapter folder or hub name")
        plan = Plan(settings.pop("model"), settings.pop("backend", "hf"))
        for decoding, arguments in decodings.items():
            generation = mapping(f"{path}: decodings: {decoding}", arguments)
            thoughts = {name: generation[name] for name in REASONING & generation.keys()}
            reasoning = Reasoning(**checked(f"{path}: decodings: {decoding}", thoughts, rules(Reasoning)))
            for suite, asked in mapping(f"{path}: suites", values["suites"]).items():
                where = f"{path}: suites: {suite}"
                one = mapping(where, asked)
                known_only(where, one, SUITE_FIELDS)
                planned = replace(
                    plan,
                    gen_kwargs={name: value for name, value in generation.items() if name not in REASONING},
                    limit=rules(Plan)["limit"](f"{where}: limit", one.get("limit")),
                    out=out / str(model) / str(decoding) / Path(str(suite)).stem,
                    name=", ".join(filter(None, [str(model), str(decoding)])),
                    reasoning=reasoning,
                )
                cells.append(
                    Cell(
                        out,
                        str(model),
                        str(suite),
                        planned,
                        suite_choice(where, str(suite), one),
                        BackendOptions(**settings),
                        judging(where, one),
                        Acceptance(rules(Acceptance)["allow"](f"{where}: allow", one.get("allow", []))),
                    )
                )
    return cells


def suite_choice(where: str, suite: str, values: Mapping[str, Any]) -> SuiteChoice:
    """The suite of a cell with its options and folders."""
    data, images = (Rule(Path | None)(f"{where}: {name}", values.get(name)) for name in ("data", "images"))
    options = mapping(f"{where}: options", values.get("options"))
    return SuiteChoice(data, images, suite, tuple(f"{name}={value}" for name, value in options.items()))


def judging(where: str, values: Mapping[str, Any]) -> Judging:
    """Where a suite's verdicts come from. judge: a model's name, or fields of JudgeOptions."""
    given = values.get("judge") or {}
    judge = {"model": given} if isinstance(given, str) else mapping(f"{where}: judge", given)
    files = [Rule(Path | None)(f"{where}: {name}", values.get(name)) for name in ("judgements", "judge_prompt")]
    return Judging(judge_options(checked(f"{where}: judge", judge, rules(JudgeOptions))), *files)


def check_cells(cells: list[Cell]) -> None:
    """Raise InputError for a suite, option, folder of images or judge that is wrong; each is tried once."""
    seen = set()
    for cell in cells:
        key = (cell.suite, cell.choice, str(cell.plan.gen_kwargs))
        if key not in seen:
            seen.add(key)
            opened = open_plan(cell.plan, cell.choice)
            planned_decoding(cell.plan, opened.suite)
            check_judging(opened.suite, opened.options, opened.task, cell.judging)


def progress_of(cell: Cell) -> Progress:
    """How far a cell has come, by its folder; the model is not opened."""
    opened = open_plan(cell.plan, cell.choice)
    items, folder = len(opened.task.items), cell.folder
    if not folder.manifest_path.is_file():
        return Progress("to do", 0, items)
    answers = {row.item: row for row in folder.read(Response, folder.responses_path)}
    answered = sum(row.state != "error" for row in answers.values())
    manifest = folder.manifest()
    decoding = planned_decoding(cell.plan, opened.suite)
    planned = as_json(run_settings(opened.suite, opened.options, opened.task, {}, decoding, cell.plan.limit))
    recorded = folder.manifest_row()["settings"]
    if answers and ({**recorded, "model": {}} != planned or changed(cell, manifest.settings.model)):
        return Progress("other settings", answered, items)
    if manifest.status not in ("complete", "incomplete") or answered < items:
        return Progress("partial" if answered else "to do", answered, items)
    return Progress("done" if manifest.status == "complete" else "incomplete", answered, items)


def changed(cell: Cell, recorded: Mapping[str, Any]) -> bool:
    """Whether the checkpoint of a cell is another one than the recorded; only asked where its files are at hand."""
    if "fingerprint" not in recorded or cell.plan.backend not in ("hf", "vllm"):
        return False
    from halbench.models.checkpoints import find_checkpoint  # imports torch

    found = find_checkpoint(cell.plan.model, cell.options.base).identity()
    return any(recorded.get(name) != found.get(name) for name in ("fingerprint", "adapter"))


def run_cells(cells: list[Cell]) -> Iterator[tuple[Cell, Outcome | None]]:
    """Each cell with its outcome; None for one that was finished before."""
    models: dict[str, OneModel] = {}
    for cell in cells:
        if cell.model not in models:
            models = {cell.model: OneModel(cell.plan, cell.options)}  # the one before is let go
        outcome = attempted(cell.plan, cell.choice, partial(run_unfinished, cell, models[cell.model]))
        yield cell, None if outcome.evaluation is None and outcome.problem is None else outcome


def run_unfinished(cell: Cell, model: OneModel) -> tuple[Evaluation, RunFolder] | None:
    """What `run` returns; None for a finished cell."""
    if finished(cell):
        return None
    return run(cell.plan, cell.choice, cell.options, cell.judging, cell.acceptance, model)


def finished(cell: Cell) -> bool:
    """Whether nothing is left to do: all items are answered and judged."""
    found = progress_of(cell)
    if found.state != "incomplete":
        return found.state == "done"
    coverage = cell.folder.manifest().coverage or {}
    return not any(coverage.get(name) for name in ("errors", "missing", "unscored"))


def mapping(where: str, value: Any) -> dict[str, Any]:
    """'name: value' lines; {} for nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected 'name: value' lines, found {value!r}")
    return value


def known_only(where: str, values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in values:
        if name not in known:
            raise InputError(f"{where}: unknown field '{name}'{did_you_mean(str(name), known)}")


def checked(where: str, values: Mapping[str, Any], known: Mapping[str, Rule]) -> dict[str, Any]:
    """The values, each of the type of its field."""
    known_only(where, values, tuple(known))
    return {name: known[name](f"{where}: {name}", value) for name, value in values.items()}

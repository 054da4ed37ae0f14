"""Several runs in one go: everything is checked before a model is loaded, each model is loaded once for all its runs, and a run
that fails does not take the others with it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from halbench.errors import FolderInUse, InputError, MissingData, did_you_mean, first_sentence, outside_cause
from halbench.evaluation.choice import NOTHING_ALLOWED, SUITES, Acceptance, SuiteChoice
from halbench.evaluation.evaluate import Evaluation, default_folder
from halbench.evaluation.suites import load_suite
from halbench.folders.run import RunFolder
from halbench.judging.options import NO_JUDGING, Judging
from halbench.plugins import users_mistake
from halbench.running.opening import OneModel
from halbench.running.plan import Plan
from halbench.running.run import Generated, SuiteTask, check_plan, generate_run, open_plan, run
from halbench.settings import rules
from halbench.terminal.progress import say, say_trace
from halbench.types import BackendOptions

T = TypeVar("T")
FAILED = ".failed"


@dataclass(frozen=True)
class Cell:
    """One of several runs. model: its name among them. suite: as the user named it. plan: with its run folder."""

    model: str
    suite: str
    plan: Plan
    choice: SuiteChoice
    options: BackendOptions
    judging: Judging = NO_JUDGING
    acceptance: Acceptance = NOTHING_ALLOWED

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.plan.out or Path())

    @property
    def name(self) -> str:
        """Its run folder."""
        return str(self.folder.path)

    @property
    def failure(self) -> Path:
        """The file that says why its last run failed, beside its run folder."""
        return self.folder.path.with_name(self.folder.path.name + FAILED)


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a cell. result: None if there is none: it was finished before, it failed, or this is not the first of
    several ranks. problem: why it failed. in_use: another process is at work on it."""

    cell: Cell
    result: T | None = None
    problem: str | None = None
    in_use: bool = False


class Suites:
    """The suites of several cells, each opened once."""

    def __init__(self) -> None:
        self.opened: dict[str, SuiteTask | MissingData] = {}

    def of(self, cell: Cell) -> SuiteTask:
        """The suite of a cell. Raises MissingData if its data or all its images are missing."""
        key = repr((cell.choice, cell.plan.limit, cell.plan.backend == "replay"))
        if key not in self.opened:
            try:
                self.opened[key] = open_plan(cell.plan, cell.choice)
            except MissingData as error:
                self.opened[key] = error
        found = self.opened[key]
        if isinstance(found, MissingData):
            raise found
        return found

    def missing(self, cells: Iterable[Cell]) -> dict[str, str]:
        """Suite -> what is missing of it."""
        problems = {}
        for cell in cells:
            try:
                self.of(cell)
            except MissingData as error:
                problems[cell.suite] = str(error)
        return problems

    def check(self, cells: Sequence[Cell]) -> None:
        """Raise InputError for a suite, option, generation setting or judge that is wrong. Suites whose data are missing are
        named; their cells will fail."""
        missing = self.missing(cells)
        for suite, problem in missing.items():
            say(f"{suite} is left out: {problem}")
        checked = set()
        for cell in cells:
            key = repr((cell.choice, cell.plan.gen_kwargs, cell.plan.reasoning, cell.judging))
            if cell.suite not in missing and key not in checked:
                check_plan(cell.plan, self.of(cell), cell.judging)
                checked.add(key)


def suite_cells(
    plan: Plan,
    choice: SuiteChoice,
    options: BackendOptions,
    judging: Judging,
    acceptance: Acceptance,
    suites: Suites,
) -> list[Cell]:
    """A cell for every suite in `choice.suite`, "amber,pope"; several are written to the folder of the plan by their names."""
    names = suite_names(choice.suite or "")
    cells = []
    for name, settings in assigned(names, choice.settings).items():
        suite = load_suite(name)
        out = default_folder(plan.model, suite) if plan.out is None else plan.out
        if plan.out is not None and len(names) > 1:
            out = plan.out / suite.name
        own = replace(choice, suite=name, settings=settings)
        cells.append(Cell(plan.model, name, replace(plan, out=out), own, options, judging, acceptance))
    if repeated := [out for out, times in Counter(cell.name for cell in cells).items() if times > 1]:
        raise InputError(
            f"--suite {choice.suite}: two of these are suites of one name, and would both write {repeated[0]}"
        )
    return cells if len(cells) == 1 else with_judge_where_needed(cells, suites)


def with_judge_where_needed(cells: Sequence[Cell], suites: Suites) -> list[Cell]:
    """The cells, those of suites that need no judge without one. Raises InputError if that leaves the judge without work, or
    files of a judge to several suites."""
    missing = suites.missing(cells)
    judged = [cell.suite for cell in cells if cell.suite in missing or suites.of(cell).task.judge]
    judging = cells[0].judging
    if (judging.judge or judging.stored) and not judged:
        raise InputError(
            f"none of {', '.join(cell.suite for cell in cells)} needs a judge with these options; omit it, or see --set"
        )
    if (judging.stored or judging.prompt) and len(judged) > 1:
        raise InputError(
            f"--judgements and --judge-prompt belong to one suite, but {' and '.join(judged)} need a judge; run them one by one"
        )
    return [cell if cell.suite in judged else replace(cell, judging=NO_JUDGING) for cell in cells]


def suite_names(text: str) -> list[str]:
    """ "amber,pope" -> ["amber", "pope"]. Raises InputError if none is named, or one twice."""
    names = [part for name in text.split(",") if (part := name.strip())]
    if not names:
        raise InputError(f"--suite is needed: {SUITES}")
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--suite {text}: '{repeated}' is named twice")
    return names


def assigned(suites: Sequence[str], settings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Suite -> its options: "amber.similarity=spacy" for one suite, "similarity=spacy" for all that have such an option."""
    known = {name: rules(load_suite(name).options) for name in suites}
    own: dict[str, list[str]] = {name: [] for name in suites}
    for setting in settings:
        option = setting.partition("=")[0]
        named, dot, _ = option.partition(".")
        takers = [name for name in suites if Path(name).stem == named] if dot else []
        if takers:
            own[takers[0]].append(setting.partition(".")[2])
            continue
        takers = list(suites) if len(suites) == 1 else [name for name in suites if option in known[name]]
        if not takers:
            options = {field for fields in known.values() for field in fields}
            raise InputError(
                f"--set {setting}: none of {', '.join(suites)} has the option '{option}'{did_you_mean(option, options)}"
            )
        for name in takers:
            own[name].append(setting)
    return {name: tuple(values) for name, values in own.items()}


def run_each(
    cells: Iterable[Cell], suites: Suites, go: Callable[[Cell, SuiteTask, OneModel], T | None]
) -> Iterator[Outcome[T]]:
    """The outcome of each cell, as it ends; a model is loaded once for the cells that follow each other."""
    model: OneModel | None = None
    name = None
    for cell in cells:
        if model is None or cell.model != name:
            if model is not None:
                model.close()
            model, name = OneModel(cell.plan, cell.options), cell.model
        try:
            outcome: Outcome[T] = Outcome(cell, go(cell, suites.of(cell), model))
        except FolderInUse as error:
            outcome = Outcome(cell, problem=str(error), in_use=True)
        except Exception as error:
            outcome = Outcome(cell, problem=reason(error))
        yield outcome


def reason(error: Exception) -> str:
    """An exception in one line; the trace of one that nobody foresaw is printed."""
    line = str(error) if isinstance(error, InputError) else users_mistake(error) or outside_cause(error)
    if line is None:
        say_trace()
        line = f"{type(error).__name__}: {first_sentence(error)} (not foreseen; its trace is above)"
    return line


def run_cell(cell: Cell, opened: SuiteTask, model: OneModel) -> tuple[Evaluation, RunFolder] | None:
    """See `run`."""
    return run(cell.plan, cell.choice, cell.options, cell.judging, cell.acceptance, model, opened)


def generate_cell(cell: Cell, opened: SuiteTask, model: OneModel) -> Generated | None:
    """See `generate_run`."""
    return generate_run(cell.plan, cell.choice, cell.options, model, opened)

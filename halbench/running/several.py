"""Several suites in one go: everything is checked before the model is loaded, it is loaded once, and a suite that fails does
not take the others with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from halbench.errors import InputError, did_you_mean
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.evaluation.evaluate import Evaluation, default_folder
from halbench.evaluation.suites import load_suite
from halbench.folders.run import RunFolder
from halbench.judging.judgements import check_judging
from halbench.judging.options import NO_JUDGING, Judging
from halbench.running.opening import OneModel
from halbench.running.plan import Plan
from halbench.running.run import open_plan, run
from halbench.settings import rules
from halbench.terminal.progress import say
from halbench.types import BackendOptions


@dataclass(frozen=True)
class Outcome:
    """What became of one suite. evaluation: None if it failed, and on all but the first of several ranks. problem: why."""

    suite: str
    folder: RunFolder
    evaluation: Evaluation | None
    problem: str | None = None


def suite_names(text: str) -> list[str]:
    """ "amber,pope" -> ["amber", "pope"]. Raises InputError if one is named twice."""
    names = [part for name in text.split(",") if (part := name.strip())]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--suite {text}: '{repeated}' is named twice")
    return names


def run_suites(
    plan: Plan, choice: SuiteChoice, options: BackendOptions, judging: Judging, acceptance: Acceptance
) -> list[Outcome]:
    """The outcome of every suite in `choice.suite`, "amber,pope", in its order. Raises InputError, before the model is
    loaded, for a suite, option, folder of images or judge that is wrong."""
    names = suite_names(choice.suite or "")
    choices = [replace(choice, suite=name, settings=own) for name, own in assigned(names, choice.settings).items()]
    plans = []
    for one in choices:
        suite = load_suite(one.suite or "")
        out = plan.out / suite.name if plan.out else default_folder(plan.model, suite)
        plans.append(replace(plan, out=out))
        opened = open_plan(plans[-1], one)
        check_judging(suite, opened.options, opened.task, judging if opened.task.judge else NO_JUDGING)
    model, outcomes = OneModel(plan, options), []
    for own, one in zip(plans, choices, strict=True):
        go = partial(run, own, one, options, judging_of(own, one, judging), acceptance, model)
        outcomes.append(attempted(own, one, go))
        if problem := outcomes[-1].problem:
            say(f"{one.suite}: {problem}")
    return outcomes


def judging_of(plan: Plan, choice: SuiteChoice, judging: Judging) -> Judging:
    """The judge, for suites that need one."""
    return judging if open_plan(plan, choice).task.judge else NO_JUDGING


def attempted(plan: Plan, choice: SuiteChoice, go: Callable[[], tuple[Evaluation, RunFolder] | None]) -> Outcome:
    """The outcome of one suite; an InputError is its problem."""
    folder, name = RunFolder(plan.out or Path()), choice.suite or ""
    try:
        done = go()
    except InputError as error:
        return Outcome(name, folder, None, str(error))
    return Outcome(name, folder, done[0] if done else None)


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
        takers = [name for name in suites if option in known[name]]
        if not takers:
            options = {field for fields in known.values() for field in fields}
            raise InputError(
                f"--set {setting}: none of {', '.join(suites)} has the option '{option}'{did_you_mean(option, options)}"
            )
        for name in takers:
            own[name].append(setting)
    return {name: tuple(values) for name, values in own.items()}

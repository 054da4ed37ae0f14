"""halbench generate: the first half of `halbench run`; the answers are scored later or elsewhere."""

from typing import TYPE_CHECKING

import typer

from halbench.cli.flags import with_flags
from halbench.evaluation.choice import SuiteChoice
from halbench.reasoning import Reasoning
from halbench.running.plan import Plan
from halbench.types import BackendOptions

if TYPE_CHECKING:
    from halbench.running.run import Generated


def add_to(app: typer.Typer) -> None:
    app.command(help="Generate a model's answers to a suite, to be scored later.")(with_flags(generate))


def generate(plan: Plan, choice: SuiteChoice, reasoning: Reasoning, backend: BackendOptions) -> None:
    from dataclasses import replace

    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.evaluation.choice import NOTHING_ALLOWED
    from halbench.judging.options import NO_JUDGING
    from halbench.running import run as running
    from halbench.running.ranks import init_ranks
    from halbench.running.several import Suites, generate_cell, run_each, suite_cells
    from halbench.terminal.progress import say

    suites, plan = Suites(), replace(plan, reasoning=reasoning)
    cells = suite_cells(plan, choice, backend, NO_JUDGING, NOTHING_ALLOWED, suites)
    if len(cells) == 1:
        generated = running.generate_run(cells[0].plan, cells[0].choice, backend)
        raise typer.Exit(report(generated) if generated else OK)
    suites.check(cells)
    code, is_main = OK, init_ranks().is_main
    for outcome in run_each(cells, suites, generate_cell):
        if outcome.result:
            code = max(code, report(outcome.result))
        elif outcome.problem and is_main:
            say(f"FAILED: {outcome.cell.suite}: {outcome.problem}")
            code = BAD_INPUT_OR_INCOMPLETE
    raise typer.Exit(code)


def report(generated: "Generated") -> int:
    """Print what was generated; the exit code is 2 where answers are lacking."""
    from collections import Counter

    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.terminal.lines import show

    states = Counter(response.state for response in generated.responses)
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    show(f"{generated.folder.responses_path}: {len(generated.responses)} responses ({counts})")
    return BAD_INPUT_OR_INCOMPLETE if states["error"] or states["unfinished"] else OK

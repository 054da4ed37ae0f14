"""halbench generate: the first half of `halbench run`; the answers are scored later or elsewhere."""

import typer

from halbench.cli.flags import with_flags
from halbench.evaluation.choice import SuiteChoice
from halbench.reasoning import Reasoning
from halbench.running.plan import Plan
from halbench.types import BackendOptions


def add_to(app: typer.Typer) -> None:
    app.command(help="Generate a model's answers to a suite, to be scored later.")(with_flags(generate))


def generate(plan: Plan, choice: SuiteChoice, reasoning: Reasoning, backend: BackendOptions) -> None:
    from collections import Counter
    from dataclasses import replace

    from halbench.errors import BAD_INPUT_OR_INCOMPLETE, OK
    from halbench.running import run as running
    from halbench.terminal.lines import show

    generated = running.generate_run(replace(plan, reasoning=reasoning), choice, backend)
    if generated is None:  # not the first rank of several
        return
    states = Counter(response.state for response in generated.responses)
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    show(f"{generated.folder.responses_path}: {len(generated.responses)} responses ({counts})")
    raise typer.Exit(BAD_INPUT_OR_INCOMPLETE if states["error"] or states["unfinished"] else OK)

"""`halbench doctor`: does the installation work, and is the data right?

Exit codes: 0 no problems (optional parts may be missing); 2 problems, which are listed last.
With --checkpoint MODEL: what that checkpoint needs; 2 if it cannot run on this machine.
With --batch-parity MODEL: 0 if the model gives the same answers one by one and in batches, 2 if not.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halbench.cli.flags import Only, with_flags
from halbench.cli.options import AsJson
from halbench.errors import BAD_INPUT_OR_INCOMPLETE
from halbench.evaluation.choice import DataChoice
from halbench.types import BackendOptions

if TYPE_CHECKING:
    from halbench.doctor.batch_parity import Parity


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(with_flags(doctor))


def doctor(
    *,
    choice: Annotated[DataChoice, Only("data")],
    backend: Annotated[BackendOptions, Only("dtype", "device", "base", "trust_remote_code")],
    checkpoint: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Say what this checkpoint needs, and whether it is there.")
    ] = None,
    batch_parity: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Compare this model's answers at batch size 1 and in batches.")
    ] = None,
    items: Annotated[int, typer.Option(min=1, metavar="N", help="Number of questions for --batch-parity.")] = 32,
    batch_size: Annotated[
        int, typer.Option(min=2, metavar="N", help="Batch size to compare with 1, for --batch-parity.")
    ] = 8,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with photographs for --batch-parity. Default: drawn shapes."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check versions, device, NLTK resources and data; or a checkpoint (--checkpoint); or (--batch-parity) that batching
    changes no answer."""
    from halbench.doctor.batch_parity import check_batch_parity
    from halbench.doctor.checks import examine
    from halbench.files.records import dumps
    from halbench.terminal.lines import show
    from halbench.terminal.progress import say

    if batch_parity is not None:
        parity = check_batch_parity(batch_parity, items, batch_size, images, backend)
        show(*([dumps(parity)] if as_json else parity_text(parity)))
        raise typer.Exit(BAD_INPUT_OR_INCOMPLETE if parity.first_difference else 0)
    if checkpoint is not None:
        from halbench.doctor.checkpoint_needs import examine_checkpoint

        findings = examine_checkpoint(checkpoint, backend)
    else:
        findings = examine(choice.open())
    problems = [finding for finding in findings if finding.state == "problem"]
    if as_json:
        show(dumps({"ok": not problems, "findings": findings}))
    else:
        for finding in findings:
            show(f"{'-' if finding.state == 'none' else finding.state:8} {finding.name:18} {finding.detail}")
        for problem in problems:
            say(f"{problem.name}: {problem.detail}")
    raise typer.Exit(BAD_INPUT_OR_INCOMPLETE if problems else 0)


def parity_text(parity: "Parity") -> list[str]:
    """How many answers are the same, and the first that is not."""
    lines = [f"{parity.identical} of {parity.items} answers are the same at batch size 1 and {parity.batch_size}"]
    if (first := parity.first_difference) is not None:
        lines += [
            f"first difference, {first.image}, {first.prompt!r}:",
            f"  alone:      {first.alone!r}",
            f"  in a batch: {first.in_batch!r}",
        ]
    return lines

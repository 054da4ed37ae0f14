"""The `halbench` command: one module per verb, each with one function named like it.

Verbs import what they need when they are called, so that `halbench --help` starts at once and needs no torch.
Results go to stdout, progress and complaints to stderr.
"""

import atexit
import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

from halbench.errors import BUG, INCOMPLETE, INTERRUPTED, OK, InputError, told_by

VERBS = (
    "run",
    "generate",
    "score",
    "compare",
    "gate",
    "report",
    "view",
    "data",
    "doctor",
    "scenes",
    "views",
    "train",
    "ablate",
    "lmms_path",
)
"""In the order in which a new user meets them, which is the order of --help."""


def main(verbs: tuple[str, ...] = VERBS) -> None:
    """Run the command line; one line per mistake of the user, a trace only for ours."""
    import typer

    app = typer.Typer(
        name="halbench",
        help="Does this model say things that are not in the image? Object HalBench, AMBER, MMHal-Bench, CHAIR and POPE.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback(invoke_without_command=True)
    def version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
        if version:
            from halbench import __version__

            typer.echo(f"halbench {__version__}")
            raise typer.Exit

    for verb in verbs:
        importlib.import_module(f"halbench.cli.{verb}").add_to(app)
    # Typer carries its own copy of click, so click's classes have to be reached through a public one of typer's.
    usage_error: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    try:
        # Not through app(): it would end a broken pipe with 1, which here says that a gate found a regression.
        command = typer.main.get_command(app)
        with command.make_context("halbench", sys.argv[1:]) as context:
            command.invoke(context)
        sys.stdout.flush()
        leave(OK)
    except typer.Exit as ended:
        leave(ended.exit_code)
    except InputError as error:
        print(f"halbench: {error}", file=sys.stderr)
        leave(error.code)
    except (KeyboardInterrupt, typer.Abort):
        print("halbench: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        leave(INTERRUPTED)
    except BrokenPipeError:
        # The reader has seen enough (`halbench score ... | head`). Nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(OK)
    except Exception as error:
        if isinstance(error, usage_error):
            error.show()
            leave(INCOMPLETE)
        if (told := told_by(error)) is not None:
            print(f"halbench: {told}", file=sys.stderr)
            leave(INCOMPLETE)
        traceback.print_exc()
        print("halbench: this is a bug in halbench; please report the trace above", file=sys.stderr)
        leave(BUG)


def leave(code: int) -> NoReturn:
    """End the process. One of several that torch connected ends at once: while Python takes down torch's threads it
    aborts now and then, and a launcher then calls a finished run a failed one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)

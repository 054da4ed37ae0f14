"""The `halbench` command: one module per subcommand, each with one function named like it.

Subcommands import what they need when they are called, so that `halbench --help` is fast and needs no torch. Results go to
stdout, progress and error messages to stderr.
"""

import atexit
import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

from halbench.errors import BAD_INPUT_OR_INCOMPLETE, BUG, INTERRUPTED, OK, InputError, outside_cause
from halbench.plugins import users_mistake

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
    "preview_pairs",
    "train",
    "ablate",
    "lmms_path",
)
"""In the order in which a new user needs them, which is the order in --help."""

RENAMED = {"views": "preview-pairs"}


def main(verbs: tuple[str, ...] = VERBS) -> None:
    """Run the command line: one line for a mistake of the user, a trace only for a bug of ours."""
    import typer

    app = typer.Typer(
        name="halbench",
        help="Does this model say things that are not in the image, and does a training objective make it better?",
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
        # Not app(): it would exit with 1 on a broken pipe, which is the exit code for a regression.
        command: Any = typer.main.get_command(app)
        command.commands = {name: command.commands[name] for name in (verb.replace("_", "-") for verb in verbs)}
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
        print("halbench: interrupted; repeat the command to resume", file=sys.stderr)
        leave(INTERRUPTED)
    except BrokenPipeError:
        # The reader has stopped reading (`halbench score ... | head`), so nothing must be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(OK)
    except SystemExit as error:
        if (line := users_mistake(error)) is None:
            raise
        print(f"halbench: {line}", file=sys.stderr)
        leave(BAD_INPUT_OR_INCOMPLETE)
    except Exception as error:
        if isinstance(error, usage_error):
            error.show()
            if (verb := next(iter(sys.argv[1:]), "")) in RENAMED:
                print(
                    f"halbench: {verb} is now called {RENAMED[verb]}: halbench {RENAMED[verb]} --help", file=sys.stderr
                )
            leave(BAD_INPUT_OR_INCOMPLETE)
        if (line := outside_cause(error) or users_mistake(error)) is not None:
            print(f"halbench: {line}", file=sys.stderr)
            leave(BAD_INPUT_OR_INCOMPLETE)
        traceback.print_exc()
        print("halbench: this is a bug in halbench; please report the trace above", file=sys.stderr)
        leave(BUG)


def leave(code: int) -> NoReturn:
    """End the process; one of several that torch connected ends at once. Otherwise Python sometimes aborts while it stops
    torch's threads, and the launcher then reports a finished run as failed."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)

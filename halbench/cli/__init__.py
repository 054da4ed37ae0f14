"""The `halbench` command: one module per subcommand, each with one function named like it.

Subcommands import what they need when they are called, so that `halbench --help` is fast and needs no torch. Results go to
stdout, progress and error messages to stderr.
"""

import atexit
import importlib
import os
import sys
from typing import IO, Any, NoReturn

from halbench.errors import BAD_INPUT_OR_INCOMPLETE, BUG, INTERRUPTED, OK, InputError, outside_cause
from halbench.files.interruption import interruptible
from halbench.plugins import users_mistake
from halbench.terminal.progress import say, say_trace

VERBS = (
    "run",
    "generate",
    "sweep",
    "score",
    "compare",
    "gate",
    "judges",
    "report",
    "view",
    "data",
    "doctor",
    "scenes",
    "preview_pairs",
    "convert",
    "train",
    "ablate",
    "lmms_path",
)
"""In the order in which a new user needs them, which is the order in --help."""

RENAMED = {"views": "preview-pairs"}


def main(verbs: tuple[str, ...] = VERBS) -> None:
    """Run the command line: one line for a mistake of the user, a trace only for a bug of ours."""
    import typer

    try:
        with interruptible():
            run_command(verbs)
            sys.stdout.flush()
        leave(OK)
    except typer.Exit as ended:
        leave(ended.exit_code)
    except InputError as error:
        say(error)
        leave(error.code)
    except (KeyboardInterrupt, typer.Abort) as error:
        say_if_read("interrupted; repeat the command to resume")
        leave(getattr(error, "code", INTERRUPTED))
    except BrokenPipeError:
        # The reader has stopped reading (`halbench score ... | head`), so nothing must be flushed at exit.
        silence(sys.stdout)
        leave(OK)
    except SystemExit as error:
        if (line := users_mistake(error)) is None:
            raise
        say(line)
        leave(BAD_INPUT_OR_INCOMPLETE)
    except Exception as error:
        # Typer carries its own copy of click, so click's classes cannot be imported.
        if any(kind.__name__ == "ClickException" for kind in type(error).__mro__):
            error.show()  # type: ignore[attr-defined]
            if (verb := next(iter(sys.argv[1:]), "")) in RENAMED:
                say(f"{verb} is now called {RENAMED[verb]}: halbench {RENAMED[verb]} --help")
            leave(BAD_INPUT_OR_INCOMPLETE)
        if (line := users_mistake(error) or outside_cause(error)) is not None:
            say(line)
            leave(BAD_INPUT_OR_INCOMPLETE)
        say_trace()
        say("this is a bug in halbench; please report the trace above")
        leave(BUG)


def run_command(verbs: tuple[str, ...]) -> None:
    """The subcommand that the arguments of this process name."""
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
    # Not app(): it would exit with 1 on a broken pipe, which is the exit code for a regression.
    command: Any = typer.main.get_command(app)
    command.commands = {name: command.commands[name] for name in (verb.replace("_", "-") for verb in verbs)}
    with command.make_context("halbench", sys.argv[1:]) as context:
        command.invoke(context)


def say_if_read(line: str) -> None:
    """Print a line on stderr, unless its terminal is gone (SIGHUP)."""
    try:
        say(line)
    except OSError:
        for stream in (sys.stdout, sys.stderr):
            silence(stream)


def silence(stream: IO[str]) -> None:
    """Let what is still written to a stream go nowhere; a failing flush at exit would change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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

"""The command line as a whole: its help, unknown subcommands, and which failures are whose."""

import subprocess
import sys

import pytest

from halbench.cli import VERBS


def test_help_names_every_verb_in_the_order_in_which_a_new_user_needs_them(halbench):
    done = halbench("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == [verb.replace("_", "-") for verb in VERBS]


def test_the_version_is_printed(halbench):
    from halbench import __version__

    assert halbench("--version").stdout == f"halbench {__version__}\n"


def test_a_mistyped_verb_gets_a_suggestion_and_exit_code_2(halbench):
    done = halbench("compar")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'compar'. Did you mean 'compare'?" in done.stderr


def test_a_verb_that_was_renamed_is_pointed_out(halbench):
    done = halbench("views", "--pairs", "p")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("halbench: views is now called preview-pairs: halbench preview-pairs --help\n")
    assert halbench("preview-pairs", "--help").returncode == 0


def after(tmp_path, code, *arguments):
    """The command line in a process in which `code` ran before, next to a response file a.json."""
    (tmp_path / "a.json").write_text("[]")
    program = (
        f"import sys\n{code}\nfrom halbench import cli\nsys.argv = ['halbench', *{list(arguments)!r}]\ncli.main()\n"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1800)


BREAK = "import halbench.evaluation.choice as module\ndef broken(*_): raise {}\nmodule.open_data = broken"


def test_a_bug_of_ours_has_its_trace_and_an_exit_code_of_its_own(tmp_path):
    done = after(tmp_path, BREAK.format("KeyError('ours')"), "score", "--suite", "pope", "--responses", "a.json")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("halbench: this is a bug in halbench; please report the trace above\n")


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        ("OSError(28, 'No space left on device', 'runs/a')", "a file cannot be read or written"),
        ("OSError(30, 'Read-only file system', 'a.png')", "a file cannot be read or written"),
        ("RuntimeError('I/O error: No space left on device (os error 28)')", "a file cannot be read or written"),
        ("ModuleNotFoundError('no torch', name='torch')", "this needs: pip install 'halbench[hf]' (no module 'torch')"),
    ],
)
def test_a_full_disk_and_a_missing_extra_are_one_line_wherever_they_are_met(tmp_path, raised, line):
    done = after(tmp_path, BREAK.format(raised), "score", "--suite", "amber", "--responses", "a.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert line in done.stderr


def test_an_interruption_says_how_to_resume(tmp_path):
    done = after(tmp_path, BREAK.format("KeyboardInterrupt"), "score", "--suite", "pope", "--responses", "a.json")
    assert (done.returncode, done.stderr) == (130, "halbench: interrupted; repeat the command to resume\n")


def test_a_reader_that_stops_reading_is_no_failure(tmp_path):
    command = f"{sys.executable} -m halbench run --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=1800)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("0", "")


@pytest.mark.parametrize("verb", ["report", "view"])
def test_reports_name_their_extra_before_anything_is_read(tmp_path, verb):
    hidden = "import importlib.util\nfind = importlib.util.find_spec\n"
    hidden += "importlib.util.find_spec = lambda name: None if name == 'jinja2' else find(name)"
    done = after(tmp_path, hidden, *(["report", "all", "x"] if verb == "report" else ["view", "x"]))
    assert done.returncode == 2
    assert done.stderr == f"halbench: halbench {verb} needs: pip install 'halbench[reports]' (no module 'jinja2')\n"

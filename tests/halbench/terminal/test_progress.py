"""Progress: lines in a log while work runs, bars on a terminal, silence in all processes but the first."""

import io
import subprocess
import sys
import threading

import pytest

from halbench.terminal import progress as module
from halbench.terminal.progress import duration, progress, say, tracked

WORK = """
import sys
from halbench.terminal import progress
progress.SECONDS_BETWEEN_LINES = 0.0
with progress.progress("training", total=3) as steps:
    for step in range(3):
        steps.advance(note=f"loss {step}")
        print("step", step, file=sys.stderr, flush=True)
"""


@pytest.fixture
def every_step(monkeypatch):
    """A line for every step."""
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)


class Terminal(io.StringIO):
    """Keeps what is written to a terminal."""

    def isatty(self) -> bool:
        return True


def run(**environment: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, env=environment, check=True)
    return done.stderr.splitlines()


def test_a_log_file_gets_lines_while_work_runs():
    lines = run()
    assert [line.split(",")[0] for line in lines[::2]] == [f"halbench: training: {n} of 3" for n in (1, 2, 3)]
    assert lines[1::2] == ["step 0", "step 1", "step 2"]
    assert lines[0].endswith("loss 0")


def test_only_the_first_of_several_processes_shows_progress():
    assert run(RANK="1") == ["step 0", "step 1", "step 2"]
    assert len(run(RANK="0")) == 6


def test_lines_are_30_seconds_apart_and_the_last_one_is_always_shown(capsys):
    with progress("responses", total=1004, done=120) as steps:
        for _ in range(5):
            steps.advance()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("halbench: responses: 125 of 1,004, ")
    assert "/s, " in line
    assert line.endswith(" left")


def test_work_that_does_nothing_shows_nothing(capsys):
    with progress("responses", total=5, done=5):
        pass
    assert capsys.readouterr().err == ""


def test_a_last_line_is_not_repeated(capsys, every_step):
    assert list(tracked("ab", "items")) == ["a", "b"]
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "halbench: items: 1 of 2",
        "halbench: items: 2 of 2",
    ]


def test_bytes_are_shown_in_megabytes_and_a_total_may_come_late(capsys, every_step):
    with progress("amber.zip", unit="bytes") as steps:
        steps.advance(1_500_000)
        steps.set_total(3_000_000)
        steps.advance(1_500_000)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("halbench: amber.zip: 1.5 MB, ")
    assert last.startswith("halbench: amber.zip: 3.0 MB of 3.0 MB, ")
    assert "MB/s" in last


def test_displays_may_be_nested(capsys, every_step):
    with progress("cells", 1) as outer:
        with progress("steps", 2) as inner:
            inner.advance(2)
        outer.advance()
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "halbench: steps: 2 of 2",
        "halbench: cells: 1 of 1",
    ]


def test_several_threads_advance_one_display(capsys):
    with progress("replies", 4000) as steps:
        threads = [threading.Thread(target=lambda: [steps.advance() for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "halbench: replies: 4,000 of 4,000" in capsys.readouterr().err


def test_a_terminal_gets_one_display_with_a_bar_for_each_nested_work(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("cells", 2) as outer:
        with progress("steps", 4, done=1) as inner:
            inner.advance(3, note="2 errors")
            say("a line above the bars")
            assert module.shared.users == 2
        outer.advance(2)
    assert (module.shared.display, module.shared.users) == (None, 0)
    shown = terminal.getvalue()
    for part in ("cells", "steps", "4/4", "2/2", "2 errors", "halbench: a line above the bars"):
        assert part in shown


def test_the_display_is_closed_when_work_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(RuntimeError), progress("steps", 4):
        raise RuntimeError
    assert module.shared.display is None


def test_a_line_without_a_display_goes_to_standard_error(capsys):
    say("[1, 2] items")
    assert capsys.readouterr().err == "halbench: [1, 2] items\n"


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (215, "3 min 35 s"), (7800, "2 h 10 min")])
def test_durations_are_rounded_to_two_units(seconds, text):
    assert duration(seconds) == text

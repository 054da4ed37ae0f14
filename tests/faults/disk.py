"""A full disk, a file that may grow no further, a folder that cannot be written, and two processes on one folder: one line and
exit code 2, what was written is kept, and the same command goes on once that is mended."""

import codecs
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.faults.forked import TRACE, command, fork, kill, wait, warm_up
from tests.faults.kills import CAMPAIGNS as KILLS
from tests.faults.kills import LIMIT_S, Work, works
from tests.faults.table import Row

N_FULL, N_TWO = 30, 20
COMMANDS = ("kills of run", "kills of score", "kills of report")
assert set(COMMANDS) <= set(KILLS)


def prepared(root: Path) -> tuple[dict[str, Work], dict[str, object]]:
    """The commands, and what each ends with when nothing disturbs it."""
    made = {name: work for name, work in works(root, "http://127.0.0.1:9/v1").items() if name in COMMANDS}
    expected = {}
    for name, work in made.items():
        out = root / f"reference {work.name}"
        warm_up(command(work.arguments(out)), root)
        expected[name] = work.result(out)
    return made, expected


def one_line(log: Path, row: Row, what: str, code: int | None) -> None:
    """A refused command says so in one line."""
    output = log.read_bytes()
    log.unlink()
    last = output.decode(errors="replace").rstrip().rpartition("\n")[2]
    if code is None:
        row.broke("hangs", what)
    elif TRACE in output or code == 70:
        row.broke("traces", f"{what}: {output[-500:]!r}")
    elif code != 2 or not last.startswith("halbench: "):
        row.broke("unclear", f"{what}: exit code {code}: {last}")
    else:
        row.note("one line, exit code 2")


def resumed(work: Work, out: Path, expected: object, log: Path, row: Row, what: str) -> None:
    """The same command, undisturbed, ends as if nothing had happened."""
    code = wait(fork(command(work.arguments(out)), log), LIMIT_S)
    if code != 0:
        row.broke("lost", f"{what}: afterwards exit code {code}: {log.read_text()[-400:]}")
    elif work.result(out) != expected:
        row.broke("silent", f"{what}: other results afterwards")
    else:
        row.note("the same command ended as undisturbed")
    log.unlink(missing_ok=True)


def full_disk(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    """A file system that is full after so many bytes: a small tmpfs as root, else a limit on the size of files."""
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    random, small = Random(seed), root / "small"
    small.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], capture_output=True).returncode == 0
    )
    kind = "a tmpfs with 0 to 120 kB left" if mounted else "`ulimit -f` of 0 to 120 kB (no tmpfs could be mounted)"
    row = Row("a full disk is one line, and the same command goes on", kind)
    try:
        made, expected = prepared(root)
        for number in range(max(1, int(N_FULL * share))):
            name = COMMANDS[number % len(COMMANDS)]
            out, log, room = small / "out", root / "log", random.choice((0, random.randrange(120_000)))
            call = command(made[name].arguments(out))
            if mounted:
                fill(small / "filler", room)
            pid = fork(call if mounted else limited(call, room), log)
            code = wait(pid, LIMIT_S)
            row.count += 1
            what = f"{made[name].name}, {room} bytes"
            if code is None:
                kill(pid)
            if code == 0:
                row.note("had room enough")
                log.unlink()
            else:
                one_line(log, row, what, code)
            (small / "filler").unlink(missing_ok=True)
            resumed(made[name], out, expected[name], log, row, what)
            if left := list(out.rglob("*.partial")):
                row.broke("lost", f"{what}: left behind {left}")
            shutil.rmtree(out)
    finally:
        if mounted:
            subprocess.run(["umount", small], check=True)
    if work is None:
        shutil.rmtree(root)
    return [row]


def fill(filler: Path, room: int) -> None:
    """Leave so many bytes on a file system, to the page."""
    state = os.statvfs(filler.parent)
    with suppress(OSError), filler.open("wb") as file:
        file.write(b"\0" * max(0, state.f_bavail * state.f_frsize - room))


def limited(call: Callable[[], None], room: int) -> Callable[[], None]:
    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        call()

    return work


def read_only(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    """Folders that cannot be written, as a user who is not root."""
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    row = Row(
        "a folder that cannot be written is one line",
        "read-only folders, a file in the folder's place, a name too long",
    )
    made, _ = prepared(root)
    closed, place = root / "closed", root / "place"
    closed.mkdir()
    place.write_text("a file")
    for one in made.values():
        for what, out in (
            ("read-only", closed / "out"),
            ("read-only itself", closed),
            ("a file", place),
            ("below a file", place / "out"),
            ("a long name", root / ("x" * 300)),
        ):
            closed.chmod(0o555)
            root.chmod(0o777)
            pid = fork(
                as_nobody(command(one.arguments(out))) if "read-only" in what else command(one.arguments(out)),
                root / "log",
            )
            code = wait(pid, LIMIT_S)
            row.count += 1
            one_line(root / "log", row, f"{one.name}: {what}", code)
            closed.chmod(0o755)
    if work is None:
        shutil.rmtree(root)
    return [row]


def as_nobody(call: Callable[[], None]) -> Callable[[], None]:
    """Root may write everywhere, so another user tries."""

    def work() -> None:
        if os.getuid() == 0:
            codecs.lookup("unicode-escape")  # for templates, while the interpreter's own files can still be read
            os.setgid(65534)
            os.setuid(65534)
        call()

    return work


def two_processes(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    """Two processes begin in one folder at nearly the same moment: one works, the other is told."""
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    random = Random(seed)
    row = Row("two processes never write one run folder", "the same command twice at once, 0 to 300 ms apart")
    made, expected = prepared(root)
    for number in range(max(1, int(N_TWO * share))):
        name = COMMANDS[number % 2]
        out, logs = root / f"two{number}", [root / "log0", root / "log1"]
        pids = [fork(command(made[name].arguments(out)), logs[0])]
        early = wait(pids[0], random.uniform(0, 0.3))
        pids.append(fork(command(made[name].arguments(out)), logs[1]))
        row.count += 1
        codes = [wait(pids[0], LIMIT_S) if early is None else early, wait(pids[1], LIMIT_S)]
        for code, log in zip(codes, logs, strict=True):
            if code == 0:
                log.unlink()
                row.note("ended as undisturbed")
            elif b"another halbench is writing" in log.read_bytes():
                log.unlink()
                row.note("told that another process writes there")
            else:
                one_line(log, row, f"{made[name].name} twice", code)
        if 0 not in codes:
            row.broke("lost", f"neither ended: {codes}")
        elif made[name].result(out) != expected[name]:
            row.broke("silent", f"{made[name].name} twice: other results")
        shutil.rmtree(out)
    if work is None:
        shutil.rmtree(root)
    return [row]


CAMPAIGNS = {"full disk": full_disk, "read-only": read_only, "two processes": two_processes}

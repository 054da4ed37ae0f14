"""`halbench sweep`, and `halbench run` and `generate` with several suites: kills, jobs, processes, what is printed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_sweeps import MODELS, written

HALBENCH = [sys.executable, "-m", "halbench"]
FEW = {"few": {"suite": "scenes", "options": {"scenes": 2}, "limit": 4, "allow": ["cut", "empty"]}}


def results(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("results.json")}


@pytest.mark.slow
def test_a_killed_sweep_ends_with_the_results_of_an_undisturbed_one(folder):
    undisturbed, killed = written(folder, "undisturbed"), written(folder, "killed")
    command = [*HALBENCH, "sweep"]
    assert subprocess.run([*command, undisturbed], capture_output=True).returncode == 0
    process = subprocess.Popen([*command, killed], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list((folder / "killed").rglob("scores.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = len(results(folder / "killed"))
    assert left < 9, "the sweep was to be killed half-way"
    again = subprocess.run([*command, killed, "--json"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert [cell["state"] for cell in json.loads(again.stdout)] == ["done"] * 9
    assert results(folder / "killed") == results(folder / "undisturbed")
    assert len(results(folder / "killed")) == 9
    report = ["report", "leaderboard", folder / "killed", "-f", "md", "-o", folder / "report"]
    assert subprocess.run([*HALBENCH, *report], capture_output=True).returncode == 0
    table = (folder / "report/leaderboard_models.md").read_text()
    assert all(f"\n| {name}, short |".replace("_", "\\_") in table for name in MODELS), table


@pytest.mark.slow
def test_the_printed_jobs_give_the_cells_of_the_sweep(folder, halbench, tmp_path):
    models = {"llava": str(folder / "llava"), "the next one": str(folder / "llava_next")}
    file = written(folder, "a sweep", models=models, suites=FEW)
    lines = halbench("sweep", file, "--jobs").stdout.splitlines()
    assert [shlex.split(line)[-1] for line in lines] == ["llava", "the next one"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in lines:
        done = subprocess.run(line, shell=True, capture_output=True, text=True, env={**os.environ, "PATH": path})
        assert done.returncode == 0, done.stderr
    assert halbench("sweep", file, "--jobs").stdout == ""
    whole = written(folder, "whole", models=models, suites=FEW)
    assert halbench("sweep", whole).returncode == 0
    assert results(folder / "a sweep") == results(folder / "whole")
    assert len(results(folder / "whole")) == 2


@pytest.mark.slow
def test_a_model_whose_process_dies_takes_no_other_with_it(folder, halbench):
    (folder / "dies.py").write_text(
        "import os, signal\n\ndef open_backend(model, options):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    models = {"dies": {"model": "x", "backend": str(folder / "dies.py")}, "llava": str(folder / "llava")}
    settings = {"backend": {"batch_size": 16}, "models": models, "suites": FEW}
    done = halbench("sweep", written(folder, "dies", **settings))
    assert done.returncode == 2
    assert [row.split()[2] for row in done.stdout.splitlines()[3:5]] == ["failed", "done"]
    assert "dies/short/few: the process of this model was ended by SIGKILL" in done.stderr


def test_status_names_what_is_done_failed_and_left(folder, halbench):
    models = {"absent": str(folder / "absent"), "llava": str(folder / "llava")}
    file = written(folder, "status", models=models, suites=FEW)
    assert halbench("sweep", file, "--status").stdout.count("to do") == 2
    assert halbench("sweep", file, "--only", "llava").returncode == 0
    assert halbench("sweep", file, "--only", "absent").returncode == 2
    shown = halbench("sweep", file, "--status")
    assert [row.split()[2] for row in shown.stdout.splitlines()[3:5]] == ["failed", "done"]
    assert "FAILED: " in shown.stderr
    assert "absent does not exist" in shown.stderr
    assert "did you mean 'llava'" in halbench("sweep", file, "--only", "lava").stderr


def test_a_cell_that_another_process_works_on_is_left_alone(folder, halbench):
    from halbench.folders.run import RunFolder

    file = written(folder, "shared", models={"m": str(folder / "llava")}, suites=FEW)
    with RunFolder(folder / "shared/m/short/few").lock():
        done = halbench("sweep", file)
    assert (done.returncode, "another process is at work on it" in done.stderr) == (2, True)
    assert list((folder / "shared").rglob("*.failed")) == []


def several(folder: Path, *more: object) -> tuple[object, ...]:
    settings = ("--set", "scenes=2", "--set", "shapes.questions=4", "--gen-kwargs", "max_new_tokens=4")
    return ("--model", folder / "llava", *settings, "--images", folder / "images", *more)


def test_suites_repeated_or_joined_by_commas_are_the_same_on_the_command_line(folder, halbench):
    own, rest = str(folder / "shapes.py"), several(folder, "--allow", "cut,empty", "--json")
    joined = halbench("run", "--suite", f"scenes,{own}", *rest)
    repeated = halbench("run", "--suite", "scenes", "--suite", own, *rest, "--out", "again")
    assert (joined.returncode, repeated.returncode) == (0, 0), joined.stderr
    assert [one["suite"] for one in json.loads(joined.stdout)] == ["scenes", "shapes"]
    assert json.loads(joined.stdout) == json.loads(repeated.stdout)


def test_several_suites_can_be_generated_and_planned(folder, halbench, tmp_path):
    names = ("--suite", f"scenes,{folder / 'shapes.py'}")
    planned = halbench("run", *names, *several(folder, "--dry-run"))
    assert [line.partition(": ")[2] for line in planned.stdout.splitlines()] == [
        "12 of 12 answers to generate; no judge is asked",
        "4 of 4 answers to generate; no judge is asked",
    ]
    done = halbench("generate", *names, *several(folder, "--out", "g"))
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout == "g/scenes/responses.jsonl: 12 responses (12 ok)\ng/shapes/responses.jsonl: 4 responses (4 ok)\n"
    )


def test_a_suite_that_fails_is_in_the_json_and_in_the_exit_code(folder, halbench):
    rest = ("--model", folder / "llava", "--gen-kwargs", "max_new_tokens=4", "--allow", "cut,empty", "--limit", "4")
    done = halbench("run", "--suite", f"{folder / 'shapes.py'},scenes", *rest, "--images", folder, "--json")
    assert done.returncode == 2
    failed, scored = json.loads(done.stdout)
    assert "none of the 3 images of shapes exists" in failed["error"]
    assert (scored["suite"], scored["complete"]) == ("scenes", True)


@pytest.mark.slow
def test_ranks_stay_together_when_a_cell_is_in_use_or_fails(folder):
    from halbench.folders.run import RunFolder

    suites = {**FEW, "more": {**FEW["few"], "options": {"scenes": 4}, "limit": 12}}
    models = {"absent": str(folder / "absent"), "llava": str(folder / "llava")}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    file = written(folder, "ranks", models=models, suites=suites)
    with RunFolder(folder / "ranks/llava/short/few").lock():
        done = subprocess.run([*torchrun, "-m", "halbench", "sweep", file], capture_output=True, text=True)
    states = [line.split()[2] for line in done.stdout.splitlines() if "/short/" in line]
    assert states == ["failed", "failed", "to", "done"], done.stderr
    one = written(folder, "one", models={"llava": models["llava"]}, suites=suites)
    assert subprocess.run([*HALBENCH, "sweep", one], capture_output=True).returncode == 0
    assert (
        results(folder / "ranks")["llava/short/more/results.json"]
        == results(folder / "one")["llava/short/more/results.json"]
    )

"""Many models on many suites: everything checked first, each model loaded once, what is finished kept, failures named."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_checkpoints
import yaml

from halbench.errors import InputError
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.folders.run import RunFolder
from halbench.judging.options import NO_JUDGING
from halbench.models import checkpoints
from halbench.running import sweep
from halbench.running.plan import Plan
from halbench.running.several import assigned, run_suites, suite_names
from halbench.types import BackendOptions

CPU = BackendOptions(device="cpu", dtype="float32", batch_size=16)
ALL = Acceptance(("empty", "cut"))
SHAPES = """
from dataclasses import dataclass
from pathlib import Path
from halbench.responses.matching import match_by_id_or_question
from halbench.types import Decoding, Item, Metric, Score, Suite, Task

@dataclass(frozen=True)
class Options:
    questions: int = 6

def load(data, options, rows):
    items = [Item(str(n), (Path(__file__).parent / f"{n % 3}.png",), f"Is there a dog in picture {n}?", "yes", "all") for n in range(options.questions)]
    def score(item, response, judgement):
        return Score.of(item, {"right": int("y" in response.text), "answers": 1}, {"answer": "yes"})
    return Task(items, score, {})

def match(items, rows):
    return match_by_id_or_question(items, rows, "0 to 5")

RIGHT = Metric("right", lambda c: c["right"] / c["answers"], "higher", ratio=("right", "answers"), main=("all",))
SUITE = Suite("shapes", "1", "Shapes", Options, Decoding(max_new_tokens=6), (RIGHT,), {"all": ("all",)}, load, match)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny checkpoints and a suite of one's own."""
    from PIL import Image

    root = tmp_path_factory.mktemp("sweep")
    for name in ("llava", "llava_next", "idefics3"):
        getattr(tiny_checkpoints, name)(root / name)
    (root / "shapes.py").write_text(SHAPES)
    for number in range(3):
        Image.new("RGB", (60, 40), (80 * number, 30, 200)).save(root / f"{number}.png")
    return root


def written(folder: Path, name: str, **changes: object) -> Path:
    """A sweep of three models over three suites, on the CPU."""
    values: dict[str, object] = {
        "out": str(folder / name),
        "models": {model: str(folder / model) for model in ("llava", "llava_next", "idefics3")},
        "suites": {
            "scenes": {"options": {"scenes": 3}, "allow": ["cut", "empty"]},
            str(folder / "shapes.py"): {"allow": ["cut", "empty"]},
        },
        "decodings": {"short": {"max_new_tokens": 5}},
        "backend": {"device": "cpu", "dtype": "float32", "batch_size": 16},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values | changes, sort_keys=False))
    return path


def outcomes(file: Path) -> dict[str, str]:
    """Place of each cell below the sweep's folder -> what became of it."""
    cells = sweep.read_sweep(file)
    sweep.check_cells(cells)
    return {
        "/".join(cell.folder.path.parts[-3:]): "kept" if outcome is None else outcome.problem or "run"
        for cell, outcome in sweep.run_cells(cells)
    }


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that are loaded from now on."""
    names, load = [], checkpoints.load_model

    def counted(source, *arguments):
        names.append(Path(source).name)
        return load(source, *arguments)

    monkeypatch.setattr(checkpoints, "load_model", counted)
    return names


def test_each_model_is_loaded_once_and_not_at_all_when_its_cells_are_finished(folder, monkeypatch):
    loaded = opened(monkeypatch)
    file = written(folder, "once")
    assert set(outcomes(file).values()) == {"run"}
    assert loaded == ["llava", "llava_next", "idefics3"]
    assert set(outcomes(file).values()) == {"kept"}
    assert loaded == ["llava", "llava_next", "idefics3"]
    manifest = RunFolder(folder / "once/llava/short/scenes").manifest()
    assert (manifest.name, manifest.signature.count("max_new_tokens=5")) == ("llava, short", 1)


def test_a_model_that_cannot_be_opened_does_not_stop_the_others(folder):
    models = {"absent": str(folder / "absent"), "llava": str(folder / "llava")}
    found = outcomes(written(folder, "broken", models=models))
    assert {name.split("/")[0]: "does not exist" in outcome for name, outcome in found.items()} == {
        "absent": True,
        "llava": False,
    }


def test_a_cell_that_lacks_answers_is_resumed_and_one_of_another_checkpoint_is_refused(folder):
    file = written(folder, "resumed", models={"m": str(folder / "llava")})
    outcomes(file)
    cell = folder / "resumed/m/short/scenes"
    rows = (cell / "responses.jsonl").read_text().splitlines(keepends=True)
    (cell / "responses.jsonl").write_text("".join(rows[:5]))
    assert sweep.progress_of(sweep.read_sweep(file)[0]).state == "partial"
    assert outcomes(file) == {"m/short/scenes": "run", "m/short/shapes": "kept"}
    other = written(folder, "resumed", models={"m": str(folder / "llava_next")})
    assert sweep.progress_of(sweep.read_sweep(other)[0]).state == "other settings"
    assert all("made with other settings" in outcome for outcome in outcomes(other).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": {}}, "unknown field 'modles'; did you mean 'models'"),
        ({"models": None}, "'models' is needed"),
        ({"models": {"m": {"modle": "x"}}}, "models: m: unknown field 'modle'; did you mean 'model'"),
        ({"models": {"m": {"model": "x", "batch_size": "big"}}}, "models: m: batch_size: expected"),
        ({"suites": {"amberr": None}}, "did you mean 'amber'"),
        ({"suites": {"scenes": {"options": {"scene": 3}}}}, "unknown option 'scene'; did you mean 'scenes'"),
        ({"suites": {"scenes": {"judge": {"modl": "x"}}}}, "suites: scenes: judge: unknown field 'modl'"),
        ({"decodings": {"a": {"max_new_tokens": 0}}}, "max_new_tokens=0: expected a whole number from 1"),
        ({"decodings": {"a": {"max_reasoning_tokens": 0}}}, "max_reasoning_tokens: expected at least 1"),
    ],
)
def test_a_mistake_is_named_before_any_model_is_loaded(folder, monkeypatch, changes, message):
    loaded = opened(monkeypatch)
    with pytest.raises(InputError, match=message):
        sweep.check_cells(sweep.read_sweep(written(folder, "mistake", **changes)))
    assert loaded == []


@pytest.mark.slow
def test_a_killed_sweep_ends_with_the_results_of_an_undisturbed_one(folder):
    undisturbed, killed = written(folder, "undisturbed"), written(folder, "killed")
    command = [sys.executable, "-m", "halbench", "sweep"]
    assert subprocess.run([*command, undisturbed], capture_output=True).returncode == 0
    process = subprocess.Popen([*command, killed], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list((folder / "killed").rglob("scores.jsonl")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert subprocess.run([*command, killed], capture_output=True).returncode == 0
    results = sorted(
        path.relative_to(folder / "undisturbed") for path in (folder / "undisturbed").rglob("results.json")
    )
    assert len(results) == 6
    for path in results:
        assert (folder / "killed" / path).read_bytes() == (folder / "undisturbed" / path).read_bytes()
    out = folder / "report"
    report = [sys.executable, "-m", "halbench", "report", "leaderboard", folder / "killed", "-f", "md", "-o", out]
    assert subprocess.run(report, capture_output=True).returncode == 0
    rows = [
        line.split("|")[1].strip() for line in (out / "leaderboard_models.md").read_text().splitlines() if "|" in line
    ]
    assert {"llava, short", "llava\\_next, short", "idefics3, short"} <= set(rows), rows


def test_jobs_are_one_command_for_each_model_with_something_left(folder, halbench):
    file = written(folder, "jobs")
    lines = halbench("sweep", file, "--jobs").stdout.splitlines()
    assert [line.rpartition("--only ")[2] for line in lines] == ["llava", "llava_next", "idefics3"]
    assert halbench("sweep", file, "--only", "llava").returncode == 0
    assert len(halbench("sweep", file, "--jobs").stdout.splitlines()) == 2
    status = halbench("sweep", file, "--status").stdout
    assert (status.count("done"), status.count("to do")) == (2, 4)
    assert "did you mean 'llava'" in halbench("sweep", file, "--only", "lava").stderr


def test_several_suites_load_the_model_once_and_write_a_folder_each(folder, monkeypatch, tmp_path):
    loaded = opened(monkeypatch)
    choice = SuiteChoice(suite=f"scenes,{folder / 'shapes.py'}", settings=("scenes=3", "shapes.questions=4"))
    plan = Plan(str(folder / "llava"), out=tmp_path, gen_kwargs={"max_new_tokens": 5})
    first, second = run_suites(plan, choice, CPU, NO_JUDGING, ALL)
    assert (first.evaluation.coverage.items, second.evaluation.coverage.items) == (18, 4)
    assert [outcome.folder.path for outcome in (first, second)] == [tmp_path / "scenes", tmp_path / "shapes"]
    assert loaded == ["llava"]


def test_a_mistake_in_the_last_suite_shows_before_the_model_is_loaded(folder, monkeypatch, tmp_path):
    loaded = opened(monkeypatch)
    plan = Plan(str(folder / "llava"), out=tmp_path)
    with pytest.raises(InputError, match="none of scenes, amber has the option 'similarty'; did you mean 'similarity'"):
        run_suites(plan, SuiteChoice(suite="scenes,amber", settings=("similarty=exact",)), CPU, NO_JUDGING, ALL)
    with pytest.raises(InputError, match="'scenes' is named twice"):
        suite_names("scenes,amber,scenes")
    assert loaded == []


def test_an_option_goes_to_the_suites_that_have_it_or_to_the_one_it_names():
    given = ("captions=pattern", "answers=strict", "amber.similarity=spacy")
    assert assigned(["amber", "chair"], given) == {
        "amber": ("answers=strict", "similarity=spacy"),
        "chair": ("captions=pattern",),
    }


def test_suites_repeated_or_joined_by_commas_are_the_same_on_the_command_line(folder, halbench):
    rest = (
        "--model",
        folder / "llava",
        "--set",
        "scenes=2",
        "--gen-kwargs",
        "max_new_tokens=4",
        "--allow",
        "cut,empty",
    )
    own = str(folder / "shapes.py")
    joined = halbench("run", "--suite", f"scenes,{own}", *rest, "--json")
    repeated = halbench("run", "--suite", "scenes", "--suite", own, *rest, "--json", "--out", "again")
    assert (joined.returncode, repeated.returncode) == (0, 0), joined.stderr
    assert [one["suite"] for one in json.loads(joined.stdout)] == ["scenes", "shapes"]
    assert json.loads(joined.stdout) == json.loads(repeated.stdout)

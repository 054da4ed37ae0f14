"""What an ablation does before its first step."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_ablation import write_experiment

from baselines.experiments.ablation import ablate, in_order
from baselines.experiments.commands import AblationSetup
from baselines.experiments.experiment import read_experiment
from halbench.errors import InputError
from halbench.folders.ablation import AblationFolder

HOLD = """
import sys
from pathlib import Path
from halbench.folders.ablation import AblationFolder
with AblationFolder(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_two_ablations_never_write_one_folder(tmp_path: Path):
    experiment = read_experiment(write_experiment(tmp_path))
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="another halbench is writing to this folder"):
            ablate(experiment, AblationSetup(AblationFolder(tmp_path / "out")))
        other.communicate("")
    assert not (tmp_path / "out" / "ablation.json").exists()


def test_cells_are_recorded_in_the_experiments_order(tmp_path: Path):
    experiment = read_experiment(write_experiment(tmp_path, "sft: , dpo: ", "[0, 1]"))
    sft, dpo, sft_1, dpo_1 = (cell.name for cell in experiment.cells)
    assert list(in_order({"old": 1, dpo_1: 2, dpo: 3, sft: 4}, experiment)) == [sft, dpo, dpo_1, "old"]
    assert sft_1 not in in_order({dpo: 1}, experiment)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("dpo: ", "dop: ", "unknown objective 'dop'; did you mean 'dpo'"),
        ("dpo: ", "dpo: {settings: {betta: 1}}", "objective 'dpo' has no setting 'betta'"),
        ("scenes: 6", "scene: 6", "'scene'"),
    ],
)
def test_what_would_fail_in_every_cell_is_refused_before_the_first(tmp_path: Path, old, new, complaint):
    path = write_experiment(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=complaint):
        ablate(read_experiment(path), AblationSetup(AblationFolder(tmp_path / "out")))
    assert not (tmp_path / "out").exists()

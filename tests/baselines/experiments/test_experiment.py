"""An experiment's file: its cells, and the mistakes in it."""

import pytest
from paths import ROOT
from small_ablation import SMALL, write_experiment

from baselines.experiments.experiment import read_experiment
from halbench.errors import InputError

EXPERIMENT = ROOT / "experiments" / "scenes.yaml"


def test_the_shipped_experiment_has_four_objectives_two_controls_and_three_seeds():
    cells = read_experiment(EXPERIMENT).cells
    assert len({cell.name for cell in cells}) == 18
    assert {cell.objective for cell in cells} == {"dpo", "mdpo", "mfpo", "mbpo", "dpo_anchor", "sft"}
    assert {cell.seed for cell in cells} == {0, 1, 2}


def test_all_objectives_come_before_the_next_seed(tmp_path):
    cells = read_experiment(write_experiment(tmp_path, "dpo: , sft: ", "[3, 4]")).cells
    assert [cell.name for cell in cells] == [
        *("dpo-lr0.0001-seed3", "sft-lr0.0001-seed3", "dpo-lr0.0001-seed4", "sft-lr0.0001-seed4")
    ]


def test_an_objective_writes_over_the_recipe_and_may_have_its_own_learning_rate(tmp_path):
    text = SMALL.replace("[1e-4]", "[1e-4, 1e-5]")
    cells = read_experiment(
        write_experiment(tmp_path, "dpo: , sft: {learning_rate: 3e-4, epochs: 5}", "[0]", text)
    ).cells
    assert [cell.name for cell in cells] == ["dpo-lr0.0001-seed0", "sft-lr0.0003-seed0", "dpo-lr1e-05-seed0"]
    assert [cell.config.get("epochs") for cell in cells] == [None, 5, None]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("suite:", "suit:", "unknown field 'suit'; did you mean 'suite'"),
        ("samples: 4", "sample: 4", "pairs: unknown option 'sample'"),
        ("lora_r: 8", "lora: 8", "recipe: unknown option 'lora'"),
        ("lora_r: 8", "lora_r: eight", "lora_r: expected a whole number, found 'eight'"),
        ("lora_r: 8", "seed: 8", "recipe: unknown option 'seed'"),
        ("lora_r: 8", "lora_r: 0", "lora_r: expected at least 1, found 0"),
        ("{scenes: 6}", "{scenes: 6}, limit: 0", "suite: limit: expected at least 1, found 0"),
        ("{scenes: 6}", "{scenes: 6}, allow: [short]", "suite: allow: expected .*, found"),
        ("dpo: ", "dpo: 0.2", "objectives: dpo: expected 'name: value' lines, found 0.2"),
        ("[1e-4]", "[1e-4, 0.0001]", "two cells are called dpo-lr0.0001-seed0"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, old, new, complaint):
    with pytest.raises(InputError, match=complaint):
        read_experiment(write_experiment(tmp_path, text=SMALL.replace("OBJECTIVES", "dpo: ").replace(old, new)))


def test_the_demo_s_experiment_can_be_read():
    assert {cell.label for cell in read_experiment(ROOT / "experiments" / "demo.yaml").cells} == {"dpo", "mdpo", "sft"}


def test_options_of_pairs_are_those_of_the_command(tmp_path):
    text = SMALL.replace("samples: 4", "samples: 4, temperature: 0.7, seed: 3")
    assert read_experiment(write_experiment(tmp_path, text=text)).pairs == {
        "pairs": 8,
        "samples": 4,
        "temperature": 0.7,
        "seed": 3,
    }

"""Options of a training run: flags over the YAML file over the published defaults."""

from pathlib import Path

import pytest
from paths import ROOT

from baselines.training.recipes import Recipe, plan, read_config
from halbench.errors import InputError

EXPERIMENTS = ROOT / "experiments"
FLAGS = {"objective": "dpo", "model": "m", "data": "d", "out": "o"}


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    config = write(
        tmp_path,
        "objective: mdpo\nepochs: 7\nlearning_rate: 1e-4\nsettings: {beta: 0.3, delta: 1}\n"
        "cache: kept\nworkers: 2\ndevice: cpu\ndtype: float32\n",
    )
    chosen = plan({"model": "m", "data": "d", "out": "o"}, {"epochs": 2}, ["beta=0.2"], config, {"dtype": "bfloat16"})
    assert (chosen.objective, chosen.recipe.epochs, chosen.recipe.learning_rate) == ("mdpo", 2, 1e-4)
    assert chosen.recipe.batch_size == Recipe().batch_size
    assert chosen.settings == {"beta": 0.2, "delta": 1}
    assert (chosen.cache, chosen.workers) == (Path("kept"), 2)
    assert (chosen.options.device, chosen.options.dtype) == ("cpu", "bfloat16")


def test_the_defaults_are_the_published_recipe():
    written = read_config(EXPERIMENTS / "mdpo_published.yaml")
    defaults = Recipe()
    published = {name: value for name, value in written.items() if name not in ("objective", "micro_batch_size")}
    assert len(published) == 11
    assert {name: getattr(defaults, name) for name in published} == published


def test_the_scenes_recipe_can_be_read():
    assert read_config(EXPERIMENTS / "scenes_train.yaml")["learning_rate"] == 2e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", "unknown option 'epoch'; did you mean 'epochs'"),
        ("epochs: three", "epochs: expected a whole number, found 'three'"),
        ("learning_rate: fast", "learning_rate: expected a number, found 'fast'"),
        ("- epochs", "expected options as 'name: value', found list"),
        ("epochs: [", "cannot be read as YAML"),
        ("epochs: 0", "epochs: expected at least 1, found 0"),
        ("lora_r: -4", "lora_r: expected at least 1, found -4"),
        ("workers: -1", "workers: expected at least 0, found -1"),
        ("cache: 3", "cache: expected a path, found 3"),
        ("dtype: float8", "dtype: unknown value 'float8'; did you mean 'float32'"),
        ("settings: 0.2", "settings: expected 'name: value' lines, found 0.2"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_config(write(tmp_path, text))
    assert "recipe.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="--data is needed"):
        plan({"objective": "dpo", "model": "m"}, {})


def test_four_bit_weights_cannot_be_trained_whole():
    with pytest.raises(InputError, match="exclude each other"):
        plan(FLAGS, {"full": True, "load_in_4bit": True})

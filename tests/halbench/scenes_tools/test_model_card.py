"""The README.md of a checkpoint."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from halbench.data.datasets import Data
from halbench.models.names import packaged_checkpoint
from halbench.scenes_tools.model_card import TEXT, TrainingSummary, measure, model_card
from halbench.scenes_tools.training import Recipe


def test_a_card_holds_recipe_results_and_signature(tmp_path):
    evaluation = measure(Path(packaged_checkpoint("scenes:base")), Data(tmp_path), scenes=2)
    card = model_card(TrainingSummary(Recipe(), seconds=12.3, sight=0.5, weights=1405184), evaluation)
    assert "1,405,184 weights" in card
    assert "took 12 seconds" in card
    assert "- language_steps: 4500" in card
    assert "| descriptions | cover |" in card
    assert evaluation.signature in card


def test_the_shipped_card_has_the_text_of_today():
    card = (Path(packaged_checkpoint("scenes:base")) / "README.md").read_text("utf-8")
    for fixed in re.split(r"\{[^}]*\}", TEXT):
        for sentence in fixed.split("\n\n"):
            text = " ".join(sentence.split())
            assert len(text) < 20 or text in " ".join(card.split())

"""The attack lowers the chosen answer within its bounds."""

from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
import torch
from noise_images import noise_image

from baselines.types import Pair
from baselines.view_tools.adversary import attack, attacked
from baselines.view_tools.reference_model import ReferenceModel
from halbench.models.checkpoints import open_checkpoint
from halbench.models.images import open_image
from halbench.types import BackendOptions


def test_pgd_on_a_linear_score_reaches_the_corner_of_the_ball():
    start = torch.tensor([0.2, 0.5, 0.99, 0.01], dtype=torch.float64)
    weights = torch.tensor([1, -2, -0.5, 0.3], dtype=torch.float64)
    expected = torch.tensor([0.16862745, 0.53137255, 1, 0], dtype=torch.float64)
    reached = attack(start, lambda pixels: weights)
    torch.testing.assert_close(reached, expected, atol=1e-8, rtol=0)
    assert float(weights @ reached) == pytest.approx(-1.39411765, abs=1e-8)
    torch.testing.assert_close(attack(start, lambda pixels: weights, steps=4), expected, atol=1e-8, rtol=0)
    assert not torch.allclose(attack(start, lambda pixels: weights, steps=3), expected, atol=1e-4)


def test_llava_next_is_attacked(tmp_path: Path):
    saved = tiny_checkpoints.llava_next(tmp_path / "next")
    model = ReferenceModel(open_checkpoint(str(saved), BackendOptions(device="cpu", dtype="float32")))
    image = noise_image((60, 90), 60)
    result = attacked(model, image, "Describe this image in detail.", "There are two people on the grass.")
    assert result.after < result.before - 0.01


def test_the_attack_lowers_the_answer_within_eight_levels(dog_pairs: list[Pair], reference: ReferenceModel):
    image = open_image(dog_pairs[0].images[0])
    result = attacked(reference, image, "Describe this image.", "This is a park with a dog.")
    assert result.after < result.before - 5
    difference = np.asarray(result.image).astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).max() == 8

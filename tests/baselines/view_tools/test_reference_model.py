"""The model that MBPO's views score, attack and sample."""

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.encoding.packed_forward import as_scoring_model
from baselines.types import Pair
from baselines.view_tools.differentiable_pixels import as_image, as_tensor
from baselines.view_tools.reference_model import ReferenceModel
from halbench.models.checkpoints import open_checkpoint
from halbench.models.images import open_image
from halbench.scenes import checkpoint_path
from halbench.types import BackendOptions


def test_the_gradient_is_that_of_the_scored_log_prob(dog_pairs: list[Pair], reference: ReferenceModel):
    pixels = np.random.default_rng(0).normal(128, 60, (80, 80, 3)).clip(0, 255)
    image = Image.fromarray(pixels.astype(np.uint8))  # of the processor's size, so that rounding plays no part
    prompt, answer = "Describe this image.", "This is a park with a dog."
    gradient = reference.gradient(image, prompt, answer)(as_tensor(image))
    steepest = torch.zeros_like(gradient).flatten()
    steepest[gradient.abs().flatten().topk(100).indices] = 1
    direction = steepest.reshape(gradient.shape) * gradient.sign()
    up, down = (as_image(as_tensor(image) + sign / 255 * direction) for sign in (1, -1))
    rise = float((reference.logps(up, prompt, answer) - reference.logps(down, prompt, answer)).sum())
    moved = as_tensor(up) - as_tensor(down)
    assert rise == pytest.approx(float((gradient * moved).sum()), rel=0.05)


def test_a_scoring_model_answers_as_before(dog_pairs: list[Pair], reference: ReferenceModel):
    image = open_image(dog_pairs[0].images[0])
    before = reference.sample(image, "Describe this image.", 1)
    checkpoint = open_checkpoint(str(checkpoint_path("base")), BackendOptions(device="cpu", dtype="float32"))
    forward = as_scoring_model(checkpoint.model).forward
    other = ReferenceModel(checkpoint)
    assert other.identity == reference.identity
    assert other.sample(image, "Describe this image.", 1) == before
    assert checkpoint.model.forward is forward
    logps = [one.logps(image, "Describe this image.", "A dog.") for one in (reference, other)]
    torch.testing.assert_close(*logps)

"""Diffusion noise: VCD's schedule, in the units of the model's image processor."""

import numpy as np
import pytest
import torch
from dog_pairs import STORED
from noise_images import noise_image
from PIL import Image

from baselines.types import Region
from baselines.view_tools.noise import CLIP_336, diffused, kept_signal, model_pixels
from baselines.view_tools.reference_model import ReferenceModel
from baselines.view_tools.regions import box_mask
from baselines.view_tools.variants import generator


def test_the_schedule_is_vcds():
    kept = kept_signal(500)
    assert kept == pytest.approx(0.7447985260, abs=1e-10)
    assert np.sqrt(kept) == pytest.approx(0.8630171065, abs=1e-10)
    assert np.sqrt(1 - kept) == pytest.approx(0.5051746965, abs=1e-10)


def test_noise_has_the_variance_of_its_step_in_the_processors_units():
    grey = Image.new("RGB", (300, 300), tuple(round(255 * mean) for mean in CLIP_336.mean))  # far from clipping
    noised = diffused(grey, np.ones((300, 300), bool), STORED, generator("noise", "1", 0))
    values = (np.asarray(noised) / 255 - np.array(STORED.mean)) / np.array(STORED.std)
    assert values.std((0, 1)) == pytest.approx([0.5052] * 3, abs=0.005)
    assert values.mean((0, 1)) == pytest.approx([0, 0, 0], abs=0.01)


def test_what_a_processor_of_fixed_size_sees_outside_the_mask_is_the_original(reference: ReferenceModel):
    processor = reference.processor.image_processor
    pixels = model_pixels(processor)
    assert pixels.edge == 80
    image = noise_image((200, 150), 80)
    mask = box_mask(image.size, [Region("left", (0, 0, 100, 150))])
    noised = diffused(image, mask, pixels, generator("noise", "1", 0))
    assert noised.size == (106, 80)
    before, after = (processor(shown, return_tensors="pt")["pixel_values"] for shown in (image, noised))
    assert torch.equal(before[..., 45:], after[..., 45:])
    assert (before[..., :35] - after[..., :35]).std() > 0.4

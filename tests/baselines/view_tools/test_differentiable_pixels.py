"""Image processors in torch: the same pixels, with a gradient."""

import pytest
from noise_images import noise_image
from PIL import Image

from baselines.view_tools.differentiable_pixels import as_image, as_tensor, differentiable
from baselines.view_tools.reference_model import ReferenceModel
from halbench.errors import InputError


@pytest.mark.parametrize("size", [(80, 80), (140, 100), (90, 240), (61, 47)])
def test_pixels_through_torch_are_the_processors_but_for_rounding(size: tuple[int, int], reference: ReferenceModel):
    processor = reference.processor.image_processor
    image = noise_image(size, 60)
    expected = processor(image, return_tensors="pt")["pixel_values"]
    through = differentiable(processor, image, expected)(as_tensor(image))
    levels = (through - expected).abs() * 255 * min(processor.image_std)
    assert levels.max() < 1.5
    assert levels.mean() < 0.01
    assert as_image(as_tensor(image)).tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [(140, 100), (57, 200)])
def test_qwens_patches_get_one_gradient_for_both_temporal_copies(size: tuple[int, int]):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil()
    image = noise_image(size, 60)
    pixels = differentiable(processor, image, processor(image, return_tensors="pt")["pixel_values"])
    values = as_tensor(image).requires_grad_()
    pixels(values).square().sum().backward()
    assert values.grad.shape == values.shape
    assert (values.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("size", [(120, 90), (90, 400), (701, 333), (336, 336)])
def test_llava_next_is_prepared_as_a_whole_and_tile_by_tile(size: tuple[int, int]):
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    clip = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
    processor = LlavaNextImageProcessorPil(**clip)
    image = noise_image(size, 60)
    expected = processor(image, return_tensors="pt")["pixel_values"]
    values = as_tensor(image).requires_grad_()
    through = differentiable(processor, image, expected)(values)
    assert through.shape == expected.shape
    assert (through - expected).abs().max() * 255 * min(processor.image_std) < 1.5
    through.square().sum().backward()
    assert (values.grad != 0).float().mean() > 0.9


def test_a_processor_that_does_something_else_is_refused(reference: ReferenceModel):
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    processor = Idefics3ImageProcessorPil(resample=Image.Resampling.BICUBIC)
    image = noise_image((120, 90), 60)
    expected = processor(image, return_tensors="pt")["pixel_values"]
    with pytest.raises(InputError, match="cannot pass gradients through this Idefics3ImageProcessor"):
        differentiable(processor, image, expected)

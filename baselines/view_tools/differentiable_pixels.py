"""An image processor as a differentiable function of the RGB image, so that an attack can go through it.

    pixels = differentiable(image_processor, image, pixel_values)      # pixel_values: the processor's own for that image
    pixels(values)                                                     # those of values [3, H, W] in 0..1, with gradient

Three kinds are supported: resize, centre crop and normalise (CLIP's, LLaVA-1.5's), the same of the whole image and of
its tiles (LLaVA-NeXT's), and Qwen2-VL's patches, whose two temporal copies get one common gradient this way. The values
are compared with what the processor itself returned, so that an unknown processor is refused rather than attacked
wrongly.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from math import ceil
from typing import Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from transformers.image_processing_utils import select_best_resolution

from halbench.errors import InputError

Pixels = Callable[[torch.Tensor], torch.Tensor]
Order = Literal["columns first", "rows first"]
ORDERS: tuple[Order, ...] = ("columns first", "rows first")
MODES = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}
# Of 255. Pillow's weights are fixed-point numbers, so some values are rounded the other way.
MOST_LEVELS, MEAN_LEVELS = 2.5, 0.1


def differentiable(image_processor: Any, image: Image.Image, expected: torch.Tensor) -> Pixels:
    """A function from values [3, H, W] of an image of this size to pixel_values. expected: the processor's own for
    `image`.

    Raises InputError for a processor whose values it cannot reproduce.
    """
    # Pillow resizes in the cheaper order, by a rule that differs between releases. LLaVA-NeXT's image is resized twice.
    for orders in product(ORDERS, ORDERS):
        pixels = partial(prepared, image_processor, orders)
        values = pixels(as_tensor(image))
        if values.shape == expected.shape:
            levels = (values - expected.float().cpu()).abs() * 255 * min(image_processor.image_std)
            if levels.max() <= MOST_LEVELS and levels.mean() <= MEAN_LEVELS:
                return pixels
    raise unsupported(image_processor)


def unsupported(image_processor: Any) -> InputError:
    return InputError(
        f"an attack cannot pass gradients through this {type(image_processor).__name__}; supported: processors that resize, "
        "centre-crop and normalise (LLaVA-1.5), also tile by tile (LLaVA-NeXT), and Qwen2-VL's"
    )


def prepared(image_processor: Any, orders: tuple[Order, Order], image: torch.Tensor) -> torch.Tensor:
    """pixel_values of one image [3, H, W] in 0..1. orders: for the whole image, and for the one that is cut into
    tiles."""
    if hasattr(image_processor, "merge_size"):
        return patches(image_processor, normalised(image_processor, orders[0], image))
    if hasattr(image_processor, "image_grid_pinpoints"):
        pieces = tiles(image_processor, orders, image)
        return torch.stack([normalised(image_processor, orders[0], piece) for piece in pieces])[None]
    return normalised(image_processor, orders[0], image)[None]


def normalised(image_processor: Any, order: Order, image: torch.Tensor) -> torch.Tensor:
    """The image resized, cropped and normalised: [3, h, w]."""
    size = resized_size(image_processor, int(image.shape[1]), int(image.shape[2]))
    small = cropped(image_processor, resized(image, size, Image.Resampling(image_processor.resample), order))
    mean, std = (
        torch.tensor(values).to(image)[:, None, None]
        for values in (image_processor.image_mean, image_processor.image_std)
    )
    return (small - mean) / std


def tiles(image_processor: Any, orders: tuple[Order, Order], image: torch.Tensor) -> list[torch.Tensor]:
    """LLaVA-NeXT's pieces: the whole image made square, and the tiles of the image fitted into its best grid."""
    resample, edge = Image.Resampling(image_processor.resample), image_processor.size["shortest_edge"]
    high, wide = select_best_resolution(tuple(image.shape[1:]), image_processor.image_grid_pinpoints)
    scale = min(high / image.shape[1], wide / image.shape[2])
    fitted = (min(ceil(image.shape[1] * scale), high), min(ceil(image.shape[2] * scale), wide))
    (above, rest_below), (left, rest_right) = divmod(high - fitted[0], 2), divmod(wide - fitted[1], 2)
    framed = F.pad(resized(image, fitted, resample, orders[1]), (left, left + rest_right, above, above + rest_below))
    tile = image_processor.crop_size["height"]
    pieces = (piece for row in torch.split(framed, tile, dim=1) for piece in torch.split(row, tile, dim=2))
    return [resized(image, (edge, edge), resample, orders[0]), *pieces]


def resized_size(image_processor: Any, height: int, width: int) -> tuple[int, int]:
    """Height and width after the processor's resize."""
    size = image_processor.size
    if hasattr(image_processor, "merge_size"):
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        factor = image_processor.patch_size * image_processor.merge_size
        return smart_resize(height, width, factor, size["shortest_edge"], size["longest_edge"])  # type: ignore[no-any-return]
    if not image_processor.do_resize:
        return height, width
    edge = size.get("shortest_edge")
    if not edge:
        if not size.get("height"):
            raise unsupported(image_processor)
        return size["height"], size["width"]
    shorter, longer = sorted((height, width))
    long = int(edge * longer / shorter)
    return (edge, long) if height <= width else (long, edge)


def resized(image: torch.Tensor, size: tuple[int, int], resample: Image.Resampling, order: Order) -> torch.Tensor:
    """The image resized as Pillow does it: in two passes, each rounded to 8 bits. Gradients pass the rounding
    unchanged."""
    if resample not in MODES:
        raise InputError(
            f"an attack cannot pass gradients through {resample.name.lower()} resizing; supported: bilinear, bicubic"
        )
    height, width = image.shape[1:]
    between = (int(height), size[1]) if order == "columns first" else (size[0], int(width))
    for step in (between, size):
        if step != tuple(image.shape[1:]):
            smooth = F.interpolate(image[None], step, mode=MODES[resample], antialias=True, align_corners=False)
            smooth = smooth[0].clamp(0, 1)
            image = smooth + ((smooth * 255).round() / 255 - smooth).detach()
    return image


def cropped(image_processor: Any, image: torch.Tensor) -> torch.Tensor:
    """The centre crop, if the processor makes one."""
    if not getattr(image_processor, "do_center_crop", None):
        return image
    high, wide = image_processor.crop_size["height"], image_processor.crop_size["width"]
    top, left = (int(image.shape[1]) - high) // 2, (int(image.shape[2]) - wide) // 2
    return image[:, top : top + high, left : left + wide]


def patches(image_processor: Any, image: torch.Tensor) -> torch.Tensor:
    """Qwen2-VL's flat patches [grid_h * grid_w, 3 * temporal * patch * patch]; those of one merged token follow each
    other."""
    patch, merge, times = image_processor.patch_size, image_processor.merge_size, image_processor.temporal_patch_size
    rows, columns = (length // (patch * merge) for length in image.shape[1:])
    grid = image.reshape(3, rows, merge, patch, columns, merge, patch).permute(1, 4, 2, 5, 0, 3, 6)
    return grid[:, :, :, :, :, None].expand(-1, -1, -1, -1, -1, times, -1, -1).reshape(-1, 3 * times * patch**2)


def as_tensor(image: Image.Image) -> torch.Tensor:
    """[3, H, W] in 0..1."""
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.reshape(image.height, image.width, 3).permute(2, 0, 1).float() / 255


def as_image(pixels: torch.Tensor) -> Image.Image:
    """The RGB image of pixels [3, H, W] in 0..1, rounded to 8 bits."""
    levels = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu()
    return Image.frombytes("RGB", (levels.shape[1], levels.shape[0]), bytes(levels.numpy().tobytes()))

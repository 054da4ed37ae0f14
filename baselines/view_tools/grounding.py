"""Finds named objects in images with transformers' open-vocabulary detectors and SAM, for pairs that came without
boxes.

    open_grounder("IDEA-Research/grounding-dino-tiny", "facebook/sam-vit-base").find(image, ["dog", "ball"])

MFPO (arXiv 2410.15334) names SAM alone, which takes no text; the detector before it is ours. Every box above the
threshold counts, so that all dogs are noised and not only the clearest one. Each object is searched for alone: for
several names at once, Grounding DINO answers with phrases that mix them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForMaskGeneration, AutoModelForZeroShotObjectDetection, AutoProcessor

from baselines.types import Region
from baselines.view_tools.regions import Grounded, Grounder, box_mask
from halbench.errors import InputError, first_sentence
from halbench.files.records import content_hash
from halbench.models.checkpoints import chosen_device
from halbench.models.fingerprints import fingerprint

THRESHOLD = 0.25  # the default of Grounding DINO in transformers


def open_grounder(
    detector: str, segmenter: str | None = None, threshold: float = THRESHOLD, device: str | None = None
) -> Grounder:
    """Checkpoint folders or hub names. Without a segmenter a region is its whole box."""
    target = chosen_device(device)
    detect = Detector(detector, threshold, target)
    segment = Segmenter(segmenter, target) if segmenter else None
    identity = [fingerprint(detector), threshold, fingerprint(segmenter) if segmenter else None]

    def find(image: Image.Image, names: Sequence[str]) -> Mapping[str, Grounded]:
        boxes = {name: detect(image, name) for name in names}
        return {name: hit for name, regions in boxes.items() if regions and (hit := grounded(image, regions))}

    def grounded(image: Image.Image, regions: tuple[Region, ...]) -> Grounded | None:
        mask = segment(image, regions) if segment else box_mask(image.size, regions)
        return Grounded(regions, mask) if mask.any() else None

    return Grounder(content_hash(identity), find)


class Detector:
    """Text -> boxes. Any AutoModelForZeroShotObjectDetection: Grounding DINO, OWL-ViT, OWLv2 ..."""

    def __init__(self, source: str, threshold: float, device: Any) -> None:
        self.model, self.processor = open_model(AutoModelForZeroShotObjectDetection, source, device)
        self.threshold = threshold

    @torch.inference_mode()
    def __call__(self, image: Image.Image, name: str) -> tuple[Region, ...]:
        inputs = self.processor(images=image, text=[[name]], return_tensors="pt").to(self.model.device)
        (detected,) = self.processor.post_process_grounded_object_detection(
            self.model(**inputs), threshold=self.threshold, target_sizes=[image.size[::-1]], text_labels=[[name]]
        )
        limits = torch.tensor([*image.size, *image.size])
        boxes = torch.minimum(detected["boxes"].float().cpu().clamp(min=0), limits).tolist()
        return tuple(Region(name, (x0, y0, x1, y1)) for x0, y0, x1, y1 in boxes if x0 < x1 and y0 < y1)


class Segmenter:
    """Boxes -> pixels. Any AutoModelForMaskGeneration, such as SAM."""

    def __init__(self, source: str, device: Any) -> None:
        self.model, self.processor = open_model(AutoModelForMaskGeneration, source, device)

    @torch.inference_mode()
    def __call__(self, image: Image.Image, regions: Sequence[Region]) -> np.ndarray:
        boxes = [[list(region.box) for region in regions]]
        inputs = self.processor(images=image, input_boxes=boxes, return_tensors="pt").to(self.model.device)
        predicted = self.model(**inputs, multimask_output=False).pred_masks.cpu()
        (masks,) = self.processor.post_process_masks(
            predicted, inputs["original_sizes"].cpu(), inputs["reshaped_input_sizes"].cpu()
        )
        outlines: np.ndarray = masks[:, 0].any(0).numpy()
        return outlines


def open_model(kind: Any, source: str, device: Any) -> tuple[Any, Any]:
    """Model and processor of a checkpoint."""
    try:
        model = kind.from_pretrained(source, use_safetensors=True)
        processor = AutoProcessor.from_pretrained(source)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{source}: cannot be loaded as a grounding model ({first_sentence(error)})") from error
    return model.to(device or "cpu").eval(), processor

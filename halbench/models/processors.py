"""Loading a checkpoint's processor: image processor, tokenizer, and with or without what needs torchvision.

transformers processes images with torchvision where it can be imported, else with Pillow. The pixels differ a little, so
which one it was ("pixels") is part of a run's signature. Video processors need torchvision always. halbench shows no videos:
without torchvision, a processor whose video part is all that is missing is loaded without it.
"""

import logging
from functools import cache
from typing import Any, cast

import transformers
from transformers import AutoConfig, AutoProcessor, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name

from halbench.broken_torchvision import INSTALL_TORCHVISION, torchvision_problem
from halbench.errors import InputError, first_sentence

PROCESSOR_FILES = (
    "expected processor_config.json or preprocessor_config.json, and tokenizer.json; copy them from the base checkpoint"
)
LOADING_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError)

log = logging.getLogger(__name__)


def load_processor(source: str, trust_remote_code: bool) -> Any:
    """Image processor and tokenizer of a checkpoint, padding on the left. Raises InputError if it cannot be loaded."""
    problem = torchvision_problem()
    try:
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=trust_remote_code)
    except LOADING_ERRORS as error:
        if problem is None:
            raise unloadable(source, error) from error
        processor = load_without_video(source, trust_remote_code, problem, error)
    else:
        if problem not in (None, "not installed"):
            say_once(f"torchvision {problem}: images are processed by Pillow")
    absent = [part for part in ("image_processor", "tokenizer") if getattr(processor, part, None) is None]
    if absent:
        raise InputError(f"{source} has no {' and no '.join(absent)}; {PROCESSOR_FILES}")
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token  # never read: the attention mask covers it
    return processor


def load_without_video(source: str, trust_remote_code: bool, problem: str, first_error: Exception) -> Any:
    """The processor without its video part. Raises InputError if something else is missing. problem: of torchvision;
    first_error: why the whole processor could not be loaded."""
    try:
        kind = processor_class(source, trust_remote_code)
        if kind is None or "video_processor" not in kind.get_attributes():
            raise first_error
        processor = without_video(kind).from_pretrained(source)
    except LOADING_ERRORS as error:
        if "torchvision" in str(error).lower():
            raise InputError(f"{source}: its processor needs torchvision ({problem}); {INSTALL_TORCHVISION}") from error
        raise unloadable(source, error) from error
    say_once(
        f"torchvision {problem}: images are processed by Pillow, and {kind.__name__} is loaded without its video part"
    )
    return processor


def unloadable(source: str, error: Exception) -> InputError:
    """The error for a processor that cannot be loaded: a missing package by its name, else missing files."""
    if isinstance(error, ImportError):
        return InputError(
            f"{source}: its processor needs another package ({first_sentence(error)}); install it with pip"
        )
    return InputError(f"{source}: its processor cannot be loaded ({first_sentence(error)}); {PROCESSOR_FILES}")


def processor_class(source: str, trust_remote_code: bool) -> type[ProcessorMixin] | None:
    """The class of a checkpoint's processor, which its files name or its model type implies; None if unknown."""
    readers = (ProcessorMixin.get_processor_dict, transformers.ImageProcessingMixin.get_image_processor_dict)
    for read in readers:
        try:
            settings, _ = read(source)
        except OSError:
            continue
        if name := settings.get("processor_class"):
            return cast(type[ProcessorMixin] | None, processor_class_from_name(name))
    config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    return cast(type[ProcessorMixin], PROCESSOR_MAPPING[type(config)]) if type(config) in PROCESSOR_MAPPING else None


class NoVideo(dict[str, Any]):
    """In place of a video processor: printed and saved as no settings, and every setting that is asked for is None."""

    @classmethod
    def from_pretrained(cls, *_: Any, **__: Any) -> "NoVideo":
        return cls()

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)  # what Python itself asks for, in copying for example


def without_video(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A processor class that loads and takes NoVideo as its video processor; otherwise the same, by the same name."""

    def find_class(name: str) -> Any:
        return NoVideo if name == NoVideo.__name__ else kind.get_possibly_dynamic_module(name)

    def check(self: Any, name: str, argument: Any) -> Any:
        return NoVideo if isinstance(argument, NoVideo) else kind.check_argument_for_proper_class(self, name, argument)

    overrides = {
        "video_processor_class": NoVideo.__name__,
        "get_possibly_dynamic_module": staticmethod(find_class),
        "check_argument_for_proper_class": check,
    }
    return type(kind.__name__, (kind,), {**overrides, "__module__": kind.__module__})


def processor_identity(processor: Any) -> dict[str, str]:
    """What processes the images, for a run's identity. pixels: "torchvision", "pil", or the name of another class."""
    images = processor.image_processor
    return {"image_processor": type(images).__name__, "pixels": getattr(images, "backend", type(images).__name__)}


@cache
def say_once(message: str) -> None:
    """A warning that is not repeated by this process."""
    log.warning(message)

"""The signature: everything that can change a number, in one line."""

from collections.abc import Mapping, Sequence
from typing import Any

from halbench.files.records import as_json, content_hash
from halbench.responses.matching import image_key
from halbench.types import Decoding, Item, Suite, Task


def signature_fields(suite: Suite, task: Task, decoding: Decoding | None, judge: Mapping[str, str]) -> dict[str, str]:
    """Everything that can change a number, except the model: name -> value. decoding: None for responses from a file."""
    return {
        "suite": suite.name,
        "version": suite.version,
        "items": items_identity(task.items),
        **task.identity,
        **judge,
        "decoding": "stored" if decoding is None else describe_decoding(decoding),
    }


def items_identity(items: Sequence[Item]) -> str:
    """Number and hash of the items: their ids, images, prompts, truths, groups and clusters."""
    return f"{len(items)}-{content_hash([item_identity(item) for item in items], 8)}"


def item_identity(item: Item) -> tuple[Any, ...]:
    """What makes an item this item. One image that is its own cluster is written in the short form of earlier versions,
    whose hashes stay valid."""
    images = [image_key(path.name) for path in item.images]
    if len(images) == 1 and item.cluster == item.images[0].name:
        return item.id, images[0], item.prompt, item.truth, item.group
    return item.id, images, item.prompt, item.truth, item.group, item.cluster


def describe_decoding(decoding: Decoding) -> str:
    """ "greedy,max_new_tokens=512": the kind of decoding and what is not at its default."""
    kind = f"sampled,temperature={decoding.temperature},top_p={decoding.top_p}" if decoding.temperature else "greedy"
    beams = f",num_beams={decoding.num_beams}" if decoding.num_beams > 1 else ""
    extra = "".join(f",{name}={value}" for name, value in sorted(as_json(decoding.extra).items()))
    thoughts = decoding.reasoning.max_reasoning_tokens
    budget = "" if thoughts is None else f",max_reasoning_tokens={thoughts}"
    return f"{kind}{beams},max_new_tokens={decoding.max_new_tokens}{budget}{extra}"


def model_fields(model: Mapping[str, Any]) -> dict[str, str]:
    """What of a model's identity is in the signature: how images and prompts are made, which is no property of its weights."""
    fields = {"pixels": pixels_of(model), "template_kwargs": model.get("template_kwargs")}
    return {name: value for name, value in fields.items() if value is not None}


def pixels_of(model: Mapping[str, Any]) -> str | None:
    """What processed the images, "torchvision" or "pil", by a model's identity; None where halbench did not see it (a server).
    Runs of earlier versions recorded only the processor's class."""
    recorded = model.get("image_processor")
    earlier = None if recorded is None else "pil" if recorded.endswith("Pil") else "torchvision"
    pixels: str | None = model.get("pixels", earlier)
    return pixels


def signature(fields: Mapping[str, str]) -> str:
    """The fields in one line, as sacrebleu writes them: "suite:amber|version:1|items:1004-9f2c|..."."""
    return "|".join(f"{name}:{value}" for name, value in fields.items())

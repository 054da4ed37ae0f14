"""The layouts of preference data: the fields by which each is recognised, and how its rows are read."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from baselines.pairs.rows import Row
from halbench.errors import InputError

IMAGE_PLACEHOLDER = "<image>"
OWN_FIELDS = ("id", "image", "images", "prompt", "chosen", "rejected", "regions", "meta", "rejected_images")
# mDPO publishes prompts inside LLaVA-1.5's template; only the user's words are kept.
LLAVA_PROMPT = re.compile(r".*?\bUSER:\s*(?P<words>.*?)\s*ASSISTANT:\s*", re.DOTALL)


class BadRow(Exception):
    """Why a row is no preference. reason: a short category, which is counted; the message is about this row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Draft:
    """A row as its layout reads it, not yet checked. images, rejected_images: each a path, encoded bytes, or a mapping
    with one of them."""

    images: Sequence[Any]
    prompt: str
    chosen: str
    rejected: str
    id: str | None = None
    regions: Any = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    rejected_images: Sequence[Any] = ()


def own_layout(row: Mapping[str, Any]) -> Draft:
    unknown = [name for name in row if name not in OWN_FIELDS]
    if unknown:
        raise BadRow("unknown field", f"'{unknown[0]}' (fields: {', '.join(OWN_FIELDS)})")
    return plain(row)


def plain(row: Mapping[str, Any]) -> Draft:
    """prompt, chosen, rejected as text or as TRL's messages; image, images or img_path; rejected_images."""
    return Draft(
        _images(row),
        _words(row, "prompt"),
        _words(row, "chosen"),
        _words(row, "rejected"),
        _id(row),
        row.get("regions") or (),
        row.get("meta") or _rest(row),
        _as_list(row.get("rejected_images") or ()),
    )


def trl_implicit(row: Mapping[str, Any]) -> Draft:
    """TRL's messages with the prompt at the start of both answers."""
    chosen, rejected = row["chosen"], row["rejected"]
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        raise BadRow("malformed row", "expected messages in 'chosen' and 'rejected' of a row without 'prompt'")
    if chosen[:-1] != rejected[:-1]:
        raise BadRow("malformed row", "chosen and rejected answer different prompts")
    return plain({**row, "prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]})


def mdpo(row: Mapping[str, Any]) -> Draft:
    """luka-group/mDPO's vlfeedback_llava_10k.json: img_path, prompt (LLaVA-1.5's template around it), chosen,
    rejected."""
    prompt = _text(row, "prompt")
    if prompt.count("USER:") > 1:
        raise BadRow("more than one turn", "the prompt contains several turns; a pair has one")
    inside = LLAVA_PROMPT.fullmatch(prompt)
    return plain({**row, "prompt": inside["words"] if inside else prompt})


def rlhf_v(row: Mapping[str, Any]) -> Draft:
    """openbmb/RLHF-V-Dataset: question and answers are a JSON object in `text`."""
    text = row["text"]
    try:
        answers = json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError as error:
        raise BadRow("malformed row", f"'text' is not valid JSON ({error.msg})") from error
    if not isinstance(answers, dict):
        raise BadRow("malformed row", f"expected an object in 'text', found {type(answers).__name__}")
    return rlaif_v({**row, **answers})


def rlaif_v(row: Mapping[str, Any]) -> Draft:
    """openbmb/RLAIF-V-Dataset: question, chosen, rejected, image {bytes, path}, idx."""
    return Draft(
        _images(row),
        _text(row, "question"),
        _text(row, "chosen"),
        _text(row, "rejected"),
        _id(row),
        row.get("regions") or (),
        _rest(row),
    )


def conversations(row: Mapping[str, Any]) -> Draft:
    """LLaVA's turns. The answers are in chosen and rejected (LLaMA-Factory), in a second list of turns
    rejected_conversations (POVID), or in output_1 and output_2, with the preference 1 or 2 (LLaVA-RLHF)."""
    turns = row["conversations"]
    if "rejected_conversations" in row:
        rejected_turns = row["rejected_conversations"]
        if turns[:-1] != rejected_turns[:-1]:
            raise BadRow("malformed row", "conversations and rejected_conversations have different questions")
        turns, chosen, rejected = turns[:-1], turns[-1], rejected_turns[-1]
    elif "preference" in row:
        if row["preference"] not in (1, 2):
            raise BadRow("malformed row", f"expected preference 1 or 2, found {row['preference']!r}")
        chosen, rejected = row["output_1"], row["output_2"]
        chosen, rejected = (chosen, rejected) if row["preference"] == 1 else (rejected, chosen)
    else:
        chosen, rejected = row["chosen"], row["rejected"]
    return plain({**_without(row, CONVERSATION_FIELDS), "prompt": turns, "chosen": chosen, "rejected": rejected})


CONVERSATION_FIELDS = ("conversations", "rejected_conversations", "output_1", "output_2", "preference")


def swift(row: Mapping[str, Any]) -> Draft:
    """ms-swift's messages, the last of which is the chosen answer; the rejected one is in rejected_response, or the
    last of rejected_messages. Its rejected_images are those of the rejected answer, which are often the same ones."""
    messages = row["messages"]
    if "rejected_messages" in row:
        rejected_messages = row["rejected_messages"]
        if messages[:-1] != rejected_messages[:-1]:
            raise BadRow("malformed row", "messages and rejected_messages have different questions")
        rejected = rejected_messages[-1]
    else:
        rejected = row["rejected_response"]
    others = row.get("rejected_images")
    return plain(
        {
            **_without(row, SWIFT_FIELDS),
            "prompt": messages[:-1],
            "chosen": messages[-1],
            "rejected": rejected,
            "rejected_images": None if others == row.get("images") else others,
        }
    )


SWIFT_FIELDS = ("messages", "rejected_messages", "rejected_response")


LAYOUTS: Sequence[tuple[str, Sequence[str], Callable[[Mapping[str, Any]], Draft]]] = (
    ("LLaVA conversations", ("conversations", "chosen", "rejected"), conversations),
    ("LLaVA conversations", ("conversations", "rejected_conversations"), conversations),
    ("LLaVA conversations", ("conversations", "output_1", "output_2", "preference"), conversations),
    ("mDPO", ("img_path", "prompt", "chosen", "rejected"), mdpo),
    ("plain or TRL", ("image", "prompt", "chosen", "rejected"), plain),
    ("plain or TRL", ("images", "prompt", "chosen", "rejected"), plain),
    ("RLAIF-V", ("image", "question", "chosen", "rejected"), rlaif_v),
    ("RLHF-V", ("image", "text"), rlhf_v),
    ("TRL", ("image", "chosen", "rejected"), trl_implicit),
    ("TRL", ("images", "chosen", "rejected"), trl_implicit),
    ("ms-swift", ("messages", "rejected_response"), swift),
    ("ms-swift", ("messages", "rejected_messages"), swift),
)
"""Name, the fields by which it is recognised, how it is read. The first that fits the first row is the layout of
all."""


def layout_of(row: Row) -> Callable[[Mapping[str, Any]], Draft]:
    for _, fields, read in LAYOUTS:
        if all(name in row.values for name in fields):
            return read
    known = "; ".join(f"{name}: {', '.join(fields)}" for name, fields, _ in LAYOUTS)
    raise InputError(f"{row.where}: no known layout has the fields {', '.join(row.values)}. Known: {known}")


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise BadRow("malformed row", f"expected text in '{name}', found {type(value).__name__}")
    return value


def _words(row: Mapping[str, Any], name: str) -> str:
    """The text of a field that is text, one message, or a list of one message."""
    value = row.get(name)
    turns = value if isinstance(value, list) else [value]
    if len(turns) != 1:
        raise BadRow(
            "more than one turn", f"'{name}' contains {len(turns)} messages; a pair has one question and one answer"
        )
    content = turns[0]
    if isinstance(content, Mapping):
        content = content.get("content", content.get("value"))
    if isinstance(content, list):  # TRL's parts
        content = "".join(IMAGE_PLACEHOLDER if part.get("type") == "image" else _text(part, "text") for part in content)
    return _text({name: content}, name)


def _images(row: Mapping[str, Any]) -> list[Any]:
    """The images of a row; none only if it says so itself ("images": [])."""
    images = next((row[name] for name in IMAGE_FIELDS if row.get(name) is not None), None)
    if images is None:
        raise BadRow("no image", 'expected image or images; a pair without an image says "images": []')
    return _as_list(images)


IMAGE_FIELDS = ("image", "images", "img_path")


def _as_list(images: Any) -> list[Any]:
    """A field of one or several images as a list."""
    return list(images) if isinstance(images, list | tuple) else [images]


def _id(row: Mapping[str, Any]) -> str | None:
    return next((str(row[name]) for name in ("id", "idx") if row.get(name) not in (None, "")), None)


def _without(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _rest(row: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a foreign row that are in no field of a pair."""
    known = {*OWN_FIELDS, *IMAGE_FIELDS, "question", "text", "idx"} - {"meta"}
    return {name: v for name, v in row.items() if name not in known and isinstance(v, str | int | float | bool)}

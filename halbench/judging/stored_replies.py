"""Stored replies of a judge -> Judgement, so that a judged suite can be scored without any judge.

[{"model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "... Rating: 3"}}]}, ...]   one completion per
                                                     response, in their order, as the MMHal-Bench script stores them
{"item": "df62a56fdc1bb12b", "reply": "... Rating: 3", ...}                         a run's judgements.jsonl
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.files.records import from_row, read_json, read_jsonl
from halbench.types import Judgement


def read_judgement_file(path: Path, responses: Sequence[str]) -> list[Judgement]:
    """The replies in a file. responses: item ids in the order of the response file, for files without ids."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected stored replies of a judge")
    if path.suffix == ".jsonl":
        rows = [from_row(Judgement, row, f"{path}:{line}") for line, row in read_jsonl(path, torn_tail=True)]
        unknown = next((row for row in rows if row.item not in set(responses)), None)
        if unknown is not None:
            raise InputError(
                f"{path}: judgement of item '{unknown.item}', which has no response. Is this another run's file?"
            )
        return rows
    completions = read_json(path)
    if not isinstance(completions, list) or len(completions) != len(responses):
        count = f"{len(completions)}" if isinstance(completions, list) else type(completions).__name__
        raise InputError(
            f"{path}: expected a list of {len(responses)} chat completions, one per response in the same order; found {count}"
        )
    return [
        _judgement(item, completion, f"{path}: completion {number}")
        for number, (item, completion) in enumerate(zip(responses, completions, strict=True), 1)
    ]


def _judgement(item: str, completion: Any, where: str) -> Judgement:
    try:
        message: Mapping[str, Any] = completion["choices"][0]["message"]
        reply, served = message.get("content"), completion.get("model")
        if not isinstance(served, str | None):
            raise TypeError("model is not a name")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: expected a chat completion with choices[0].message.content") from error
    if message.get("refusal"):
        return Judgement(item, "", str(served), served, str(message["refusal"]), "refused")
    if not isinstance(reply, str):
        return Judgement(item, "", str(served), served, "", "error", "the completion has no text")
    return Judgement(item, "", str(served), served, reply)

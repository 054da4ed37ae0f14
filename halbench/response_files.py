"""Response files as people have them -> ResponseRow, and the matching of rows to items.

    [{"id": 1, "response": "..."}]                                     AMBER
    {"image_id": 226988, "caption": "..."}                             CHAIR (JSONL)
    {"question_id": 7, "text": "Yes", "prompt": "Is there ...?"}       LLaVA answer files, POPE (JSONL)
    [{"image_id": "df62", "question": "...", "model_answer": "..."}]   MMHal-Bench's template, filled in
    {"doc_id": 0, "doc": {...}, "filtered_resps": ["Yes"]}             lmms-eval sample logs (JSONL)
    index, image, question, prediction                                 VLMEvalKit tables (.xlsx .tsv .csv .json)

Which field holds what follows from the names alone and never from the suite, so that one file always reads one way.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.not_answers import told_failure
from halbench.records import read_json, read_jsonl
from halbench.types import Item, Response, ResponseRow

# The first field present holds the model's words. "answer" stands late and "text" last: VLMEvalKit keeps the truth in
# "answer" beside "prediction", and POPE logs keep the question in "text" beside "response".
TEXT_FIELDS = (
    "prediction",
    "model_answer",
    "filtered_resps",
    "resps",
    "response",
    "caption",
    "output",
    "answer",
    "text",
)
PROMPT_FIELDS = ("question", "prompt", "query", "text")
ID_FIELDS = ("item", "id", "question_id", "index")
IMAGE_FIELDS = ("image_file", "image", "image_id", "image_path", "image_source", "image_src")

# Fields of a row that a Response tells in its own way; what is left may be needed to find its item again.
TOLD_FIELDS = {*TEXT_FIELDS, *ID_FIELDS, "tokens", "finish", "state", "error", "extra"}


def read_response_file(path: Path) -> list[ResponseRow]:
    """All rows of a response file, in its order. Raises InputError with file, line and field."""
    if not path.exists():
        raise InputError(f"{path}: no such file; expected the stored responses of a model")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file such as {path}/responses.jsonl")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: cannot read '{path.suffix}' files; expected one of {', '.join(READERS)}")
    return response_rows(reader(path), path)


def response_rows(numbered: Iterable[tuple[int, Mapping[str, Any]]], path: Path) -> list[ResponseRow]:
    """Rows from (line, object) of a file. Raises InputError where there is none."""
    rows = [_response_row(row, line, f"{path}:{line}") for line, row in numbered]
    if not rows:
        raise InputError(f"{path}: holds no responses")
    return rows


def _rows_of_json(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    try:
        value = read_json(path)
    except InputError:
        if b"\n{" not in path.read_bytes():
            raise
        return list(read_jsonl(path))  # JSONL under the name .json, as some harnesses write it
    if isinstance(value, dict):
        # {"logs": [...]} is lmms-eval's older log.
        value = value.get("logs", value.get("responses", [value]))
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InputError(f"{path}: expected a JSON list of objects, one per response")
    return list(enumerate(value, 1))


def _rows_of_table(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    import pandas as pd

    try:
        if path.suffix.lower() == ".xlsx":
            frame = pd.read_excel(path, dtype=str, keep_default_na=False)
        else:
            frame = pd.read_csv(
                path, sep="\t" if path.suffix.lower() == ".tsv" else ",", dtype=str, keep_default_na=False
            )
    except ImportError as error:
        raise InputError(f"{path}: reading .xlsx needs: pip install 'halbench[excel]'") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable table ({error})") from error
    rows = [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    return list(enumerate(rows, 2))


READERS: Mapping[str, Callable[[Path], Any]] = {
    ".jsonl": read_jsonl,
    ".json": _rows_of_json,
    ".tsv": _rows_of_table,
    ".csv": _rows_of_table,
    ".xlsx": _rows_of_table,
}


def _response_row(row: Mapping[str, Any], line: int, where: str) -> ResponseRow:
    if "item" in row and isinstance(row.get("extra"), dict):
        row = {**row["extra"], **row}  # a Response of our own
    text_field = next((name for name in TEXT_FIELDS if name in row), None)
    if text_field is None:
        raise InputError(
            f"{where}: no field with the response; expected one of {', '.join(TEXT_FIELDS)}; found {', '.join(row)}"
        )
    text = row[text_field]
    while isinstance(text, list) and len(text) == 1:
        text = text[0]  # lmms-eval nests: resps [["Yes"]], filtered_resps ["Yes"]
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise InputError(
            f"{where}: field '{text_field}' should be text, found {type(text).__name__} {json.dumps(text)[:60]}"
        )
    text = text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )  # half a character cannot be written again
    # An lmms-eval log keeps the question's own fields under "doc"; its id is a better key than the row's place.
    asked = row["doc"] if isinstance(row.get("doc"), dict) else row
    if text_field == "answer" and "text" in row:
        raise InputError(
            f"{where}: both 'answer' and 'text' are there; rename the one that holds the model's words to 'response'"
        )
    prompt_field = next((name for name in PROMPT_FIELDS if name in asked and name != text_field), None)
    return ResponseRow(
        line=line,
        text=text,
        id=_first(row if "item" in row else asked, ID_FIELDS, where),
        image=_first(asked, IMAGE_FIELDS, where),
        prompt=str(asked[prompt_field]) if prompt_field is not None else None,
        extra=row,
    )


def _first(row: Mapping[str, Any], names: Sequence[str], where: str) -> str | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, bool | float | list | dict) and not (isinstance(value, float) and value.is_integer()):
            if name in IMAGE_FIELDS:
                continue  # an embedded picture, say
            raise InputError(f"{where}: field '{name}' should be an id, found {json.dumps(value)[:60]}")
        if value is not None:
            return str(int(value)) if isinstance(value, float) else str(value)
    return None


def responses_of(rows: Sequence[ResponseRow], ids: Sequence[str]) -> list[Response]:
    """Responses of matched rows. Text without any non-blank character has the state "empty"; an error row stays one,
    and a failure that another harness wrote as text becomes one."""
    responses = []
    for row, item in zip(rows, ids, strict=True):
        error = str(row.extra.get("error")) if row.extra.get("state") == "error" else told_failure(row.text)
        responses.append(
            Response(
                item=item,
                text=row.text,
                tokens=row.extra.get("tokens") if isinstance(row.extra.get("tokens"), int) else None,
                state="error" if error else "ok" if row.text.strip() else "empty",
                error=error,
                finish=row.extra.get("finish") if isinstance(row.extra.get("finish"), str) else None,
                extra=rest_of(row),
            )
        )
    return responses


def rest_of(row: ResponseRow) -> dict[str, Any]:
    """What a row holds beside the response, its question under one name."""
    rest = {name: value for name, value in row.extra.items() if name not in TOLD_FIELDS}
    return rest if row.prompt is None or {*PROMPT_FIELDS, "doc"} & rest.keys() else {**rest, "question": row.prompt}


def match_by_id_or_question(items: Sequence[Item], rows: Sequence[ResponseRow], known_ids: str) -> list[str]:
    """Item id of each row: by its own id where that is known and the question agrees, else by image and question.

    Other harnesses number the same questions in their own way, so an id alone is believed only if nothing speaks against
    it. Raises InputError with the row's line. known_ids: what ids the suite has, for the message.
    """
    by_id = {item.id: item for item in items}
    stranger = next((row for row in rows if row.id not in by_id or not _same_question(row, by_id[row.id or ""])), None)
    if stranger is None:
        return [row.id for row in rows if row.id is not None]
    by_question = match_by_question(items, rows)
    if by_question is not None:
        return by_question
    if stranger.id is None:
        raise InputError(
            f"line {stranger.line}: no id; expected one of the fields {', '.join(ID_FIELDS)}, or image and question"
        )
    if stranger.id not in by_id:
        raise InputError(f"line {stranger.line}: unknown item '{stranger.id}'; {known_ids}. Wrong --suite?")
    asked = by_id[stranger.id]
    raise InputError(
        f"line {stranger.line}: item '{stranger.id}' asks {asked.prompt[:60]!r} of {asked.image.name}, but this row answers "
        f"{(stranger.prompt or '')[:60]!r} of {stranger.image}. Wrong --suite or ids?"
    )


def _same_question(row: ResponseRow, item: Item) -> bool:
    """Whether a row's image and question, where it tells them, are the item's (users append to the question)."""
    same_image = row.image is None or image_key(row.image) == image_key(item.image.name)
    return same_image and (row.prompt is None or _question(row.prompt).startswith(_question(item.prompt)))


def _question(prompt: str) -> str:
    return prompt.replace("<image>", "").strip()


def match_by_question(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str] | None:
    """Item id of each row by image and question; None when a row does not tell them or no item has them.

    A row's question may go on after the item's ("... Answer yes or no."); the longest item that fits is meant. Where a
    suite asks the same question twice of an image, rows take its items in order.
    """
    on_image: dict[str, dict[str, list[str]]] = {}
    for item in items:
        on_image.setdefault(image_key(item.image.name), {}).setdefault(_question(item.prompt), []).append(item.id)
    found = []
    for row in rows:
        if row.image is None or row.prompt is None:
            return None
        asked = _question(row.prompt)
        questions = on_image.get(image_key(row.image), {})
        fitting = max((question for question in questions if asked.startswith(question)), key=len, default=None)
        if fitting is None:
            return None
        ids = questions[fitting]
        found.append(ids.pop(0) if len(ids) > 1 else ids[0])
    return found


def image_key(name: str) -> str:
    """What two spellings of one image share: "COCO_val2014_000000339761.jpg", "339761.jpg" and "339761" -> "339761"."""
    stem = Path(name).stem
    digits = stem.rpartition("_")[2]
    return digits.lstrip("0") or "0" if digits.isdigit() else stem


def duplicates(ids: Sequence[str]) -> list[str]:
    """Ids that occur more than once, in order of first occurrence."""
    return [item for item, times in Counter(ids).items() if times > 1]

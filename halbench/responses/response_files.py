"""Response files in the common formats -> ResponseRow -> Response.

    [{"id": 1, "response": "..."}]                                     AMBER
    {"image_id": 226988, "caption": "..."}                             CHAIR (JSONL)
    {"question_id": 7, "text": "Yes", "prompt": "Is there ...?"}       LLaVA answer files, POPE (JSONL)
    [{"image_id": "df62", "question": "...", "model_answer": "..."}]   MMHal-Bench's template, filled in
    {"doc_id": 0, "input": "Is there ...?", "filtered_resps": ["Yes"]} lmms-eval sample logs (JSONL), also with "doc": {...}
    index, image, question, prediction                                 VLMEvalKit tables (.xlsx .tsv .csv .json)

The meaning of a field follows from its name alone and never from the suite, so a file is always read in the same way.
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from halbench.errors import InputError, first_sentence
from halbench.files.records import read_json, read_jsonl
from halbench.files.tables import read_table
from halbench.reasoning import SPLIT, Reasoning, answer_part
from halbench.responses.failure_text import failure_in_text, is_blank
from halbench.responses.thoughts import UNFINISHED, without_thoughts
from halbench.types import Response, ResponseRow

# The first field present is the response. "answer" comes late and "text" last: VLMEvalKit has the truth in "answer" next
# to "prediction", and POPE logs have the question in "text" next to "response".
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
PROMPT_FIELDS = ("question", "prompt", "query", "text", "input")
ID_FIELDS = ("item", "id", "question_id", "index")
IMAGE_FIELDS = ("image_file", "image", "image_id", "image_path", "image_source", "image_src")

# Fields of a row that have a field in Response; the others may be needed to find its item again.
FINISH_FIELDS = ("finish", "finish_reason", "stop_reason")
CUT = ("length", "max_tokens", "max_length", "max_new_tokens")
"""What servers write into them for an answer that was cut off."""
RESPONSE_FIELDS = {*TEXT_FIELDS, *ID_FIELDS, *FINISH_FIELDS, "tokens", "state", "error", "extra"}


def read_response_file(path: Path) -> list[ResponseRow]:
    """All rows of a response file, in its order. Raises InputError with file, line and field."""
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a model's stored responses")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file such as {path}/responses.jsonl")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: cannot read '{path.suffix}' files; expected one of {', '.join(READERS)}")
    return response_rows(reader(path), path)


def response_rows(numbered: Iterable[tuple[int, Mapping[str, Any]]], path: Path) -> list[ResponseRow]:
    """Rows from the (line, object) pairs of a file. Raises InputError if there are none."""
    rows = [_response_row(row, line, f"{path}:{line}") for line, row in numbered]
    if not rows:
        raise InputError(f"{path}: contains no responses")
    return rows


def _rows_of_json(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    try:
        value = read_json(path)
    except InputError:
        if b"\n{" not in path.read_bytes():
            raise
        return list(read_jsonl(path))  # some harnesses write JSONL with the suffix .json
    if isinstance(value, dict):
        # {"logs": [...]} is an older log of lmms-eval.
        value = value.get("logs", value.get("responses", [value]))
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InputError(f"{path}: expected a JSON list of objects, one per response")
    return list(enumerate(value, 1))


def _rows_of_workbook(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    import pandas as pd

    try:
        frame = pd.read_excel(path, dtype=str, keep_default_na=False)
    except ImportError as error:
        raise InputError(f"{path}: reading .xlsx needs: pip install 'halbench[excel]'") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable table ({first_sentence(error)})") from error
    return [
        (line, {str(key): value for key, value in row.items()}) for line, row in enumerate(frame.to_dict("records"), 2)
    ]


READERS: Mapping[str, Callable[[Path], Any]] = {
    ".jsonl": read_jsonl,
    ".json": _rows_of_json,
    ".tsv": partial(read_table, separator="\t", ids=(*ID_FIELDS, *IMAGE_FIELDS)),
    ".csv": partial(read_table, separator=",", ids=(*ID_FIELDS, *IMAGE_FIELDS)),
    ".xlsx": _rows_of_workbook,
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
    # A lone surrogate could not be written to a file again.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # An lmms-eval log has the question's own fields under "doc", and its id is a better key than the row's number; a log
    # without "doc" has ids only in what the task kept for its metrics: "coco_cap_chair_i": {"image_id": 42, ...}.
    question = row["doc"] if isinstance(row.get("doc"), dict) else row
    if "doc_id" in row and question is row:
        kept: Mapping[str, Any] = next((value for value in row.values() if isinstance(value, dict)), {})
        question = {**{name: kept[name] for name in (*ID_FIELDS, *IMAGE_FIELDS) if name in kept}, **row}
    if text_field == "answer" and "text" in row:
        raise InputError(
            f"{where}: the row has both 'answer' and 'text'; rename the one with the model's response to 'response'"
        )
    prompt_field = next((name for name in PROMPT_FIELDS if name in question and name != text_field), None)
    return ResponseRow(
        line=line,
        text=text,
        id=_first(row if "item" in row else question, ID_FIELDS, where),
        image=_first(question, IMAGE_FIELDS, where),
        prompt=str(question[prompt_field]) if prompt_field is not None else None,
        extra=row,
    )


def _first(row: Mapping[str, Any], names: Sequence[str], where: str) -> str | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, bool | float | list | dict) and not (isinstance(value, float) and value.is_integer()):
            if name in IMAGE_FIELDS:
                continue  # an embedded picture, for example
            raise InputError(f"{where}: field '{name}' should be an id, found {json.dumps(value)[:60]}")
        if value not in (None, ""):  # a table has a blank cell where there is none
            return str(int(value)) if isinstance(value, float) else str(value)
    return None


def responses_of(rows: Sequence[ResponseRow], ids: Sequence[str], reasoning: Reasoning = SPLIT) -> list[Response]:
    """Responses of matched rows, their thoughts set apart. Blank text has the state "empty"; error rows, and failures that
    another harness wrote as text, have the state "error"."""
    responses = []
    for row, item in zip(rows, ids, strict=True):
        error = reported_error(row)
        if row.extra.get("state") in (None, ""):  # a run folder's rows have one, given when they were generated
            error = error or failure_in_text(answer_part(row.text, reasoning.tags()))
        unfinished = row.extra.get("state") == "unfinished"
        response = Response(
            item=item,
            text=row.text,
            tokens=row.extra.get("tokens") if isinstance(row.extra.get("tokens"), int) else None,
            state="error" if error else "unfinished" if unfinished else "empty" if is_blank(row.text) else "ok",
            error=UNFINISHED if unfinished else error,
            finish=reported_finish(row),
            extra=other_fields(row),
        )
        responses.append(without_thoughts(response, reasoning))
    return responses


def reported_error(row: ResponseRow) -> str | None:
    """The failure that a row reports, in a field of its own."""
    state, error = row.extra.get("state"), row.extra.get("error")
    if state == "unfinished":
        return None
    if state in (None, "", "ok", "empty"):
        return str(error) if error else None
    if state in ("error", "failed"):
        return str(error or state)
    raise InputError(
        f"line {row.line}: unknown state {json.dumps(state)[:60]}; expected ok, empty, unfinished or error"
    )


def reported_finish(row: ResponseRow) -> str | None:
    """ "length" for an answer cut off at the token limit, "stop" for one that ended; None if the row does not say."""
    value = next((row.extra[name] for name in FINISH_FIELDS if isinstance(row.extra.get(name), str)), None)
    return "length" if value is not None and value.lower() in CUT else value


def other_fields(row: ResponseRow) -> dict[str, Any]:
    """The fields of a row that Response does not have, with the question under one name."""
    fields = {name: value for name, value in row.extra.items() if name not in RESPONSE_FIELDS}
    has_question = bool({*PROMPT_FIELDS, "doc"} & fields.keys())
    return fields if row.prompt is None or has_question else {**fields, "question": row.prompt}

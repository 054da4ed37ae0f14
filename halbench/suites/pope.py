"""POPE: "Is there a snowboard in the image?" on COCO, with random, popular and adversarial absent objects (Li et al.,
2023, arXiv 2305.10355). "Yes" is the positive class.

The question lists differ between releases (the random split has 2,910 or 3,000 questions), so a response file with image,
question and label in each row is scored on its own list; the list is part of the signature.

`value` reads the first word, or the only yes or no of the first sentence, and counts what is neither as wrong and unread. The
authors' rules, which turn every other text into a yes ("**No**", an empty answer), make the `official` column only.
Source: haotian-liu/LLaVA eval_pope.py; DAMO-NLP-SG/VCD eval_pope.py.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.files.records import read_jsonl
from halbench.responses.matching import match_by_id_or_question, match_by_order, match_by_question
from halbench.scoring_tools import yes_no
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Item, Judgement, Response, ResponseRow, Score, Suite, Task

SPLITS = ("random", "popular", "adversarial")
READERS: Mapping[str, Callable[[str, yes_no.Answer], yes_no.Answer]] = {
    "llava": lambda text, truth: yes_no.read_llava(text),
    "vcd": yes_no.read_vcd,
}


@dataclass(frozen=True)
class Options:
    """split: which question lists; "auto" is all three, or those that a response file answers. answers: whose official
    numbers are shown: LLaVA's (no, not or No among the words of the first sentence, else yes) or VCD's (substrings)."""

    split: Literal["auto", "all", "random", "popular", "adversarial"] = "auto"
    answers: Literal["llava", "vcd"] = "llava"


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    read = READERS[options.answers]
    items = question_list(data, options.split, rows)

    def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
        answer, official = yes_no.read_lenient(response.text), read(response.text, item.truth)
        counts = yes_no.count_both(item.truth, answer, official, positive="yes")
        evidence = {"truth": item.truth, "answer": answer, "official_answer": official}
        return Score.of(item, counts, evidence, faults=answer != item.truth)

    identity = {"answers": options.answers, "split": "+".join(splits_of(items)) or "own list"}
    note = "" if splits_of(items) else own_list_note(data, items)
    return Task(items, score, identity, note=note, extremes=lambda item: yes_no.extremes(item.truth, positive="yes"))


def question_list(data: Data, split: str, rows: Sequence[ResponseRow] | None) -> list[Item]:
    """The questions of the chosen splits; for "auto" those that the rows answer. A single split has no sub-groups."""
    if split != "auto":
        splits = list(SPLITS) if split == "all" else [split]
    elif rows is None:
        splits = list(SPLITS)
    else:
        labelled = all(row.image and row.prompt and _label(row) for row in rows)
        splits = answered_splits(data, rows, labelled)
        if labelled and not splits:
            return own_items(rows)
        if not splits:
            raise InputError(
                f"cannot tell which POPE split these {len(rows)} rows belong to: no question list, or more than one, has all of "
                "their questions; pass --set split=random, popular, adversarial or all. Wrong --suite?"
            )
    if len(splits) == 1:
        return [replace(item, group="all") for item in split_items(data, splits[0])]
    return [item for name in splits for item in split_items(data, name)]


def answered_splits(data: Data, rows: Sequence[ResponseRow], labelled: bool) -> list[str]:
    """The splits whose questions the rows answer: those that the rows name, or the only one with all their questions; else
    none. For rows with labels of their own, only splits in the data folder are candidates.
    """
    named = sorted({_split_of(row) or "" for row in rows})
    candidates = [name for name in SPLITS if not labelled or (data.root / f"pope/coco_pope_{name}.jsonl").is_file()]
    if set(named) <= set(candidates):
        parts = [[row for row in rows if _split_of(row) == name] for name in named]
        by_id = all(row.id is not None and "/" in row.id for row in rows)
        fits = by_id or all(
            match_by_question(split_items(data, name), part) for name, part in zip(named, parts, strict=True)
        )
        return named if fits else []
    fitting = [name for name in candidates if match_by_question(split_items(data, name), rows) is not None]
    if len(fitting) == 1:
        return fitting
    items = [item for name in candidates for item in split_items(data, name)]
    return sorted({id.partition("/")[0] for id in match_whole_lists(items, rows) or []}, key=SPLITS.index)


def own_id(row: ResponseRow) -> str:
    """An id for a labelled row's question: its image and text, since ids repeat in files that were joined."""
    return f"{_split_of(row) or 'own'}:{row.image}:{row.prompt}"


def own_items(rows: Sequence[ResponseRow]) -> list[Item]:
    """The questions in labelled rows, in the same order for any order of the file."""
    items: dict[str, Item] = {}
    for row in rows:
        item = Item(own_id(row), (Path(row.image or ""),), row.prompt or "", _label(row), _split_of(row) or "all")
        if items.setdefault(item.id, item).truth != item.truth:
            raise InputError(
                f"line {row.line}: the same question of {row.image} is labelled yes in one row and no in another"
            )
    return [items[name] for name in sorted(items)]


def own_list_note(data: Data, items: Sequence[Item]) -> str:
    """That a response file's own list is a part of a split, which may be the part that is answered well."""
    own = {(item.images[0].name, item.prompt) for item in items}
    parts = []
    for split in SPLITS:
        if (data.root / f"pope/coco_pope_{split}.jsonl").is_file():
            whole = {(item.images[0].name, item.prompt) for item in split_items(data, split)}
            if known := len(own & whole):
                parts.append(f"{known} of the {len(whole)} of {split}")
    return f"scored on the file's own list of {len(own)} questions, among them {', '.join(parts)}" if parts else ""


def split_items(data: Data, split: str) -> list[Item]:
    """Questions of one split; ids are "random/1"."""
    images = data.image_folder("pope")
    return [
        Item(f"{split}/{row['question_id']}", (images / row["image"],), row["text"], row["label"], split)
        for _, row in read_jsonl(data.file(f"pope/coco_pope_{split}.jsonl"))
    ]


def match_whole_lists(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str] | None:
    """Item ids of rows without images and splits that are one or several whole question lists, one after the other, as in
    LLaVA's answer file and lmms-eval's logs; None unless numbers, questions and labels agree with one order of lists only."""
    lists = {split: [item for item in items if item.id.startswith(f"{split}/")] for split in splits_of(items)}
    orders = [order for length in range(1, len(lists) + 1) for order in itertools.permutations(lists.values(), length)]
    matches = [
        ids
        for order in orders
        if sum(map(len, order)) == len(rows)
        if (
            ids := match_by_order([*itertools.chain(*order)], rows, lambda item, row: _label(row) in (None, item.truth))
        )
    ]
    return matches[0] if len(matches) == 1 else None


def splits_of(items: Sequence[Item]) -> list[str]:
    """The splits of items, by their ids; none for a response file's own list."""
    return [split for split in SPLITS if any(item.id.startswith(f"{split}/") for item in items)]


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """Rows by id and split (an id "random/1", a field category, or the only split), by image and question, or as whole
    question lists."""
    splits = splits_of(items)
    if not splits:
        return [own_id(row) for row in rows]
    if not any(_split_of(row) for row in rows) and (by_order := match_whole_lists(items, rows)):
        return by_order
    named: dict[str, list[ResponseRow]] = {split: [] for split in splits}
    for row in rows:
        split = _split_of(row) or (splits[0] if len(splits) == 1 else "")
        if split not in named:
            raise InputError(
                f"line {row.line}: cannot tell which split this row belongs to; expected an id like random/1 or a field "
                "'category'; to score a single split, pass --set split=random"
            )
        named[split].append(row if row.id is None else replace(row, id=f"{split}/{row.id.rpartition('/')[2]}"))
    item_of_line: dict[int, str] = {}
    for split, part in named.items():
        within = [item for item in items if item.id.startswith(f"{split}/")]
        ids = match_by_id_or_question(
            within, part, f"pope's {split} split has {len(within)} questions with ids like {split}/1"
        )
        item_of_line |= {row.line: item for row, item in zip(part, ids, strict=True)}
    return [item_of_line[row.line] for row in rows]


def _question_fields(row: ResponseRow) -> Mapping[str, Any]:
    """The fields of a row that describe its question; an lmms-eval log has them under "doc"."""
    return row.extra["doc"] if isinstance(row.extra.get("doc"), dict) else row.extra


def _label(row: ResponseRow) -> str | None:
    """The truth in a row, "yes" or "no" ("target" in an lmms-eval log); None if it has none."""
    label = row.extra.get("label") or row.extra.get("target") or _question_fields(row).get("label")
    return str(label).lower() if str(label).lower() in ("yes", "no") else None


def _split_of(row: ResponseRow) -> str | None:
    """The split that a row names in its id or, as lmms-eval does, in its field category; None if it names none."""
    if row.id and row.id.partition("/")[0] in SPLITS:
        return row.id.partition("/")[0]
    category = _question_fields(row).get("category")
    return category if category in SPLITS else None


def _printed(metric: str) -> Callable[[Mapping[str, float], str], float | None]:
    """Both scripts print Python floats, unrounded; they stop at a division by zero."""

    def official(counts: Mapping[str, float], group: str) -> float | None:
        if not (
            counts["questions"]
            and counts["official_answered_positive"]
            and counts["truth_positive"]
            and counts["official_correct_positive"]
        ):
            return None
        precision = counts["official_correct_positive"] / counts["official_answered_positive"]
        recall = counts["official_correct_positive"] / counts["truth_positive"]
        return {
            "accuracy": counts["official_correct"] / counts["questions"],
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / (precision + recall),
            "yes_ratio": counts["official_answered_positive"] / counts["questions"],
        }[metric]

    return official


GROUPS = ("all", "pooled", *SPLITS)

SUITE = Suite(
    name="pope",
    version="2",
    title="POPE",
    options=Options,
    decoding=Decoding(max_new_tokens=1024),  # LLaVA's model_vqa_loader.py
    metrics=(
        *yes_no.metrics(
            GROUPS,
            official={name: _printed(name) for name in ("accuracy", "precision", "recall", "f1")},
            main=("all", "pooled"),
        ),
        ratio_metric(
            "yes_ratio",
            "answered_positive",
            "questions",
            "neither",
            groups=GROUPS,
            official=_printed("yes_ratio"),
            main=("all", "pooled"),
            description="share of questions answered with yes",
        ),
        yes_no.unread_metric(GROUPS),
    ),
    groups={"all": ("all",), "pooled": SPLITS, **{split: (split,) for split in SPLITS}},
    load=load,
    match=match,
)

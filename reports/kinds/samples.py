"""A page on which one reads what models said: image, question, answer with its hallucinations marked, truth, the judge's words.

One run, or two side by side with those first whose scores changed most. Everything is in the page; no network is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

from halbench.comparison import Run, scored_in_both
from halbench.datasets import open_data
from halbench.errors import InputError
from halbench.evaluation import read_run, suite_of
from halbench.records import read_jsonl
from halbench.run_folder import RunFolder
from halbench.types import Item, Response, Score
from reports.arms import Panel, check_baseline, load_run, panels
from reports.marks import counted, spans
from reports.page import script_json, template
from reports.thumbnails import thumbnail
from reports.types import NothingToShow, Options, Page, Reading, ReadRun

TITLE = "Samples"
NAMED = {"hallu": "likely hallucinations, as annotated"}  # AMBER's field
MOST_BYTES = 12_000_000  # of images in one page


def build(reading: Reading, options: Options) -> list[Page]:
    """A page per suite and signature: the baseline beside the first trained run, else the first two runs, else the only one."""
    check_baseline(reading, options)
    if not reading.runs:
        raise NothingToShow("no complete run")
    made = []
    for panel in panels(reading):
        first, second = chosen(panel, options)
        one = page(first, second, options, f"samples_{panel.name}")
        others = sum(len(arm.runs) for arm in panel.arms) - (2 if second else 1)
        told = f"; {others} more runs: see them with halbench view RUN OTHER" if others else ""
        made.append(replace(one, note=one.note + told))
    return made


def chosen(panel: Panel, options: Options) -> tuple[ReadRun, ReadRun | None]:
    """Whose answers stand on the left and on the right."""
    baseline = panel.baseline(options) or panel.arms[0]
    others = [arm for arm in panel.arms if arm is not baseline and arm.role != "truncated"]
    other = next((arm for arm in others if arm.trained), others[0] if others else None)
    return baseline.runs[0], other.runs[0] if other else None


def page(first: ReadRun, second: ReadRun | None, options: Options, name: str) -> Page:
    """The page of one run, or of two under one signature. Raises InputError for two that cannot be compared."""
    runs = [first, second] if second else [first]
    loaded = [load_run(run.path) for run in runs]
    if second:
        scored_in_both(*loaded)
    items, told = items_of(first, options)
    answers = [responses_of(run.path) for run in runs]
    wanted = selected(loaded, options.samples)
    images: dict[str, str] = {}
    samples, left = [], MOST_BYTES
    for key in wanted:
        item = items.get(key)
        path = item.image if item else Path(loaded[0].scores[key].image)
        if path.name not in images and left > 0:
            images[path.name] = thumbnail(path) or ""
            left -= len(images[path.name])
        samples.append(
            sample(
                key,
                item,
                path.name,
                [(run.scores[key], said.get(key)) for run, said in zip(loaded, answers, strict=True)],
            )
        )
    total = len(loaded[0].scores)
    notes = [
        *told,
        *(
            [f"{len(wanted)} of {total} samples: half of them the most telling, the rest evenly drawn"]
            if len(wanted) < total
            else []
        ),
    ]
    content = {
        "suite": first.suite,
        "signature": first.signature,
        "runs": [run.name for run in runs],
        "notes": notes,
        "images": images,
        "samples": samples,
    }
    title = f"{first.suite}: {' and '.join(run.name for run in runs)}"
    return Page(name, title, "; ".join([*notes, "j and k go on and back, ? tells more keys"]), document(title, content))


def document(title: str, content: Mapping[str, Any]) -> str:
    """The HTML document around the samples."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template("samples.html.jinja")).render(
        title=title,
        style=Markup(template("samples.css")),
        script=Markup(template("samples.js")),
        content=Markup(script_json(content)),
    )


def items_of(run: ReadRun, options: Options) -> tuple[dict[str, Item], list[str]]:
    """The suite's items by id; none, and a note, where the suite's data are not at hand."""
    try:
        folder = RunFolder(run.path)
        suite = suite_of(folder, options.suite_file)
        stored = read_run(suite, [], open_data(options.data, options.images), folder)
    except InputError as error:
        return {}, [f"without questions, truth and images: {error}"]
    return {item.id: item for item in stored.task.items}, []


def responses_of(path: Path) -> dict[str, Response]:
    """What a run said, by item; of an item that was asked twice the last."""
    folder = RunFolder(path)
    rows = folder.read(Response, folder.responses_path) if is_own(folder.responses_path) else []
    return {row.item: row for row in rows}


def is_own(path: Path) -> bool:
    """Whether the file holds our own rows, which name their item."""
    first = next((row for _, row in read_jsonl(path, torn_tail=True)), None) if path.is_file() else None
    return isinstance(first, dict) and "item" in first


def selected(runs: Sequence[Run], most: int) -> list[str]:
    """Items to show, the most telling first: by how much the second run differs, or by how much the only one hallucinates."""
    keys = list(runs[0].scores)
    weight = {key: abs(change(runs, key)) for key in keys}
    ranked = sorted(keys, key=lambda key: -weight[key])
    if len(ranked) <= most:
        return ranked
    head, rest = ranked[: most // 2], ranked[most // 2 :]
    step = len(rest) / (most - len(head))
    return [*head, *(rest[int(place * step)] for place in range(most - len(head)))]


def change(runs: Sequence[Run], key: str) -> float:
    """How much worse the last run is than the first in one item; of one run, how bad it is."""
    values = [fault(run.scores[key]) for run in runs]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return 0.0 if not known else 0.5  # one of them was not scored: worth a look
    return known[-1] - (known[0] if len(known) > 1 else 0.0)


def fault(score: Score) -> float | None:
    """Hallucinated mentions, a wrong answer, or what a rating lacks; None where there is no score."""
    if score.state != "scored":
        return None
    counts = score.counts
    for name in ("mentions_hallucinated", "nouns_hallucinated"):
        if name in counts:
            return float(counts[name])
    if "correct" in counts:
        return 1.0 - float(counts["correct"])
    return 6.0 - float(counts["rating"]) if "rating" in counts else 0.0


def wrong(score: Score) -> bool | None:
    """Whether anything is hallucinated or answered wrongly; a rating says so itself, and one below the best need not."""
    found = fault(score)
    if found is None:
        return None
    return bool(score.counts["hallucinated"]) if "rating" in score.counts else found > 0


def sample(key: str, item: Item | None, image: str, said: Sequence[tuple[Score, Response | None]]) -> dict[str, Any]:
    """One row of the page's data."""
    score = said[0][0]
    return {
        "id": key,
        "group": score.group,
        "image": image,
        "prompt": item.prompt if item else "",
        "truth": truth_lines(item.truth if item else score.evidence.get("truth")),
        "answers": [answer(own, response) for own, response in said],
    }


def answer(score: Score, response: Response | None) -> dict[str, Any]:
    """What one run said, where its mentions stand, and what a judge wrote."""
    text = response.text if response else ""
    kinds = counted(score)
    evidence = score.evidence
    return {
        "text": text,
        "spans": spans(text, kinds),
        "objects": sorted({base for base, kind in kinds.items() if kind == "hallucinated"}),
        "state": score.state if score.state != "scored" else response.state if response else "missing",
        "error": score.error or (response.error if response else None),
        "fault": fault(score),
        "wrong": wrong(score),
        "read": (evidence["answer"] or "neither yes nor no") if "truth" in evidence and "answer" in evidence else None,
        "judge": evidence.get("judge"),
        "rating": evidence.get("rating"),
    }


def truth_lines(truth: Any) -> list[str]:
    """The truth as lines for people, whatever a suite keeps as truth."""
    if truth is None:
        return []
    if is_dataclass(truth) and not isinstance(truth, type):
        truth = asdict(truth)
    if isinstance(truth, Mapping):
        said = {
            NAMED.get(name, str(name).replace("_", " ")): ", ".join(truth_lines(value)) for name, value in truth.items()
        }
        return [text if name == "truth" else f"{name}: {text}" for name, text in said.items()]
    if isinstance(truth, list | tuple | set | frozenset):
        return [
            ", ".join(
                ", ".join(truth_lines(one)) for one in (sorted(truth) if isinstance(truth, set | frozenset) else truth)
            )
        ]
    return [str(truth)]

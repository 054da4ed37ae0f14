"""A browser of responses: images, question, answer with its hallucinations marked, truth, and the judge's reply.

One run, or two side by side with those first whose scores changed most. The page contains everything; it needs no network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any

from halbench.comparing.comparison import Run, check_comparable
from halbench.data.datasets import open_data
from halbench.errors import InputError
from halbench.evaluation.stored_responses import read_run
from halbench.evaluation.suites import suite_of_run
from halbench.files.records import read_jsonl
from halbench.folders.run import RunFolder
from halbench.responses.thoughts import THOUGHTS
from halbench.terminal.formatting import format_bounds, format_value
from halbench.types import Item, Response, Score
from reports.highlights import counted, spans
from reports.page import script_json, template
from reports.run_groups import Panel, check_baseline, load_run, panels
from reports.thumbnails import thumbnail
from reports.types import LoadedRun, NothingToShow, Options, Page, ReportInput

TITLE = "Samples"
ORDER = 70
MAX_IMAGE_BYTES = 12_000_000
"""Of all images on one page."""


def build(reading: ReportInput, options: Options) -> list[Page]:
    """A page per suite and signature: the baseline and the first trained run, else the first two runs, else the only one;
    incomplete runs only where there are no others."""
    check_baseline(reading, options)
    if not reading.runs:
        raise NothingToShow("no scored run")
    pages = []
    for panel in panels(reading):
        first, second = pick_runs(panel, options)
        samples = page(first, second, options, f"samples_{panel.name}")
        others = sum(len(group.runs) for group in panel.all_groups) - (2 if second else 1)
        note = (
            f"{samples.note}; {others} more run{'s' if others > 1 else ''}: open them with halbench view RUN OTHER"
            if others
            else samples.note
        )
        pages.append(replace(samples, note=note))
    return pages


def pick_runs(panel: Panel, options: Options) -> tuple[LoadedRun, LoadedRun | None]:
    """The runs on the left and on the right."""
    baseline = panel.baseline(options) or panel.all_groups[0]
    others = [group for group in panel.all_groups if group is not baseline and group.role != "truncated"]
    other = min(others, key=lambda group: (group in panel.incomplete, not group.trained), default=None)
    return baseline.runs[0], other.runs[0] if other else None


@dataclass(frozen=True)
class Questions:
    """What a suite asked. items: by id. truth_labels: see Suite. note: why there are none, "" if there are."""

    items: Mapping[str, Item] = field(default_factory=dict)
    truth_labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


class Images:
    """The thumbnails of one page by name, up to MAX_IMAGE_BYTES."""

    def __init__(self) -> None:
        self.thumbnails: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self.bytes = 0

    def add(self, path: Path) -> str:
        """The image's name on the page: its file name, with the folders above it if another image has that name."""
        names = ("/".join(path.parts[-length:]) for length in range(1, len(path.parts) + 1))
        name = next(name for name in names if self.paths.get(name, path) == path)
        if name not in self.paths and self.bytes < MAX_IMAGE_BYTES:
            self.thumbnails[name] = thumbnail(path) or ""
            self.bytes += len(self.thumbnails[name])
        self.paths[name] = path
        return name


def page(first: LoadedRun, second: LoadedRun | None, options: Options, name: str) -> Page:
    """The page of one run, or of two under one signature. Raises InputError for two that cannot be compared."""
    runs = [first, second] if second else [first]
    loaded = [load_run(run.path) for run in runs]
    if second:
        check_comparable(*loaded)
    questions = questions_of(first, options)
    notes = [f"{run.name} is incomplete: {run.coverage.complaint()}" for run in runs if not run.coverage.complete]
    notes += [note for run in runs if (note := bounds_note(run))]
    notes += [questions.note] if questions.note else []
    responses = [responses_of(run.path, notes) for run in runs]
    keys = select(loaded, options.samples)
    images = Images()
    position = {key: number for number, key in enumerate(loaded[0].scores)}
    samples = []
    for key in keys:
        answers = [(run.scores[key], answered.get(key)) for run, answered in zip(loaded, responses, strict=True)]
        samples.append({"position": position[key], **sample(questions, images, answers)})
    if len(keys) < len(position):
        first_half = "the largest changes" if second else "the most faults"
        notes.append(f"{len(keys)} of {len(position)} samples: half of them with {first_half}, the rest evenly spaced")
    content = {
        "suite": first.suite,
        "signature": first.signature,
        "runs": [run.label for run in runs],
        "notes": notes,
        "images": images.thumbnails,
        "samples": samples,
    }
    title = f"{first.suite}: {' and '.join(run.label for run in runs)}"
    return Page(name, title, "; ".join([*notes, "keys: j next, k previous, ? all keys"]), document(title, content))


def bounds_note(run: LoadedRun) -> str:
    """The main metrics of a run that lacks scores, with the bounds that this leaves; "" if none has bounds."""
    shown = [
        f"{row.label} {format_value(row.value, row.unit)} (bounds {format_bounds(row.worst, row.best, row.unit)})"
        for row in RunFolder(run.path).results()
        if row.main and row.best is not None
    ]
    return f"{run.name}: {', '.join(shown)}" if shown else ""


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


def questions_of(run: LoadedRun, options: Options) -> Questions:
    """The suite's items; without the suite's data none, and a note."""
    folder = RunFolder(run.path)
    try:
        suite = suite_of_run(folder, options.suite_file)
        stored = read_run(suite, [], open_data(options.data, options.images), folder)
    except InputError as error:
        return Questions(note=f"without questions, truth and images: {error}")
    return Questions({item.id: item for item in stored.task.items}, suite.truth_labels)


def responses_of(path: Path, notes: list[str]) -> dict[str, Response]:
    """The responses of a run by item; the last one if an item has several. None, and a line in `notes`, if they are damaged."""
    folder = RunFolder(path)
    try:
        rows = folder.read(Response, folder.responses_path) if is_own_format(folder.responses_path) else []
    except InputError as error:
        notes.append(f"without answers: {error}")
        return {}
    return {row.item: row for row in rows}


def is_own_format(path: Path) -> bool:
    """Whether the file contains our own rows, which name their item."""
    first = next((row for _, row in read_jsonl(path, torn_tail=True)), None) if path.is_file() else None
    return isinstance(first, dict) and "item" in first


def select(runs: Sequence[Run], limit: int) -> list[str]:
    """The items to show: those in which the second run differs most, or the only one has most faults, first."""
    keys = list(runs[0].scores)
    weight = {key: abs(change(runs, key)) for key in keys}
    ranked = sorted(keys, key=lambda key: -weight[key])
    if len(ranked) <= limit:
        return ranked
    top, rest = ranked[: limit // 2], ranked[limit // 2 :]
    step = len(rest) / (limit - len(top))
    return [*top, *(rest[int(index * step)] for index in range(limit - len(top)))]


def change(runs: Sequence[Run], key: str) -> float:
    """How many more faults the last run has than the first in one item; for a single run, its faults."""
    values = [faults(run.scores[key]) for run in runs]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return 0.5 if known else 0.0  # only one of them was scored: worth a look
    return known[-1] - (known[0] if len(known) > 1 else 0.0)


def faults(score: Score) -> float | None:
    """How much of a response is wrong; None if it was not scored or the suite does not say."""
    return None if score.state != "scored" or score.faults is None else float(score.faults)


def sample(questions: Questions, images: Images, answers: Sequence[tuple[Score, Response | None]]) -> dict[str, Any]:
    """One row of the page's data: an item and each run's answer to it."""
    score = answers[0][0]
    item = questions.items.get(score.item)
    return {
        "id": score.item,
        "group": score.group,
        "images": [images.add(path) for path in item.images] if item else [],
        "cluster": score.cluster,
        "prompt": item.prompt if item else "",
        "truth": truth_lines(item.truth if item else score.evidence.get("truth"), questions.truth_labels),
        "answers": [answer(score, response) for score, response in answers],
    }


def answer(score: Score, response: Response | None) -> dict[str, Any]:
    """A run's answer, the words to mark in it, and what the judge wrote."""
    text = response.text if response else ""
    kinds = counted(score)
    evidence = score.evidence
    return {
        "text": text,
        "spans": spans(text, kinds),
        "objects": sorted({base for base, kind in kinds.items() if kind == "hallucinated"}),
        "state": score.state if score.state != "scored" else response.state if response else "missing",
        "error": score.error or (response.error if response else None),
        "faults": faults(score),
        "read": read_note(evidence),
        "thoughts": response.extra.get(THOUGHTS) if response else None,
        "judge": None if evidence.get("judge") is None else as_text(evidence["judge"]),
        "rating": evidence.get("rating"),
    }


def read_note(evidence: Mapping[str, Any]) -> str | None:
    """How the answer to a closed question was read; None for other responses."""
    if "answer" not in evidence:
        return None
    return "no answer could be read" if evidence["answer"] is None else f"read as {evidence['answer']}"


def truth_lines(truth: Any, labels: Mapping[str, str]) -> list[str]:
    """The truth as labelled lines, whatever a suite uses as truth. labels: see Suite.truth_labels."""
    if truth is None:
        return []
    if is_dataclass(truth) and not isinstance(truth, type):
        truth = asdict(truth)
    if isinstance(truth, Mapping):
        return [f"{labels.get(str(name), label(name))}: {as_text(value)}" for name, value in truth.items()]
    return [f"truth: {as_text(truth)}"]


def as_text(value: Any) -> str:
    """A value of the truth on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{label(name)}: {as_text(member)}" for name, member in value.items())
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value))
    return "" if value is None else str(value)


def label(name: Any) -> str:
    return str(name).replace("_", " ")

"""From folders to files: reads, builds the kinds asked for, writes. What `halbench report` does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from halbench import plugins
from halbench.errors import InputError, did_you_mean
from reports.arms import check_baseline
from reports.frame import read_folders
from reports.page import Made, page
from reports.types import NothingToShow, Options, Page, Reading
from reports.write import FORMATS, OF_FIGURES, OF_TABLES, save, write

KINDS = "reports.kinds"
ALL = "all"
IN_ORDER = ("ablation", "leaderboard", "intervals", "trade_off", "breakdown", "training_curves", "samples")
BESIDE_THE_PAGE = ("html", "md", "tex")


@dataclass(frozen=True)
class Report:
    """written: files, the page first. notes: what was left out and why, a line each."""

    written: Sequence[Path]
    notes: Sequence[str]


def report(
    kind: str, folders: Sequence[Path], options: Options, formats: Sequence[str], out: Path, title: str
) -> Report:
    """Build one kind, or all of them, and write it in these formats ([]: the kind's own default)."""
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"--format {name}{did_you_mean(name, FORMATS)}")
    wanted = kinds() if kind == ALL else [kind]
    modules = {name: plugins.load(KINDS, name) for name in wanted}
    reading = read_folders(folders)
    notes = [f"left out: {line}" for line in reading.skipped] + [f"shown apart: {line}" for line in reading.apart]
    if not reading.runs and not reading.trainings:
        return Report([], [*notes, "nothing is left to report on"])
    check_baseline(reading, options)
    sections: dict[str, Made] = {}
    for name, module in modules.items():
        try:
            sections[module.TITLE] = module.build(reading, options)
        except NothingToShow as reason:
            notes.append(f"{name}: nothing to show: {reason}")
    if not sections:
        return Report([], notes)
    written = write_all(kind, reading, sections, formats, out, title)
    unmade = [name for name in formats if not any(path.suffix == f".{name}" for path in written)]
    if unmade:
        notes.append(
            f"{kind}: made nothing as {', '.join(unmade)}; tables are written as {', '.join(OF_TABLES)}, figures as "
            f"{', '.join(OF_FIGURES)}, all of them as html, pages of samples only so"
        )
    return Report(written, notes)


def kinds() -> list[str]:
    """All kinds, in the order of a page."""
    known = plugins.names(KINDS)
    return [name for name in IN_ORDER if name in known] + [name for name in known if name not in IN_ORDER]


def write_all(
    kind: str, reading: Reading, sections: Mapping[str, Made], formats: Sequence[str], out: Path, title: str
) -> list[Path]:
    """The page, where html is among the formats, and then every table and figure as a file of its own."""
    asked = list(formats) or list(BESIDE_THE_PAGE if kind == ALL else ("html",))
    made = [one for section in sections.values() for one in section]
    written = []
    name = "report" if kind == ALL else Path(kind).stem
    pages = [one for one in made if isinstance(one, Page)]
    if "html" in asked:
        documents = {name: page(title, reading, sections)} if len(pages) < len(made) else {}
        if not documents:  # pages need none around them
            documents = {name if len(pages) == 1 else one.name: one.html for one in pages}
        for stem, html in documents.items():
            write(out / f"{stem}.html", html)
            written.append(out / f"{stem}.html")
    rest = [name for name in asked if name != "html"]
    # Beside a page of everything the figures are in it already; tables are what goes into a paper.
    tables_only = [name for name in rest if name in OF_TABLES] if kind == ALL and not formats else rest
    return [*written, *save(made, tables_only, out)]

"""From folders to files: reads runs, builds the kinds of report, writes them. What `halbench report` does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from halbench import plugins
from halbench.errors import InputError, did_you_mean
from reports.page import Parts, page
from reports.reading import read_folders
from reports.run_groups import check_baseline
from reports.types import NothingToShow, Options, Page, ReportInput
from reports.write import FIGURE_FORMATS, FORMATS, TABLE_FORMATS, save, write

KINDS = "reports.kinds"
ALL = "all"
FORMATS_OF_ALL = ("html", "md", "tex")


@dataclass(frozen=True)
class Report:
    """written: files, the page first. notes: one line for everything that was left out, with the reason."""

    written: Sequence[Path]
    notes: Sequence[str]


def report(
    kind: str, folders: Sequence[Path], options: Options, formats: Sequence[str], out: Path, title: str
) -> Report:
    """Build one kind, or all of them, and write it in these formats ([]: the default ones)."""
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"--format {name}{did_you_mean(name, FORMATS)}")
    modules = all_kinds() if kind == ALL else {kind: plugins.load(KINDS, kind)}
    reading = read_folders(folders)
    notes = [f"left out: {line}" for line in reading.skipped]
    notes += [f"incomplete: {line}" for line in reading.incomplete]
    notes += [f"in separate tables: {line}" for line in reading.incomparable]
    if not reading.runs and not reading.trainings:
        return Report([], [*notes, "nothing is left to report on"])
    check_baseline(reading, options)
    sections: dict[str, Parts] = {}
    for name, module in modules.items():
        section, build = plugins.required(module, "TITLE", "build")
        try:
            sections[section] = build(reading, options)
        except NothingToShow as reason:
            notes.append(f"{name}: nothing to show: {reason}")
    if not sections:
        return Report([], notes)
    written = write_all(kind, reading, sections, formats, out, title)
    missing = [name for name in formats if not any(path.suffix == f".{name}" for path in written)]
    if missing:
        notes.append(
            f"{kind}: no {', '.join(missing)} file was written; tables can be {', '.join(TABLE_FORMATS)} or html, figures "
            f"{', '.join(FIGURE_FORMATS)} or html, samples only html"
        )
    return Report(written, notes)


def all_kinds() -> dict[str, ModuleType]:
    """The modules of all kinds by name, in the order of the page (ORDER)."""
    modules = {name: plugins.load(KINDS, name) for name in plugins.names(KINDS)}
    return dict(sorted(modules.items(), key=lambda module: getattr(module[1], "ORDER", float("inf"))))


def write_all(
    kind: str, reading: ReportInput, sections: Mapping[str, Parts], formats: Sequence[str], out: Path, title: str
) -> list[Path]:
    """Write the page, if html is among the formats, and then each table and figure to its own file."""
    chosen = list(formats) or list(FORMATS_OF_ALL if kind == ALL else ("html",))
    parts = [part for section in sections.values() for part in section]
    written = []
    name = "report" if kind == ALL else Path(kind).stem
    pages = [part for part in parts if isinstance(part, Page)]
    if "html" in chosen:
        documents = {name: page(title, reading, sections)} if len(pages) < len(parts) else {}
        if not documents:  # nothing but pages of samples: each is a file of its own
            documents = {name if len(pages) == 1 else part.name: part.html for part in pages}
        for stem, html in documents.items():
            write(out / f"{stem}.html", html)
            written.append(out / f"{stem}.html")
    others = [name for name in chosen if name != "html"]
    # The page of everything already contains the figures; tables are also wanted for papers.
    separate = [name for name in others if name in TABLE_FORMATS] if kind == ALL and not formats else others
    return [*written, *save(parts, separate, out)]

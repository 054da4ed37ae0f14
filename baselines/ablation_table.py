"""What an ablation found, as rows: per objective the mean over seeds, how far the seeds spread, and the difference to base.

    {"row": "mdpo", "learning_rate": 0.0002, "seeds": [0, 1, 2], "metrics": {"descriptions/chair": {"mean": .142,
     "min": .131, "max": .150, "low": .118, "high": .166, "minus_base": -.031, "n": 300, "better": "lower", "unit": ...}}}

low, high: means of the bounds of the seeds' own 95 % intervals, each of which tells of the draw of images alone; min, max tell of
the seeds. Nothing is ranked: that takes more seeds and other data than one small world.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from baselines.ablation import Place
from baselines.experiments import Cell, Experiment
from halbench.errors import InputError, did_you_mean
from halbench.formatting import format_difference, format_interval, format_value, metric_label, print_table
from halbench.records import read_json
from halbench.run_folder import RunFolder

Found = Mapping[str, Mapping[str, Any]]
"""Results of one run by "group/metric"."""


def table(experiment: Experiment, place: Place, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Base, truncation control, then every objective and learning rate of which a cell is complete."""
    base = read_results(place.base, None)
    signature = RunFolder(place.base).manifest()["signature"]
    columns = chosen_columns(experiment, base)
    groups: dict[tuple[str, float], list[Cell]] = {}
    for cell in experiment.cells:
        if record["cells"][cell.name]["status"] == "complete":
            groups.setdefault((cell.label, cell.learning_rate), []).append(cell)
    rows: list[dict[str, Any]] = [
        {"row": "base", "metrics": summaries([base], base, columns)},
        {
            "row": "truncated base",
            "metrics": summaries([read_results(place.truncated, signature)], base, columns),
        },
    ]
    for (label, rate), cells in groups.items():
        runs = [read_results(place.cell(cell) / "run", signature) for cell in cells]
        seeds = [cell.seed for cell in cells]
        rows.append({"row": label, "learning_rate": rate, "seeds": seeds, "metrics": summaries(runs, base, columns)})
    return rows


def read_results(run: Path, signature: str | None) -> Found:
    """The results of a run; refuses those of another signature than the base's, which cannot stand beside it."""
    folder = RunFolder(run)
    found = folder.manifest()["signature"]
    if signature not in (None, found):
        raise InputError(f"{run} was scored as {found}, the base as {signature}; remove the older of them and go on")
    return {f"{row['group']}/{row['metric']}": row for row in read_json(folder.results_path)}


def chosen_columns(experiment: Experiment, base: Found) -> list[str]:
    """The columns asked for, else all metrics of the suite's first group."""
    for column in experiment.columns:
        if column not in base:
            raise InputError(f"columns: {experiment.suite} has no '{column}'{did_you_mean(column, base)}")
    first = next(iter(base.values()))["group"]
    return list(experiment.columns) or [name for name, row in base.items() if row["group"] == first]


def summaries(runs: Sequence[Found], base: Found, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {column: summary([run[column] for run in runs], base[column]["value"]) for column in columns}


def summary(results: Sequence[Mapping[str, Any]], base: float | None) -> dict[str, Any]:
    """One metric over the seeds; None where any of them is undefined, since a mean of the rest would tell of other cells."""
    values, low, high = ([result[name] for result in results] for name in ("value", "low", "high"))
    mean = mean_of(values)
    return {
        "mean": mean,
        "min": None if mean is None else min(values),
        "max": None if mean is None else max(values),
        "low": mean_of(low),
        "high": mean_of(high),
        "minus_base": None if mean is None or base is None else mean - base,
        "values": values,
        "n": results[0]["n"],
        "better": results[0]["better"],
        "unit": results[0]["unit"],
    }


def mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def print_ablation(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Up to four lines a row: mean, range over seeds, interval, difference to base. Columns go by their metric's name alone
    where that is enough."""
    metrics = rows[0]["metrics"]
    names = [column.partition("/")[2] for column in metrics]
    headings = {"": "left", " ": "left"} | {
        metric_label(column if names.count(name) > 1 else name, found["better"]): "right"
        for name, (column, found) in zip(names, metrics.items(), strict=True)
    }
    rates = {row["learning_rate"] for row in rows if "learning_rate" in row}
    lines: list[list[str]] = []
    for row in rows:
        if lines:
            lines.append([""] * len(headings))
        lines += row_lines(row, len(rates) > 1)
    print_table(headings, lines, title)  # type: ignore[arg-type]


def row_lines(row: Mapping[str, Any], with_rate: bool) -> list[list[str]]:
    cells, seeds = row["metrics"].values(), row.get("seeds", [])
    name = f"{row['row']}, lr {row['learning_rate']:g}" if with_rate and seeds else row["row"]
    value = f"mean of {len(seeds)} seeds" if len(seeds) > 1 else "value"
    lines = [
        [name, value, *(format_value(cell["mean"], cell["unit"]) for cell in cells)],
        [
            "",
            "their mean 95% interval" if len(seeds) > 1 else "95% interval",
            *(format_interval(cell["low"], cell["high"], cell["unit"]) for cell in cells),
        ],
    ]
    if len(seeds) > 1:
        spread = (format_interval(cell["min"], cell["max"], cell["unit"]) for cell in cells)
        lines.insert(1, ["", "lowest, highest seed", *spread])
    if row["row"] != "base":
        lines.append(["", "minus base", *(format_difference(cell["minus_base"], cell["unit"]) for cell in cells)])
    return lines

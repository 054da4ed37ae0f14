"""The table of an ablation: for each objective the mean over seeds, their range, and the difference from the base.

    {"row": "mdpo", "learning_rate": 0.0002, "seeds": [0, 1, 2], "metrics": {"descriptions/chair": {"mean": .142,
     "min": .131, "max": .150, "low": .118, "high": .166, "minus_base": -.031, "n": 300, "better": "lower", "unit": ...}}}

low, high: means of the bounds of the seeds' own 95 % intervals, each of which covers only the sampling of images; min,
max are over the seeds. Nothing is ranked: that takes more seeds and other data than one small world.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from baselines.experiments.experiment import Cell, Experiment
from halbench.errors import InputError, did_you_mean
from halbench.folders.ablation import AblationFolder
from halbench.folders.run import RunFolder
from halbench.terminal.formatting import (
    format_difference,
    format_interval,
    format_value,
    metric_label,
    print_table,
)

Results = Mapping[str, Mapping[str, Any]]
"""Results of one run by "group/metric"."""


def table(experiment: Experiment, folder: AblationFolder, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows for base, truncation control, and every objective and learning rate with a complete cell."""
    base = read_results(folder.base, None)
    signature = RunFolder(folder.base).scored_manifest().signature
    columns = chosen_columns(experiment, base)
    groups: dict[tuple[str, float], list[Cell]] = {}
    for cell in experiment.cells:
        if record["cells"][cell.name]["status"] == "complete":
            groups.setdefault((cell.label, cell.learning_rate), []).append(cell)
    rows: list[dict[str, Any]] = [
        {"row": "base", "metrics": summaries([base], base, columns)},
        {
            "row": "truncated base",
            "metrics": summaries([read_results(folder.truncated, signature)], base, columns),
        },
    ]
    for (label, rate), cells in groups.items():
        runs = [read_results(folder.run(cell.name), signature) for cell in cells]
        seeds = [cell.seed for cell in cells]
        rows.append({"row": label, "learning_rate": rate, "seeds": seeds, "metrics": summaries(runs, base, columns)})
    return rows


def read_results(run: Path, signature: str | None) -> Results:
    """The results of a run. Raises InputError for another signature than the base's, which cannot be compared with
    it."""
    folder = RunFolder(run)
    own = folder.scored_manifest().signature
    if signature not in (None, own):
        raise InputError(
            f"{run} has signature {own}, the base run has {signature}; delete the outdated run and repeat the command to resume"
        )
    return {f"{row.group}/{row.metric}": vars(row) for row in folder.results()}


def chosen_columns(experiment: Experiment, base: Results) -> list[str]:
    """The experiment's columns, else the suite's main metrics, else all metrics of its first group."""
    for column in experiment.columns:
        if column not in base:
            raise InputError(f"columns: {experiment.suite} has no '{column}'{did_you_mean(column, base)}")
    first = next(iter(base.values()))["group"]
    main = [name for name, row in base.items() if row["main"]]
    return list(experiment.columns) or main or [name for name, row in base.items() if row["group"] == first]


def summaries(runs: Sequence[Results], base: Results, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {column: summary([run[column] for run in runs], base[column]["value"]) for column in columns}


def summary(results: Sequence[Mapping[str, Any]], base: float | None) -> dict[str, Any]:
    """One metric over the seeds; None if it is undefined for any of them, since a mean of the rest would be of other
    cells."""
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
    """Print up to four lines a row: mean, range over seeds, interval, difference from the base. A column's heading is
    its metric's name alone, if no other column has it."""
    metrics = rows[0]["metrics"]
    names = [column.partition("/")[2] for column in metrics]
    headings = {"": "left", " ": "left"} | {
        metric_label(column if names.count(name) > 1 else name, metric["better"]): "right"
        for name, (column, metric) in zip(names, metrics.items(), strict=True)
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
            "mean 95% interval" if len(seeds) > 1 else "95% interval",
            *(format_interval(cell["low"], cell["high"], cell["unit"]) for cell in cells),
        ],
    ]
    if len(seeds) > 1:
        spread = (format_interval(cell["min"], cell["max"], cell["unit"]) for cell in cells)
        lines.insert(1, ["", "lowest, highest seed", *spread])
    if row["row"] != "base":
        lines.append(["", "minus base", *(format_difference(cell["minus_base"], cell["unit"]) for cell in cells)])
    return lines

"""halbench from Python: the same functions that the command line calls, with results that notebooks can show.

    import halbench

    run = halbench.score("amber", "answers.json")
    run.frame()                                         # one row per metric
    run.items()                                         # one row per response: text, counts, evidence
    halbench.compare("runs/base", run)
    halbench.gate(run, baseline="runs/base", margins={"chair": 0.005}).outcome

Mistakes raise halbench.InputError with the line that the command line would print. Progress goes to stderr.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halbench.comparing import comparison, gating
from halbench.errors import InputError
from halbench.evaluation.choice import Acceptance, Unwanted
from halbench.evaluation.coverage import Coverage
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.files.records import as_json, from_row
from halbench.folders.run import RunFolder
from halbench.judging.options import JudgeOptions
from halbench.reasoning import SPLIT, Reasoning
from halbench.running import run as running
from halbench.running.arguments import (
    PathLike,
    as_name,
    as_optional_path,
    as_path,
    judging,
    run_arguments,
    suite_choice,
)
from halbench.running.several import Suites, run_cell, run_each
from halbench.settings import checked
from halbench.statistics.resampling import STANDARD, Resampling
from halbench.terminal import formatting
from halbench.types import Response, Result, Score

if TYPE_CHECKING:
    import pandas as pd

    from reports.reporting import Report

ONE_PROCESS = "run() is for one process; start several with torchrun and `halbench run`"
COLUMNS = ("item", "group", "cluster", "state", "text", "evidence", "error")
"""The columns of Run.items() besides the counts."""


@dataclass(frozen=True)
class Run:
    """A scored run. path: its run folder, or None. responses: [] where the folder keeps none. notes: before believing the numbers."""

    suite: str
    signature: str
    signature_fields: Mapping[str, Any]
    coverage: Coverage
    results: Sequence[Result]
    scores: Sequence[Score]
    responses: Sequence[Response]
    path: Path | None = None
    suite_file: str | None = None
    notes: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether enough items were scored for the numbers to be valid; `coverage` says what is missing."""
        return self.coverage.complete

    def frame(self) -> "pd.DataFrame":
        """One row per metric and group: value, low, high, n, official ... Values are fractions or native units, unrounded."""
        import pandas as pd

        return pd.DataFrame([vars(result) for result in self.results], columns=[f.name for f in fields(Result)])

    def items(self) -> "pd.DataFrame":
        """One row per response: item, group, cluster, state, text, one column per count, the evidence and the error. A count
        that has the name of another column, such as "text", is in "count_text"."""
        import pandas as pd

        names = {name for score in self.scores for name in score.counts}
        columns = {name: count_column(name, names) for name in names}
        return pd.DataFrame(
            {
                "item": score.item,
                "group": score.group,
                "cluster": score.cluster,
                "state": score.state,
                "text": text,
                **{columns[name]: float(count) for name, count in score.counts.items()},
                "evidence": dict(score.evidence),
                "error": score.error,
            }
            for score, text in zip(self.scores, self.texts(), strict=True)
        )

    def texts(self) -> list[str | None]:
        """The text of each score's response, None without one. Several of an item are paired in order, from the last: a
        response that was repeated after an error was scored once."""
        own: dict[str, list[str]] = {score.item: [] for score in self.scores}
        for response in self.responses:
            own.setdefault(response.item, []).append(response.text)
        return [own[score.item].pop() if own[score.item] else None for score in reversed(self.scores)][::-1]

    def _repr_html_(self) -> str:
        bounded = any(row.best is not None for row in self.results)
        rows = [
            {
                "group": row.group,
                "metric": formatting.metric_label(row.label, row.better),
                "value": formatting.format_value(row.value, row.unit),
                "95% interval": formatting.format_interval(row.low, row.high, row.unit),
                "official": "" if row.official is None else f"{row.official:.6g}",
                "n": row.n,
                "scored": formatting.format_scored(row.n, row.coverage),
                **({"bounds": formatting.format_bounds(row.worst, row.best, row.unit)} if bounded else {}),
            }
            for row in self.results
            if not (row.unread and not row.value)
        ]
        missing = [f"{'' if self.complete else 'INCOMPLETE: '}{line}"] if (line := self.coverage.complaint()) else []
        return formatting.html_table(self.suite, rows, [*self.notes, *missing, self.signature])

    def loaded(self) -> comparison.Run:
        """The run as comparisons take it."""
        path, scores = self.path or Path(f"a run of {self.suite}"), comparison.by_item(self.scores)
        told = scores, self.coverage, self.results
        return comparison.Run(path, self.suite, self.signature, self.signature_fields, *told)


@dataclass(frozen=True)
class Comparison:
    """Paired differences B - A of two runs; see halbench.comparing.comparison.Comparison."""

    comparison: comparison.Comparison

    def frame(self) -> "pd.DataFrame":
        """One row per metric and group: a, b, difference, low, high, p, p_holm, verdict ..."""
        import pandas as pd

        return pd.DataFrame(
            {**vars(compared.row), "p_holm": compared.p_holm, "verdict": compared.verdict}
            for compared in self.comparison.rows
        )

    def _repr_html_(self) -> str:
        result = self.comparison
        rows = [
            {
                **difference_cells(compared.row, ("A", "B")),
                "p (Holm)": formatting.format_p(compared.p_holm),
                "B vs A": compared.verdict,
            }
            for compared in result.rows
        ]
        note = f"A: {result.a}, B: {result.b}. {result.n} items scored in both runs, {result.left_out} left out."
        return formatting.html_table(result.suite, rows, [*result.incomplete, note, *result.notes, result.signature])


@dataclass(frozen=True)
class GateResult:
    """Whether a run is worse than a baseline by more than is tolerated; see halbench.comparing.gating.Gate."""

    gate: gating.Gate

    @property
    def outcome(self) -> str:
        """ "pass", "regression", "inconclusive", or "incomplete" if one of the runs is."""
        return self.gate.outcome

    @property
    def passed(self) -> bool:
        return self.outcome == "pass"

    def frame(self) -> "pd.DataFrame":
        """One row per gated metric, and per metric shown with it: difference, margin, verdict, reason ..."""
        import pandas as pd

        return pd.DataFrame(
            {**{name: value for name, value in vars(gated).items() if name != "row"}, **vars(gated.row)}
            for gated in self.gate.rows
        )

    def _repr_html_(self) -> str:
        result = self.gate
        rows = [
            {
                "verdict": gated.verdict,
                **difference_cells(gated.row, ("baseline", "run")),
                "margin": "-" if gated.margin is None else formatting.format_amount(gated.margin, gated.row.unit),
                "reason": gated.reason,
            }
            for gated in result.rows
        ]
        notes = [*result.incomplete, *result.notes, result.signature]
        return formatting.html_table(f"{result.suite}: {result.outcome}", rows, notes)


def score(
    suite: PathLike | None,
    responses: PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    data: PathLike | None = None,
    images: PathLike | None = None,
    judge: str | JudgeOptions | None = None,
    judgements: PathLike | None = None,
    judge_prompt: PathLike | None = None,
    allow: tuple[Unwanted, ...] = (),
    reasoning: Reasoning = SPLIT,
    out: PathLike | None = None,
) -> Run:
    """Score stored responses, as `halbench score` does.

    suite: a name or a .py file; None for a run folder, which knows its own. responses: a response file or a run folder.
    options: of the suite, such as {"similarity": "spacy"}. judge: a model's name, or JudgeOptions. judgements: stored
    replies. allow: kinds of answers of which a complete run may have many. reasoning: how thoughts before answers are
    treated. out: run folder to write.
    """
    choice, folder = suite_choice(suite, options, data, images), as_optional_path("out", out)
    verdicts, acceptance = judging(judge, judgements, judge_prompt), checked(Acceptance(allow))
    evaluation = score_stored(choice, as_path("responses", responses), verdicts, folder, acceptance, checked(reasoning))
    return of_evaluation(evaluation, folder, choice.suite)


def run(
    model: PathLike,
    suite: PathLike,
    *,
    backend: str = "hf",
    options: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
    limit: int | None = None,
    data: PathLike | None = None,
    images: PathLike | None = None,
    judge: str | JudgeOptions | None = None,
    judgements: PathLike | None = None,
    judge_prompt: PathLike | None = None,
    allow: tuple[Unwanted, ...] = (),
    reasoning: Reasoning = SPLIT,
    out: PathLike | None = None,
    **backend_options: Any,
) -> Run:
    """Let a model answer a suite, and score it, as `halbench run` does; a run that was interrupted is resumed.

    generation: over the suite's decoding, such as {"max_new_tokens": 64}. backend_options: fields of
    halbench.types.BackendOptions, such as batch_size=8, device="cuda:1", dtype="bfloat16". The others: see score.
    """
    (cell,) = run_arguments(
        model,
        [suite],
        Suites(),
        backend=backend,
        options=options,
        generation=generation,
        limit=limit,
        data=data,
        images=images,
        judge=judge,
        judgements=judgements,
        judge_prompt=judge_prompt,
        allow=allow,
        reasoning=reasoning,
        out=out,
        **backend_options,
    )
    done = running.run(cell.plan, cell.choice, cell.options, cell.judging, cell.acceptance)
    if done is None:
        raise InputError(ONE_PROCESS)
    evaluation, written = done
    return of_evaluation(evaluation, written.path, cell.choice.suite)


def run_suites(model: PathLike, suites: Sequence[PathLike], **settings: Any) -> list[Run]:
    """Let a model, which is loaded once, answer several suites; the settings are those of `run`. Options are given to the
    suites that have them, or to one: {"amber.similarity": "spacy"}; each suite has a folder below `out`. Raises InputError
    after all have been tried if some failed; what the others gave is in their folders."""
    opened = Suites()
    cells = run_arguments(model, suites, opened, **settings)
    opened.check(cells)
    outcomes = list(run_each(cells, opened, run_cell))
    if failed := [f"{one.cell.suite}: {one.problem}" for one in outcomes if one.problem]:
        raise InputError(f"{len(failed)} of {len(cells)} suites failed: {'; '.join(failed)}")
    results = [(one.cell, *one.result) for one in outcomes if one.result]
    if len(results) < len(cells):
        raise InputError(ONE_PROCESS)
    return [of_evaluation(evaluation, folder.path, cell.choice.suite) for cell, evaluation, folder in results]


def load(path: PathLike, suite_file: PathLike | None = None) -> Run:
    """The run in a run folder. suite_file: of a suite of your own, which comparisons of it need."""
    folder = RunFolder(as_path("path", path))
    manifest = folder.scored_manifest()
    return Run(
        suite=manifest.settings.suite.name,
        signature=manifest.signature or "",
        signature_fields=manifest.signature_fields,
        coverage=from_row(Coverage, manifest.coverage, f"{folder.manifest_path}: coverage"),
        results=folder.results(),
        scores=folder.read(Score, folder.scores_path),
        responses=folder.read(Response, folder.responses_path),
        notes=manifest.notes,
        path=folder.path,
        suite_file=as_name("suite_file", suite_file),
    )


def compare(
    a: Run | PathLike, b: Run | PathLike, resampling: Resampling = STANDARD, suite_file: PathLike | None = None
) -> Comparison:
    """Paired differences B - A of two runs of one suite, as `halbench compare` gives them. suite_file: of a suite
    of your own, if both are paths."""
    first, second = opened(a), opened(b)
    file = as_name("suite_file", suite_file) or first.suite_file or second.suite_file
    return Comparison(comparison.compare_runs(first.loaded(), second.loaded(), checked(resampling), file))


def gate(
    run: Run | PathLike,
    baseline: Run | PathLike,
    margins: Mapping[str, float] | PathLike | None = None,
    resampling: Resampling = STANDARD,
    suite_file: PathLike | None = None,
) -> GateResult:
    """Whether a run is worse than a baseline by more than is tolerated, as `halbench gate` decides it.

    margins: {"chair": 0.005} or {"generative/chair": 0.005}, a file of these, or None for the suite's own.
    """
    under_test, reference = opened(run), opened(baseline)
    file = as_name("suite_file", suite_file) or under_test.suite_file or reference.suite_file
    limits = Path(margins) if isinstance(margins, str) else margins
    return GateResult(gating.gate_runs(under_test.loaded(), reference.loaded(), limits, checked(resampling), file))


def report(
    runs: PathLike | Sequence[PathLike],
    kind: str = "all",
    *,
    out: PathLike = "out/report",
    baseline: str | None = None,
    formats: str | Sequence[str] = (),
    title: str = "Hallucination report",
    suite_file: PathLike | None = None,
) -> "Report":
    """Tables, figures and pages from one or several run, training and ablation folders, as `halbench report` writes them;
    `.written` are the files, `.notes` what was left out and why."""
    from reports import reporting
    from reports.types import Options

    options = Options(baseline=baseline, suite_file=as_name("suite_file", suite_file))
    folders = [as_path("runs", run) for run in ([runs] if isinstance(runs, PathLike) else runs)]
    names = [formats] if isinstance(formats, str) else list(formats)
    return reporting.report(kind, folders, options, names, as_path("out", out), title)


def of_evaluation(evaluation: Evaluation, path: Path | None, suite: str | None) -> Run:
    """What was just scored. suite: as the user named it."""
    return Run(
        suite=evaluation.suite.name,
        signature=evaluation.signature,
        signature_fields=as_json(evaluation.fields),  # as a run folder has them
        coverage=evaluation.coverage,
        results=evaluation.results,
        scores=evaluation.scores,
        responses=evaluation.responses,
        path=path,
        suite_file=suite if suite and suite.endswith(".py") else None,
        notes=evaluation.notes,
    )


def count_column(name: str, names: Container[str]) -> str:
    """The column of a count in Run.items(). names: of all counts."""
    column = name
    while column in COLUMNS or (column != name and column in names):
        column = f"count_{column}"
    return column


def opened(run: Run | PathLike) -> Run:
    return run if isinstance(run, Run) else load(run)


def difference_cells(row: comparison.Row, names: tuple[str, str]) -> dict[str, str]:
    """A paired difference as text, by column."""
    return {
        "group": row.group,
        "metric": formatting.metric_label(row.metric, row.better),
        names[0]: formatting.format_value(row.a, row.unit),
        names[1]: formatting.format_value(row.b, row.unit),
        "change": formatting.format_difference(row.difference, row.unit),
        "interval": formatting.format_interval(row.low, row.high, row.unit, "+"),
    }

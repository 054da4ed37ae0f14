"""Scoring stored responses: those of a file or a run folder."""

from dataclasses import dataclass
from pathlib import Path

from halbench.errors import InputError
from halbench.evaluation.choice import NOTHING_ALLOWED, Acceptance, SuiteChoice
from halbench.evaluation.evaluate import (
    Evaluation,
    default_folder,
    evaluate,
    run_settings,
    write_evaluation,
)
from halbench.evaluation.stored_responses import StoredResponses, read_stored_responses
from halbench.evaluation.suites import load_suite, naming_damaged_data, suite_of_run
from halbench.files.records import write_jsonl
from halbench.folders.run import RunFolder
from halbench.judging.judgements import check_judging, describe_requests, find_judgements
from halbench.judging.options import NO_JUDGING, Judging
from halbench.reasoning import SPLIT, Reasoning
from halbench.types import Judgement, Suite


def score_stored(
    choice: SuiteChoice,
    source: Path,
    judging: Judging = NO_JUDGING,
    out: Path | None = None,
    acceptance: Acceptance = NOTHING_ALLOWED,
    reasoning: Reasoning = SPLIT,
) -> Evaluation:
    """The evaluation of a response file or, again, of a run folder, which names its suite if none is chosen. With `out`, or
    with a judge, it is written to a run folder. reasoning: how thoughts in a file are treated."""
    opened = open_source(choice, source, judging, out, reasoning)
    suite, stored, out = opened.suite, opened.stored, opened.out
    task, responses = stored.task, stored.responses
    kept = RunFolder(source) if source.is_dir() else None
    with naming_damaged_data(suite, choice.open()):
        if out is None:
            return evaluate(
                suite,
                task,
                responses,
                stored.decoding,
                find_judgements(judging, task, responses, None, kept),
                acceptance.allow,
                stored.model,
                stored.reasoning,
            )
        settings = run_settings(
            suite, stored.options, task, stored.model, stored.decoding, stored.limit, stored.reasoning
        )
        folder = RunFolder(out)
        with folder.lock():
            folder.begin(settings)
            write_jsonl(folder.responses_path, responses)
            verdicts = find_judgements(judging, task, responses, folder, kept)
            if judging.judge is None and verdicts.judgements:  # others that were paid for stay
                present = folder.read(Judgement, folder.judgements_path)
                write_jsonl(folder.judgements_path, dict.fromkeys([*present, *verdicts.rows()]))
            evaluation = evaluate(
                suite, task, responses, stored.decoding, verdicts, acceptance.allow, stored.model, stored.reasoning
            )
            write_evaluation(folder, settings, evaluation, verdicts.record)
        return evaluation


@dataclass(frozen=True)
class Source:
    """Stored responses with their suite. out: the run folder to write, if any."""

    suite: Suite
    stored: StoredResponses
    out: Path | None


def open_source(
    choice: SuiteChoice, source: Path, judging: Judging, out: Path | None, reasoning: Reasoning = SPLIT
) -> Source:
    """The responses to score. Raises InputError for what cannot be scored, or not like this."""
    if choice.suite is None and not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if choice.suite is None and not source.is_dir():
        raise InputError(f"{source}: --suite is required for a response file; only a run folder records its suite")
    suite = load_suite(choice.suite) if choice.suite else suite_of_run(RunFolder(source))
    stored = read_stored_responses(suite, choice.settings, choice.open(), source, reasoning)
    check_judging(suite, stored.options, stored.task, judging)
    if judging.judge is not None and out is None:
        out = default_folder(source.stem, suite)
    if out is not None and source.is_dir() and out.resolve() == source.resolve():
        raise InputError(f"--out {out} is the run folder being scored; choose another, or omit --out")
    return Source(suite, stored, out)


def describe_scoring(choice: SuiteChoice, source: Path, judging: Judging, out: Path | None = None) -> str:
    """What `score_stored` would ask a judge, in one line; nothing is asked or written."""
    opened = open_source(choice, source, judging, out)
    task, responses = opened.stored.task, opened.stored.responses
    if judging.judge is None or opened.out is None:
        return f"{len(responses):,} responses to score; no judge is asked"
    return describe_requests(task, responses, judging.judge, judging.prompt, RunFolder(opened.out))

"""Scoring stored responses: those of a file or a run folder."""

from pathlib import Path

from halbench.errors import InputError
from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import (
    Evaluation,
    default_folder,
    evaluate,
    run_settings,
    write_evaluation,
)
from halbench.evaluation.stored_responses import read_stored_responses
from halbench.evaluation.suites import load_suite, naming_damaged_data, suite_of_run
from halbench.files.records import write_jsonl
from halbench.folders.run import RunFolder
from halbench.judging.judgements import check_judging, find_judgements
from halbench.judging.options import NO_JUDGING, Judging


def score_stored(
    choice: SuiteChoice, source: Path, judging: Judging = NO_JUDGING, out: Path | None = None
) -> Evaluation:
    """The evaluation of a response file or, again, of a run folder, which names its suite if none is chosen. With `out`, or
    with a judge, it is written to a run folder."""
    if choice.suite is None and not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if choice.suite is None and not source.is_dir():
        raise InputError(f"{source}: --suite is required for a response file; only a run folder records its suite")
    kept, data = RunFolder(source) if source.is_dir() else None, choice.open()
    suite = load_suite(choice.suite) if choice.suite else suite_of_run(RunFolder(source))
    stored = read_stored_responses(suite, choice.settings, data, source)
    task, responses = stored.task, stored.responses
    check_judging(suite, stored.options, task, judging)
    if judging.judge is not None and out is None:
        out = default_folder(source.stem, suite)
    if out is not None and source.is_dir() and out.resolve() == source.resolve():
        raise InputError(f"--out {out} is the run folder being scored; choose another, or omit --out")
    with naming_damaged_data(suite, data):
        if out is None:
            return evaluate(
                suite, task, responses, stored.decoding, find_judgements(judging, task, responses, None, kept)
            )
        settings = run_settings(suite, stored.options, task, stored.model, stored.decoding, stored.limit)
        folder = RunFolder(out)
        with folder.lock():
            folder.begin(settings)
            write_jsonl(folder.responses_path, responses)
            verdicts = find_judgements(judging, task, responses, folder, kept)
            if judging.judge is None and verdicts.judgements:
                write_jsonl(folder.judgements_path, verdicts.judgements.values())
            evaluation = evaluate(suite, task, responses, stored.decoding, verdicts)
            write_evaluation(folder, settings, evaluation)
        return evaluation

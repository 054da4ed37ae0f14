"""From responses to results: scored, signed, and written to a run folder by `halbench score` and `halbench run`."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import halbench
from halbench.evaluation.coverage import Coverage, coverage
from halbench.evaluation.notes import notes
from halbench.evaluation.scoring import mean_scores, results, score_responses
from halbench.evaluation.signature import items_identity, model_fields, signature, signature_fields
from halbench.files.records import file_hash, write_json, write_jsonl
from halbench.folders.run import RunFolder
from halbench.judging.judgements import Judgements
from halbench.reasoning import SPLIT, Reasoning
from halbench.settings import option_values
from halbench.types import Decoding, Response, Result, Score, Suite, Task

RECORDED_PACKAGES = (
    "numpy",
    "nltk",
    "textblob",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "openai",
    "vllm",
    "lmms-eval",
    "spacy",
)


@dataclass(frozen=True)
class Evaluation:
    """Scores and results of one set of responses. fields: those of the signature. notes: what a reader should know before
    believing the numbers, a line each."""

    suite: Suite
    responses: Sequence[Response]
    scores: Sequence[Score]
    results: Sequence[Result]
    coverage: Coverage
    fields: Mapping[str, str]
    notes: Sequence[str] = ()

    @property
    def signature(self) -> str:
        return signature(self.fields)


def evaluate(
    suite: Suite,
    task: Task,
    responses: Sequence[Response],
    decoding: Decoding | None,
    verdicts: Judgements,
    allowed: Sequence[str] = (),
    model: Mapping[str, Any] | None = None,
    reasoning: Reasoning = SPLIT,
) -> Evaluation:
    """Score responses. decoding: how they were generated, None if unknown (they come from a file). allowed: see Coverage.
    model: the identity of what generated them. reasoning: how thoughts in a file were treated."""
    replies = (verdicts.judgements, *verdicts.repeats)
    scores = mean_scores([score_responses(task, responses, judgements) for judgements in replies])
    fields = signature_fields(suite, task, decoding, verdicts.fields)
    fields |= model_fields(model or {})
    fields |= (decoding.reasoning if decoding else reasoning).identity()
    if allowed:
        fields["allowed"] = ",".join(sorted(set(allowed)))
    rows = results(suite, task, scores, signature(fields))
    covered = coverage(task.items, scores, responses, allowed)
    said = notes(suite, task, scores, rows)
    if verdicts.fields.get("judge_match") == "order":
        said = ("the judge's replies carry no ids and were matched by order: are they on these responses?", *said)
    return Evaluation(suite, responses, scores, rows, covered, fields, said)


def run_settings(
    suite: Suite,
    options: Any,
    task: Task,
    model: Mapping[str, Any],
    decoding: Decoding | None,
    limit: int | None = None,
    reasoning: Reasoning = SPLIT,
) -> dict[str, Any]:
    """The settings of a run folder; a run resumes in it only with the same ones. Defaults that earlier versions did not
    have are left out, so that their folders stay valid."""
    thoughts = decoding.reasoning if decoding else reasoning
    return {
        "suite": {"name": suite.name, "version": suite.version, "options": option_values(options)},
        "items": items_identity(task.items),
        "decoding": decoding and {name: value for name, value in vars(decoding).items() if name != "reasoning"},
        "model": model,
        "limit": limit,
        **({} if thoughts == SPLIT else {"reasoning": thoughts}),
    }


def write_evaluation(
    folder: RunFolder, settings: Mapping[str, Any], evaluation: Evaluation, servers: Mapping[str, Any] | None = None
) -> None:
    """Write scores and results, and last the manifest. servers: its fields about the servers that answered or judged."""
    write_jsonl(folder.scores_path, evaluation.scores)
    write_json(folder.results_path, evaluation.results)
    folder.write_manifest(
        {
            "status": "complete" if evaluation.coverage.complete else "incomplete",
            "settings": settings,
            **(servers or {}),
            "signature": evaluation.signature,
            "signature_fields": evaluation.fields,
            "coverage": evaluation.coverage,
            "notes": evaluation.notes,
            "files": {path.name: file_hash(path) for path in folder.scored_files()},
            "environment": environment(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


def environment() -> dict[str, str]:
    """Versions of halbench, Python, system and packages, for the manifest; without the machine's name."""
    versions = {
        "halbench": halbench.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def default_folder(model: str, suite: Suite) -> Path:
    """runs/MODEL__SUITE: the default run folder."""
    name = Path(model.rstrip("/")).name.replace(":", "-") or "model"
    return Path("runs") / f"{name}__{suite.name}"

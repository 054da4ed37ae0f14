"""A judge's verdicts on responses: requested now, read from a file, or kept in a run folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.files.records import content_hash
from halbench.folders.run import OLDEST_RESPONSES, RunFolder
from halbench.judging.judge import identity, judge, served_models
from halbench.judging.options import JudgeOptions, Judging
from halbench.judging.stored_replies import read_judgement_file
from halbench.judging.templates import fill, read_template
from halbench.settings import option_values
from halbench.types import Judgement, Response, Suite, Task


@dataclass(frozen=True)
class Judgements:
    """A judge's verdicts on responses. judgements: by item id. fields: what they add to the signature."""

    judgements: Mapping[str, Judgement]
    fields: Mapping[str, str]


NO_JUDGEMENTS = Judgements({}, {})


def judge_prompts(task: Task, responses: Sequence[Response], template: str) -> dict[str, str]:
    """Item id -> the judge's prompt, for the responses that need a judge."""
    assert task.judge is not None
    items = {item.id: item for item in task.items}
    prompts = {}
    for response in responses:
        values = None if response.state == "error" else task.judge.values(items[response.item], response)
        if values is not None:
            prompts[response.item] = fill(template, values)
    return prompts


def ask_judge(
    task: Task, responses: Sequence[Response], options: JudgeOptions, prompt: Path | None, folder: RunFolder
) -> Judgements:
    """A judge's verdict on each response that needs one; replies that are in the folder are not requested again."""
    assert task.judge is not None
    template = read_template(prompt, task.judge.template)
    prompts = judge_prompts(task, responses, template)
    verdicts = judge(prompts, task.judge.readable, options, folder, task.judge.role) if prompts else {}
    fields = {
        "judge": options.model,
        "judge_served": ",".join(served_models(verdicts.values())) or "none",
        "judge_prompt": content_hash(template, 8),
        "judge_settings": content_hash(identity(options), 8),
    }
    return Judgements(verdicts, fields)


def stored_judgements(file: Path, task: Task, responses: Sequence[Response], prompt: Path | None) -> Judgements:
    """Verdicts from a file of replies. Replies with a hash of their prompt must be replies about these very responses."""
    assert task.judge is not None
    judgements = read_judgement_file(file, [response.item for response in responses])
    template = read_template(prompt, task.judge.template)
    hashes = {item: judgement.prompt_hash for item, judgement in judgements.items() if judgement.prompt_hash}
    if hashes:
        prompts = judge_prompts(task, responses, template)
        foreign = [item for item, prompt_hash in hashes.items() if content_hash(prompts.get(item, "")) != prompt_hash]
        if foreign:
            raise InputError(
                f"{file}: {len(foreign)} of {len(hashes)} judgements (the first is of item '{foreign[0]}') are about other "
                "responses, or were made with another prompt; name that prompt with --judge-prompt FILE"
            )
    fields = {
        "judge": ",".join(sorted({judgement.requested_model for judgement in judgements.values()})),
        "judge_served": ",".join(served_models(judgements.values())) or "none",
        "judge_prompt": content_hash(template, 8) if hashes else "stored",
        "judge_settings": "stored",
    }
    return Judgements(judgements, fields)


def judgements_of_run(folder: RunFolder) -> Judgements:
    """Judge verdicts stored in a run folder, with their signature fields; empty if it was never judged."""
    fields = folder.manifest(OLDEST_RESPONSES).get("signature_fields", {})
    judged = {name: value for name, value in fields.items() if name.startswith("judge")}
    return Judgements(
        {row.item: row for row in folder.read(Judgement, folder.judgements_path)} if judged else {}, judged
    )


def check_judging(suite: Suite, options: Any, task: Task, judging: Judging) -> None:
    """Raise InputError if a suite that needs no judge is given one, or if two sources of verdicts are given."""
    if judging.stored and judging.judge:
        raise InputError("--judgements and --judge are both given; use one of them")
    if task.judge is None and (judging.stored or judging.judge):
        settings = ", ".join(f"{key}={value}" for key, value in option_values(options).items()) or "(none)"
        raise InputError(f"suite {suite.name} needs no judge with its options {settings}; omit the judge, or see --set")


def find_judgements(
    judging: Judging, task: Task, responses: Sequence[Response], folder: RunFolder | None, kept: RunFolder | None = None
) -> Judgements:
    """The verdicts on responses: stored ones, a judge's, or those in the run folder `kept`. folder: where a judge's
    replies are written; without one no judge is asked."""
    if judging.stored:
        return stored_judgements(judging.stored, task, responses, judging.prompt)
    if judging.judge and folder:
        return ask_judge(task, responses, judging.judge, judging.prompt, folder)
    return judgements_of_run(kept) if task.judge and kept else NO_JUDGEMENTS

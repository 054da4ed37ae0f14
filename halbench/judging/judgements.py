"""A judge's verdicts on responses: requested now, read from a file, or kept in a run folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from halbench.errors import InputError
from halbench.files.records import content_hash
from halbench.folders.run import OLDEST_RESPONSES, RunFolder
from halbench.judging.costs import Allowance, estimate, spent
from halbench.judging.judge import decoding, identity, judge, plan_requests, served_models
from halbench.judging.options import JudgeOptions, Judging
from halbench.judging.stored_replies import read_judgement_file
from halbench.judging.templates import fill, read_template
from halbench.reasoning import answer_part
from halbench.settings import option_values
from halbench.types import Judgement, Response, Suite, Task


@dataclass(frozen=True)
class Judgements:
    """A judge's verdicts on responses. judgements: by item id. fields: what they add to the signature. repeats: the second,
    third ... verdicts on the same responses. record: what they add to the manifest: `judge_key`, by which the replies of this
    judge are found among those of others, and `judge_cost`."""

    judgements: Mapping[str, Judgement]
    fields: Mapping[str, str]
    repeats: Sequence[Mapping[str, Judgement]] = ()
    record: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> list[Judgement]:
        return [row for verdicts in (self.judgements, *self.repeats) for row in verdicts.values()]


NO_JUDGEMENTS = Judgements({}, {})


def judge_prompts(task: Task, responses: Sequence[Response], template: str) -> dict[str, str]:
    """Item id -> the judge's prompt, for the responses that need a judge."""
    assert task.judge is not None
    items = {item.id: item for item in task.items}
    prompts = {}
    for response in responses:
        values = (
            None if response.state in ("error", "unfinished") else task.judge.values(items[response.item], response)
        )
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
    key = content_hash([options.model, template, task.judge.role, decoding(options, 1)])
    readable = readable_replies(task, responses)
    verdicts, *repeats = finished(judge(prompts, readable, options, folder, task.judge.role, key))
    rows = [row for one in (verdicts, *repeats) for row in one.values()]
    fields = {
        "judge": options.model,
        "judge_served": ",".join(served_models(rows)) or "none",
        "judge_prompt": content_hash(template, 8),
        "judge_settings": content_hash(identity(options), 8),
        **({"judge_repeats": str(options.repeats)} if options.repeats > 1 else {}),
    }
    paid = [row for row in folder.read(Judgement, folder.judgements_path) if row.judge == key]
    return Judgements(verdicts, fields, repeats, {"judge_key": key, "judge_cost": spent(paid, options)})


def readable_replies(task: Task, responses: Sequence[Response]) -> Callable[[str, str], bool]:
    """readable(item, reply) of the suite."""
    assert task.judge is not None
    question, items = task.judge, {item.id: item for item in task.items}
    answers = {response.item: response for response in responses}

    def readable(item: str, reply: str) -> bool:
        return question.readable(answer_part(reply), question.values(items[item], answers[item]) or {})

    return readable


def describe_requests(
    task: Task, responses: Sequence[Response], options: JudgeOptions, prompt: Path | None, folder: RunFolder
) -> str:
    """What a judge would be asked about responses, and its price, in one line."""
    assert task.judge is not None
    prompts = judge_prompts(task, responses, read_template(prompt, task.judge.template))
    replies = folder.read(Judgement, folder.judgements_path)
    agenda = plan_requests(prompts, readable_replies(task, responses), options, replies, task.judge.role)
    missing = agenda.missing()
    text = f"judge '{options.model}': {estimate([requests[0].body for requests in missing.values()], options)}"
    if most := sum(map(len, missing.values())):
        text += f"; up to {most:,} requests if replies cannot be read"
    return f"{text}; {len(agenda.verdicts)} of {len(agenda.requests)} verdicts are kept"


def stored_judgements(file: Path, task: Task, responses: Sequence[Response], prompt: Path | None) -> Judgements:
    """Verdicts from a file of replies. Replies with a hash of their prompt must be replies about these very responses; those
    of a list are taken by their order, which the signature says."""
    assert task.judge is not None
    by_order = file.suffix != ".jsonl"
    if by_order:
        check_order(file, task, responses)
    rows = read_judgement_file(file, [response.item for response in responses])
    judges = {(row.requested_model, row.judge) for row in rows if row.judge}
    if len(judges) > 1:
        raise InputError(
            f"{file}: expected replies of one judge, found those of {len(judges)} ({', '.join(sorted({m for m, _ in judges}))}); "
            "score their run folder with --judge MODEL, which keeps what is there"
        )
    judgements, *repeats = finished(by_repeat(rows))
    template = read_template(prompt, task.judge.template)
    hashes = {row.item: row.prompt_hash for row in rows if row.prompt_hash}
    if hashes:
        prompts = judge_prompts(task, responses, template)
        foreign = [item for item, prompt_hash in hashes.items() if content_hash(prompts.get(item, "")) != prompt_hash]
        if foreign:
            raise InputError(
                f"{file}: {len(foreign)} of {len(hashes)} judgements (the first is of item '{foreign[0]}') are about other "
                "responses, or were made with another prompt; name that prompt with --judge-prompt FILE"
            )
    fields = {
        "judge": ",".join(sorted({row.requested_model for row in rows})),
        "judge_served": ",".join(served_models(rows)) or "none",
        "judge_prompt": content_hash(template, 8) if hashes else "stored",
        "judge_settings": "stored",
        **({"judge_match": "order"} if by_order else {}),
        **({"judge_repeats": str(1 + len(repeats))} if repeats else {}),
    }
    return Judgements(judgements, fields, repeats, {"judge_key": next((key for _, key in judges), "")})


def by_repeat(rows: Sequence[Judgement], repeats: int = 0) -> list[dict[str, Judgement]]:
    """Replies by item, one mapping for each repeat; the last reply of an item is its verdict. repeats: how many were
    requested, 0 if unknown; an empty mapping stands for those that are lacking."""
    numbers = sorted({row.repeat for row in rows if not repeats or row.repeat <= repeats})
    found = [{row.item: row for row in rows if row.repeat == number} for number in numbers]
    return found if found and len(found) >= repeats else [*found, {}]


def finished(repeats: Sequence[Mapping[str, Judgement]]) -> list[dict[str, Judgement]]:
    """Verdicts on the responses that have a reply in every repeat, or the error of the one that is lacking: a mean over fewer
    replies than the signature says is no score."""
    failed = {row.item: row for verdicts in repeats for row in verdicts.values() if row.state == "error"}
    whole = set.intersection(*(set(verdicts) for verdicts in repeats)) | failed.keys()
    return [{item: failed.get(item, row) for item, row in verdicts.items() if item in whole} for verdicts in repeats]


def check_order(file: Path, task: Task, responses: Sequence[Response]) -> None:
    """Raise InputError for a list of replies, one per response in the suite's order, that cannot be about these responses."""
    places = {item.id: place for place, item in enumerate(task.items)}
    remedy = "score the responses that were judged, or give replies with item ids (judgements.jsonl)"
    empty = sum(response.state == "empty" for response in responses)
    if empty > len(responses) / 2:  # single empty answers are judged like any other
        raise InputError(
            f"{file}: a list of replies is matched by order, but {empty} of {len(responses)} responses are empty; {remedy}"
        )
    late = next((two.item for one, two in pairwise(responses) if places[two.item] < places[one.item]), None)
    if late is not None:
        raise InputError(
            f"{file}: a list of replies is matched by order, but the responses are not in the suite's order ('{late}' comes "
            f"too late); {remedy}"
        )


def judgements_of_run(folder: RunFolder) -> Judgements:
    """Judge verdicts stored in a run folder, with their signature fields; empty if it was never judged."""
    manifest = folder.manifest(OLDEST_RESPONSES)
    judged = {name: value for name, value in manifest.signature_fields.items() if name.startswith("judge")}
    if not judged:
        return NO_JUDGEMENTS
    models = str(judged.get("judge")).split(",")
    replies = folder.read(Judgement, folder.judgements_path)
    # Replies of a user's file, and those kept by earlier versions, have no key.
    own = [
        row for row in replies if row.judge == manifest.judge_key or (not row.judge and row.requested_model in models)
    ]
    asked = str(judged.get("judge_repeats", 1))
    first, *repeats = finished(by_repeat(own, max(1, int(asked) if asked.isdecimal() else 1)))
    return Judgements(first, judged, repeats, {"judge_key": manifest.judge_key})


def check_judging(suite: Suite, options: Any, task: Task, judging: Judging) -> None:
    """Raise InputError if a suite that needs no judge is given one, if two sources of verdicts are given, or for a limit of
    dollars without a price."""
    if judging.judge is not None:
        Allowance(judging.judge)
    if judging.stored and judging.dry_run:
        raise InputError("--judgements and --dry-run are both given; stored replies cost nothing")
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

"""A judge: prompts -> replies of a chat model behind any OpenAI-compatible server, every reply kept.

    judge({"3": "Grade this answer ... Rating: N"}, readable, JudgeOptions("gpt-4o-2024-08-06"), folder)
    -> {"3": Judgement(item="3", served_model="gpt-4o-2024-08-06", reply="... Rating: 4", state="ok", ...)}

Each reply is one row of judgements.jsonl, written as soon as it arrives; so an item may have several rows, and the last
of them is its verdict. `attempts` counts the replies requested for that item so far. A rerun recognises a row by its item
and its key, a hash of the request and the model, and requests only what is missing or ended in an error. The server's
address is not part of the key, because the same model may be served elsewhere.

    {"item": "3", "key": "09fd...", "requested_model": "gpt-4o", "served_model": "gpt-4o-2024-08-06",
     "reply": "It is good.", "state": "unparsable", "error": null, "attempts": 1}
    {"item": "3", "key": "77c1...", ..., "reply": "Nothing is made up.\\nRating: 5", "state": "ok", "attempts": 2}

There are two kinds of retries. Transport failures (connection, 429, 5xx) are retried by the client library, with back-off
and Retry-After honoured. A reply from which no verdict can be read is requested again, with the same prompt at
RETRY_TEMPERATURE, because at temperature 0 it would come back unchanged.

halbench's own prompts are in halbench/judging/prompts: `mmhal_judge` takes image_contents, question, human_answer and
response, and ends in a line "Rating: N"; `object_extraction` takes question and answer, and requests a JSON list of names.
The API key is read from the environment and is never written to a file or a message.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from halbench.errors import InputError, MissingExtra
from halbench.files.records import content_hash
from halbench.folders.run import RowWriter, RunFolder
from halbench.judging.options import JudgeOptions
from halbench.models import chat_server
from halbench.models.chat_server import ChatServer, Completion, serves
from halbench.terminal.progress import Steps, progress, say
from halbench.types import Judgement

KEY_VARIABLES = ("HALBENCH_JUDGE_API_KEY", "OPENAI_API_KEY")
RETRY_TEMPERATURE = 0.7


def decoding(options: JudgeOptions, attempt: int) -> dict[str, Any]:
    """Request fields that shape the reply. attempt: counted from 1."""
    temperature = 0.0 if attempt == 1 else RETRY_TEMPERATURE
    fields = {"temperature": temperature, "max_tokens": options.max_tokens, **options.extra}
    return {name: value for name, value in fields.items() if value is not None}


def identity(options: JudgeOptions) -> dict[str, Any]:
    """Everything about the judge that can change a verdict, except the prompt (the suite's) and the served model."""
    return {"model": options.model, "attempts": options.attempts, "decoding": decoding(options, 1)}


def server_url(options: JudgeOptions) -> str:
    """The address that requests go to. Raises InputError for what is not an address."""
    return chat_server.server_url("the judge", options.base_url)


def open_server(options: JudgeOptions) -> ChatServer:
    """The judge's server, before any request. Raises InputError if its address, its key or the client library is missing."""
    try:
        return ChatServer(
            role="judge",
            model=options.model,
            url=server_url(options),
            keys=KEY_VARIABLES,
            flag="--judge-base-url",
            retries=options.retries,
            timeout_s=options.timeout_s,
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("a judge needs: pip install 'halbench[judge]' (no module 'openai')") from error


def served_models(judgements: Iterable[Judgement]) -> tuple[str, ...]:
    """The models that replied, sorted. More than one: the server changed its model during the run."""
    return tuple(sorted({row.served_model for row in judgements if row.served_model is not None}))


def judge(
    prompts: Mapping[str, str],
    readable: Callable[[str], bool],
    options: JudgeOptions,
    folder: RunFolder,
    role: Literal["user", "system"] = "user",
) -> dict[str, Judgement]:
    """The verdict on each prompt (item id -> text), in the same order; only missing ones are requested.

    readable: whether a verdict can be read from a reply. role: of the one message, which is the prompt.
    A failed request gives a judgement with state "error". Raises InputError if no further request can succeed: the key
    or the model is refused, the server stays silent, or no reply came at all. Replies that came before are kept.
    """
    kept = {
        (row.item, row.key): row
        for row in folder.read(Judgement, folder.judgements_path)
        if row.state != "error"  # requested again
    }
    requests = {item: planned_requests(text, options, role) for item, text in prompts.items()}
    verdicts = {item: verdict for item in prompts if (verdict := settled_reply(item, requests[item], kept))}
    missing = {item: requests[item] for item in prompts if item not in verdicts}
    if missing:
        with (
            folder.appending(folder.judgements_path) as rows,
            progress(f"judge {options.model}", len(prompts), len(verdicts)) as steps,
        ):
            session = JudgeSession(options, readable, kept, verdicts, rows, steps)
            asyncio.run(session.run(missing))
        errors = [row.error for row in verdicts.values() if row.state == "error"]
        if len(errors) == len(prompts):
            raise InputError(
                f"{session.name}: no reply to any request; the first error is: {errors[0]}. "
                "Check that the server runs, its address and the model's name, then repeat the command"
            )
        for served in served_models(verdicts.values()):
            if not serves(options.model, served):
                say(f"judge: requested '{options.model}', but replies came from '{served}'")
    return {item: verdicts[item] for item in prompts}


@dataclass(frozen=True)
class Request:
    """A request for one reply. body: as sent. attempt: counted from 1, part of the key."""

    key: str
    body: Mapping[str, Any]
    attempt: int


def planned_requests(text: str, options: JudgeOptions, role: str) -> list[Request]:
    """The requests for one prompt, one for each attempt."""
    bodies = [
        {"model": options.model, "messages": [{"role": role, "content": text}], **decoding(options, attempt)}
        for attempt in range(1, options.attempts + 1)
    ]
    return [Request(content_hash([body, number]), body, number) for number, body in enumerate(bodies, 1)]


def settled_reply(
    item: str, requests: Iterable[Request], kept: Mapping[tuple[str, str], Judgement]
) -> Judgement | None:
    """The kept reply that is an item's verdict; None if an attempt is left."""
    verdict = None
    for request in requests:
        verdict = kept.get((item, request.key))
        if verdict is None or verdict.state != "unparsable":
            return verdict
    return verdict


class JudgeSession:
    """Requests all missing replies: concurrently, in one thread, each reply written when it arrives."""

    def __init__(
        self,
        options: JudgeOptions,
        readable: Callable[[str], bool],
        kept: dict[tuple[str, str], Judgement],
        verdicts: dict[str, Judgement],
        rows: RowWriter,
        steps: Steps,
    ) -> None:
        self.server = open_server(options)
        self.name = self.server.name
        self.options, self.readable, self.kept, self.verdicts, self.rows = options, readable, kept, verdicts, rows
        self.unanswered = 0  # requests in a row that the server did not answer
        self.steps = steps

    async def run(self, missing: Mapping[str, list[Request]]) -> None:
        """Fill `verdicts`. Raises an InputError that stops the session."""
        todo = iter(missing.items())
        try:
            async with self.server, asyncio.TaskGroup() as group:
                for _ in range(min(self.options.concurrency, len(missing))):
                    group.create_task(self.settle(todo))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def settle(self, todo: Iterator[tuple[str, list[Request]]]) -> None:
        """One worker: takes items until none is left."""
        for item, requests in todo:
            for request in requests:
                row = self.kept.get((item, request.key)) or await self.reply(item, request)
                if row.state != "unparsable":
                    break
            self.verdicts[item] = row
            self.steps.advance(note=self.failure_counts())
            if self.unanswered >= max(3, self.options.concurrency):
                raise InputError(
                    f"{self.name} is not replying: {self.unanswered} requests in a row failed, the last with: {row.error}. "
                    "Earlier replies are kept; repeat the command when the server works again"
                )

    async def reply(self, item: str, request: Request) -> Judgement:
        """The row of one request's reply, already written. Raises InputError if no request can succeed."""
        prompt_hash = content_hash(request.body["messages"][0]["content"])
        row = Judgement(
            item, request.key, self.options.model, None, "", "error", attempts=request.attempt, prompt_hash=prompt_hash
        )
        answer = await self.server.ask({name: value for name, value in request.body.items() if name != "model"})
        if isinstance(answer, Completion):
            row, answered = classify_reply(row, answer, self.readable), True
        else:
            state: Literal["refused", "error"] = "refused" if answer.kind == "withheld" else "error"
            row, answered = replace(row, state=state, error=answer.message), answer.concerns_request
        self.unanswered = 0 if answered else self.unanswered + 1
        self.rows.write(row)
        return row

    def failure_counts(self) -> str:
        """ "error 2, refused 1": how many items ended without a readable reply, by state."""
        counts = Counter(row.state for row in self.verdicts.values() if row.state != "ok")
        return ", ".join(f"{state} {counts[state]}" for state in sorted(counts))


def classify_reply(row: Judgement, reply: Completion, readable: Callable[[str], bool]) -> Judgement:
    """The row with its reply, served model and state."""
    row = replace(row, reply=reply.text, served_model=reply.served_model)
    if reply.withheld:
        return replace(row, state="refused", error=reply.withheld)
    if readable(reply.text):
        return replace(row, state="ok")
    return replace(row, state="unparsable", error="cut off at max_tokens" if reply.finish == "length" else None)

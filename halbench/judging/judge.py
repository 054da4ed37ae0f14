"""A judge: prompts -> replies of a chat model behind any OpenAI-compatible server, every reply kept.

    judge({"3": "Grade this answer ... Rating: N"}, readable, JudgeOptions("gpt-4o-2024-08-06"), folder)
    -> [{"3": Judgement(item="3", served_model="gpt-4o-2024-08-06", reply="... Rating: 4", state="ok", ...)}]

Each reply is one row of judgements.jsonl, written as soon as it arrives; so an item may have several rows, and the last
of them is its verdict. `attempts` counts the replies requested for that item so far. A rerun recognises a row by its item
and its key, a hash of the request and the model, and requests only what is missing or ended in an error. The server's
address is not part of the key, because the same model may be served elsewhere. Replies of several judges, and repeats of
one, are kept side by side.

    {"item": "3", "key": "09fd...", "requested_model": "gpt-4o", "served_model": "gpt-4o-2024-08-06",
     "reply": "It is good.", "state": "unparsable", "error": null, "attempts": 1}
    {"item": "3", "key": "77c1...", ..., "reply": "Nothing is made up.\\nRating: 5", "state": "ok", "attempts": 2}

A repeat from the second on sends a `seed` of its own, so that no server or proxy answers it from a cache.

There are two kinds of retries. Transport failures (connection, 429, 5xx) are retried by the client library, with back-off
and Retry-After honoured. A reply from which no verdict can be read is requested again, with the same prompt at
RETRY_TEMPERATURE, because at temperature 0 it would come back unchanged.

halbench's own prompts are in halbench/judging/prompts: `mmhal_judge` takes image_contents, question, human_answer and
response, and ends in a line "Rating: N"; `object_extraction` takes question and answer, and requests a JSON list of names.
The API key is read from the environment and is never written to a file or a message.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from halbench.errors import InputError, MissingExtra
from halbench.files.interruption import Interrupted
from halbench.files.records import content_hash
from halbench.folders.run import RowWriter, RunFolder
from halbench.judging.costs import Allowance, estimate, spent
from halbench.judging.options import JudgeOptions
from halbench.models import chat_server
from halbench.models.chat_server import ChatServer, Completion, serves
from halbench.terminal.lines import shortened, visible
from halbench.terminal.progress import Steps, progress, say
from halbench.types import Judgement

KEY_VARIABLES = ("HALBENCH_JUDGE_API_KEY", "OPENAI_API_KEY")
RETRY_TEMPERATURE = 0.7
UNREADABLE_IN_A_ROW = 8
"""Replies without a verdict after which a session stops."""
SHOWN = 200  # characters of a reply in a message


def decoding(options: JudgeOptions, attempt: int, repeat: int = 1) -> dict[str, Any]:
    """Request fields that shape the reply. attempt, repeat: counted from 1."""
    temperature = 0.0 if attempt == 1 else RETRY_TEMPERATURE
    fields = {"temperature": temperature, "max_tokens": options.max_tokens, **options.extra}
    seed = options.extra.get("seed", 1)
    if repeat > 1 and type(seed) is int:
        fields["seed"] = seed + repeat - 1
    return {name: value for name, value in fields.items() if value is not None}


def identity(options: JudgeOptions) -> dict[str, Any]:
    """Everything about the judge that can change a verdict, except the prompt (the suite's), the served model and repeats."""
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
            # Each request of the client library would cost, and none is counted: with a limit there are none.
            retries=options.retries if options.max_requests is None and options.max_usd is None else 0,
            timeout_s=options.timeout_s,
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("a judge needs: pip install 'halbench[judge]' (no module 'openai')") from error


def served_models(judgements: Iterable[Judgement]) -> tuple[str, ...]:
    """The models that replied, sorted. More than one: the server changed its model during the run."""
    return tuple(sorted({row.served_model for row in judgements if row.served_model is not None}))


@dataclass(frozen=True)
class Request:
    """A request for one reply. body: as sent. attempt: counted from 1, part of the key, as is a repeat from 2."""

    key: str
    body: Mapping[str, Any]
    attempt: int


Question = tuple[str, int]
"""Item and number of the repeat, from 1."""


@dataclass(frozen=True)
class Agenda:
    """What a judge is asked. requests: one for each attempt. kept: (item, key) -> reply. verdicts: those that are settled."""

    requests: Mapping[Question, Sequence[Request]]
    kept: dict[tuple[str, str], Judgement]
    verdicts: dict[Question, Judgement]

    def missing(self) -> dict[Question, Sequence[Request]]:
        """The questions without a verdict, and the requests that are left for each."""
        return {
            question: [request for request in requests if (question[0], request.key) not in self.kept]
            for question, requests in self.requests.items()
            if question not in self.verdicts
        }


def plan_requests(
    prompts: Mapping[str, str],
    readable: Callable[[str, str], bool],
    options: JudgeOptions,
    replies: Iterable[Judgement],
    role: str,
) -> Agenda:
    """What is to be asked, and what kept replies have settled."""
    requests = {
        (item, repeat): planned_requests(text, options, role, repeat)
        for repeat in range(1, options.repeats + 1)
        for item, text in prompts.items()
    }
    kept = {(row.item, row.key): row for row in replies if row.state != "error"}  # errors are requested again
    verdicts = {}
    for (item, repeat), planned in requests.items():
        verdict = settled_reply(item, planned, kept)
        if verdict is not None and options.ask_again and (verdict.state != "ok" or not readable(item, verdict.reply)):
            for request in planned:
                kept.pop((item, request.key), None)
        elif verdict is not None:
            verdicts[item, repeat] = verdict
    return Agenda(requests, kept, verdicts)


def planned_requests(text: str, options: JudgeOptions, role: str, repeat: int) -> list[Request]:
    """The requests for one reply to one prompt, one for each attempt."""
    bodies = [
        {"model": options.model, "messages": [{"role": role, "content": text}], **decoding(options, attempt, repeat)}
        for attempt in range(1, options.attempts + 1)
    ]
    again = [repeat] if repeat > 1 else []  # the first reply is that of a session without repeats
    return [Request(content_hash([body, number, *again]), body, number) for number, body in enumerate(bodies, 1)]


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


def judge(
    prompts: Mapping[str, str],
    readable: Callable[[str, str], bool],
    options: JudgeOptions,
    folder: RunFolder,
    role: Literal["user", "system"] = "user",
    judge_key: str = "",
) -> list[dict[str, Judgement]]:
    """The verdict on each prompt (item id -> text), in the same order; only missing ones are requested. One mapping for each
    repeat.

    readable(item, reply): whether a verdict can be read from a reply. role: of the one message, which is the prompt.
    A failed request gives a judgement with state "error", and so does one that a limit of the costs did not allow. Raises
    InputError if no further request can succeed: the key or the model is refused, the server stays silent, no reply came at
    all, or UNREADABLE_IN_A_ROW came without a verdict. Replies that came before are kept.
    """
    agenda = plan_requests(prompts, readable, options, folder.read(Judgement, folder.judgements_path), role)
    missing, verdicts = agenda.missing(), agenda.verdicts
    if missing:
        with (
            folder.appending(folder.judgements_path) as rows,
            progress(f"judge {options.model}", len(agenda.requests), len(verdicts)) as steps,
        ):
            session = JudgeSession(options, readable, agenda, judge_key, rows, steps)
            say(f"{session.name}: {estimate([requests[0].body for requests in missing.values()], options)}")
            try:
                if signal := asyncio.run(session.run(missing)):
                    raise signal
            finally:
                if session.replies:
                    say(f"{session.name}: used {spent(session.replies, options)}")
        failed = [row.error for row in session.replies if row.state == "error"]
        if failed and all(row.state == "error" for row in verdicts.values()):
            raise InputError(
                f"{session.name}: no reply to any request; the first error is: {failed[0]}. "
                "Check that the server runs, its address and the model's name, then repeat the command"
            )
        if session.limit:
            left = [question for question in missing if question not in verdicts]
            say(
                f"{session.name}: stopped at {session.limit}, with {len(left)} of {len(agenda.requests)} verdicts still to ask "
                "for; repeat the command to go on"
            )
            for item, repeat in left:
                verdicts[item, repeat] = Judgement(
                    item, "", options.model, None, "", "error", f"not asked: {session.limit}", 0, repeat=repeat
                )
        for served in served_models(verdicts.values()):
            if not serves(options.model, served):
                say(f"judge: requested '{options.model}', but replies came from '{served}'")
    return [{item: verdicts[item, repeat] for item in prompts} for repeat in range(1, options.repeats + 1)]


class JudgeSession:
    """Requests all missing replies: concurrently, in one thread, each reply written when it arrives. So a kill loses the
    replies to the requests in flight, at most `concurrency`, and no other is ever requested twice."""

    def __init__(
        self,
        options: JudgeOptions,
        readable: Callable[[str, str], bool],
        agenda: Agenda,
        judge_key: str,
        rows: RowWriter,
        steps: Steps,
    ) -> None:
        self.server = open_server(options)
        self.name = self.server.name
        self.options, self.readable, self.agenda, self.judge_key = options, readable, agenda, judge_key
        self.rows, self.steps = rows, steps
        self.replies: list[Judgement] = []
        self.unanswered = 0  # requests in a row that the server did not answer
        self.unreadable = 0  # replies in a row without a verdict
        self.allowance = Allowance(options)
        self.in_flight = 0
        self.limit: str | None = None  # that was reached
        self.changed = asyncio.Condition()

    async def run(self, missing: Mapping[Question, Sequence[Request]]) -> Interrupted | None:
        """Fill the agenda's verdicts, up to a limit of the costs. Raises an InputError that stops the session. Returns a signal
        that did, since asyncio would report the raised one a second time."""
        todo = iter(missing.items())
        try:
            async with self.server, asyncio.TaskGroup() as group:
                for _ in range(min(self.options.concurrency, len(missing))):
                    group.create_task(self.settle(todo))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        except Interrupted as signal:
            return signal
        return None

    async def settle(self, todo: Iterator[tuple[Question, Sequence[Request]]]) -> None:
        """One worker: takes questions until none is left or a limit is reached."""
        for (item, repeat), requests in todo:
            for request in requests:
                if not await self.allowed(request):
                    return
                row = await self.reply(item, repeat, request)
                if row.state != "unparsable":
                    break
            self.agenda.verdicts[item, repeat] = row
            self.steps.advance(note=self.failure_counts())
            if self.unanswered >= max(3, self.options.concurrency):
                raise InputError(
                    f"{self.name} is not replying: {self.unanswered} requests in a row failed, the last with: {row.error}. "
                    "Earlier replies are kept; repeat the command when the server works again"
                )

    async def allowed(self, request: Request) -> bool:
        """Whether the request may be sent. Near the limit of dollars it waits for what the requests in flight really cost."""
        async with self.changed:
            while not self.limit and (limit := self.allowance.take(request.body)):
                if not self.in_flight or limit.startswith("--judge-max-requests"):
                    self.limit = limit
                else:
                    await self.changed.wait()
            self.in_flight += not self.limit
            return not self.limit

    async def reply(self, item: str, repeat: int, request: Request) -> Judgement:
        """The row of one request's reply, already written. Raises InputError if no request can succeed."""
        row = Judgement(
            item,
            request.key,
            self.options.model,
            None,
            "",
            "error",
            attempts=request.attempt,
            prompt_hash=content_hash(request.body["messages"][0]["content"]),
            judge=self.judge_key,
            repeat=repeat,
        )
        answer = await self.server.ask({name: value for name, value in request.body.items() if name != "model"})
        if isinstance(answer, Completion):
            row, answered, may_cost = classify_reply(row, answer, self.readable), True, True
        else:
            state: Literal["refused", "error"] = "refused" if answer.kind == "withheld" else "error"
            row, answered = replace(row, state=state, error=answer.message), answer.concerns_request
            may_cost = answer.kind == "silent"
        self.rows.write(row)
        self.replies.append(row)
        self.unanswered = 0 if answered else self.unanswered + 1
        self.check_readable(row)
        async with self.changed:
            self.allowance.settle(request.body, row, may_cost)
            self.in_flight -= 1
            self.changed.notify_all()
        return row

    def check_readable(self, row: Judgement) -> None:
        """Raise InputError after too many replies in a row without a verdict: the rest would only cost."""
        if row.state in ("ok", "unparsable"):
            self.unreadable = 0 if row.state == "ok" else self.unreadable + 1
        if self.unreadable >= UNREADABLE_IN_A_ROW:
            cut = f" ({row.error})" if row.error else ""
            raise InputError(
                f"{self.name}: {self.unreadable} replies in a row have no verdict, the last{cut}: "
                f"{shortened(visible(repr(row.reply)), SHOWN)}. Check the model and the prompt (--judge-prompt; "
                "--judge-kwargs max_tokens=N for longer replies). Replies are kept: the same command goes on, and "
                "--ask-again asks about these again"
            )

    def failure_counts(self) -> str:
        """ "error 2, refused 1": how many items ended without a readable reply, by state."""
        counts = Counter(row.state for row in self.agenda.verdicts.values() if row.state != "ok")
        return ", ".join(f"{state} {counts[state]}" for state in sorted(counts))


def classify_reply(row: Judgement, reply: Completion, readable: Callable[[str, str], bool]) -> Judgement:
    """The row with its reply, served model and state."""
    row = replace(
        row,
        reply=reply.text,
        served_model=reply.served_model,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.tokens,
    )
    if reply.withheld:
        return replace(row, state="refused", error=reply.withheld)
    if readable(row.item, reply.text):
        return replace(row, state="ok")
    return replace(row, state="unparsable", error="cut off at max_tokens" if reply.finish == "length" else None)

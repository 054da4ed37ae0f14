"""A judge: prompts -> replies of a chat model behind any OpenAI-compatible server, every reply kept.

    judge({"3": "Grade this answer ... Rating: N"}, readable, JudgeOptions("gpt-4o-2024-08-06"), folder)
    -> {"3": Judgement(item="3", served_model="gpt-4o-2024-08-06", reply="... Rating: 4", state="ok", ...)}

Each reply is one row of judgements.jsonl, written as soon as it is there; so several rows may belong to one item, and
the last of them is its verdict. `attempts` counts the replies asked for that item so far. A row is found again by its
item and its key, the hash of what was asked of whom; a rerun therefore asks only for what is missing or ended in an
error. The server's address is not part of the key: the same model may have moved.

    {"item": "3", "key": "09fd...", "requested_model": "gpt-4o", "served_model": "gpt-4o-2024-08-06",
     "reply": "It is good.", "state": "unparsable", "error": null, "attempts": 1}
    {"item": "3", "key": "77c1...", ..., "reply": "Nothing is made up.\\nRating: 5", "state": "ok", "attempts": 2}

Two kinds of trying again: the transport (connection, 429, 5xx) is retried by the client, with back-off and Retry-After
honoured; a reply that cannot be read is asked for again, with the same words at RE_ASK_TEMPERATURE, because at
temperature 0 it would come back unchanged.

Prompt texts of our own lie in halbench/prompts: `mmhal_judge` takes image_contents, question, human_answer, response
and ends in a line "Rating: N"; `object_extraction` takes question, answer and asks for a JSON list of names.
The API key is read from the environment and never stands in a file or a message.
"""

import ast
import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from halbench import chat_server
from halbench.chat_server import ChatServer, Completion, serves
from halbench.errors import InputError, MissingExtra
from halbench.records import content_hash
from halbench.run_folder import RowWriter, RunFolder
from halbench.types import Judgement

PROMPTS = Path(__file__).with_name("prompts")
KEY_VARIABLES = ("HALBENCH_JUDGE_API_KEY", "OPENAI_API_KEY")
RE_ASK_TEMPERATURE = 0.7
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w*)\}")
TEMPLATE_VARIABLES = ("template", "prompt_template")
"""Names under which the authors' scripts hold their prompt: eval_gpt_mmhal.py, eval_gpt_obj_halbench.py."""


@dataclass(frozen=True)
class JudgeOptions:
    """Which judge, and how it is asked.

    base_url: None means OPENAI_BASE_URL, which belongs to the key beside it, else OpenAI. attempts: replies asked for
    until one can be read. retries: of one request by the client. timeout_s: of one request.
    extra: further fields of the request; one that is null leaves out a field of ours, which models that
    take no temperature or no max_tokens need.
    """

    model: str
    base_url: str | None = None
    concurrency: int = 8
    attempts: int = 3
    retries: int = 4
    max_tokens: int = 1024
    timeout_s: float = 120.0
    extra: Mapping[str, Any] = field(default_factory=dict)


def decoding(options: JudgeOptions, attempt: int) -> dict[str, Any]:
    """Request fields that shape the reply; attempt counts from 1."""
    temperature = 0.0 if attempt == 1 else RE_ASK_TEMPERATURE
    fields = {"temperature": temperature, "max_tokens": options.max_tokens, **options.extra}
    return {name: value for name, value in fields.items() if value is not None}


def identity(options: JudgeOptions) -> dict[str, Any]:
    """All of the judge that can change a verdict, but for the prompt, which is the suite's, and the served model."""
    return {"model": options.model, "attempts": options.attempts, "decoding": decoding(options, 1)}


def server_url(options: JudgeOptions) -> str:
    """The address requests go to. Raises InputError where it is none."""
    return chat_server.server_url("the judge", options.base_url)


def open_server(options: JudgeOptions) -> ChatServer:
    """The judge's server, not yet asked anything. Raises InputError where address, key or module cannot do."""
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
    """The models that replied, sorted; more than one means that the server changed it under way."""
    return tuple(sorted({row.served_model for row in judgements if row.served_model is not None}))


def judge(
    prompts: Mapping[str, str],
    readable: Callable[[str], bool],
    options: JudgeOptions,
    folder: RunFolder,
    role: Literal["user", "system"] = "user",
) -> dict[str, Judgement]:
    """The verdict on each prompt (item id -> text), in the same order; asks only for what the folder does not hold.

    readable: whether a verdict can be read from a reply. role: of the one message that holds the prompt.
    A failed request gives a judgement with state "error". Raises InputError where going on is no use: the key or the
    model is refused, the server stays silent, or not one reply came at all. What came until then is kept.
    """
    kept = {
        (row.item, row.key): row
        for row in folder.read(Judgement, folder.judgements_path)
        if row.state != "error"  # asked again
    }
    requests = {item: requests_of(text, options, role) for item, text in prompts.items()}
    verdicts = {item: verdict for item in prompts if (verdict := kept_verdict(item, requests[item], kept))}
    missing = {item: requests[item] for item in prompts if item not in verdicts}
    if missing:
        console = Console(stderr=True)
        with folder.appending(folder.judgements_path) as rows, progress_bar(options, console) as progress:
            asking = Asking(options, readable, kept, verdicts, rows, progress, len(prompts))
            asyncio.run(asking.all(missing))
        errors = [row.error for row in verdicts.values() if row.state == "error"]
        if len(errors) == len(prompts):
            raise InputError(
                f"{asking.name}: not one reply came; the first error is: {errors[0]}. "
                "Check that the server runs, its address and the model's name; the same command asks again"
            )
        for served in served_models(verdicts.values()):
            if not serves(options.model, served):
                console.print(f"judge: asked for '{options.model}', replies came from '{served}'", markup=False)
    return {item: verdicts[item] for item in prompts}


@dataclass(frozen=True)
class Request:
    """One reply to ask for. body: as sent. attempt: from 1; its number is part of the key."""

    key: str
    body: Mapping[str, Any]
    attempt: int


def requests_of(text: str, options: JudgeOptions, role: str) -> list[Request]:
    """What will be asked for one prompt, one request for each attempt."""
    bodies = [
        {"model": options.model, "messages": [{"role": role, "content": text}], **decoding(options, attempt)}
        for attempt in range(1, options.attempts + 1)
    ]
    return [Request(content_hash([body, number]), body, number) for number, body in enumerate(bodies, 1)]


def kept_verdict(item: str, requests: Iterable[Request], kept: Mapping[tuple[str, str], Judgement]) -> Judgement | None:
    """The kept reply that settles an item; None while an attempt is left that was not asked."""
    verdict = None
    for request in requests:
        verdict = kept.get((item, request.key))
        if verdict is None or verdict.state != "unparsable":
            return verdict
    return verdict


class Asking:
    """Asks a server for all that is missing: concurrently, in one thread, each reply written when it comes."""

    def __init__(
        self,
        options: JudgeOptions,
        readable: Callable[[str], bool],
        kept: dict[tuple[str, str], Judgement],
        verdicts: dict[str, Judgement],
        rows: RowWriter,
        progress: Progress,
        total: int,
    ) -> None:
        self.server = open_server(options)
        self.name = self.server.name
        self.options, self.readable, self.kept, self.verdicts, self.rows = options, readable, kept, verdicts, rows
        self.silences = 0  # requests in a row that the server did not answer
        self.progress = progress
        self.task = progress.add_task("", total=total, completed=len(verdicts), states=self.states())

    async def all(self, missing: Mapping[str, list[Request]]) -> None:
        """Fill `verdicts`. Raises the InputError that stops the work."""
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
            self.progress.update(self.task, advance=1, states=self.states())
            if self.silences >= max(3, self.options.concurrency):
                raise InputError(
                    f"{self.name} gives no replies: {self.silences} requests in a row failed, the last with: {row.error}. "
                    "What came before is kept; when the server is well, the same command goes on"
                )

    async def reply(self, item: str, request: Request) -> Judgement:
        """What one request gives, as a row that is written. Raises InputError where no request can succeed."""
        prompt_hash = content_hash(request.body["messages"][0]["content"])
        row = Judgement(
            item, request.key, self.options.model, None, "", "error", attempts=request.attempt, prompt_hash=prompt_hash
        )
        answer = await self.server.ask({name: value for name, value in request.body.items() if name != "model"})
        if isinstance(answer, Completion):
            row, answered = read_reply(row, answer, self.readable), True
        else:
            state: Literal["refused", "error"] = "refused" if answer.kind == "withheld" else "error"
            row, answered = replace(row, state=state, error=answer.message), answer.of_the_request
        self.silences = 0 if answered else self.silences + 1
        self.rows.write(row)
        return row

    def states(self) -> str:
        """'refused 1, error 2' of the items that did not get a readable reply."""
        counts = Counter(row.state for row in self.verdicts.values() if row.state != "ok")
        return ", ".join(f"{state} {counts[state]}" for state in sorted(counts))


class RateColumn(ProgressColumn):
    """Replies a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


def progress_bar(options: JudgeOptions, console: Console) -> Progress:
    """Progress on stderr: how many, time left, what went wrong."""
    columns = [
        TextColumn(f"judge {options.model}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[states]}"),
    ]
    return Progress(*columns, console=console)


def read_reply(row: Judgement, reply: Completion, readable: Callable[[str], bool]) -> Judgement:
    """A row with what came back: reply, served model, state."""
    row = replace(row, reply=reply.text, served_model=reply.served_model)
    if reply.withheld:
        return replace(row, state="refused", error=reply.withheld)
    if readable(reply.text):
        return replace(row, state="ok")
    return replace(row, state="unparsable", error="cut off at max_tokens" if reply.finish == "length" else None)


def read_template(path: Path | None, name: str) -> str:
    """A prompt text: our own called `name`, or the one in a file of the user.

    A .py file is one of the authors' scripts: its text is the string assigned to one of TEMPLATE_VARIABLES. It is
    read, never run.
    """
    path = path or PROMPTS / f"{name}.txt"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"judge prompt {path} cannot be read ({error})") from error
    if path.suffix != ".py":
        return text.removesuffix("\n")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InputError(f"judge prompt {path}:{error.lineno}: not valid Python ({error.msg})") from error
    found = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if any(isinstance(target, ast.Name) and target.id in TEMPLATE_VARIABLES for target in node.targets)
    ]
    if len(found) != 1:
        names = " or ".join(TEMPLATE_VARIABLES)
        raise InputError(f"judge prompt {path}: expected one string assigned to {names}, found {len(found)}")
    return found[0]


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its placeholders replaced: {name} each, or, as in the authors' files, a {} for each value in order.

    {{ and }} stand for braces. Not str.format: a value or a template may hold any braces. Raises InputError where
    the placeholders are not those of `values`.
    """
    found = [match[1] for match in PLACEHOLDER.finditer(template) if match[1] is not None]
    positional = found == [""] * len(values)
    if not positional and set(found) != set(values):
        raise InputError(
            f"judge prompt: expected the placeholders {braced(values)} (or {{}} {len(values)} times, in that order), "
            f"found {braced(found) or 'none'}. Write {{{{ and }}}} for braces that stay"
        )
    in_order = iter(values.values())

    def replaced(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return next(in_order) if positional else values[match[1]]

    return PLACEHOLDER.sub(replaced, template)


def braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def parse_object_list(reply: str) -> list[str] | None:
    """The JSON list of strings that is the reply, its last line (both as in the official script) or its last fenced
    block; None where there is none."""
    fenced = re.findall(r"```(?:json)?\s*\n(.*?)```", reply, re.DOTALL)
    for text in (reply, reply.strip().rpartition("\n")[2], *fenced[-1:]):
        try:
            names = json.loads(text)
        except (ValueError, RecursionError):  # a judge that runs away writes [[[[[[
            continue
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    return None

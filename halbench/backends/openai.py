"""Answers from a model behind any server that speaks OpenAI's chat protocol: vLLM, SGLang, llama.cpp, OpenAI itself.

    halbench run --backend openai --base-url http://localhost:8000/v1 --model llava-hf/llava-1.5-7b-hf --suite amber
    OPENAI_API_KEY=... halbench run --backend openai --model gpt-4o-2024-08-06 --suite mmhal

One request per item: the bytes of its image files as data URLs, then the question, as `hf` orders them. Conventions:

- The server chooses the chat template, the image processing and whatever the request leaves open; docs/backends.md says
  how to start it. The model that it says it served is in every row (`extra.served_model`).
- Greedy decoding sends temperature 0; sampling also sends top_p and a seed from (seed, item id). `--gen-kwargs` beyond
  the suite's decoding become fields of the request; null omits a field that halbench would send.
- A failure of the server is retried with growing waits. If it lasts, the run stops with one line and keeps finished
  answers; if it concerns only one item, that item gets an error row.
- What a filter or the model's own refusal field withholds is an error row: it is not an answer, and never scored.

`--model-args` takes timeout (seconds for one request) and retries (of one item).
"""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import openai  # noqa: F401  so that a missing library shows when this backend is chosen

from halbench.errors import InputError, did_you_mean
from halbench.files.records import content_hash
from halbench.models.chat_server import OPENAI_URL, ChatServer, Completion, Failure, server_url, serves
from halbench.models.failures import FailureStreak
from halbench.models.names import template_identity
from halbench.responses.thoughts import THOUGHTS, UNFINISHED
from halbench.types import Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("base_url", "model_args", "template_kwargs")
KEY_VARIABLES = ("OPENAI_API_KEY",)
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds
LONGEST_RETRY_AFTER = 120.0  # seconds; the client library's own bound, too
OURS = ("model", "messages", "stream", "n", "seed")
SIGNATURES = {  # first bytes of a file -> media type
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server. timeout: seconds for one request; retries: of one item, over about 90 s."""

    timeout: float = 600.0
    retries: int = 8


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The model that a server calls `model`. No request is sent yet: a finished run is scored without its server."""
    return OpenAIBackend(model, server_url("the model", options.base_url), options, patience(options.model_args))


def patience(arguments: Mapping[str, Any]) -> Patience:
    """The waiting times in `--model-args`."""
    kinds = {field.name: field.type for field in fields(Patience)}
    for name, value in arguments.items():
        if name not in kinds:
            raise InputError(f"--model-args {name}: unknown argument of the openai backend{did_you_mean(name, kinds)}")
        if type(value) not in ((int,) if kinds[name] is int else (int, float)) or value < 0:
            raise InputError(f"--model-args {name}={value}: expected a number from 0")
    return Patience(**arguments)


def request_fields(decoding: Decoding, url: str, template_kwargs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of a request that shape its answer, all but the seed."""
    if decoding.num_beams > 1:
        raise InputError(
            f"num_beams={decoding.num_beams}: the chat protocol has no beam search; use --backend hf, or --gen-kwargs num_beams=1 "
            "for greedy decoding, which changes the signature"
        )
    if name := next((name for name in decoding.extra if name in OURS), None):
        raise InputError(f"--gen-kwargs {name}: is set by halbench and cannot be changed")
    sampling = {"top_p": decoding.top_p} if decoding.temperature > 0 else {}
    length = "max_tokens"
    if urlsplit(url).hostname == urlsplit(OPENAI_URL).hostname:
        # OpenAI's newer models take only the new name, older servers elsewhere only the old one. OpenAI's reasoning
        # models refuse any top_p; 1 is the documented default.
        length = "max_completion_tokens"
        sampling = {name: value for name, value in sampling.items() if value != 1}
    variables = {"chat_template_kwargs": template_kwargs} if template_kwargs else {}
    request = {
        length: decoding.max_tokens(),
        "temperature": decoding.temperature,
        **sampling,
        **variables,
        **decoding.extra,
    }
    return {name: value for name, value in request.items() if value is not None}


def media_type(data: bytes) -> str | None:
    """The media type of an image file by its first bytes; None if it is not a known one."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in SIGNATURES.items() if data.startswith(start)), None)


def data_url(path: Path) -> str:
    """An image file, unchanged, as a data URL. Raises OSError or ValueError with what is wrong with it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise OSError(f"image not found: {path}") from error
    kind = media_type(data)
    if kind is None:
        raise ValueError(f"image cannot be read: {path} (expected JPEG, PNG, WebP, GIF, BMP or TIFF)")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def pause(attempt: int, retry_after: float | None, jitter: Random) -> float:
    """Seconds to wait after a failed attempt (counted from 1): what the server asks for, else twice as long each time. A
    random part keeps requests that failed together from being repeated together."""
    if retry_after is not None:
        return min(retry_after, LONGEST_RETRY_AFTER) * jitter.uniform(1, 1.1)
    return min(FIRST_WAIT * 2.0 ** (attempt - 1), LONGEST_WAIT) * jitter.uniform(0.75, 1)


class OpenAIBackend:
    """types.Backend over a chat server. pause: seconds to wait before another attempt, see `pause` above."""

    def __init__(
        self,
        model: str,
        url: str,
        options: BackendOptions,
        patience: Patience,
        pause: Callable[[int, float | None, Random], float] = pause,
    ) -> None:
        self.model, self.url, self.patience, self.pause = model, url, patience, pause
        self.seed, self.concurrency, self.template_kwargs = options.seed, options.concurrency, options.template_kwargs
        self.jitter = Random()
        self.unanswered_in_a_row = 0  # items that only met failures of the server
        self.failures = FailureStreak()
        self.served: set[str] = set()

    def identity(self) -> dict[str, str]:
        # Without the address, because the same model may be served elsewhere; the rows record which one was.
        return {"backend": "openai", "model": self.model, **template_identity(self.template_kwargs)}

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, in the order in which answers come, with `concurrency` requests open at once. Raises
        InputError when no further request can succeed: no server, a refused key or model, every request rejected."""
        fields = request_fields(decoding, self.url, self.template_kwargs)
        with asyncio.Runner() as runner:  # cancels open requests when the caller stops
            answers = self.answers(items, fields)
            while (response := runner.run(next_response(answers))) is not None:
                yield response

    async def answers(self, items: Sequence[Item], fields: Mapping[str, Any]) -> AsyncIterator[Response]:
        """The responses as they come; those that came before a failure are yielded before it is raised."""
        server = ChatServer(
            role="model",
            model=self.model,
            url=self.url,
            keys=KEY_VARIABLES,
            flag="--base-url",
            retries=0,  # retried below, where failing items are counted
            timeout_s=self.patience.timeout,
        )
        async with server:
            await server.check_connection()
            rest, pending = iter(items), set[asyncio.Task[Response]]()
            try:
                while True:
                    for item in islice(rest, self.concurrency - len(pending)):
                        pending.add(asyncio.create_task(self.answer(server, item, fields)))
                    if not pending:
                        return
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    for task in sorted(done, key=lambda task: task.exception() is not None):
                        yield task.result()
            finally:
                for task in pending:
                    task.cancel()
                await asyncio.gather(
                    *pending, return_exceptions=True
                )  # or asyncio complains about errors that were raised above

    async def answer(self, server: ChatServer, item: Item, fields: Mapping[str, Any]) -> Response:
        """The response to one item, after as many attempts as it takes. Raises InputError if no request can succeed."""
        try:
            images = [{"type": "image_url", "image_url": {"url": data_url(path)}} for path in item.images]
        except (OSError, ValueError) as error:
            return failed(item, str(error))
        content = [*images, {"type": "text", "text": item.prompt}]
        body = {"messages": [{"role": "user", "content": content}], **fields}
        if fields.get("temperature"):
            body["seed"] = int(content_hash([self.seed, item.id], 8), 16) % 2**31
        for attempt in count(1):
            answer = await server.ask(body)
            if isinstance(answer, Completion):
                self.unanswered_in_a_row = 0
                self.failures.end()
                self.check_served(answer.served_model)
                return response(item, answer)
            if answer.concerns_request:
                self.unanswered_in_a_row = 0
                return self.rejected(server, item, answer)
            # After a timeout, which is a long wait already, one more attempt is enough.
            if attempt > self.patience.retries or (answer.kind == "silent" and attempt > 1):
                return self.unanswered(server, item, answer)
            await asyncio.sleep(self.pause(attempt, answer.retry_after, self.jitter))
        raise AssertionError("count() does not end")

    def rejected(self, server: ChatServer, item: Item, answer: Failure) -> Response:
        """The error row of an item whose request the server rejected. Raises InputError if many are rejected alike."""
        if answer.kind == "rejected":
            advice = f" ({server.name}). Change the request's fields with --gen-kwargs; null omits one"
            return self.failures.error_row(item, answer.message, advice)
        return failed(item, answer.message)

    def unanswered(self, server: ChatServer, item: Item, answer: Failure) -> Response:
        """The error row of an item that only met failures of the server. Raises InputError if the server stopped working."""
        self.unanswered_in_a_row += 1
        if answer.kind == "unreachable" or self.unanswered_in_a_row >= max(3, self.concurrency):
            raise InputError(
                f"{server.name} is not answering ({answer.message}). Finished answers are kept; repeat the command when the "
                "server works again"
            )
        return failed(item, answer.message)

    def check_served(self, served: str | None) -> None:
        """Warn, once per model, if another model answers than the one requested."""
        if served is not None and served not in self.served:
            self.served.add(served)
            if not serves(self.model, served):
                log.warning("requested '%s', but answers come from '%s'", self.model, served)


async def next_response(answers: AsyncIterator[Response]) -> Response | None:
    """The next response, None after the last."""
    return await anext(answers, None)


def response(item: Item, answer: Completion) -> Response:
    """The row of an item that the server answered."""
    text = answer.text.strip()
    served = {"served_model": answer.served_model} if answer.served_model is not None else {}
    if answer.withheld:
        error = f"the model declined: {answer.withheld}"
        return Response(item.id, text, answer.tokens, answer.finish, "error", error, served)
    thoughts = {THOUGHTS: answer.thoughts} if answer.thoughts else {}
    if not text and answer.finish == "length":  # a reasoning model has spent all its tokens on thinking
        return Response(item.id, "", answer.tokens, answer.finish, "unfinished", UNFINISHED, {**served, **thoughts})
    if not text and answer.tokens is None:  # so it may be that nothing was generated
        return Response(item.id, "", None, answer.finish, "error", "an empty answer without a count of tokens", served)
    return Response(
        item.id, text, answer.tokens, answer.finish, "ok" if text else "empty", extra={**served, **thoughts}
    )


def failed(item: Item, problem: str) -> Response:
    return Response(item.id, "", state="error", error=problem)

"""Answers from a model behind any server that speaks OpenAI's chat protocol: vLLM, SGLang, llama.cpp, OpenAI itself.

    halbench run --backend openai --base-url http://localhost:8000/v1 --model llava-hf/llava-1.5-7b-hf --suite amber
    OPENAI_API_KEY=... halbench run --backend openai --model gpt-4o-2024-08-06 --suite mmhal

One request an item: the image's own bytes as a data URL, then the question, as `hf` orders them. Conventions:

- The server fills in the chat template, the image processing and whatever the request leaves open; see docs/backends.md
  for what to start it with. The model that it says it served stands in every row (`extra.served_model`).
- Greedy decoding sends temperature 0; sampling also sends top_p and a seed from (seed, item id). `--gen-kwargs` beyond
  the suite's decoding become fields of the request; null leaves out a field of ours.
- A failure of the server is tried again with growing waits. One that lasts stops the run with one line and keeps what is
  done; one that only this item meets becomes its error row.
- What a filter or the model's own refusal field holds back is an error row: it is no answer, and never scored.

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

import openai  # noqa: F401  the library, not this file; without it, the CLI names the extra

from halbench.chat_server import OPENAI_URL, ChatServer, Completion, Failure, server_url, serves
from halbench.errors import InputError, did_you_mean
from halbench.failures import Failures
from halbench.records import content_hash
from halbench.types import Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("base_url", "model_args")
KEY_VARIABLES = ("OPENAI_API_KEY",)
FIRST_WAIT, LONGEST_WAIT, LONGEST_WAIT_ASKED = (
    0.5,
    30.0,
    120.0,
)  # seconds; the last is the client library's own bound too
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
    """The model that a server calls `model`. Nothing is asked yet: a finished run is scored without its server."""
    return OpenAIBackend(model, server_url("the model", options.base_url), options, patience(options.model_args))


def patience(arguments: Mapping[str, Any]) -> Patience:
    """What `--model-args` says about waiting."""
    kinds = {field.name: field.type for field in fields(Patience)}
    for name, value in arguments.items():
        if name not in kinds:
            raise InputError(f"--model-args {name}: unknown to the openai backend{did_you_mean(name, kinds)}")
        if type(value) not in ((int,) if kinds[name] is int else (int, float)) or value < 0:
            raise InputError(f"--model-args {name}={value}: expected a number from 0")
    return Patience(**arguments)


def request_fields(decoding: Decoding, url: str) -> dict[str, Any]:
    """The fields of a request that shape its answer, all but the seed."""
    if decoding.num_beams > 1:
        raise InputError(
            f"num_beams={decoding.num_beams}: the chat protocol has no beam search; --gen-kwargs num_beams=1 asks for greedy "
            "decoding, with another signature, or use --backend hf"
        )
    if name := next((name for name in decoding.extra if name in OURS), None):
        raise InputError(f"--gen-kwargs {name}: is set by halbench and cannot be changed")
    sampling = {"top_p": decoding.top_p} if decoding.temperature > 0 else {}
    length = "max_tokens"
    if urlsplit(url).hostname == urlsplit(OPENAI_URL).hostname:
        # Newer models there take only the new name, older servers elsewhere only the old one. Reasoning models there
        # refuse any top_p, and 1 is the documented default.
        length = "max_completion_tokens"
        sampling = {name: value for name, value in sampling.items() if value != 1}
    found = {length: decoding.max_new_tokens, "temperature": decoding.temperature, **sampling, **decoding.extra}
    return {name: value for name, value in found.items() if value is not None}


def media_type(data: bytes) -> str | None:
    """What kind of image a file holds, by its first bytes; None where it is none that we know."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in SIGNATURES.items() if data.startswith(start)), None)


def data_url(path: Path) -> str:
    """An image file, unchanged, as a URL. Raises OSError or ValueError saying what is wrong with it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise OSError(f"image not found: {path}") from error
    kind = media_type(data)
    if kind is None:
        raise ValueError(f"image cannot be read: {path} (expected JPEG, PNG, WebP, GIF, BMP or TIFF)")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def pause(attempt: int, retry_after: float | None, jitter: Random) -> float:
    """Seconds to wait after a failed attempt (from 1): what the server asks for, else twice as long each time. A random
    part keeps requests that failed together from coming back together."""
    if retry_after is not None:
        return min(retry_after, LONGEST_WAIT_ASKED) * jitter.uniform(1, 1.1)
    return min(FIRST_WAIT * 2.0 ** (attempt - 1), LONGEST_WAIT) * jitter.uniform(0.75, 1)


class OpenAIBackend:
    """types.Backend over a chat server; `pause` says how long to wait before another attempt."""

    def __init__(
        self,
        model: str,
        url: str,
        options: BackendOptions,
        patience: Patience,
        pause: Callable[[int, float | None, Random], float] = pause,
    ) -> None:
        self.model, self.url, self.patience, self.pause = model, url, patience, pause
        self.seed, self.concurrency = options.seed, options.concurrency
        self.jitter = Random()
        self.silences = 0  # items in a row to which the server gave no answer
        self.failures = Failures()
        self.served: set[str] = set()

    def identity(self) -> dict[str, str]:
        # Without the address: the same model may have moved, and its rows say what was served.
        return {"backend": "openai", "model": self.model}

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item as they come, `concurrency` under way at once. Raises InputError where going on is no
        use: nobody answers, the key or the model is refused, every request is rejected alike."""
        fields = request_fields(decoding, self.url)
        with asyncio.Runner() as runner:  # cancels what is under way when the caller stops
            answers = self.answers(items, fields)
            while (response := runner.run(following(answers))) is not None:
                yield response

    async def answers(self, items: Sequence[Item], fields: Mapping[str, Any]) -> AsyncIterator[Response]:
        """The responses in the order of their coming. What came before a failure is yielded before it is raised."""
        server = ChatServer(
            role="model",
            model=self.model,
            url=self.url,
            keys=KEY_VARIABLES,
            flag="--base-url",
            retries=0,  # ours know how many items fail
            timeout_s=self.patience.timeout,
        )
        async with server:
            await server.greet()
            rest, under_way = iter(items), set[asyncio.Task[Response]]()
            try:
                while True:
                    for item in islice(rest, self.concurrency - len(under_way)):
                        under_way.add(asyncio.create_task(self.answer(server, item, fields)))
                    if not under_way:
                        return
                    done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    for task in sorted(done, key=lambda task: task.exception() is not None):
                        yield task.result()
            finally:
                for task in under_way:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)  # they would complain of what is said already

    async def answer(self, server: ChatServer, item: Item, fields: Mapping[str, Any]) -> Response:
        """The response to one item, after as many attempts as it takes. Raises InputError where going on is no use."""
        try:
            content = [
                {"type": "image_url", "image_url": {"url": data_url(item.image)}},
                {"type": "text", "text": item.prompt},
            ]
        except (OSError, ValueError) as error:
            return failed(item, str(error))
        body = {"messages": [{"role": "user", "content": content}], **fields}
        if fields.get("temperature"):
            body["seed"] = int(content_hash([self.seed, item.id], 8), 16) % 2**31
        for attempt in count(1):
            answer = await server.ask(body)
            if isinstance(answer, Completion):
                self.silences = 0
                self.failures.answered()
                self.note(answer.served_model)
                return response(item, answer)
            if answer.of_the_request:
                self.silences = 0
                return self.rejected(server, item, answer)
            # A request that timed out has waited long enough for one more try.
            if attempt > self.patience.retries or (answer.kind == "silent" and attempt > 1):
                return self.unanswered(server, item, answer)
            await asyncio.sleep(self.pause(attempt, answer.retry_after, self.jitter))
        raise AssertionError("count() does not end")

    def rejected(self, server: ChatServer, item: Item, answer: Failure) -> Response:
        """The error row of an item; raises when the same was said to those of several images in a row."""
        if answer.kind == "rejected":
            advice = f" ({server.name}). Fields of the request are set with --gen-kwargs; null leaves one out"
            return self.failures.row(item, answer.message, advice)
        return failed(item, answer.message)

    def unanswered(self, server: ChatServer, item: Item, answer: Failure) -> Response:
        """The error row of an item that only met failures; raises when the server itself is at fault."""
        self.silences += 1
        if answer.kind == "unreachable" or self.silences >= max(3, self.concurrency):
            raise InputError(
                f"{server.name} gives no answers ({answer.message}). What came before is kept; when the server is well, the "
                "same command goes on"
            )
        return failed(item, answer.message)

    def note(self, served: str | None) -> None:
        """Say it once for each model that answers in place of the one asked for."""
        if served is not None and served not in self.served:
            self.served.add(served)
            if not serves(self.model, served):
                log.warning("asked for '%s', answers come from '%s'", self.model, served)


async def following(answers: AsyncIterator[Response]) -> Response | None:
    """The next response, None after the last."""
    return await anext(answers, None)


def response(item: Item, answer: Completion) -> Response:
    """The row of an item that the server answered."""
    text = answer.text.strip()
    served = {"served_model": answer.served_model} if answer.served_model is not None else {}
    if answer.withheld:
        error = f"the model declined: {answer.withheld}"
        return Response(item.id, text, answer.tokens, answer.finish, "error", error, served)
    if not text and answer.finish == "length":  # a model that thinks first has spent all its tokens on that
        error = "the answer was cut off before it began; raise --gen-kwargs max_new_tokens"
        return Response(item.id, text, answer.tokens, answer.finish, "error", error, served)
    if not text and answer.tokens is None:  # nothing shows that anything was generated
        return Response(item.id, "", None, answer.finish, "error", "an empty answer without a count of tokens", served)
    return Response(item.id, text, answer.tokens, answer.finish, "ok" if text else "empty", extra=served)


def failed(item: Item, problem: str) -> Response:
    return Response(item.id, "", state="error", error=problem)

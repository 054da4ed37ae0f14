"""One model behind a server that speaks OpenAI's chat protocol: its address, its key, requests and their answers.

    async with ChatServer("judge", "gpt-4o", "https://api.openai.com/v1", ("OPENAI_API_KEY",), 4, 120.0) as server:
        await server.ask({"messages": [{"role": "user", "content": "Rate this."}], "temperature": 0})
    -> Completion(text="Rating: 4", served_model="gpt-4o-2024-08-06", finish="stop", tokens=3, withheld=None, prompt_tokens=9)

A failure that every further request would meet (the key or the model is refused, the account is empty) is an InputError
at once. Any other is a Failure, whose `kind` says whether the request or the server is to blame. The key is read from the
environment and is never written to a file or a message.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from halbench.errors import InputError
from halbench.files.records import loads

OPENAI_URL = "https://api.openai.com/v1"
CONNECTION_TIMEOUT_S = 30.0  # of the first request, for the list of models
SECRET = 8
"""Characters from which a key is hidden in messages; shorter ones ("x", "EMPTY") are made up for local servers."""


@dataclass(frozen=True)
class Completion:
    """A model's answer. tokens, prompt_tokens: as the server counts them. withheld: "refusal" or "content_filter" if it
    declined. thoughts: what it thought before, if the server tells them apart."""

    text: str
    served_model: str | None
    finish: str | None
    tokens: int | None
    withheld: str | None
    prompt_tokens: int | None = None
    thoughts: str = ""


@dataclass(frozen=True)
class Failure:
    """Why there is no completion.

    kind: "withheld": a filter declined the request; "rejected": the server works, but not with this request;
    "failing": too many requests, a server error, a connection or body that broke off; "silent": no answer in time;
    "unreachable": nothing listens at the address. retry_after: seconds to wait, if the server says so.
    """

    kind: Literal["withheld", "rejected", "failing", "silent", "unreachable"]
    message: str
    retry_after: float | None = None

    @property
    def concerns_request(self) -> bool:
        """Whether this request is to blame, not the server."""
        return self.kind in ("withheld", "rejected")


def server_url(owner: str, address: str | None) -> str:
    """The address that requests go to: `address`, else OPENAI_BASE_URL (which belongs to OPENAI_API_KEY), else OpenAI's.

    Raises InputError for what is not an address. It may contain a password: see `public_url`. owner: "the judge", in
    messages.
    """
    url = address or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, half a bracket
        valid = False
    if not valid or "?" in url or "#" in url:
        raise InputError(
            f"{owner}'s address is not valid: expected one like http://localhost:8000/v1, without '?' and '#'"
        )
    return url


def public_url(url: str) -> str:
    """A valid address without user and password, for files and messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def api_key(variables: Sequence[str]) -> str | None:
    """The key in the first of these environment variables that is set; None if none is. Raises InputError, without
    showing the key, for what cannot be one."""
    for name in variables:
        if key := os.environ.get(name, "").strip():
            if not (key.isascii() and key.isprintable()):  # the HTTP library's own error message would show it
                raise InputError(f"{name} contains a character that cannot be part of an API key")
            return key
    return None


def serves(requested: str, served: str) -> bool:
    """Whether a served model is the requested one: the same name, or that name with a date or revision.

    gpt-4o is served as gpt-4o-2024-08-06, but gpt-4o-mini is another model.
    """
    return re.fullmatch(re.escape(requested) + r"(-\d[\d-]*|@.+)?", served) is not None


class ChatServer:
    """A model at an address. role: "judge" or "model", for messages. keys: environment variables that may hold its key.
    flag: the option that sets the address. retries: by the client library, with back-off and Retry-After honoured."""

    def __init__(
        self, role: str, model: str, url: str, keys: Sequence[str], flag: str, retries: int, timeout_s: float
    ) -> None:
        import openai

        self.openai = openai
        self.model, self.keys, self.flag, self.timeout_s = model, keys, flag, timeout_s
        self.name = f"{role} '{model}' at {public_url(url)}"
        self.listed: Sequence[str] = ()  # names of the models that the server offers, if it lists them
        self.api_key = api_key(keys)
        if self.api_key is None and url == OPENAI_URL:
            raise InputError(f"{self.name} needs a key: set {keys[-1]}, or choose another server with {flag}")
        self.client = openai.AsyncOpenAI(
            api_key=self.api_key or "none",  # local servers need none, the client wants one
            base_url=url,
            max_retries=retries,
            timeout=timeout_s,
        )

    async def __aenter__(self) -> "ChatServer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.close()

    async def check_connection(self) -> None:
        """Request the list of models, which many servers do not have. Raises InputError if no server answers or it
        refuses the key."""
        try:
            raw = await self.client.with_options(
                timeout=CONNECTION_TIMEOUT_S, max_retries=0
            ).models.with_raw_response.list()
            self.listed = model_names(raw.http_response.text)
        except self.openai.APIStatusError as error:
            if error.status_code in (401, 403) and (permanent := self.permanent_error(error)):
                raise permanent from None
        except self.openai.APIConnectionError as error:
            raise InputError(
                f"{self.name}: no server answers at this address ({one_line(str(error.__cause__ or error))}); "
                f"start it, or correct {self.flag}"
            ) from None

    async def ask(self, body: Mapping[str, Any]) -> Completion | Failure:
        """The answer to one request. body: its fields without the model. Raises InputError if no request can succeed."""
        fields = dict(body)
        answer: Completion | Failure
        try:
            raw = await self.client.chat.completions.with_raw_response.create(
                model=self.model, messages=fields.pop("messages"), extra_body=fields
            )
            answer = read_completion(raw.http_response.text)
        except self.openai.APIStatusError as error:
            if permanent := self.permanent_error(error):
                raise permanent from None
            answer = self.failure(error)
        except self.openai.APITimeoutError:
            answer = Failure("silent", f"no answer within {self.timeout_s:g} s")
        except self.openai.APIConnectionError as error:
            unreachable = (
                type(error.__cause__).__name__ == "ConnectError"
            )  # httpx's, which the client does not re-export
            answer = Failure("unreachable" if unreachable else "failing", f"no connection ({error.__cause__})")
        return replace(answer, message=self.public(answer.message)) if isinstance(answer, Failure) else answer

    def failure(self, error: Any) -> Failure:
        """The failure that an error status stands for, if further requests may still succeed."""
        message = f"{error.status_code}: {server_message(error.body)}"
        if error.code == "content_filter":  # Azure's filter answers 400 where OpenAI's answers 200
            return Failure("withheld", message)
        if error.status_code in (400, 413, 422):
            return Failure("rejected", message)
        return Failure("failing", message, seconds(error.response.headers.get("retry-after")))

    def permanent_error(self, error: Any) -> InputError | None:
        """Error for statuses that no retry can fix (401, 403, 404, quota); None otherwise."""
        reason = server_message(error.body)
        message = self.public(f"{error.status_code}: {reason.rstrip('.')}")
        if error.status_code in (401, 403):
            return InputError(f"{self.name} refused access ({message}). Check {' or '.join(self.keys)}")
        # A server that was started for one model may answer 400 to the name of another.
        if error.status_code == 404 or (
            error.status_code == 400 and f"'{self.model}'" in reason and self.model not in self.listed
        ):
            known = f" This server offers: {', '.join(self.listed)}." if self.listed else ""
            problem = "was not found" if error.status_code == 404 else "is not served"
            return InputError(
                f"{self.name} {problem} ({message}).{known} Check the model's name, and that the address ends in /v1"
            )
        if error.code == "insufficient_quota":  # a 429 that no wait can fix
            return InputError(f"{self.name}: the account is empty ({message}). Repeat the command to resume")
        return None

    def public(self, message: str) -> str:
        """A message without the key, which some servers repeat in their errors."""
        key = self.api_key or ""
        return message.replace(key, "***") if len(key) >= SECRET else message


def read_completion(text: str) -> Completion | Failure:
    """The completion in the body of a 200; a Failure if there is none."""
    try:
        body = loads(text)
        choice, served, usage = body["choices"][0], body.get("model"), body.get("usage") or {}
        if not isinstance(served, str | None):
            raise TypeError(f"model {served!r} is not a name")
        refusal, finish = choice["message"].get("refusal"), choice.get("finish_reason")
        content = refusal or choice["message"].get("content") or ""
        answer = valid(content)
        # vLLM and DeepSeek call them reasoning_content, later vLLM and gateways reasoning.
        thoughts = choice["message"].get("reasoning_content") or choice["message"].get("reasoning") or ""
        counts = (usage.get(name) for name in ("completion_tokens", "prompt_tokens"))
        tokens, prompt_tokens = (count if type(count) is int and count >= 0 else None for count in counts)
        if finish == "error":  # what gateways say when the engine behind them broke off
            raise ValueError(finish)
    except (ValueError, LookupError, TypeError, AttributeError):
        return Failure("failing", f"status 200 without a chat completion: {one_line(text)}")
    withheld = "refusal" if refusal else finish if finish == "content_filter" else None
    return Completion(
        answer, served, finish, tokens, withheld, prompt_tokens, valid(thoughts) if isinstance(thoughts, str) else ""
    )


def valid(text: str) -> str:
    """A text without lone surrogates, which are valid in JSON but not in a file."""
    return text.encode("utf-8", "replace").decode()


def model_names(text: str) -> list[str]:
    """The names in the body of a list of models; [] if it is something else."""
    try:
        return [str(model["id"]) for model in loads(text)["data"]]
    except (ValueError, LookupError, TypeError):
        return []


def seconds(header: str | None) -> float | None:
    """The wait that a Retry-After header asks for; None if it is missing or a date."""
    try:
        wait = float(header or "")
    except ValueError:
        return None
    return wait if 0 <= wait < float("inf") else None


def server_message(body: object) -> str:
    """The message in an error body: OpenAI's `message`, FastAPI's `detail`, else its first 300 characters."""
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("detail") or body
    return one_line(str(body))


def one_line(text: str) -> str:
    return " ".join(text.split())[:300]

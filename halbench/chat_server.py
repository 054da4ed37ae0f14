"""One model behind a server that speaks OpenAI's chat protocol: its address, its key, a request and what came of it.

    async with ChatServer("judge", "gpt-4o", "https://api.openai.com/v1", ("OPENAI_API_KEY",), 4, 120.0) as server:
        await server.ask({"messages": [{"role": "user", "content": "Rate this."}], "temperature": 0})
    -> Completion(text="Rating: 4", served_model="gpt-4o-2024-08-06", finish="stop", tokens=3, withheld=None)

What no later request can mend (the key or the model is refused, the account is empty) is an InputError at once. All else
is a Failure, whose `kind` says whether the request or the server is to blame. The key is read from the environment and
never stands in a file or a message.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from halbench.errors import InputError
from halbench.records import loads

OPENAI_URL = "https://api.openai.com/v1"
SECONDS_TO_ANSWER_AT_ALL = 30.0  # of the first, empty question


@dataclass(frozen=True)
class Completion:
    """What a model said. tokens: as the server counts them. withheld: "refusal" or "content_filter", when it declined."""

    text: str
    served_model: str | None
    finish: str | None
    tokens: int | None
    withheld: str | None


@dataclass(frozen=True)
class Failure:
    """Why there is no completion.

    kind: "withheld" a filter declined the request; "rejected" the server works, but not with this request;
    "failing" too many requests, a server error, a connection or body that broke off; "silent" no answer in time;
    "unreachable" nothing listens there. retry_after: seconds, as the server asks.
    """

    kind: Literal["withheld", "rejected", "failing", "silent", "unreachable"]
    message: str
    retry_after: float | None = None

    @property
    def of_the_request(self) -> bool:
        """Whether this request is to blame and not the server."""
        return self.kind in ("withheld", "rejected")


def server_url(owner: str, given: str | None) -> str:
    """The address requests go to: the one given, else OPENAI_BASE_URL, which belongs to the key beside it, else OpenAI.

    Raises InputError where it is none. May hold a password: see `public_url`. owner: "the judge", in messages.
    """
    url = given or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        valid = False
    if not valid or "?" in url or "#" in url:
        raise InputError(f"{owner}'s address is none: expected one like http://localhost:8000/v1, without '?' and '#'")
    return url


def public_url(url: str) -> str:
    """A valid address without user and password, fit for files and messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def api_key(variables: Sequence[str]) -> str | None:
    """The key in the first of these environment variables that is set. Raises InputError, without the key, for what
    cannot be one."""
    for name in variables:
        if key := os.environ.get(name, "").strip():
            if not (key.isascii() and key.isprintable()):  # the transport's own complaint would show it
                raise InputError(f"{name} holds a character that no API key has")
            return key
    return None


def serves(requested: str, served: str) -> bool:
    """Whether a served model is the requested one: the same name, or that name with a date or revision.

    gpt-4o is served as gpt-4o-2024-08-06, but gpt-4o-mini is another model.
    """
    return re.fullmatch(re.escape(requested) + r"(-\d[\d-]*|@.+)?", served) is not None


class ChatServer:
    """A model at an address. role: what it is to us ("judge", "model"); keys: environment variables of its key;
    flag: the option that names the address; retries: by the client, with back-off and Retry-After honoured."""

    def __init__(
        self, role: str, model: str, url: str, keys: Sequence[str], flag: str, retries: int, timeout_s: float
    ) -> None:
        import openai

        self.openai = openai
        self.model, self.keys, self.flag, self.timeout_s = model, keys, flag, timeout_s
        self.name = f"{role} '{model}' at {public_url(url)}"
        self.listed: Sequence[str] = ()  # names of models, where the server told them
        self.api_key = api_key(keys)
        if self.api_key is None and url == OPENAI_URL:
            raise InputError(f"{self.name} needs a key: set {keys[-1]}, or name another server with {flag}")
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

    async def greet(self) -> None:
        """Ask for the list of models. Raises InputError where nobody answers or the key is refused; many servers have
        no such list, which is no fault."""
        try:
            raw = await self.client.with_options(
                timeout=SECONDS_TO_ANSWER_AT_ALL, max_retries=0
            ).models.with_raw_response.list()
            self.listed = model_names(raw.http_response.text)
        except self.openai.APIStatusError as error:
            if error.status_code in (401, 403) and (hopeless := self.hopeless(error)):
                raise hopeless from None
        except self.openai.APIConnectionError as error:
            raise InputError(
                f"{self.name}: no server answers there ({one_line(str(error.__cause__ or error))}); "
                f"start it, or correct {self.flag}"
            ) from None

    async def ask(self, body: Mapping[str, Any]) -> Completion | Failure:
        """What one request gives. body: its fields but for the model. Raises InputError where no request can succeed."""
        fields = dict(body)
        answer: Completion | Failure
        try:
            raw = await self.client.chat.completions.with_raw_response.create(
                model=self.model, messages=fields.pop("messages"), extra_body=fields
            )
            answer = read_completion(raw.http_response.text)
        except self.openai.APIStatusError as error:
            if hopeless := self.hopeless(error):
                raise hopeless from None
            answer = self.failure(error)
        except self.openai.APITimeoutError:
            answer = Failure("silent", f"no answer within {self.timeout_s:g} s")
        except self.openai.APIConnectionError as error:
            nobody = type(error.__cause__).__name__ == "ConnectError"  # httpx's, which the client does not re-export
            answer = Failure("unreachable" if nobody else "failing", f"no connection ({error.__cause__})")
        return replace(answer, message=self.public(answer.message)) if isinstance(answer, Failure) else answer

    def failure(self, error: Any) -> Failure:
        """What an error status means that another request may not meet."""
        message = f"{error.status_code}: {server_message(error.body)}"
        if error.code == "content_filter":  # Azure's filter answers 400 where OpenAI's answers 200
            return Failure("withheld", message)
        if error.status_code in (400, 413, 422):
            return Failure("rejected", message)
        return Failure("failing", message, seconds(error.response.headers.get("retry-after")))

    def hopeless(self, error: Any) -> InputError | None:
        """The line for an error status that every further request would meet as well."""
        said = server_message(error.body)
        message = self.public(f"{error.status_code}: {said.rstrip('.')}")
        if error.status_code in (401, 403):
            return InputError(f"{self.name} refused access ({message}). Check {' or '.join(self.keys)}")
        # A server that is started for one model may answer 400 to another's name.
        if error.status_code == 404 or (
            error.status_code == 400 and f"'{self.model}'" in said and self.model not in self.listed
        ):
            known = f" Models there: {', '.join(self.listed)}." if self.listed else ""
            problem = "was not found" if error.status_code == 404 else "cannot be asked"
            return InputError(
                f"{self.name} {problem} ({message}).{known} Check the model's name and that the address ends in /v1"
            )
        if error.code == "insufficient_quota":  # a 429 that no waiting mends
            return InputError(f"{self.name}: the account is empty ({message}); the same command goes on from here")
        return None

    def public(self, message: str) -> str:
        """A message without the key, which some servers repeat in their errors."""
        return message.replace(self.api_key, "***") if self.api_key else message


def read_completion(text: str) -> Completion | Failure:
    """What the body of a 200 says."""
    try:
        body = loads(text)
        choice, served, usage = body["choices"][0], body.get("model"), body.get("usage") or {}
        if not isinstance(served, str | None):
            raise TypeError(f"model {served!r} is no name")
        refusal, finish = choice["message"].get("refusal"), choice.get("finish_reason")
        content = refusal or choice["message"].get("content") or ""
        said = content.encode("utf-8", "replace").decode()  # half a character (a surrogate) fits JSON but no file
        tokens = usage.get("completion_tokens")
        if finish == "error":  # what gateways say when the engine behind them broke off
            raise ValueError(finish)
    except (ValueError, LookupError, TypeError, AttributeError):
        return Failure("failing", f"status 200 without a chat completion: {one_line(text)}")
    withheld = "refusal" if refusal else finish if finish == "content_filter" else None
    return Completion(said, served, finish, tokens if type(tokens) is int else None, withheld)


def model_names(text: str) -> list[str]:
    """The names in the body of a list of models; none where it is something else."""
    try:
        return [str(model["id"]) for model in loads(text)["data"]]
    except (ValueError, LookupError, TypeError):
        return []


def seconds(header: str | None) -> float | None:
    """The wait that a Retry-After header asks for; None where it names a date, or none."""
    try:
        wait = float(header or "")
    except ValueError:
        return None
    return wait if 0 <= wait < float("inf") else None


def server_message(body: object) -> str:
    """The words of an error body: OpenAI's `message`, FastAPI's `detail`, else its beginning."""
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("detail") or body
    return one_line(str(body))


def one_line(text: str) -> str:
    return " ".join(text.split())[:300]

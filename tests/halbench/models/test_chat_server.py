"""A chat server: its address, its key and its answers. Requests are tested with the judge and the openai backend."""

import json

import pytest

from halbench.errors import InputError
from halbench.models.chat_server import (
    Completion,
    Failure,
    api_key,
    public_url,
    read_completion,
    seconds,
    server_message,
    server_url,
    serves,
)


def test_the_address_in_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    assert server_url("the judge", None) == "https://gateway.example/v1"
    assert server_url("the judge", "http://localhost:1/v1") == "http://localhost:1/v1"


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a/v1", "http://", "https://a/v1?api-version=2", "http://a:b/v1", "http://[::1/v1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="the judge's address is not valid: expected one like http"):
        server_url("the judge", url)


def test_the_address_is_recorded_without_user_and_password() -> None:
    assert public_url("https://me:pw@host:8/v1") == "https://host:8/v1"


@pytest.mark.parametrize(
    ("served", "same"),
    [
        ("gpt-4o", True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o@main", True),
        ("gpt-4o-mini", False),
        ("gpt-4o-mini-2024-07-18", False),
        ("gpt-4", False),
    ],
)
def test_a_date_or_revision_makes_no_other_model(served: str, same: bool) -> None:
    assert serves("gpt-4o", served) is same


def test_the_key_is_the_first_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRST", raising=False)
    monkeypatch.setenv("SECOND", " sk-2\n")
    assert api_key(("FIRST", "SECOND")) == "sk-2"
    monkeypatch.setenv("FIRST", "sk-1")
    assert api_key(("FIRST", "SECOND")) == "sk-1"
    assert api_key(("THIRD",)) is None


def body(message: dict[str, object], **fields: object) -> str:
    return json.dumps({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], **fields})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (body({"content": "Yes"}, usage={"completion_tokens": 2}), Completion("Yes", "m", "stop", 2, None)),
        (body({"content": "Yes"}, usage={"completion_tokens": "2"}), Completion("Yes", "m", "stop", None, None)),
        (body({"content": None, "refusal": "No."}), Completion("No.", "m", "stop", None, "refusal")),
        (body({"content": "Half \ud83d"}), Completion("Half ?", "m", "stop", None, None)),
    ],
)
def test_a_completion_is_read_from_a_body(text: str, answer: Completion) -> None:
    assert read_completion(text) == answer


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"choices": []}', body({"content": "Yes"}, model=3), "<html>"])
def test_what_is_no_completion_is_a_failure_that_shows_it(text: str) -> None:
    failure = read_completion(text)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message[:39]) == ("failing", "status 200 without a chat completion: " + text[:1])


@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7.0), ("0.5", 0.5), (None, None), ("-1", None), ("inf", None), ("Wed", None)]
)
def test_a_retry_after_header_names_seconds_or_nothing(header: str | None, wait: float | None) -> None:
    assert seconds(header) == wait


def test_the_message_of_an_error_body_is_read_in_openai_s_and_fastapi_s_formats() -> None:
    assert server_message({"message": "too\nlong"}) == "too long"
    assert server_message({"detail": "bad field"}) == "bad field"
    assert server_message("x" * 999) == "x" * 300

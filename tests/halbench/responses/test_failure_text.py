"""What other programs write in place of an answer is a failure; a refusal is an answer, and counted."""

import pytest
from written_responses import written

from halbench.errors import InputError
from halbench.responses.failure_text import failure_in_text, is_blank, is_refusal, lmms_failure
from halbench.responses.response_files import read_response_file, responses_of


@pytest.mark.parametrize(
    "text",
    [
        "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error.",
        "Failed to obtain answer via API. ",
        "Error: CUDA out of memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "Error code: 429 - {'message': 'rate limited'}",
        "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        "<html><body>502 Bad Gateway</body></html>",
        "RuntimeError('CUDA out of memory')",
        "error: timeout",
        "HTTP Error 429: Too Many Requests",
        "Internal Server Error",
        "Rate limit exceeded",
        '{"error": {"message": "overloaded"}}',
        "No response",
        "Request timed out.",
        "An error occurred: timeout",
    ],
)
def test_what_another_harness_wrote_for_a_failure_is_no_answer(tmp_path, text):
    rows = read_response_file(
        written(tmp_path, [{"id": 1, "response": text}, {"id": 2, "response": f"It says: {text}"}])
    )
    failed, quoted = responses_of(rows, ["1", "2"])
    assert failed.state == "error"
    assert failed.error == text.strip(" [").replace("]", ":")
    assert quoted.state == "ok"


@pytest.mark.parametrize(
    ("text", "tokens", "reason"),
    [
        ("A dog.", None, None),
        ("", 1, None),
        ("", None, "an empty answer without a count of tokens"),
        ("", 0, "an empty answer without a count of tokens"),
        (" \n", None, "an empty answer without a count of tokens"),
        (" \n", 0, "an empty answer without a count of tokens"),
        (None, 3, "expected text, found NoneType"),
        (["A", "B"], 2, "expected text, found list"),
        (
            "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error.",
            None,
            "LMMS_EVAL_REQUEST_FAILED after 5 retries: Connection error.",
        ),
        ("[LMMS_EVAL_BUDGET_EXCEEDED]", None, "LMMS_EVAL_BUDGET_EXCEEDED"),
        ("A sign says [LMMS_EVAL_REQUEST_FAILED]", None, None),
    ],
)
def test_an_output_of_lmms_eval_is_an_answer_only_if_something_was_generated(text, tokens, reason):
    assert lmms_failure(text, tokens) == reason


@pytest.mark.parametrize(
    "text",
    [
        "An error message is displayed on the laptop.",
        "Error 404 is written on the sign.",
        "No response from the dog, which lies on the sofa.",
        "The request on the sign is polite.",
        "An exception: the cat sleeps.",
    ],
)
def test_a_description_that_speaks_of_errors_is_an_answer(text):
    assert failure_in_text(text) is None


@pytest.mark.parametrize("text", ["", " \n", ".", "nan", "None", "N/A", "</s>", "<|endoftext|>", "<image>", "..."])
def test_what_stands_for_no_text_is_empty(tmp_path, text):
    (answer,) = responses_of(read_response_file(written(tmp_path, [{"id": 1, "response": text}])), ["1"])
    assert answer.state == "empty"


@pytest.mark.parametrize("text", ["No", "5", "None of the above", "A dog."])
def test_a_short_answer_is_not_empty(text):
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("fields", "state", "finish"),
    [
        ({"finish_reason": "length"}, "ok", "length"),
        ({"stop_reason": "max_tokens"}, "ok", "length"),
        ({"finish_reason": "stop"}, "ok", "stop"),
        ({"state": "failed"}, "error", None),
        ({"error": "connection lost", "state": "ok"}, "error", None),
        ({"error": "connection lost"}, "error", None),
        ({"error": None}, "ok", None),
        ({"error": ""}, "ok", None),
    ],
)
def test_what_a_row_says_of_its_answer_is_believed_under_every_usual_name(tmp_path, fields, state, finish):
    rows = read_response_file(written(tmp_path, [{"id": 1, "response": "A dog."} | fields]))
    (answer,) = responses_of(rows, ["1"])
    assert (answer.state, answer.finish) == (state, finish)


def test_an_unknown_state_is_an_error_with_its_line(tmp_path):
    rows = read_response_file(written(tmp_path, [{"id": 1, "response": "A dog.", "state": "done"}]))
    with pytest.raises(InputError, match='line 1: unknown state "done"; expected ok, empty, unfinished or error'):
        responses_of(rows, ["1"])


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("Sorry, I cannot assist with this request.", True),
        ("As an AI language model, I have no eyes.", True),
        ("I am unable to view the image.", True),
        ("I can't see images.", True),
        ("I can't see any dog in the image.", False),
        ("I can't identify the two people, but there is a dog between them.", False),
        ("I'm afraid the image shows no dog.", False),
        ("A man who looks sorry holds a sign.", False),
        ("I apologize, but I cannot describe this image.", True),
        ("There is no image provided.", True),
        ("There is no picture on the wall.", False),
    ],
)
def test_a_refusal_declines_to_answer_and_does_not_merely_see_nothing(text, refusal):
    assert is_refusal(text) is refusal

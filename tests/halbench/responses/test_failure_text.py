"""What other harnesses write in place of an answer is a failure."""

import pytest
from written_responses import written

from halbench.responses.failure_text import lmms_failure
from halbench.responses.response_files import read_response_file, responses_of


@pytest.mark.parametrize(
    "text",
    ["[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error.", "Failed to obtain answer via API. "],
    ids=["lmms-eval", "VLMEvalKit"],
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

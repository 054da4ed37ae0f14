"""What other harnesses write in place of an answer, so that a failure is never scored as one.

lmms-eval's model classes swallow exceptions: those that run a model then answer with an empty text, and those that ask a
server with "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error."; VLMEvalKit writes "Failed to obtain answer via
API." These sentences name no object at all, and would count as free of hallucinations.
"""

import re

IN_PLACE_OF_AN_ANSWER = re.compile(
    r"\[LMMS_EVAL_(REQUEST_FAILED|BUDGET_EXCEEDED)\b.*|Failed to obtain answer via API\.?", re.DOTALL
)


def told_failure(text: str) -> str | None:
    """The failure that a text tells in place of an answer, or None."""
    told = text.strip()
    return told.lstrip("[").replace("]", ":", 1).rstrip(":") if IN_PLACE_OF_AN_ANSWER.fullmatch(told) else None


def lmms_failure(text: object, tokens: int | None) -> str | None:
    """Why an output of lmms-eval is no answer, or None. tokens: that the class counted, None where it did not."""
    if not isinstance(text, str):
        return f"expected text, found {type(text).__name__}"
    # Generation ends with a token even where nothing is said, so nothing shows that there was any.
    silent = not (text.strip() or tokens)
    return told_failure(text) or ("an empty answer without a count of tokens" if silent else None)

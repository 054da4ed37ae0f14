"""What lmms-eval gives in place of an answer, so that a failure is never scored as one.

Its model classes swallow exceptions: those that run a model then answer with an empty text, and those that ask a server with
a sentence of their own, "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error.", which names no object at all.
"""

import re

IN_PLACE_OF_AN_ANSWER = re.compile(r"\[LMMS_EVAL_(REQUEST_FAILED|BUDGET_EXCEEDED)\b.*", re.DOTALL)


def failure(text: object, tokens: int | None) -> str | None:
    """Why an output is no answer, or None. tokens: that the class counted, None where it did not."""
    if not isinstance(text, str):
        return f"expected text, found {type(text).__name__}"
    if IN_PLACE_OF_AN_ANSWER.fullmatch(text.strip()):
        return text.strip().lstrip("[").replace("]", ":", 1).rstrip(":")
    # Generation ends with a token even where nothing is said, so nothing shows that there was any.
    return None if text.strip() or tokens else "an empty answer without a count of tokens"

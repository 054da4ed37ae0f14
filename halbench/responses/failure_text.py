"""Texts that are no answers: failures that other programs write as if they were answers, which are never scored, and refusals,
which are scored and counted.

lmms-eval's model classes swallow exceptions: those that run a model then return an empty text, and those that use a server
return "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error."; VLMEvalKit writes "Failed to obtain answer via API."
Scripts write the exception itself. These texts name no object, so they would count as free of hallucinations.
"""

import re

IN_PLACE_OF_AN_ANSWER = re.compile(
    r"\[LMMS_EVAL_(REQUEST_FAILED|BUDGET_EXCEEDED)\b.*|Failed to obtain answer via API\.?"
    r"|\[?(Error|Exception|([\w.]+\.)?\w+(Error|Exception))(\]:?| ?:|\().*|Error|(CUDA|.{0,40} ran) out of memory.*"
    r"|Traceback \(most recent call last\):.*|(HTTP )?Error (code:? )?\d{3}(\W*|\W+[:-].*|:.*)|<(!DOCTYPE html|html)\b.*|\{\s*\"error\":.*"
    r"|(Internal server error|An (\w+ )?error (has )?occurred)\b.*|Failed to (generate|process|get|fetch|load|call)\b.*"
    r"|No (response|answer|output)( (was |is )?(given|received|generated|available|returned))?\.?"
    r"|(The )?(request|connection|read)( has)? (timed out|failed|aborted|closed|error)\b.*|Time(d )?out\.?|Rate limit(ed)?\b.*"
    r"|Too many requests\b.*|Bad gateway\.?|Service unavailable\.?",
    re.DOTALL | re.IGNORECASE,
)
BLANK = re.compile(r"(\W|_)*((nan|none|null|n/a)(\W|_)*|(<[\w|/]+>\W*)+)?", re.IGNORECASE)
"""Nothing, punctuation, special tokens, or what programs write for a missing value."""
REFUSAL = re.compile(
    r"\W*((I['’]?m|I am|we['’]?re) )?(very |really |so )?(sorry|afraid)\b.{0,40}\b(can['’]?t|cannot|can not|unable|not able|won['’]?t)\b"
    r"|\W*(As an AI|I['’]?m just an AI|I am (just )?an AI)\b|\W*I apologi[sz]e\b.{0,40}\b(can['’]?t|cannot|unable)\b"
    r"|\W*(There is no|I (do not|don['’]?t) (see|have)( an?| any)?|No) (image|picture|photo)s? (is |was |has been )?(provided|attached|given|available|uploaded)"
    r"|\W*(Unfortunately, |Sorry, )?I (can['’]?t|cannot|can not|am unable to|['’]m unable to|am not able to|won['’]?t)( \w+){0,2} "
    r"(help|assist|answer|view|process|analy[sz]e|describe|provide|discuss|comply|fulfil"
    r"|see (the |this |your |any |an )?(image|picture|photo)s?\b)",
    re.IGNORECASE | re.DOTALL,
)


def failure_in_text(text: str) -> str | None:
    """The failure that a text reports in place of an answer; None if it is an answer."""
    text = text.strip()
    return text.lstrip("[").replace("]", ":", 1).rstrip(":") if IN_PLACE_OF_AN_ANSWER.fullmatch(text) else None


def is_blank(text: str) -> bool:
    """Whether a text says nothing: blanks, punctuation, special tokens such as </s>, or a missing value such as nan."""
    return BLANK.fullmatch(text) is not None


def is_refusal(text: str) -> bool:
    """Whether a text declines to answer, in English."""
    return REFUSAL.match(text) is not None


def lmms_failure(text: object, tokens: int | None) -> str | None:
    """Why an output of lmms-eval is not an answer; None if it is one. tokens: the model class's count, None if it has none."""
    if not isinstance(text, str):
        return f"expected text, found {type(text).__name__}"
    # Even an empty answer ends with a token; without one nothing shows that the model generated at all.
    silent = not (text.strip() or tokens)
    return failure_in_text(text) or ("an empty answer without a count of tokens" if silent else None)

"""Bad judges: a real HTTP server that fails in every way we know. A run ends complete with the ratings that the judge gave, or
says that it is incomplete, and the key appears nowhere; a rerun with a good judge completes it."""

import json
import os
import random as module_random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from judge_server import NEVER, Answer, JudgeServer, failure, reply

from halbench.evaluation.choice import SuiteChoice
from halbench.evaluation.evaluate import Evaluation
from halbench.evaluation.score import score_stored
from halbench.files.records import read_jsonl
from halbench.judging.options import JudgeOptions, Judging
from tests.faults import limits
from tests.faults.fuzz_responses import ANSWERS, EXCERPTS
from tests.faults.limits import guarded
from tests.faults.table import Row

KEY = "sk-secret-0123456789"
Script = Callable[[str, int], Answer]


def rating(prompt: str) -> int:
    return len(prompt) % 7


def good(prompt: str, times: int) -> Answer:
    return reply(f"Fine.\nRating: {rating(prompt)}")


def body(content: bytes, **headers: str) -> Script:
    return lambda prompt, times: Answer(content, headers=headers)


def says(text: str | None, **others: Any) -> Script:
    return lambda prompt, times: reply(text, **others)


def fails(status: int, message: str = "no", **others: Any) -> Script:
    return lambda prompt, times: failure(status, message, **{"Retry_After": "0", **others})


def once(script: Script) -> Script:
    """Fails the first time that it is asked about an item."""
    return lambda prompt, times: script(prompt, times) if times == 0 else good(prompt, times)


def some(script: Script) -> Script:
    """Fails on a fifth of the items."""
    return lambda prompt, times: script(prompt, times) if rating(prompt) == 3 else good(prompt, times)


JUDGES: dict[str, Script] = {
    "good": good,
    "slow": lambda prompt, times: reply(f"Rating: {rating(prompt)}", wait_s=0.2),
    "429 once": once(fails(429)), "429 always": fails(429), "429 on some": some(fails(429)),
    "500 once": once(fails(500)), "500 on some": some(fails(500)), "503 always": fails(503),
    "400 on some": some(fails(400, "too long")), "401": fails(401, f"bad key {KEY}"), "403": fails(403, "forbidden"),
    "404": fails(404, "model not found"), "quota": fails(429, "quota", code="insufficient_quota"),
    "418": fails(418), "a redirect": lambda p, t: Answer(b"", 302, {"Location": "http://127.0.0.1:9/x"}),
    "a login page": body(b"<html><body>Login <script>alert(1)</script></body></html>", **{"Content-Type": "text/html"}),
    "an empty body": body(b""), "half a body": body(b'{"choices": [{"mess'), "not UTF-8": body(b"\xff\xfe{}"),
    "less than announced": body(b'{"choices"', **{"Content-Length": "5000"}),
    "no choices": body(b'{"model": "m", "choices": []}'), "an error as an answer": body(b'{"error": {"message": "overloaded"}}'),
    "a list": body(b"[]"), "a number": body(b"7"), "null": body(b"null"), "nested deeply": body(b"[" * 100_000),
    "content is a list": body(json.dumps({"model": "m", "choices": [{"message": {"content": [{"text": "Rating: 3"}]}}]}).encode()),
    "NaN": body(b'{"model":"m","choices":[{"message":{"content":"Rating: 3"},"finish_reason":NaN}]}'),
    "no text": says(None), "an empty text": says(""), "no rating": says("It is good."), "unclear once": once(says("hmm")),
    "a refusal": says(None, refusal="I cannot"), "filtered": says("", finish="content_filter"),
    "cut off": says("The response is long and", finish="length"), "two ratings": says("Rating: 2\nor Rating: 5"),
    "a range": says("Rating: 2-5"), "a rating of 9": says("Rating: 9"), "no key, but control characters": fails(500, "\x1b[2J\x1b[31mred"),
    "a megabyte": says("x" * 1_000_000 + "\nRating: 3"), "another model": says("Rating: 3", served="gpt-3.5-turbo"),
    "changing models": lambda prompt, times: reply("Rating: 3", served=f"m-{rating(prompt)}"),
    "thinking aloud": says("<think>rating: 6 or rating: 0</think>\nRating: 3"),
    "quoting": says('Rating: 1\n(The response claims "Rating: 6".)'),
    "never": lambda prompt, times: NEVER,
}  # fmt: skip


def judged(url: str, out: Path) -> Evaluation:
    options = JudgeOptions("m", base_url=url, retries=1, timeout_s=1.0, concurrency=8)
    choice = SuiteChoice(EXCERPTS, None, "mmhal")
    return score_stored(choice, ANSWERS / "mmhal.json", Judging(judge=options), out)


def scored_as_said(evaluation: Evaluation, out: Path) -> bool:
    """Whether every rating that counts is the one number in the last line of a reply that names a rating."""
    last = {row["item"]: row for _, row in read_jsonl(out / "judgements.jsonl")}
    for score in evaluation.scores:
        if score.state == "scored":
            lines = [line for line in last[score.item]["reply"].splitlines() if line.lower().startswith("rating:")]
            if last[score.item]["state"] != "ok" or len(lines) != 1 or lines[0][7:].strip() not in "0123456":
                return False
    return True


def campaign(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    limits.LIMIT_S = 60.0
    os.environ["HALBENCH_JUDGE_API_KEY"] = KEY
    row = Row("a failing judge never becomes a score", f"{len(JUDGES)} kinds of judges, good and bad, on 24 answers")
    chosen = module_random.Random(seed).sample(list(JUDGES.items()), max(2, int(len(JUDGES) * share)))
    for number, (name, script) in enumerate(chosen):
        out = root / f"judge{number}"
        row.count += 1
        with JudgeServer(script) as server:
            evaluation = guarded(row, name, lambda server=server, out=out: judged(server.url, out))
        if evaluation is not None:
            if not scored_as_said(evaluation, out):
                row.broke("silent", f"{name}: a rating that the judge did not give")
            row.note("complete" if evaluation.coverage.complete else "incomplete, and said so")
        with JudgeServer(good) as server:
            again = guarded(row, f"{name}, then good", lambda server=server, out=out: judged(server.url, out))
        if again is not None and again.coverage.unscored + again.coverage.errors > 24 * (name in FINAL):
            row.broke("lost", f"{name}: a good judge does not complete it: {again.coverage.complaint()}")
        if any(KEY in path.read_text(errors="replace") for path in out.rglob("*") if path.is_file()):
            row.broke("lost", f"{name}: the key is in a file")
        shutil.rmtree(out, ignore_errors=True)
    if work is None:
        shutil.rmtree(root)
    return [row]


FINAL = ("a refusal", "filtered", "cut off", "two ratings", "a range", "no rating", "an empty text", "quoting", "a rating of 9",
         "no text", "thinking aloud")  # fmt: skip
"""Replies that came and cannot be read: they are verdicts, and are not asked for again."""
CAMPAIGNS = {"judges": campaign}

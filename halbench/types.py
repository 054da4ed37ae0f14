"""The nouns of a benchmark run, as frozen dataclasses.

An `Item` is asked, a `Response` comes back, a `Score` holds the counts of one response, and a `Metric` is a formula
over summed counts. Because the counts are kept per response, values, clustered intervals, paired tests and sub-groups
all come from the same rows without scoring again.

    Item(id="1", image=Path("images/AMBER_1.jpg"), prompt="Describe this image.", truth={...}, group="generative")
    Response(item="1", text="Three people walk in a field.", tokens=9, finish="stop", state="ok", error=None)
    Score(item="1", image="AMBER_1.jpg", group="generative", counts={"nouns": 6, "hallucinated": 1, ...}, ...)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

ResponseState = Literal["ok", "empty", "error"]
ScoreState = Literal["scored", "unscored", "error", "missing"]
Better = Literal["lower", "higher", "neither"]
Unit = Literal["fraction", "rating", "words"]


@dataclass(frozen=True)
class Item:
    """One question to a model. `image.name` is the cluster: items on the same image are not independent."""

    id: str
    image: Path
    prompt: str
    truth: Any
    group: str


@dataclass(frozen=True)
class Response:
    """What a model said to one item; a failure is a row with state "error", never a missing row.

    tokens: number of generated tokens (None if unknown). finish: "stop", "length" or None if unknown.
    extra: what a response file carried beside the text and a scorer may use (stored object lists, say).
    """

    item: str
    text: str
    tokens: int | None = None
    finish: str | None = None
    state: ResponseState = "ok"
    error: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """One reply of a judge, kept whatever it says.

    key: hash of everything that shapes the reply (requested model, messages, decoding). prompt_hash: of the prompt alone,
    which holds the response, so that a stored judgement is never taken for another response's.
    state: "ok" a reply came; "refused" the judge declined; "unparsable" no verdict could be read from it;
    "error" no reply came. Only "ok" is ever scored by our own rules.
    """

    item: str
    key: str
    requested_model: str
    served_model: str | None
    reply: str
    state: Literal["ok", "refused", "unparsable", "error"] = "ok"
    error: str | None = None
    attempts: int = 1
    prompt_hash: str = ""


@dataclass(frozen=True)
class Score:
    """Counts of one response, and the evidence a person can check (which words, which rating).

    image: cluster key. state "unscored": the response is there but no verdict is (judge failed or unreadable), "error":
    generation failed, "missing": there is no row. All three are reported and never averaged; an unscored one may carry
    the counts by which an official script scores it all the same.
    """

    item: str
    image: str
    group: str
    counts: Mapping[str, float]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    state: ScoreState = "scored"
    error: str | None = None


@dataclass(frozen=True)
class Metric:
    """A formula over summed counts.

    value: summed counts -> number; works on floats and, element by element, on arrays; 0/0 gives nan.
    groups: the reported groups in which it stands.
    ratio: (numerator, denominator) names when value is that plain ratio; allows exact methods for proportions.
    official: (summed counts, group) -> the number exactly as the authors' script prints it.
    """

    name: str
    value: Callable[[Mapping[str, Any]], Any]
    better: Better
    unit: Unit = "fraction"
    groups: tuple[str, ...] = ("all",)
    ratio: tuple[str, str] | None = None
    official: Callable[[Mapping[str, float], str], float | None] | None = None


DECODING = ("max_new_tokens", "num_beams", "temperature", "top_p")  # what of --gen-kwargs has a field of its own


@dataclass(frozen=True)
class Decoding:
    """How text is generated. Defaults of a suite are its authors' published settings.

    prompt tokens are never cut. temperature 0 is greedy (or beam search with num_beams > 1).
    extra: further keyword arguments handed to the engine (`--gen-kwargs`).
    """

    max_new_tokens: int
    num_beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResponseRow:
    """One row of somebody's response file, before it is matched to an item. line: 1-based place in the file."""

    line: int
    text: str
    id: str | None = None
    image: str | None = None
    prompt: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgeQuestion:
    """What a suite asks a judge.

    template: name of our own prompt in `halbench/prompts/`. role: of the message that carries it, "user" or "system".
    values(item, response) -> what fills the template's places, in its order; None when this response needs no judge.
    readable(reply) -> whether a verdict can be read from a reply.
    """

    template: str
    role: Literal["user", "system"]
    values: Callable[[Item, Response], Mapping[str, str] | None]
    readable: Callable[[str], bool]


@dataclass(frozen=True)
class Task:
    """A suite that has been loaded with its options and data: what is asked and how an answer is scored.

    score(item, response, judgement or None) -> Score; never raises for what a model may say.
    identity: name -> value of all that can change a number (data hashes, options, language); goes into the signature.
    judge: what a judge is asked, in suites that need one. official: whether the options are those of an official script,
    so that its printed numbers mean something.
    """

    items: Sequence[Item]
    score: Callable[[Item, Response, "Judgement | None"], Score]
    identity: Mapping[str, str]
    judge: "JudgeQuestion | None" = None
    official: bool = True


@dataclass(frozen=True)
class Suite:
    """A benchmark: the plugin `halbench/suites/NAME.py` holds one as SUITE.

    options: frozen dataclass of the suite's `--set` options. groups: reported group -> the item groups it holds.
    load(data, options, rows): rows is what a response file holds (None when a model is about to be run), for the
    suites whose item list follows from the responses.
    match(items, rows) -> item id per row; raises InputError with the row's line.
    note: what every reader of the numbers should know, printed under them.
    """

    name: str
    version: str
    title: str
    options: type[Any]
    decoding: Decoding
    metrics: tuple[Metric, ...]
    groups: Mapping[str, tuple[str, ...]]
    load: Callable[[Any, Any, Sequence[ResponseRow] | None], Task]
    match: Callable[[Sequence[Item], Sequence[ResponseRow]], list[str]]
    note: str = ""


@dataclass(frozen=True)
class Result:
    """One number with all it needs to be read alone. value is a fraction or native unit, unrounded; None = undefined.

    low, high: 95 % interval. n: scored responses. coverage: scored / all items of the group.
    official: as the authors' script prints it, None where it prints none.
    """

    suite: str
    group: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    coverage: float
    better: Better
    unit: Unit
    official: float | None
    signature: str


@dataclass(frozen=True)
class BackendOptions:
    """What a user can say about how a model is run. None means: the backend's own choice.

    base_url: of a server that has the model. concurrency: requests under way at once. model_args: further arguments of
    the engine (`--model-args`). engine: what follows a backend's name, as in lmms:llava_hf. A backend names base_url,
    model_args and engine in its OPTIONS if it takes them.
    """

    batch_size: int | Literal["auto"] = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device: str | None = None
    seed: int = 0
    trust_remote_code: bool = False
    base_url: str | None = None
    concurrency: int = 8
    model_args: Mapping[str, Any] = field(default_factory=dict)
    engine: str | None = None


class Backend(Protocol):
    """A model that answers items. Built by `open_backend(model, options)` of a module in `halbench/backends/`."""

    def identity(self) -> dict[str, str]:
        """What was run: model name, content fingerprint, adapter, backend, dtype, library versions."""
        ...

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, each yielded as soon as it is known, in any order. A failed item is yielded with
        state "error"; an exception means that the model itself cannot go on."""
        ...

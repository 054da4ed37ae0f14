"""The core types of a benchmark run, as frozen dataclasses.

An `Item` is one question, a `Response` the model's answer, a `Score` the counts of one response, and a `Metric` a formula
over summed counts. Because counts are kept per response, values, clustered intervals, paired tests and sub-groups all
come from the same rows without scoring again.

    Item(id="1", images=(Path("images/AMBER_1.jpg"),), prompt="Describe this image.", truth={...}, group="generative")
    Response(item="1", text="Three people walk in a field.", tokens=9, finish="stop", state="ok", error=None)
    Score(item="1", cluster="AMBER_1.jpg", group="generative", counts={"nouns": 6, "hallucinated": 1, ...}, ...)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from halbench.errors import InputError
from halbench.reasoning import SPLIT, Reasoning
from halbench.settings import option, parse_arguments

ResponseState = Literal["ok", "empty", "unfinished", "error"]
ScoreState = Literal["scored", "unscored", "unfinished", "error", "missing"]
Better = Literal["lower", "higher", "neither"]
Unit = Literal["fraction", "rating", "words"]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class Item:
    """One question to a model.

    images: the files it is about, shown before the prompt in this order; () for a question without an image.
    cluster: the unit that is resampled, because its items are not independent (AMBER asks 14 questions per image). By
    default, items on the same images are one cluster, and a question without an image is one by itself.
    """

    id: str
    images: tuple[Path, ...]
    prompt: str
    truth: Any
    group: str
    cluster: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.images, tuple):
            raise TypeError(f"Item.images: expected a tuple of paths such as (Path('1.jpg'),), found {self.images!r}")
        if not self.cluster:
            object.__setattr__(self, "cluster", "+".join(path.name for path in self.images) or self.id)


@dataclass(frozen=True)
class Response:
    """A model's answer to one item; a failure is a row with state "error", never a missing row.

    text: the answer alone; what the model thought before it is in extra["reasoning"]. state "unfinished": it was still
    thinking when it ended, and there is no answer. tokens: number of generated tokens (None if unknown). finish: "stop", "length" or None if unknown.
    extra: other fields of the response file, which a scorer may use (stored lists of objects, for example).
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
    which contains the response, so that a stored judgement is never used for another response.
    state: "ok"; "refused" if the judge declined; "unparsable" if the reply has no verdict; "error" if there is no reply.
    Only "ok" is ever scored by our own rules.
    judge: hash of the judge: model, prompt template and decoding; "" for replies from elsewhere. repeat: which of several
    replies about the same response, from 1; attempts: which attempt to get a readable one. prompt_tokens, completion_tokens:
    as the server counts them.
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
    judge: str = ""
    repeat: int = 1
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Score:
    """Counts of one response, and the evidence a person can check (which words, which rating). A count "official_X" is X as
    the authors' script counts it, where that differs from ours.

    cluster, group: those of its item. state "unscored": there is a response but no verdict (the judge failed or its reply
    is unreadable); "unfinished": the model was still reasoning; "error": generation failed; "missing": no response. All are reported and never averaged;
    an unscored one may carry the counts by which an official script scores it nevertheless.
    faults: how much of the response is wrong, 0 for nothing: number of hallucinated mentions, 1 for a wrong answer, points
    below an acceptable rating; None if unknown. The browser of samples sorts and filters by it.
    evidence: whatever explains the counts. Reports know these names: the words (or {"word": ..., "category": ...}) of
    "hallucinated" and of "mentions" or "correct", which are marked in the text; "truth" or "covered", the objects in the image;
    "answer", as which a question's answer was read; "rating" and "judge", the judge's reply.
    """

    item: str
    cluster: str
    group: str
    counts: Mapping[str, float]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    state: ScoreState = "scored"
    error: str | None = None
    faults: float | None = None

    @classmethod
    def of(
        cls,
        item: Item,
        counts: Mapping[str, float],
        evidence: Mapping[str, Any] | None = None,
        state: ScoreState = "scored",
        error: str | None = None,
        faults: float | None = None,
    ) -> "Score":
        """The score of a response to `item`."""
        faults = None if faults is None else float(faults)
        return cls(item.id, item.cluster, item.group, counts, evidence or {}, state, error, faults)


@dataclass(frozen=True)
class Metric:
    """A formula over summed counts, and what its number means.

    value: summed counts -> number, element by element on arrays; 0/0 gives nan.
    groups: the reported groups that have it.
    ratio: (numerator, denominator) names if value is that plain ratio; allows exact methods for proportions.
    official: (summed counts, group) -> the number exactly as the authors' script prints it.
    label: the name in papers ("CHAIRi"); by default the metric's name in words.
    main: the groups in which it is a headline number: a column of tables, gated by default.
    companions: metrics without which it misleads, because a model improves it by saying less: "cover" of the same group,
    or "generative/cover" of another. They are shown with it everywhere, and a margin on it binds them as well. A metric
    where lower is better must state them; () states that an empty answer does not improve it, which is checked.
    margin: the worsening that a gate tolerates by default, in the metric's own unit (0.01 is one percentage point).
    unread: whether it is the share of answers that could not be read, or of a judge's words that are not about them; shown
    only if there are any.
    chance: the value that guessing reaches; far below it, answers probably belong to other questions.
    published: its name in tables of published results, for its main groups; None if papers do not report it.
    description: what it measures, in a few words for axes and captions.
    """

    name: str
    value: Callable[[Mapping[str, Any]], Any]
    better: Better
    unit: Unit = "fraction"
    groups: tuple[str, ...] = ("all",)
    ratio: tuple[str, str] | None = None
    official: Callable[[Mapping[str, float], str], float | None] | None = None
    label: str = ""
    main: tuple[str, ...] = ()
    companions: tuple[str, ...] | None = None
    margin: float | None = None
    unread: bool = False
    chance: float | None = None
    published: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " ").capitalize())


DECODING = ("max_new_tokens", "num_beams", "temperature", "top_p")  # --gen-kwargs that have a field of their own


@dataclass(frozen=True)
class Decoding:
    """How text is generated; a suite's defaults are its authors' published settings. Prompts are never truncated.

    temperature: 0 is greedy decoding (beam search with num_beams > 1). extra: further arguments for the engine
    (`--gen-kwargs`). reasoning: budget and tags of thoughts before the answer. Backends return texts with their thoughts.
    """

    max_new_tokens: int
    num_beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    reasoning: Reasoning = SPLIT

    def max_tokens(self) -> int:
        """Tokens of thoughts and answer together."""
        return self.max_new_tokens + (self.reasoning.max_reasoning_tokens or 0)


@dataclass(frozen=True)
class ResponseRow:
    """One row of a response file, before it is matched to an item. line: its line in the file, from 1."""

    line: int
    text: str
    id: str | None = None
    image: str | None = None
    prompt: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgeQuestion:
    """What a suite asks a judge.

    template: name of our own prompt in `halbench/judging/prompts/`. role: of the message with the prompt.
    values(item, response) -> values of the template's fields, in its order; None if this response needs no judge.
    readable(reply, values) -> whether a verdict can be read from a reply to the prompt with these values.
    """

    template: str
    role: Literal["user", "system"]
    values: Callable[[Item, Response], Mapping[str, str] | None]
    readable: Callable[[str, Mapping[str, str]], bool]


@dataclass(frozen=True)
class Extremes:
    """The counts of an item whose answer is as good, and as bad, as it can be, each count by itself. A count without a limit,
    such as the number of mentions, is left out: then a metric that uses it has no bounds."""

    best: Mapping[str, float]
    worst: Mapping[str, float]


@dataclass(frozen=True)
class Task:
    """A suite loaded with its options and data: the questions, and how an answer is scored.

    score(item, response, judgement or None) -> Score; must not raise for any text, even an empty one.
    joint(scores) -> scores, for metrics that need several answers at once ("all questions on a figure right"): gets the
    scores of all items, of every state, and returns them in the same order with counts added.
    identity: name -> value of everything that can change a number (data hashes, options, language); goes into the
    signature. judge: what a judge is asked, in suites that need one. official: whether the options are those of an
    official script, so that its printed numbers apply. note: what a reader of these numbers should know.
    extremes(item) -> Extremes: what its answer can count at best and at worst. They bound the numbers of a run that lacks
    scores; without it there are no bounds.
    """

    items: Sequence[Item]
    score: Callable[[Item, Response, "Judgement | None"], Score]
    identity: Mapping[str, str]
    judge: "JudgeQuestion | None" = None
    official: bool = True
    joint: Callable[[Sequence[Score]], Sequence[Score]] | None = None
    note: str = ""
    extremes: Callable[[Item], Extremes] | None = None


@dataclass(frozen=True)
class Suite:
    """A benchmark: the plugin `halbench/suites/NAME.py` holds one as SUITE.

    options: frozen dataclass of the suite's `--set` options. groups: reported group -> the item groups it holds.
    load(data, options, rows) -> Task; rows: those of a response file, for suites whose items depend on the responses;
    None if a model is about to answer.
    match(items, rows) -> item id per row; raises InputError with the row's line.
    note: what every reader of the numbers should know, printed below them.
    truth_labels: field of an item's truth -> its name for readers, if its own name does not explain it.
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
    truth_labels: Mapping[str, str] = field(default_factory=dict)

    def companions(self, group: str, metric: str) -> list[tuple[str, str]]:
        """(group, metric) of the companions of a metric in a group; see Metric.companions."""
        named = next((m.companions or () for m in self.metrics if m.name == metric), ())
        parts = (name.rpartition("/") for name in named)
        return [(other_group or group, name) for other_group, _, name in parts]


@dataclass(frozen=True)
class Result:
    """One number with everything needed to read it. value: a fraction or in native units, unrounded; None if undefined.

    low, high: 95 % interval. n: scored responses. coverage: scored / all items of the group.
    official: the number as the authors' script prints it, None if it prints none.
    worst, best: the value if every item without a score came out as badly, or as well, as it can; None if all have a score,
    and where nothing limits what an answer counts.
    label, main, companions, unread, published, description: see Metric; main is of this group, companions are
    "group/metric".
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
    label: str
    main: bool
    companions: tuple[str, ...]
    unread: bool
    published: str | None
    description: str
    worst: float | None = None
    best: float | None = None


def read_batch_size(flag: str, text: str) -> "int | Literal['auto']":
    """The batch size in a flag's text: "auto", or a number from 1."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{flag} {text}: expected a number from 1, or auto")
    return int(text)


@dataclass(frozen=True)
class BackendOptions:
    """How a model is run. None: the backend's own default.

    engine: what follows a backend's name, as in lmms:llava_hf. A backend that accepts base_url, model_args, base, template_kwargs
    or engine lists them in its OPTIONS.
    """

    batch_size: int | Literal["auto"] = option(
        "auto",
        "Items at once; auto starts large and halves when memory runs out.",
        "--batch-size",
        "-b",
        minimum=1,
        metavar="N|auto",
        parse=read_batch_size,
    )
    dtype: Dtype = option(
        "auto", "Precision of the weights; auto: bfloat16 on a GPU that supports it, float32 on a CPU."
    )
    device: str | None = option(
        None,
        "cpu, cuda, cuda:1, mps, or auto (spread over all GPUs).",
        metavar="DEVICE",
        otherwise="the GPU if there is one, else the CPU",
    )
    seed: int = option(0, "Random seed for sampling; ignored by greedy decoding.", metavar="N")
    trust_remote_code: bool = option(False, "Run Python code that comes with the checkpoint.")
    base_url: str | None = option(
        None, "Address of the server that runs the model, e.g. http://localhost:8000/v1.", metavar="URL"
    )
    concurrency: int = option(8, "Requests sent to the server at the same time.", minimum=1, metavar="N")
    model_args: Mapping[str, Any] = option(
        factory=dict,
        help="Further arguments for the backend's engine, e.g. tensor_parallel_size=2 for vllm.",
        metavar="NAME=VALUE,...",
        parse=parse_arguments,
    )
    base: str | None = option(
        None, "Base model of an adapter.", metavar="PATH", otherwise="the one that adapter_config.json names"
    )
    template_kwargs: Mapping[str, Any] = option(
        factory=dict,
        help="Variables of the chat template, e.g. enable_thinking=false; recorded in the signature.",
        metavar="NAME=VALUE,...",
        parse=parse_arguments,
    )
    engine: str | None = None


class Backend(Protocol):
    """A model that answers items. Built by `open_backend(model, options)` of a module in `halbench/backends/`."""

    def identity(self) -> dict[str, str]:
        """What is run: model name, content fingerprint, adapter, backend, dtype, library versions."""
        ...

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, in any order, each yielded as soon as it is complete. A failed item is yielded with
        state "error"; an exception means that the model cannot answer at all."""
        ...

"""Answers from any model class of lmms-eval: models that transformers alone does not serve, as their authors contributed them.

    halbench run --backend lmms:llava_hf --model llava-hf/llava-1.5-7b-hf --suite amber
    halbench run --backend lmms:internvl3 --model OpenGVLab/InternVL3-8B --suite pope --model-args max_num=6

What follows the colon is lmms-eval's name of the class; `--model` becomes its `pretrained` (or what the class calls it), and
`--model-args` are further arguments of its constructor. Conventions:

- The chat class is taken where there is one, as lmms-eval does; `--model-args force_simple=true` asks for the simple one.
- The class decides on prompt format and image processing. It gets the RGB image and the question, and no few-shot examples.
- Decoding is the suite's. An argument that the source of the class never mentions is refused: it would change the
  signature and not the text. Where the class holds a transformers model, only token ids are kept of the checkpoint's
  generation_config; the manifest says whether that was possible.
- lmms-eval's classes swallow exceptions. An empty text without a count of tokens, and the text that stands for a request
  that failed, are error rows; what the class logged about it is the reason.
- `tokens` and `finish` are known where the class counts tokens and answers one item at a time (`--batch-size 1`, the
  default); with more, its counts may include padding and are left out.

Written against lmms-eval 0.7.3.
"""

import inspect
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers
from lmms_eval.api.instance import Instance, TokenCounts, unwrap_generation_output
from lmms_eval.api.model import lmms
from lmms_eval.models import get_model, list_available_models
from loguru import logger
from tqdm import tqdm

from halbench.backends import hf
from halbench.errors import InputError, did_you_mean
from halbench.failures import Failures
from halbench.not_answers import lmms_failure
from halbench.records import content_hash
from halbench.types import Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("engine", "model_args")
MODEL_ARGUMENTS = ("pretrained", "model_version", "model", "model_id_name", "model_path")
"""What constructors call the model, the commonest first."""
OURS = {  # arguments of a constructor that have an option of their own -> that option
    **dict.fromkeys(MODEL_ARGUMENTS, "--model"),
    **{"device": "--device", "dtype": "--dtype", "torch_dtype": "--dtype", "batch_size": "--batch-size"},
    "trust_remote_code": "--trust-remote-code",
}
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
IMAGE_MARK = "<image>"  # which the simple classes take for the place of the image
TASK, SPLIT = "halbench", "test"
BATCHES = 8  # handed over at once; a kill loses at most these


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The model class that `options.engine` names, constructed with the model `model`."""
    name = options.engine
    known = list_available_models(include_aliases=True)
    if not name:
        raise InputError("--backend lmms: expected a model class of lmms-eval after a colon, such as lmms:llava_hf")
    if name not in known:
        raise InputError(f"--backend lmms:{name}: lmms-eval has no model class '{name}'{did_you_mean(name, known)}")
    given = dict(options.model_args)
    simple = bool(given.pop("force_simple", False))
    if (argument := next((argument for argument in given if argument in OURS), None)) is not None:
        raise InputError(f"--model-args {argument}: is set by {OURS[argument]}")
    source = hf.packaged_checkpoint(model)
    if (Path(source) / "adapter_config.json").is_file():
        raise InputError(f"{model}: lmms-eval's classes take no adapter folder; merge it, or use --backend hf")
    speak_on_stderr()
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    with redirect_stdout(sys.stderr), all_weights_there(source):
        engine, arguments = construct(name, simple, source, given, options)
    hide_bars(type(engine))
    network = network_of(engine)
    local = Path(source).is_dir()
    identity = {
        "backend": f"lmms:{name}",
        "model": Path(model).resolve().name if Path(model).is_dir() else model,
        **({"fingerprint": hf.fingerprint(source)} if local or hf.HUB_NAME.fullmatch(source) else {}),
        "model_class": f"{type(engine).__module__}.{type(engine).__name__}",
        "dtype": str(network.dtype).removeprefix("torch.") if network is not None else "of the class",
        "generation_config": "token ids only" if network is not None else "of the class",
        **({"model_args": json.dumps(options.model_args, sort_keys=True)} if options.model_args else {}),
        "lmms-eval": metadata.version("lmms-eval"),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return LmmsBackend(engine, network, identity, int(arguments.get("batch_size", 1)), options.seed)


def speak_on_stderr() -> None:
    """Move lmms-eval's log lines from stdout, which here holds the result."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")


@contextmanager
def all_weights_there(source: str) -> Iterator[None]:
    """Raise InputError where transformers says that a checkpoint lacks weights: they would be random ones."""
    reports: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: reports.append(record.getMessage())  # type: ignore[method-assign]
    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.add_handler(handler)
    try:
        yield
    finally:
        transformers.utils.logging.remove_handler(handler)
        transformers.utils.logging.set_verbosity_error()
    lacking = re.search(r"^(\S+)\s*\|\s*MISSING", "\n".join(reports), re.MULTILINE)
    if lacking:
        raise InputError(f"{source} lacks weights of the model that this class opens it as, such as {lacking[1]}")


def hide_bars(kind: type) -> None:
    """Silence the progress bars of a model class: one for every few items would stand between the lines of ours."""
    for module in {sys.modules[part.__module__] for part in kind.__mro__}:
        if isinstance(vars(module).get("tqdm"), type):
            vars(module)["tqdm"] = lambda *given, **named: tqdm(*given, **{**named, "disable": True})


def construct(
    name: str, simple: bool, source: str, given: Mapping[str, Any], options: BackendOptions
) -> tuple[Any, dict[str, Any]]:
    """The model object and the arguments it was made with. Raises InputError with the reason of the class."""
    try:
        kind = get_model(name, force_simple=simple)
    except Exception as error:  # importing foreign code may raise anything
        raise InputError(f"lmms-eval cannot import its model class '{name}': {hf.first_sentence(error)}") from error
    if simple and not kind.is_simple:
        raise InputError(f"--model-args force_simple=true: lmms-eval has no simple class '{name}'")
    arguments = {**constructor_arguments(kind, source, options), **given}
    try:
        return kind(**arguments), arguments
    except Exception as error:  # as above
        raise InputError(
            f"lmms-eval's {name} cannot be opened with {source} ({type(error).__name__}: {hf.first_sentence(error)})"
        ) from error


def parameters(kind: type) -> list[str]:
    """Names of what a model class can be constructed with, those of its bases included where it hands them on."""
    names: list[str] = []
    for part in kind.__mro__:
        if "__init__" in vars(part) and part is not lmms:
            own = list(inspect.signature(part.__init__).parameters.values())[1:]  # type: ignore[misc]
            names += [parameter.name for parameter in own if parameter.kind in NAMED]
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in own):
                break
    return names


def constructor_arguments(kind: type, source: str, options: BackendOptions) -> dict[str, Any]:
    """Arguments of a model class that follow from the options; only those that it names."""
    known = parameters(kind)
    model = next((name for name in MODEL_ARGUMENTS if name in known), None)
    if model is None:
        raise InputError(f"lmms-eval's {kind.__name__} takes no model; it takes {', '.join(known)}")
    if model == "pretrained" and not Path(source).exists() and not hf.HUB_NAME.fullmatch(source):
        raise InputError(
            f"{source} does not exist; expected a checkpoint folder or a hub name such as llava-hf/llava-1.5-7b-hf"
        )
    device = hf.chosen_device(options.device)
    dtype = str(hf.chosen_dtype(options.dtype, device)).removeprefix("torch.")
    wanted = {
        "batch_size": 1 if options.batch_size == "auto" else options.batch_size,
        # Both: classes that are given a device alone may still spread the model with device_map="auto".
        "device": str(device or hf.default_device()),
        "device_map": str(device or "auto"),
        **({"dtype": dtype, "torch_dtype": dtype} if dtype != "auto" else {}),
        **({"trust_remote_code": True} if options.trust_remote_code else {}),
    }
    if options.dtype != "auto" and not {"dtype", "torch_dtype"} & set(known):
        raise InputError(f"--dtype {options.dtype}: lmms-eval's {kind.__name__} decides on its precision itself")
    return {model: source, **{name: value for name, value in wanted.items() if name in known}}


def network_of(engine: Any) -> Any:
    """The transformers model that a model object holds, or None."""
    return next(
        (
            held
            for name in ("model", "_model")
            if hasattr(held := getattr(engine, name, None), "generation_config") and hasattr(held, "generate")
        ),
        None,
    )


def keep_token_ids_only(engine: Any, network: Any, sampling: bool) -> None:
    """Take from a model all that its checkpoint says of decoding but the token ids, see hf.token_ids_only."""
    tokenizer = next((found for name in ("tokenizer", "_tokenizer") if (found := getattr(engine, name, None))), None)
    network.generation_config = hf.token_ids_only(network.generation_config, tokenizer)
    if sampling:
        network.generation_config.top_k = 0  # transformers' own default is 50, which no suite publishes


def generation_arguments(kind: type, decoding: Decoding) -> dict[str, Any]:
    """lmms-eval's gen_kwargs. Raises InputError for what the class would leave unread."""
    sampling = decoding.temperature > 0
    source = inspect.getsource(inspect.getmodule(kind.generate_until) or kind)  # type: ignore[attr-defined]
    asked = {**({"num_beams": decoding.num_beams} if decoding.num_beams > 1 else {}), **decoding.extra}
    for name, value in asked.items():
        if not re.search(rf"\b{name}\b", source) and not re.search(r"\*\*\w*gen\w*kwargs", source):
            greedy = "--gen-kwargs num_beams=1 asks for greedy decoding, with another signature"
            raise InputError(
                f"{name}={value}: lmms-eval's {kind.__name__} never reads it, so the answers would not be decoded as the "
                f"signature says; {greedy if name == 'num_beams' else 'leave it out'}, or use --backend hf"
            )
    return {
        "max_new_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "do_sample": sampling,
        "num_beams": decoding.num_beams,
        "until": [],  # no text ends an answer
        **({"top_p": decoding.top_p} if sampling else {}),
        **decoding.extra,
    }


def messages(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a chat class is asked: the image, then the question."""
    content = [{"type": "image", "url": document["image"]}, {"type": "text", "text": document["question"]}]
    return [{"role": "user", "content": content}]


def visuals(document: Mapping[str, Any]) -> list[Any]:
    """What a simple class is shown beside the question."""
    return [document["image"]]


def instance(kind: type, number: int, question: str, arguments: Mapping[str, Any]) -> Instance:
    """A request to a model class. Each has its own copy of the arguments, because classes write into it."""
    asked: tuple[Any, ...] = (
        (question, dict(arguments), visuals, number, TASK, SPLIT)
        if kind.is_simple  # type: ignore[attr-defined]
        else (question, messages, dict(arguments), number, TASK, SPLIT)
    )
    return Instance("generate_until", asked, 0, {"task": TASK, "doc_id": number, "repeats": 1})


class LmmsBackend:
    """types.Backend over a model object of lmms-eval. network: the transformers model in it, if it holds one."""

    def __init__(self, engine: Any, network: Any, identity: Mapping[str, str], batch_size: int, seed: int) -> None:
        self.engine, self.network, self.names, self.batch_size, self.seed = engine, network, identity, batch_size, seed
        self.failures = Failures()
        self.logged: list[str] = []  # what the class complained of in its latest call

    def identity(self) -> dict[str, str]:
        return dict(self.names)

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, a few batches at a time. Raises InputError when every item fails alike."""
        arguments = generation_arguments(type(self.engine), decoding)
        if self.network is not None:
            keep_token_ids_only(self.engine, self.network, arguments["do_sample"])
        size = 1 if arguments["do_sample"] else BATCHES * self.batch_size
        logger.remove()  # from here on its complaints stand in the rows
        logger.add(lambda message: self.logged.append(message.record["message"]), level="ERROR")
        for start in range(0, len(items), size):
            yield from self.answer(items[start : start + size], arguments)

    def answer(self, items: Sequence[Item], arguments: Mapping[str, Any]) -> Iterator[Response]:
        """One response per item. Where the class breaks off, or gives an item no answer, items are asked one by one."""
        images = hf.open_images([item.image for item in items])
        sound = []
        for item in items:
            if isinstance(problem := images[item.image], str):
                yield Response(item.id, "", state="error", error=problem)
            elif IMAGE_MARK in item.prompt:
                error = f"the prompt contains the model's image token '{IMAGE_MARK}'"
                yield Response(item.id, "", state="error", error=error)
            else:
                sound.append(item)
        documents = [{"image": images[item.image], "question": item.prompt} for item in sound]
        try:
            outputs = self.ask(sound, documents, arguments)
        except Exception as error:  # model classes are foreign code and may raise anything
            if len(sound) > 1:
                for item in sound:
                    yield from self.answer([item], arguments)
            else:
                yield self.failures.row(sound[0], f"{type(error).__name__}: {hf.first_sentence(error)}")
            return
        for item, output in zip(sound, outputs, strict=True):
            text, counts = unwrap_generation_output(output)
            wrong = lmms_failure(text, counts.output_tokens if counts else None)
            if wrong is None:
                self.failures.answered()
                yield self.response(item, text.strip(), counts, arguments["max_new_tokens"])
            elif len(sound) > 1:  # asked again alone, so that what the class logs is about this item
                yield from self.answer([item], arguments)
            else:
                yield self.failures.row(item, "; ".join(self.logged) or wrong)

    def ask(
        self, items: Sequence[Item], documents: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]
    ) -> list[Any]:
        """What the class returns for documents, in their order."""
        if not items:
            return []
        self.logged.clear()
        self.engine.task_dict[TASK] = {SPLIT: documents}
        requests = [instance(type(self.engine), number, item.prompt, arguments) for number, item in enumerate(items)]
        with torch.random.fork_rng(enabled=arguments["do_sample"]), redirect_stdout(sys.stderr):
            if arguments["do_sample"]:  # one item, so that its text is the same in any order
                torch.manual_seed(int(content_hash([self.seed, items[0].id]), 16))
            outputs = list(self.engine.generate_until(requests))
        if len(outputs) != len(items):
            raise RuntimeError(f"{len(outputs)} answers to {len(items)} requests")
        return outputs

    def response(self, item: Item, text: str, counts: TokenCounts | None, longest: int) -> Response:
        """The row of a text that the class generated."""
        tokens = counts.output_tokens if counts is not None and self.batch_size == 1 else None
        finish = None if tokens is None else "stop" if tokens < longest else "length"
        return Response(item.id, text, tokens, finish, "ok" if text else "empty")

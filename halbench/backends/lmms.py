"""Answers from any model class of lmms-eval: models that transformers alone does not serve, as their authors contributed them.

    halbench run --backend lmms:llava_hf --model llava-hf/llava-1.5-7b-hf --suite amber
    halbench run --backend lmms:internvl3 --model OpenGVLab/InternVL3-8B --suite pope --model-args max_num=6

After the colon comes lmms-eval's name of the class; `--model` becomes its `pretrained` (or what the class calls it), and
`--model-args` are further arguments of its constructor. Conventions:

- The chat class is used if there is one, as lmms-eval does; `--model-args force_simple=true` selects the simple one.
- The class decides on prompt format and image processing. It gets the RGB images and the question, and no few-shot
  examples. Simple classes take no question without an image.
- Decoding is the suite's. An argument that the source of the class never mentions is refused: it would change the
  signature but not the text. If the class holds a transformers model, only token ids are kept of the checkpoint's
  generation_config; the manifest says whether that was possible.
- lmms-eval's classes swallow exceptions. An empty text without a count of tokens, and the text that stands for a failed
  request, are error rows; the reason is what the class logged about it.
- `tokens` and `finish` are known if the class counts tokens and answers one item at a time (`--batch-size 1`, the
  default); with larger batches its counts may include padding and are omitted.

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

from halbench.errors import InputError, did_you_mean, first_sentence
from halbench.files.records import content_hash
from halbench.models.checkpoints import chosen_device, chosen_dtype, default_device, token_ids_only
from halbench.models.failures import FailureStreak
from halbench.models.fingerprints import fingerprint
from halbench.models.names import HUB_NAME, packaged_checkpoint, recorded_name
from halbench.models.questions import open_questions
from halbench.responses.failure_text import lmms_failure
from halbench.types import Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("engine", "model_args")
MODEL_ARGUMENTS = ("pretrained", "model_version", "model", "model_id_name", "model_path")
"""Names of the constructors' argument for the model, the commonest first."""
OURS = {  # argument of a constructor -> the option of halbench that sets it
    **dict.fromkeys(MODEL_ARGUMENTS, "--model"),
    **{"device": "--device", "dtype": "--dtype", "torch_dtype": "--dtype", "batch_size": "--batch-size"},
    "trust_remote_code": "--trust-remote-code",
}
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
IMAGE_TOKEN = "<image>"  # with which the simple classes mark an image in a prompt
TASK, SPLIT = "halbench", "test"
BATCHES = 8  # per call of the class; a kill loses at most these


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The model class that `options.engine` names, constructed with the model `model`."""
    name = options.engine
    known = list_available_models(include_aliases=True)
    if not name:
        raise InputError("--backend lmms: expected a model class of lmms-eval after a colon, such as lmms:llava_hf")
    if name not in known:
        raise InputError(f"--backend lmms:{name}: lmms-eval has no model class '{name}'{did_you_mean(name, known)}")
    model_args = dict(options.model_args)
    simple = bool(model_args.pop("force_simple", False))
    if (argument := next((argument for argument in model_args if argument in OURS), None)) is not None:
        raise InputError(f"--model-args {argument}: use {OURS[argument]} instead")
    source = packaged_checkpoint(model)
    if (Path(source) / "adapter_config.json").is_file():
        raise InputError(
            f"{model}: lmms-eval's classes do not take adapter folders; merge it into its base, or use --backend hf"
        )
    log_to_stderr()
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    with redirect_stdout(sys.stderr), refusing_missing_weights(source):
        engine, arguments = construct(name, simple, source, model_args, options)
    hide_bars(type(engine))
    inner = transformers_model(engine)
    local = Path(source).is_dir()
    identity = {
        "backend": f"lmms:{name}",
        "model": recorded_name(model),
        **({"fingerprint": fingerprint(source)} if local or HUB_NAME.fullmatch(source) else {}),
        "model_class": f"{type(engine).__module__}.{type(engine).__name__}",
        "dtype": str(inner.dtype).removeprefix("torch.") if inner is not None else "of the class",
        "generation_config": "token ids only" if inner is not None else "of the class",
        **({"model_args": json.dumps(options.model_args, sort_keys=True)} if options.model_args else {}),
        "lmms-eval": metadata.version("lmms-eval"),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return LmmsBackend(engine, inner, identity, int(arguments.get("batch_size", 1)), options.seed)


def log_to_stderr() -> None:
    """Send lmms-eval's log lines to stderr; its default is stdout, where our result goes."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")


@contextmanager
def refusing_missing_weights(source: str) -> Iterator[None]:
    """Raise InputError if transformers reports that a checkpoint lacks weights, which would then be random."""
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
    missing = re.search(r"^(\S+)\s*\|\s*MISSING", "\n".join(reports), re.MULTILINE)
    if missing:
        raise InputError(f"{source} lacks weights of the model that this class opens it as, such as {missing[1]}")


def hide_bars(kind: type) -> None:
    """Silence the progress bars of a model class: it shows one for every call, which would break up ours."""
    for module in {sys.modules[part.__module__] for part in kind.__mro__}:
        if isinstance(vars(module).get("tqdm"), type):
            vars(module)["tqdm"] = lambda *arguments, **options: tqdm(*arguments, **{**options, "disable": True})


def construct(
    name: str, simple: bool, source: str, model_args: Mapping[str, Any], options: BackendOptions
) -> tuple[Any, dict[str, Any]]:
    """The model object and the arguments it was constructed with. Raises InputError with the class's own reason."""
    try:
        kind = get_model(name, force_simple=simple)
    except Exception as error:  # importing foreign code may raise anything
        raise InputError(f"lmms-eval cannot import its model class '{name}': {first_sentence(error)}") from error
    if simple and not kind.is_simple:
        raise InputError(f"--model-args force_simple=true: lmms-eval has no simple class '{name}'")
    arguments = {**constructor_arguments(kind, source, options), **model_args}
    try:
        return kind(**arguments), arguments
    except Exception as error:  # as above
        raise InputError(
            f"lmms-eval's {name} cannot be opened with {source} ({type(error).__name__}: {first_sentence(error)})"
        ) from error


def parameters(kind: type) -> list[str]:
    """Names of the arguments of a class's constructor, and of its bases' as far as it passes them on."""
    names: list[str] = []
    for part in kind.__mro__:
        if "__init__" in vars(part) and part is not lmms:
            own = list(inspect.signature(part.__init__).parameters.values())[1:]  # type: ignore[misc]
            names += [parameter.name for parameter in own if parameter.kind in NAMED]
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in own):
                break
    return names


def constructor_arguments(kind: type, source: str, options: BackendOptions) -> dict[str, Any]:
    """Arguments for a model class that follow from the options, as far as its constructor has them."""
    known = parameters(kind)
    model = next((name for name in MODEL_ARGUMENTS if name in known), None)
    if model is None:
        raise InputError(f"lmms-eval's {kind.__name__} takes no model; its arguments are {', '.join(known)}")
    if model == "pretrained" and not Path(source).exists() and not HUB_NAME.fullmatch(source):
        raise InputError(
            f"{source} does not exist; expected a checkpoint folder or a hub name such as llava-hf/llava-1.5-7b-hf"
        )
    device = chosen_device(options.device)
    dtype = str(chosen_dtype(options.dtype, device)).removeprefix("torch.")
    values = {
        "batch_size": 1 if options.batch_size == "auto" else options.batch_size,
        # Both: a class that gets only a device may still spread the model with device_map="auto".
        "device": str(device or default_device()),
        "device_map": str(device or "auto"),
        **({"dtype": dtype, "torch_dtype": dtype} if dtype != "auto" else {}),
        **({"trust_remote_code": True} if options.trust_remote_code else {}),
    }
    if options.dtype != "auto" and not {"dtype", "torch_dtype"} & set(known):
        raise InputError(
            f"--dtype {options.dtype}: lmms-eval's {kind.__name__} chooses its precision itself; omit the option"
        )
    return {model: source, **{name: value for name, value in values.items() if name in known}}


def transformers_model(engine: Any) -> Any:
    """The transformers model that a model object holds; None if it holds none."""
    models = (getattr(engine, name, None) for name in ("model", "_model"))
    return next((model for model in models if hasattr(model, "generation_config") and hasattr(model, "generate")), None)


def keep_token_ids_only(engine: Any, model: Any, sampling: bool) -> None:
    """Remove the checkpoint's own decoding settings from a model, all but the token ids; see checkpoints.token_ids_only."""
    tokenizers = (getattr(engine, name, None) for name in ("tokenizer", "_tokenizer"))
    tokenizer = next((tokenizer for tokenizer in tokenizers if tokenizer), None)
    model.generation_config = token_ids_only(model.generation_config, tokenizer)
    if sampling:
        model.generation_config.top_k = 0  # transformers' own default is 50, which no suite publishes


def generation_arguments(kind: type, decoding: Decoding) -> dict[str, Any]:
    """lmms-eval's gen_kwargs. Raises InputError for arguments that the class would ignore."""
    if decoding.reasoning.max_reasoning_tokens is not None:
        raise InputError("--max-reasoning-tokens: lmms-eval's classes have one budget; use --backend hf, or omit it")
    sampling = decoding.temperature > 0
    source = inspect.getsource(inspect.getmodule(kind.generate_until) or kind)  # type: ignore[attr-defined]
    special = {**({"num_beams": decoding.num_beams} if decoding.num_beams > 1 else {}), **decoding.extra}
    for name, value in special.items():
        if not re.search(rf"\b{name}\b", source) and not re.search(r"\*\*\w*gen\w*kwargs", source):
            greedy = "--gen-kwargs num_beams=1 for greedy decoding, which changes the signature"
            raise InputError(
                f"{name}={value}: lmms-eval's {kind.__name__} ignores it, so the answers would not be decoded as the "
                f"signature says; use --backend hf, or {greedy if name == 'num_beams' else 'omit it'}"
            )
    return {
        "max_new_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "do_sample": sampling,
        "num_beams": decoding.num_beams,
        "until": [],  # no stop strings
        **({"top_p": decoding.top_p} if sampling else {}),
        **decoding.extra,
    }


def messages(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chat messages of a question, for chat classes: its images, then the text."""
    images = [{"type": "image", "url": image} for image in document["images"]]
    return [{"role": "user", "content": [*images, {"type": "text", "text": document["question"]}]}]


def visuals(document: Mapping[str, Any]) -> list[Any]:
    """The images of a question, for simple classes."""
    return list(document["images"])


def instance(kind: type, number: int, question: str, arguments: Mapping[str, Any]) -> Instance:
    """A request to a model class. Each has its own copy of the arguments, because classes write into it."""
    request: tuple[Any, ...] = (
        (question, dict(arguments), visuals, number, TASK, SPLIT)
        if kind.is_simple  # type: ignore[attr-defined]
        else (question, messages, dict(arguments), number, TASK, SPLIT)
    )
    return Instance("generate_until", request, 0, {"task": TASK, "doc_id": number, "repeats": 1})


class LmmsBackend:
    """types.Backend over a model object of lmms-eval. inner: the transformers model in it, if it holds one."""

    def __init__(self, engine: Any, inner: Any, identity: Mapping[str, str], batch_size: int, seed: int) -> None:
        self.engine, self.inner, self.batch_size, self.seed = engine, inner, batch_size, seed
        self.identity_fields = identity
        self.failures = FailureStreak()
        self.logged: list[str] = []  # errors that the class logged in its latest call

    def identity(self) -> dict[str, str]:
        return dict(self.identity_fields)

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, a few batches at a time. Raises InputError if every item fails alike."""
        arguments = generation_arguments(type(self.engine), decoding)
        imageless = next((item for item in items if not item.images), None)
        if imageless is not None and self.engine.is_simple:
            raise InputError(
                f"item '{imageless.id}' shows no image, but lmms-eval's simple classes such as {type(self.engine).__name__} "
                "take only questions with images; use one of its chat classes, or --backend hf"
            )
        if self.inner is not None:
            keep_token_ids_only(self.engine, self.inner, arguments["do_sample"])
        size = 1 if arguments["do_sample"] else BATCHES * self.batch_size
        logger.remove()  # from here on its errors go into the rows
        logger.add(lambda message: self.logged.append(message.record["message"]), level="ERROR")
        for start in range(0, len(items), size):
            yield from self.answer(items[start : start + size], arguments)

    def answer(self, items: Sequence[Item], arguments: Mapping[str, Any]) -> Iterator[Response]:
        """One response per item. If the class fails, or gives an item no answer, items are repeated one by one."""
        questions = open_questions(items, [IMAGE_TOKEN])
        yield from questions.errors
        valid = questions.items
        documents = [
            {"images": images, "question": item.prompt} for item, images in zip(valid, questions.images, strict=True)
        ]
        try:
            outputs = self.request(valid, documents, arguments)
        except Exception as error:  # model classes are foreign code and may raise anything
            if len(valid) > 1:
                for item in valid:
                    yield from self.answer([item], arguments)
            else:
                yield self.failures.error_row(valid[0], f"{type(error).__name__}: {first_sentence(error)}")
            return
        for item, output in zip(valid, outputs, strict=True):
            text, counts = unwrap_generation_output(output)
            problem = lmms_failure(text, counts.output_tokens if counts else None)
            if problem is None:
                self.failures.end()
                yield self.response(item, text.strip(), counts, arguments["max_new_tokens"])
            elif len(valid) > 1:  # repeated alone, so that what the class logs is about this item
                yield from self.answer([item], arguments)
            else:
                yield self.failures.error_row(item, "; ".join(self.logged) or problem)

    def request(
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

    def response(self, item: Item, text: str, counts: TokenCounts | None, max_new_tokens: int) -> Response:
        """The row of a text that the class generated."""
        tokens = counts.output_tokens if counts is not None and self.batch_size == 1 else None
        finish = None if tokens is None else "stop" if tokens < max_new_tokens else "length"
        return Response(item.id, text, tokens, finish, "ok" if text else "empty")

"""Answers from a transformers checkpoint on this machine: own batching, left padding, results free of order effects.

    halbench run --model ./checkpoint-500 --suite amber
    halbench run --model llava-hf/llava-1.5-7b-hf --suite pope --batch-size 32

Takes any `AutoModelForImageTextToText` checkpoint (LLaVA-1.5, LLaVA-NeXT, Qwen2-VL, Idefics3, SmolVLM ...) and any PEFT
adapter folder that can be merged into its base. Conventions:

- The prompt is the processor's own chat template, image first, then the question. A checkpoint without a template, or
  with one that has no place for an image, is refused: a guessed prompt format would change the numbers.
- Images are opened as RGB exactly as they are stored, as the official scripts do; EXIF rotation is not applied.
- Decoding is the suite's. Of the checkpoint's generation_config only the token ids are kept.
- `tokens` counts what was generated, the end token included; finish is "stop" when the model ended, else "length".
- Sampling (temperature > 0) runs one item at a time, each seeded from (seed, item id): the same text in any order.
  Greedy text in float32 does not depend on the batch either; in bfloat16 near ties can fall either way.
- Items of one image share the forward pass over the image, and the prompt before the question, in the model families
  where that is tested (SHARED_PREFIX).
"""

import logging
import os
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import try_to_load_from_cache
from PIL import Image
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
)

from halbench.errors import InputError, did_you_mean
from halbench.failures import Failures
from halbench.records import content_hash, read_json
from halbench.scenes import checkpoint_path
from halbench.types import DECODING, Backend, BackendOptions, Decoding, Item, Response

# Model types whose positions are plain token counts, so that a cached image and prompt head can serve many questions.
# Not Qwen2-VL: its three-axis positions are computed from the whole prompt.
SHARED_PREFIX = ("llava", "llava_next", "idefics3", "smolvlm")

# What Decoding.extra may hold. The rest of generate()'s arguments are fields of Decoding, or change what comes back.
GENERATION_ARGUMENTS = (
    *("bad_words_ids", "early_stopping", "eos_token_id", "epsilon_cutoff", "eta_cutoff", "length_penalty"),
    *("min_new_tokens", "min_p", "no_repeat_ngram_size", "renormalize_logits", "repetition_penalty"),
    *("suppress_tokens", "top_k", "typical_p"),
)

WINDOW = 16  # batches put in order together: enough for AMBER's descriptions, one item in 15, to fill their own batch
# What processors and models raise over one odd prompt or image. Anything else is a mistake in this file.
FAILURES = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, StopIteration, TypeError, ValueError)
SMALL = 2e7  # parameters, below which threads gain nothing, and on a busy machine wait for each other most of the time
BYTES_PER_ITEM = 2**30  # a 7B model's cache for 1,100 tokens is 0.55 GB in bfloat16; the first pass needs as much again
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
CONTENT_FILES = (
    *("config.json", "adapter_config.json", "generation_config.json", "processor_config.json"),
    *("preprocessor_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"),
    *("chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", "added_tokens.json"),
    "special_tokens_map.json",
)
PROCESSOR_FILES = (
    "expected processor_config.json or preprocessor_config.json, and tokenizer.json; copy them from the base checkpoint"
)
SAMPLES, BLOCK = 128, 2**16  # of a weight file, for its fingerprint: 8 MiB at most

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to generate. template: the chat template, as text. identity: see types.Backend."""

    network: Any
    processor: Any
    template: str
    identity: Mapping[str, str]


@dataclass(frozen=True)
class Tails:
    """The questions of a batch behind shared prefixes. ids, mask [B, T], left-padded; prefix [B] is each row's prefix."""

    ids: torch.Tensor
    mask: torch.Tensor
    prefix: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Inputs for the items whose image could be opened, and the failures of the others.

    inputs: what the processor returned, one row an item; with tails, one row an image, cut before the question.
    """

    items: Sequence[Item]
    inputs: Any
    tails: Tails | None
    failures: Sequence[Response]


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The checkpoint folder, adapter folder or hub name `model`, ready to answer items."""
    checkpoint = open_checkpoint(model, options)
    if checkpoint.network.num_parameters() < SMALL and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return HfBackend(checkpoint, options)


def packaged_checkpoint(model: str) -> str:
    """The folder of a checkpoint that ships with halbench ("scenes:base"); any other name as it is."""
    return str(checkpoint_path(model)) if model.startswith("scenes:") else model


def open_checkpoint(model: str, options: BackendOptions) -> Checkpoint:
    """Load network, processor and template. Raises InputError with one line for whatever cannot be run."""
    transformers.utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    place = packaged_checkpoint(model)
    adapter = Path(place) if (Path(place) / "adapter_config.json").is_file() else None
    source = packaged_checkpoint(adapter_base(adapter)) if adapter else place
    check_source(source)
    trust = options.trust_remote_code
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust)
    except (OSError, ValueError, KeyError) as error:
        origin = source if Path(source).exists() else f"{source} is no folder here, and the hub did not give it"
        raise InputError(f"{origin}: {first_sentence(error)}") from error
    remote_code = trust and "AutoModelForImageTextToText" in (getattr(config, "auto_map", None) or {})
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and not remote_code:
        raise InputError(
            f"{source}: a '{config.model_type}' checkpoint is no vision-language model that transformers can run; "
            "expected for instance llava, llava_next, qwen2_vl, qwen2_5_vl, idefics3 or smolvlm"
        )
    device = chosen_device(options.device)
    network = load_network(source, options, device)
    if adapter:
        network = merge_adapter(network, adapter)
    has_processor = adapter and any(
        (adapter / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")
    )
    processor = load_processor(str(adapter) if has_processor else source, trust)
    network.generation_config = token_ids_only(network.generation_config, processor.tokenizer)
    template = chat_template(processor, source)
    identity = {
        "backend": "hf",
        "model": Path(model).resolve().name if Path(model).is_dir() else model,
        "fingerprint": fingerprint(source),
        **({"adapter": fingerprint(str(adapter))} if adapter else {}),
        "dtype": str(network.dtype).removeprefix("torch."),
        "chat_template": content_hash(template),
        # With torchvision installed transformers picks another image processor, whose pixels differ a little.
        "image_processor": type(processor.image_processor).__name__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return Checkpoint(network.eval(), processor, template, identity)


def adapter_base(adapter: Path) -> str:
    """The base model that an adapter folder names."""
    base = read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise InputError(
            f"{adapter / 'adapter_config.json'}: expected base_model_name_or_path to name the base model, found {base!r}"
        )
    if not Path(base).is_dir() and not HUB_NAME.fullmatch(base):
        raise InputError(
            f"{adapter / 'adapter_config.json'}: base model {base} does not exist; put its path into base_model_name_or_path"
        )
    return str(base)


def check_source(source: str) -> None:
    """Refuse a path that holds no checkpoint with safetensors weights. A hub name is left to the hub."""
    folder = Path(source)
    if not folder.exists():
        if not HUB_NAME.fullmatch(source):
            raise InputError(
                f"{source} does not exist; expected a checkpoint folder or a hub name such as llava-hf/llava-1.5-7b-hf"
            )
        return
    if not (folder / "config.json").is_file():
        below = sorted(path.parent.name for path in folder.glob("*/config.json"))
        hint = f"; there is one in {folder / below[-1]}" if below else ""
        raise InputError(
            f"{source} is no checkpoint folder: expected config.json, *.safetensors and the processor's files{hint}"
        )
    if not any(folder.glob("*.safetensors")):
        if any(folder.glob("*.bin")):
            raise InputError(
                f"{source} holds pickled weights (*.bin), which can run code when they are read; load it where you trust it "
                "and save it again with save_pretrained, which writes safetensors"
            )
        raise InputError(f"{source} holds no *.safetensors weights")


def first_sentence(error: BaseException) -> str:
    """The first sentence of a message, which may run over many lines; the exception's name where there is none."""
    lines = (line.strip(" :") for line in str(error).splitlines())
    return next((line.split(". ")[0].rstrip(".") for line in lines if line), type(error).__name__)


def chosen_device(name: str | None) -> torch.device | None:
    """The device asked for; None for "auto", which spreads the model. By default the GPU where there is one, else the
    CPU; Apple's "mps" only when asked for, since nobody has checked its numbers against the others."""
    if name == "auto":
        return None
    try:
        device = torch.device(name or default_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device '{name}' cannot be used here; expected cpu, cuda (or cuda:1 ...), mps or auto, as far as this machine "
            "and this build of torch have them"
        ) from error
    return device


def default_device() -> str:
    """The GPU of this process where there is one (torchrun numbers them), else the CPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def chosen_dtype(name: str, device: torch.device | None) -> Any:
    """bfloat16 on GPUs that have it and float32 on CPUs unless told otherwise; elsewhere as the checkpoint is stored."""
    if name != "auto":
        return getattr(torch, name)
    if device is not None and device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "auto"


def load_network(source: str, options: BackendOptions, device: torch.device | None) -> Any:
    """The model with all its weights; a checkpoint that lacks some would run with random ones, so it is refused."""
    on_cpu = device is not None and device.type == "cpu"
    try:
        network, report = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=chosen_dtype(options.dtype, device),
            device_map=None if on_cpu else ("auto" if device is None else {"": device}),
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below, with the name of the weight
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        hint = "give another device or dtype" if is_out_of_memory(error) else "are the files whole?"
        raise InputError(f"{source}: the weights cannot be loaded ({first_sentence(error)}); {hint}") from error
    wrong = sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])])
    if wrong:
        raise InputError(
            f"{source} lacks {len(wrong)} weights of the {network.config.model_type} model that its config.json describes, "
            f"or holds them in another shape, such as {wrong[0]}"
        )
    return network


def merge_adapter(network: Any, adapter: Path) -> Any:
    """The network with an adapter's weights added in. Weights that find no place would change nothing, silently."""
    if not (adapter / "adapter_model.safetensors").is_file():
        raise InputError(f"{adapter} holds no adapter_model.safetensors")
    from peft import PeftConfig, get_peft_model

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's own use of a name that transformers retires
            adapted = get_peft_model(network, PeftConfig.from_pretrained(str(adapter), inference_mode=True))
        report = adapted.load_adapter(str(adapter), "default", torch_device=str(network.device))
        misplaced = [*report.missing_keys, *report.unexpected_keys]
        if misplaced:
            raise InputError(
                f"{adapter} does not fit its base model: {len(misplaced)} weights have no counterpart, such as {misplaced[0]}"
            )
        return adapted.merge_and_unload()
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{adapter} cannot be merged into its base model: {first_sentence(error)}") from error


def load_processor(source: str, trust_remote_code: bool) -> Any:
    """Image processor and tokenizer of a checkpoint, padding on the left."""
    try:
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        raise InputError(
            f"{source}: its processor cannot be loaded ({first_sentence(error)}); {PROCESSOR_FILES}"
        ) from error
    absent = [part for part in ("image_processor", "tokenizer") if getattr(processor, part, None) is None]
    if absent:
        raise InputError(f"{source}: no {' and no '.join(absent)} in it; {PROCESSOR_FILES}")
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token  # never read: the attention mask covers it
    return processor


def chat_template(processor: Any, source: str) -> str:
    """The text of the template that a plain question is put into; checked to have a place for the image."""
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
    if isinstance(template, Mapping):
        template = template.get("default")
    if not template:
        raise InputError(f"{source}: no chat template; copy chat_template.jinja from the base checkpoint")
    try:
        prompt = render(processor, template, "?")
    except Exception as error:  # a template is foreign code and may raise anything
        raise InputError(
            f"{source}: its chat template fails on a question with an image: {first_sentence(error)}"
        ) from error
    tokens = image_tokens(processor)
    if tokens and not any(token in prompt for token in tokens):
        raise InputError(
            f"{source}: its chat template has no place for the image ({tokens[0]}); copy the base checkpoint's"
        )
    return str(template)


def image_tokens(processor: Any) -> list[str]:
    """What marks the image in a prompt; Gemma's templates write the begin-of-image token instead of the image token."""
    return [token for name in ("image_token", "boi_token") if (token := getattr(processor, name, None))]


def render(processor: Any, template: str, question: str) -> str:
    """The prompt as text, with one image token still unexpanded, up to where the answer begins."""
    content = [{"type": "image"}, {"type": "text", "text": question}]
    message = {"role": "user", "content": content}
    return str(processor.apply_chat_template([message], chat_template=template, add_generation_prompt=True))


def token_ids_only(found: GenerationConfig, tokenizer: Any) -> GenerationConfig:
    """A generation config that says when to stop and nothing else.

    generate() fills every argument that it is not given from the checkpoint's generation_config.json: Qwen2-VL ships
    temperature, top_p and repetition_penalty, others beams or length limits. None of these belongs to a suite's
    published decoding, and a model would be compared under settings of its own.
    """
    eos = tokenizer.eos_token_id if found.eos_token_id is None else found.eos_token_id
    pad = tokenizer.pad_token_id if found.pad_token_id is None else found.pad_token_id
    return GenerationConfig(bos_token_id=found.bos_token_id, eos_token_id=eos, pad_token_id=pad)


def fingerprint(source: str) -> str:
    """What a model is, whatever its folder is called: for a hub name the commit, for a folder a hash over the small
    files and over each weight file's name, size and SAMPLES blocks spread over it (15 GB take well under a second; a merged
    adapter, which changes weights all over the file, shows)."""
    folder = Path(source)
    if not folder.is_dir():
        cached = try_to_load_from_cache(source, "config.json")
        return Path(cached).parent.name if isinstance(cached, str) else "unknown"
    digest = sha256()
    for name in CONTENT_FILES:
        if (folder / name).is_file():
            digest.update(name.encode() + b"\0" + (folder / name).read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            for sample in range(SAMPLES):
                file.seek(max(size - BLOCK, 0) * sample // (SAMPLES - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()[:16]


def generation_arguments(decoding: Decoding) -> dict[str, Any]:
    """Keyword arguments of generate(); every one that can change the text is stated."""
    for name in decoding.extra:
        if name not in GENERATION_ARGUMENTS:
            raise InputError(
                f"unknown generation argument '{name}'{did_you_mean(name, (*DECODING, *GENERATION_ARGUMENTS))}"
            )
    sampling = decoding.temperature > 0
    return {
        "max_new_tokens": decoding.max_new_tokens,
        "num_beams": decoding.num_beams,
        "do_sample": sampling,
        # transformers' own default of top_k is 50, which no suite publishes.
        **({"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if sampling else {}),
        **decoding.extra,
    }


def first_batch_size(device: torch.device) -> int:
    """A power of two that probably fits, at most 64; too large a guess costs one failed batch."""
    if device.type != "cuda":
        return 8
    free, _ = torch.cuda.mem_get_info(device)
    return int(2 ** min(6, max(0, (free // BYTES_PER_ITEM).bit_length() - 1)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def open_images(paths: Sequence[Path]) -> dict[Path, Image.Image | str]:
    """Each image as RGB, or what is wrong with it."""
    images: dict[Path, Image.Image | str] = {}
    for path in dict.fromkeys(paths):
        try:
            with Image.open(path) as file:
                images[path] = file.convert("RGB")
        except FileNotFoundError:
            images[path] = f"image not found: {path}"
        except Exception as error:  # decoders of damaged files raise nearly anything; every one of them is a row
            images[path] = f"image cannot be read: {path} ({first_sentence(error)})"
    return images


class HfBackend:
    """types.Backend over a loaded checkpoint. `batch_size` shrinks when a batch does not fit in memory, and stays so."""

    def __init__(self, checkpoint: Checkpoint, options: BackendOptions) -> None:
        self.checkpoint = checkpoint
        self.network = checkpoint.network
        self.processor = checkpoint.processor
        # Its own copy: one fast tokenizer must not decode here while it is set up for padding in the other thread.
        self.decoder = deepcopy(checkpoint.processor.tokenizer)
        self.seed = options.seed
        self.batch_size = first_batch_size(self.network.device) if options.batch_size == "auto" else options.batch_size
        self.largest_batch_size = self.batch_size
        self.answer_tokens: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # item group -> [tokens, answers]
        self.failures = Failures()

    def identity(self) -> dict[str, str]:
        return dict(self.checkpoint.identity)

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, batch by batch; images and prompts of the next batch are prepared meanwhile."""
        arguments = generation_arguments(decoding)
        share = (
            self.network.config.model_type in SHARED_PREFIX
            and decoding.num_beams == 1
            and not arguments["do_sample"]
            and not decoding.extra  # repetition penalties and the like read the whole prompt
        )
        batches = self.batches(items, one_by_one=arguments["do_sample"])
        with ThreadPoolExecutor(max_workers=1) as reader:
            batch = next(batches, None)
            prepared = reader.submit(self.prepare, batch, share) if batch else None
            while batch and prepared:
                following = next(batches, None)
                ahead = reader.submit(self.prepare, following, share) if following else None
                yield from self.answer(batch, prepared.result, share, arguments)
                batch, prepared = following, ahead

    def batches(self, items: Sequence[Item], one_by_one: bool) -> Iterator[list[Item]]:
        """Items by expected length of answer, then by image, then by length of prompt.

        A batch runs until its longest answer ends, so a description among yes/no answers would hold up all of them.
        How long a group's answers are is learnt on the way.
        """
        rest = list(items)
        while rest:
            size = 1 if one_by_one else self.batch_size
            window, rest = rest[: WINDOW * size], rest[WINDOW * size :]
            place = {path: index for index, path in enumerate(dict.fromkeys(item.image for item in window))}
            window.sort(key=lambda item: (self.expected_length(item.group), place[item.image], len(item.prompt)))
            while window:
                size = 1 if one_by_one else self.batch_size
                yield window[:size]
                del window[:size]

    def expected_length(self, group: str) -> int:
        """Mean answer of a group in tokens so far, as a power of two; 0 while unknown."""
        tokens, answers = self.answer_tokens[group]
        return (tokens // answers).bit_length() if answers else 0

    def prepare(self, items: Sequence[Item], share: bool) -> Batch:
        """Open the images, fill in the template, run the processor. All of it on the CPU."""
        images = open_images([item.image for item in items])
        problems = {item.id: self.problem(item, images[item.image]) for item in items}
        failures = [Response(id, "", state="error", error=problem) for id, problem in problems.items() if problem]
        sound = [item for item in items if not problems[item.id]]
        if not sound:
            return Batch([], None, None, failures)
        prompts = [render(self.processor, self.checkpoint.template, item.prompt) for item in sound]
        paths = list(dict.fromkeys(item.image for item in sound))
        if share and len(paths) < len(sound) and self.heads_agree(prompts):
            fronts = self.encode([prompts[0]] * len(paths), [images[path] for path in paths])
            tails = self.tails(prompts, torch.tensor([paths.index(item.image) for item in sound]))
            own = tails.ids[0][tails.mask[0].bool()]  # all fronts still end in the first item's question
            if fronts["input_ids"][:, -len(own) :].eq(own).all():
                length = fronts["input_ids"].shape[1]
                for name, value in fronts.items():
                    if value.ndim == 2 and value.shape[1] == length:
                        fronts[name] = value[:, : length - len(own)]
                return Batch(sound, fronts, tails, failures)
        return Batch(sound, self.encode(prompts, [images[item.image] for item in sound]), None, failures)

    def problem(self, item: Item, image: Image.Image | str) -> str | None:
        """Why an item cannot be asked, or None."""
        if isinstance(image, str):
            return image
        marks = [token for token in image_tokens(self.processor) if token in item.prompt]
        return f"the prompt contains the model's image token '{marks[0]}'" if marks else None

    def heads_agree(self, prompts: Sequence[str]) -> bool:
        """Whether the prompts are the same up to their image."""
        return len({prompt.partition(self.processor.image_token)[0] for prompt in prompts}) == 1

    def encode(self, prompts: Sequence[str], images: Sequence[Any]) -> Any:
        """Whatever the processor makes of prompts and images, left-padded."""
        return self.processor(
            text=list(prompts),
            images=[[image] for image in images],
            padding=True,
            return_tensors="pt",
            add_special_tokens=not self.starts_with_bos(prompts[0]),
        )

    def starts_with_bos(self, prompt: str) -> bool:
        """Whether the template already wrote the begin token, which the tokenizer would then double."""
        bos = self.processor.tokenizer.bos_token
        return bos is not None and prompt.startswith(bos)

    def tails(self, prompts: Sequence[str], prefix: torch.Tensor) -> Tails:
        """The tokens of each prompt after its image."""
        tokenizer = self.processor.tokenizer
        image = tokenizer.convert_tokens_to_ids(self.processor.image_token)
        rows = tokenizer(list(prompts), add_special_tokens=not self.starts_with_bos(prompts[0]))["input_ids"]
        tails = [row[len(row) - row[::-1].index(image) :] for row in rows]
        padded = tokenizer.pad({"input_ids": tails}, padding=True, return_tensors="pt")
        return Tails(padded["input_ids"], padded["attention_mask"], prefix)

    def answer(
        self, items: Sequence[Item], prepared: Callable[[], Batch], share: bool, arguments: Mapping[str, Any]
    ) -> Iterator[Response]:
        """One response per item. A batch that does not fit is halved; one that fails is tried item by item."""
        step = self.batch_size
        if len(items) <= step:
            try:
                batch = prepared()
                rows = [*batch.failures, *self.run(batch, arguments)]
            except FAILURES as error:
                out_of_memory, problem = is_out_of_memory(error), f"{type(error).__name__}: {first_sentence(error)}"
            else:
                yield from rows
                return
            # Out of the except block, whose traceback would keep the tensors of the failed batch alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if len(items) == 1 and out_of_memory:
                self.batch_size = self.largest_batch_size  # the item was to blame, not the size of its batch
                problem = "does not fit in memory even alone"
            if len(items) == 1:
                yield self.failures.row(items[0], problem)
                return
            step = (len(items) + 1) // 2 if out_of_memory else 1
            if out_of_memory:
                log.warning("batch size %d does not fit in memory; going on with %d", len(items), step)
                self.batch_size = step
        for start in range(0, len(items), step):
            part = items[start : start + step]
            yield from self.answer(part, partial(self.prepare, part, share), share, arguments)

    @torch.inference_mode()
    def run(self, batch: Batch, arguments: Mapping[str, Any]) -> list[Response]:
        """Generate for a prepared batch."""
        if not batch.items:
            return []
        device = self.network.device
        inputs = batch.inputs.to(device, self.network.dtype)
        if batch.tails:
            inputs = branch(self.network, inputs, batch.tails)
        with torch.random.fork_rng([device] if device.type == "cuda" else [], enabled=arguments["do_sample"]):
            if arguments["do_sample"]:
                torch.manual_seed(int(content_hash([self.seed, batch.items[0].id]), 16))
            output = self.network.generate(**inputs, **arguments)
        new = output[:, inputs["input_ids"].shape[1] :].tolist()
        eos = arguments.get("eos_token_id", self.network.generation_config.eos_token_id)
        ends = set(eos if isinstance(eos, list) else [eos])
        self.failures.answered()
        return [self.response(item, row, ends) for item, row in zip(batch.items, new, strict=True)]

    def response(self, item: Item, row: list[int], ends: set[int | None]) -> Response:
        """The text of one row of new tokens, which runs to the first end token; what follows is padding."""
        length = next((index + 1 for index, token in enumerate(row) if token in ends), None)
        text = self.decoder.decode(row[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
        tokens = length or len(row)
        self.answer_tokens[item.group][0] += tokens
        self.answer_tokens[item.group][1] += 1
        return Response(item.id, text, tokens, "stop" if length else "length", "ok" if text else "empty")


def branch(network: Any, prefixes: Any, tails: Tails) -> dict[str, Any]:
    """Arguments of generate() for questions behind prefixes that are run once each.

    Padding then stands between prefix and question as well. The mask covers it, and positions are counted by the mask,
    so every question sees what it would see alone.
    """
    mask = prefixes["attention_mask"]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = network(**prefixes, position_ids=positions, use_cache=True, logits_to_keep=1).past_key_values
    rows = tails.prefix.to(mask.device)
    cache.batch_select_indices(rows)
    return {
        "input_ids": torch.cat([prefixes["input_ids"][rows], tails.ids.to(mask.device)], dim=1),
        "attention_mask": torch.cat([mask[rows], tails.mask.to(mask.device)], dim=1),
        "past_key_values": cache,
    }

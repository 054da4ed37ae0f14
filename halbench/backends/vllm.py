"""Answers from vLLM's offline engine, on one GPU or several: continuous batching and cached prefixes.

    halbench run --backend vllm --model llava-hf/llava-1.5-7b-hf --suite amber
    halbench run --backend vllm --model ./adapter --suite amber --model-args tensor_parallel_size=4,max_model_len=4096
    torchrun --nproc-per-node 8 -m halbench run --backend vllm --model llava-hf/llava-1.5-7b-hf --suite amber

Takes what `hf` takes (checkpoint folders, hub names, LoRA adapter folders) and sends the same prompts: the same chat
template, tokenised here by the checkpoint's own tokenizer, and the same RGB pixels. `--model-args` are arguments of vLLM's own
`LLM(...)`. Conventions:

- Requests are a rolling window: up to `--batch-size` are with the engine, and one that finishes makes room for the next, so a
  long answer holds up no other. Rows come in the order in which answers finish.
- Prefix caching is on, and items on one image follow each other, so an image is encoded once for all its questions.
- Under `torchrun` each process starts an engine of its own, on GPUs of its own (see own_gpus).
- Decoding is the suite's alone: only the end tokens are taken from the checkpoint's generation_config. Sampling is seeded
  for each item from (seed, item id). Beam search is left to `hf`.
- A LoRA adapter is applied by vLLM, which knows only the language model's part of one; any other adapter is refused.
- `--dtype auto` is vLLM's own choice (the checkpoint's half precision); the manifest records it.
- The engine is started for one image per prompt; `--model-args limit_mm_per_prompt={"image":2}` allows more.

Written against vLLM 0.33 and tested against that interface, not on a GPU.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # its default is stdout, where our result goes

import torch
import transformers
import vllm
from PIL import Image
from safetensors import SafetensorError, safe_open
from vllm.exceptions import VLLMClientError, VLLMError
from vllm.lora.request import LoRARequest

from halbench.backends._own_gpus import own_gpus
from halbench.errors import InputError, did_you_mean, first_sentence
from halbench.files.records import content_hash, read_json
from halbench.models.chat_templates import (
    chat_template,
    check_image_counts,
    image_tokens,
    render,
    starts_with_bos,
)
from halbench.models.checkpoints import find_checkpoint
from halbench.models.failures import MODEL_ERRORS, FailureStreak
from halbench.models.names import recorded_name, template_identity
from halbench.models.processors import load_processor, processor_identity
from halbench.models.questions import open_questions, prepared_ahead
from halbench.models.thought_budget import TokenBudget, special_tags, text_of
from halbench.reasoning import opened_in
from halbench.types import DECODING, Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("model_args", "base", "template_kwargs")
OURS = {  # argument of LLM(...) -> the option of halbench that sets it
    **{"model": "--model", "tokenizer": "--model", "dtype": "--dtype", "seed": "--seed"},
    **{"trust_remote_code": "--trust-remote-code", "enable_lora": "--model", "max_lora_rank": "--model"},
}
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vllm/config/lora.py
NOT_LANGUAGE = ("vision", "visual", "projector", "connector", "merger")
"""Parts of the names of weights outside the language model."""
WINDOW = 256  # requests at once: as many as vLLM runs by default on an A100 (H100: 1,024); a kill loses at most these
READ_AHEAD = 32  # items whose images are opened while the engine works
UNLIMITED = 999  # vLLM's own default number of images per prompt

# What Decoding.extra may hold: arguments of SamplingParams that shape the text of one answer.
SAMPLING_ARGUMENTS = (
    *("allowed_token_ids", "bad_words", "frequency_penalty", "ignore_eos", "logit_bias", "min_p", "min_tokens"),
    *("presence_penalty", "repetition_penalty", "stop", "stop_token_ids", "top_k"),
)


@dataclass(frozen=True)
class Batch:
    """Prompts for the items that can be asked, and error rows for the others."""

    items: Sequence[Item]
    prompts: Sequence[Mapping[str, Any]]
    errors: Sequence[Response]


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The checkpoint folder, LoRA adapter folder or hub name `model`, loaded into an engine."""
    if options.device is not None:
        raise InputError(f"--device {options.device}: vllm uses the GPUs in CUDA_VISIBLE_DEVICES; set that instead")
    if name := next((name for name in options.model_args if name in OURS), None):
        raise InputError(f"--model-args {name}: use {OURS[name]} instead")
    source = find_checkpoint(model, options.base)
    images_per_prompt = image_limit(options.model_args.get("limit_mm_per_prompt", {"image": 1}))
    lora = lora_arguments(source.adapter, options.model_args) if source.adapter else {}
    processor = load_processor(source.base, options.trust_remote_code)
    template = chat_template(processor, source.base, options.template_kwargs)
    with own_gpus(gpus_per_engine(options.model_args)):
        engine = start_engine(source.base, options, lora)
    identity = {
        "backend": "vllm",
        "model": recorded_name(model),
        **source.identity(),
        "dtype": str(engine.model_config.dtype).removeprefix("torch."),
        "chat_template": content_hash(template),
        **template_identity(options.template_kwargs),
        **processor_identity(processor),
        **({"model_args": json.dumps(options.model_args, sort_keys=True)} if options.model_args else {}),
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    adapter = LoRARequest("adapter", 1, str(source.adapter.resolve())) if source.adapter else None
    return VllmBackend(engine, processor, template, adapter, identity, options, images_per_prompt)


def gpus_per_engine(model_args: Mapping[str, Any]) -> int:
    """The number of GPUs that one engine uses."""
    sizes = [model_args.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline")]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise InputError(
            f"--model-args: tensor_parallel_size and pipeline_parallel_size are whole numbers from 1; found {sizes}"
        )
    return math.prod(sizes)


def image_limit(limits: Any) -> int:
    """Images per prompt that a `limit_mm_per_prompt` allows: {"image": 2}, or {"image": {"count": 2, ...}}."""
    limit = limits.get("image", UNLIMITED) if isinstance(limits, Mapping) else None
    limit = limit.get("count", UNLIMITED) if isinstance(limit, Mapping) else limit
    if not isinstance(limit, int):
        raise InputError(f'--model-args limit_mm_per_prompt={limits}: expected a JSON object such as {{"image":2}}')
    return limit


def start_engine(source: str, options: BackendOptions, lora: Mapping[str, Any]) -> Any:
    """vLLM's engine with the model loaded. Raises InputError with vLLM's own reason if it does not start."""
    arguments = {
        "model": source,
        "dtype": options.dtype,
        "seed": options.seed,
        "trust_remote_code": options.trust_remote_code,
        "enable_prefix_caching": True,
        "limit_mm_per_prompt": {"image": 1},
        **lora,
        **options.model_args,
    }
    try:
        return vllm.LLM(**arguments)
    except (*MODEL_ERRORS, ImportError, AssertionError, VLLMError) as error:
        arguments_given = f" with --model-args {','.join(options.model_args)}" if options.model_args else ""
        raise InputError(
            f"{source}: vLLM cannot start{arguments_given} ({first_sentence(error)}); see vLLM's log above"
        ) from error


def lora_arguments(adapter: Path, model_args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of LLM(...) for a LoRA adapter. Raises InputError for one that vLLM would refuse or apply in part."""
    config = read_json(adapter / "adapter_config.json")
    problem = lora_problem(config, adapter_weights(adapter), bool(model_args.get("enable_tower_connector_lora")))
    rank = max([config.get("r") or 0, *(config.get("rank_pattern") or {}).values()])
    if rank > LORA_RANKS[-1]:
        problem = f"rank {rank} is over {LORA_RANKS[-1]}"
    if problem:
        raise InputError(f"{adapter}: vLLM cannot apply this adapter ({problem}); --backend hf merges it into its base")
    return {"enable_lora": True, "max_lora_rank": next(size for size in LORA_RANKS if size >= rank)}


def adapter_weights(adapter: Path) -> list[str]:
    """The names of an adapter's weights."""
    path = adapter / "adapter_model.safetensors"
    if not path.is_file():
        raise InputError(f"{adapter} contains no adapter_model.safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({first_sentence(error)})") from error


def lora_problem(config: Mapping[str, Any], weights: Sequence[str], towers: bool) -> str | None:
    """What keeps vLLM from applying an adapter whole; None if nothing does. towers: it also applies the vision part."""
    if config.get("peft_type") != "LORA":
        return f"a {config.get('peft_type')} adapter, not LORA"
    if config.get("use_dora"):
        return "DoRA"
    if config.get("modules_to_save"):
        return f"whole modules: {', '.join(config['modules_to_save'])}"
    if config.get("bias", "none") != "none":
        return f"bias: {config['bias']}"
    # vLLM ignores these without a word, and the run would be that of a half-adapted model.
    outside = next((name for name in weights if any(part in name for part in NOT_LANGUAGE)), None)
    return f"weights outside the language model, such as {outside}" if outside and not towers else None


def sampling_arguments(decoding: Decoding) -> dict[str, Any]:
    """Arguments of SamplingParams, all but the seed."""
    if decoding.num_beams > 1:
        raise InputError(
            f"num_beams={decoding.num_beams}: the vllm backend has no beam search; use --backend hf, or --gen-kwargs "
            "num_beams=1 for greedy decoding, which changes the signature"
        )
    for name in decoding.extra:
        if name not in SAMPLING_ARGUMENTS:
            raise InputError(
                f"unknown generation argument '{name}'{did_you_mean(name, (*DECODING, *SAMPLING_ARGUMENTS))}"
            )
    sampling = {"top_p": decoding.top_p} if decoding.temperature > 0 else {}
    return {"max_tokens": decoding.max_tokens(), "temperature": decoding.temperature, **sampling, **decoding.extra}


class VllmBackend:
    """types.Backend over an engine. template: the chat template's text. adapter: the LoRA request, if there is one.
    images_per_prompt: the most that the engine takes."""

    def __init__(
        self,
        engine: Any,
        processor: Any,
        template: str,
        adapter: Any,
        identity: Mapping[str, str],
        options: BackendOptions,
        images_per_prompt: int,
    ) -> None:
        self.engine, self.processor, self.template, self.adapter = engine, processor, template, adapter
        self.identity_fields = identity
        self.seed = options.seed
        self.window = WINDOW if options.batch_size == "auto" else options.batch_size
        self.images_per_prompt = images_per_prompt
        self.failures = FailureStreak()
        self.decoding = Decoding(max_new_tokens=1)  # of the present run

    def identity(self) -> dict[str, str]:
        return dict(self.identity_fields)

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, as answers finish; items are prepared ahead of the engine."""
        self.decoding, arguments = decoding, sampling_arguments(decoding)
        check_image_counts(self.processor, self.template, items)
        self.check_limit(items)
        asked: dict[str, Item] = {}  # request -> item
        batches = (items[start : start + READ_AHEAD] for start in range(0, len(items), READ_AHEAD))
        try:
            for _, prepared in prepared_ahead(batches, self.prepare):
                batch = prepared()
                yield from batch.errors
                for item, prompt in zip(batch.items, batch.prompts, strict=True):
                    while len(asked) >= self.window:
                        yield from self.step(asked)
                    yield from self.ask(item, prompt, arguments, asked)
            while asked:
                yield from self.step(asked)
        finally:
            with suppress(*MODEL_ERRORS, VLLMError):  # an engine that has died has no requests left
                self.engine.llm_engine.abort_request(list(asked))

    def check_limit(self, items: Sequence[Item]) -> None:
        """Raise InputError if an item shows more images than the engine was started for."""
        item = max(items, key=lambda item: len(item.images), default=None)
        if item is not None and len(item.images) > self.images_per_prompt:
            raise InputError(
                f"item '{item.id}' shows {len(item.images)} images, but vLLM was started for {self.images_per_prompt} per "
                f'prompt; add --model-args limit_mm_per_prompt={{"image":{len(item.images)}}}'
            )

    def prepare(self, items: Sequence[Item]) -> Batch:
        """Open the images, fill in the template and tokenise."""
        questions = open_questions(items, image_tokens(self.processor))
        prompts = [
            {"prompt_token_ids": self.tokens(item), **image_data(images)}
            for item, images in zip(questions.items, questions.images, strict=True)
        ]
        return Batch(questions.items, prompts, questions.errors)

    def tokens(self, item: Item) -> list[int]:
        """The prompt's tokens, with one token for each image, which vLLM expands."""
        prompt = render(self.processor, self.template, item.prompt, len(item.images))
        special = not starts_with_bos(self.processor.tokenizer, prompt)
        return list(self.processor.tokenizer(prompt, add_special_tokens=special)["input_ids"])

    def ask(
        self, item: Item, prompt: Mapping[str, Any], arguments: Mapping[str, Any], asked: dict[str, Item]
    ) -> Iterator[Response]:
        """Add an item's request to the engine and to `asked`; an error row if vLLM does not accept it."""
        try:
            # It returns the name of the request with a random part at its end; outputs are called by the name alone.
            (request,) = self.engine.enqueue(
                [prompt], [self.sampling(item, arguments)], lora_request=self.adapter, use_tqdm=False
            )
        except (*MODEL_ERRORS, VLLMClientError) as error:
            yield self.failures.error_row(item, f"{type(error).__name__}: {first_sentence(error)}")
        except VLLMError as error:
            raise stopped(error) from error
        else:
            self.failures.end()
            asked[request.partition("-")[0]] = item

    def step(self, asked: dict[str, Item]) -> Iterator[Response]:
        """Let the engine work until it reports something; the rows of the requests that finished, which leave `asked`."""
        try:
            if not self.engine.llm_engine.has_unfinished_requests():  # it would wait for ever
                raise RuntimeError(f"{len(asked)} requests are lost")
            outputs = self.engine.llm_engine.step()
        except (*MODEL_ERRORS, VLLMError) as error:
            raise stopped(error) from error
        for output in outputs:
            if output.finished and output.request_id in asked:
                yield self.response(asked.pop(output.request_id), output)

    def sampling(self, item: Item, arguments: Mapping[str, Any]) -> Any:
        """Sampling parameters of one item; the seed makes a sampled text the same in any order."""
        if not arguments["temperature"]:
            return vllm.SamplingParams(**arguments)
        return vllm.SamplingParams(**arguments, seed=int(content_hash([self.seed, item.id], 8), 16))

    def response(self, item: Item, output: Any) -> Response:
        """The row of what the engine returned for an item, with the tags of thoughts, and within the budgets of both."""
        answer, tags, tokenizer = output.outputs[0], self.decoding.reasoning.tags(), self.processor.tokenizer
        ids, text, finish = list(answer.token_ids), answer.text.strip(), answer.finish_reason
        if finish not in ("stop", "length"):
            error = f"generation failed: vLLM ended it with '{finish}'"
            return Response(item.id, text, len(ids), finish, "error", error)
        opened = opened_in(render(self.processor, self.template, item.prompt, len(item.images)), tags)
        if (thoughts := self.decoding.reasoning.max_reasoning_tokens) is not None:
            budget = TokenBudget(tokenizer, tags, bool(opened), thoughts, self.decoding.max_new_tokens)
            used = next((number for number, token in enumerate(ids, 1) if budget.feed(token)), len(ids))
            if used < len(ids):
                ids, finish = ids[:used], "length"
                text = text_of(tokenizer, ids, tags)
        if special_tags(tokenizer, tags) & set(ids):
            text = text_of(tokenizer, ids, tags)
        return Response(item.id, opened + text, len(ids), finish, "ok" if text else "empty")


def image_data(images: Sequence[Image.Image]) -> dict[str, Any]:
    """The images of a prompt, as vLLM takes them; {} for a prompt without any."""
    return {"multi_modal_data": {"image": images[0] if len(images) == 1 else list(images)}} if images else {}


def stopped(error: Exception) -> InputError:
    """The one-line error for an engine that no longer answers."""
    return InputError(
        f"vLLM's engine stopped ({first_sentence(error)}); see vLLM's log above. Finished answers are kept; repeat the "
        "command to resume"
    )

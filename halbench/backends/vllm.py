"""Answers from vLLM's offline engine, on one GPU or several: continuous batching and cached prefixes.

    halbench run --backend vllm --model llava-hf/llava-1.5-7b-hf --suite amber
    halbench run --backend vllm --model ./adapter --suite amber --model-args tensor_parallel_size=4,max_model_len=4096

Takes what `hf` takes (checkpoint folders, hub names, LoRA adapter folders) and asks the same thing: the same chat template,
tokenised here by the checkpoint's own tokenizer, and the same RGB pixels. `--model-args` are arguments of vLLM's own
`LLM(...)`. Conventions:

- Prefix caching is on, and items of one image stand together, so an image is encoded once for all its questions.
- Decoding is the suite's alone: nothing is taken from the checkpoint's generation_config but its end tokens. Sampling is
  seeded for each item from (seed, item id). Beam search is left to `hf`.
- A LoRA adapter is applied by vLLM, which knows only the language model's part of one; any other adapter is refused.
- `--dtype auto` is vLLM's own choice (the checkpoint's half precision); what it chose stands in the manifest.

Written against vLLM 0.33 and tested against that interface, not on a GPU.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # vLLM's is stdout, which here holds the result

import torch
import transformers
import vllm
from PIL import Image
from safetensors import SafetensorError, safe_open
from vllm.exceptions import VLLMClientError, VLLMError
from vllm.lora.request import LoRARequest

from halbench.backends import hf
from halbench.errors import InputError, did_you_mean
from halbench.failures import Failures
from halbench.records import content_hash, read_json
from halbench.types import DECODING, Backend, BackendOptions, Decoding, Item, Response

OPTIONS = ("model_args",)
OURS = {  # arguments of LLM(...) that have an option of their own -> that option
    **{"model": "--model", "tokenizer": "--model", "dtype": "--dtype", "seed": "--seed"},
    **{"trust_remote_code": "--trust-remote-code", "enable_lora": "--model", "max_lora_rank": "--model"},
}
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vllm/config/lora.py
NOT_LANGUAGE = (
    "vision",
    "visual",
    "projector",
    "connector",
    "merger",
)  # in names of weights outside the language model
BATCH = 256  # items handed over at once: as many as the engine runs side by side by default, and what a kill can lose

# What Decoding.extra may hold: arguments of SamplingParams that shape the text of one answer.
SAMPLING_ARGUMENTS = (
    *("allowed_token_ids", "bad_words", "frequency_penalty", "ignore_eos", "logit_bias", "min_p", "min_tokens"),
    *("presence_penalty", "repetition_penalty", "stop", "stop_token_ids", "top_k"),
)


@dataclass(frozen=True)
class Batch:
    """Prompts for the items that can be asked, and the failures of the others."""

    items: Sequence[Item]
    prompts: Sequence[Mapping[str, Any]]
    failures: Sequence[Response]


def open_backend(model: str, options: BackendOptions) -> Backend:
    """The checkpoint folder, LoRA adapter folder or hub name `model`, loaded into an engine."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "vllm starts its own processes: run it without torchrun, with --model-args tensor_parallel_size=N for N GPUs"
        )
    if options.device is not None:
        raise InputError(f"--device {options.device}: vllm takes the GPUs that CUDA_VISIBLE_DEVICES shows it")
    if name := next((name for name in options.model_args if name in OURS), None):
        raise InputError(f"--model-args {name}: is set by {OURS[name]}")
    place = hf.packaged_checkpoint(model)
    adapter = Path(place) if (Path(place) / "adapter_config.json").is_file() else None
    source = hf.packaged_checkpoint(hf.adapter_base(adapter)) if adapter else place
    hf.check_source(source)
    lora = lora_arguments(adapter, options.model_args) if adapter else {}
    processor = hf.load_processor(source, options.trust_remote_code)
    template = hf.chat_template(processor, source)
    engine = start_engine(source, options, lora)
    identity = {
        "backend": "vllm",
        "model": Path(model).resolve().name if Path(model).is_dir() else model,
        "fingerprint": hf.fingerprint(source),
        **({"adapter": hf.fingerprint(str(adapter))} if adapter else {}),
        "dtype": str(engine.model_config.dtype).removeprefix("torch."),
        "chat_template": content_hash(template),
        **({"model_args": json.dumps(options.model_args, sort_keys=True)} if options.model_args else {}),
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    request = LoRARequest("adapter", 1, str(adapter.resolve())) if adapter else None
    return VllmBackend(engine, processor, template, request, identity, options)


def start_engine(source: str, options: BackendOptions, lora: Mapping[str, Any]) -> Any:
    """vLLM's engine with the model in it. Raises InputError with vLLM's own reason where it cannot be had."""
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
    except (*hf.FAILURES, ImportError, AssertionError, VLLMError) as error:
        given = f" with --model-args {','.join(options.model_args)}" if options.model_args else ""
        raise InputError(
            f"{source}: vLLM cannot start{given} ({hf.first_sentence(error)}); its own lines above say more"
        ) from error


def lora_arguments(adapter: Path, model_args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of LLM(...) for a LoRA adapter. Raises InputError for one that vLLM would refuse or apply in part."""
    config = read_json(adapter / "adapter_config.json")
    problem = unfit(config, adapter_weights(adapter), bool(model_args.get("enable_tower_connector_lora")))
    rank = max([config.get("r") or 0, *(config.get("rank_pattern") or {}).values()])
    if rank > LORA_RANKS[-1]:
        problem = f"rank {rank} is over {LORA_RANKS[-1]}"
    if problem:
        raise InputError(f"{adapter}: vLLM cannot apply it ({problem}); --backend hf merges it into its base")
    return {"enable_lora": True, "max_lora_rank": next(size for size in LORA_RANKS if size >= rank)}


def adapter_weights(adapter: Path) -> list[str]:
    """The names of an adapter's weights."""
    path = adapter / "adapter_model.safetensors"
    if not path.is_file():
        raise InputError(f"{adapter} holds no adapter_model.safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({hf.first_sentence(error)})") from error


def unfit(config: Mapping[str, Any], weights: Sequence[str], towers: bool) -> str | None:
    """What keeps vLLM from applying an adapter whole, or None. towers: whether it was told to apply the vision part."""
    if config.get("peft_type") != "LORA":
        return f"a {config.get('peft_type')} adapter, not LORA"
    if config.get("use_dora"):
        return "DoRA"
    if config.get("modules_to_save"):
        return f"whole modules: {', '.join(config['modules_to_save'])}"
    if config.get("bias", "none") != "none":
        return f"bias: {config['bias']}"
    # vLLM passes over these without a word, and the run would be one of a half-adapted model.
    outside = next((name for name in weights if any(part in name for part in NOT_LANGUAGE)), None)
    return f"weights outside the language model, such as {outside}" if outside and not towers else None


def sampling_arguments(decoding: Decoding) -> dict[str, Any]:
    """Arguments of SamplingParams, all but the seed."""
    if decoding.num_beams > 1:
        raise InputError(
            f"num_beams={decoding.num_beams}: the vllm backend has no beam search; --gen-kwargs num_beams=1 asks for greedy "
            "decoding, with another signature, or use --backend hf"
        )
    for name in decoding.extra:
        if name not in SAMPLING_ARGUMENTS:
            raise InputError(
                f"unknown generation argument '{name}'{did_you_mean(name, (*DECODING, *SAMPLING_ARGUMENTS))}"
            )
    sampling = {"top_p": decoding.top_p} if decoding.temperature > 0 else {}
    return {"max_tokens": decoding.max_new_tokens, "temperature": decoding.temperature, **sampling, **decoding.extra}


class VllmBackend:
    """types.Backend over an engine. template: the chat template, as text. lora: the adapter, if there is one."""

    def __init__(
        self,
        engine: Any,
        processor: Any,
        template: str,
        lora: Any,
        identity: Mapping[str, str],
        options: BackendOptions,
    ) -> None:
        self.engine, self.processor, self.template, self.lora = engine, processor, template, lora
        self.names = identity
        self.seed = options.seed
        self.batch_size = BATCH if options.batch_size == "auto" else options.batch_size
        self.failures = Failures()

    def identity(self) -> dict[str, str]:
        return dict(self.names)

    def generate(self, items: Sequence[Item], decoding: Decoding) -> Iterator[Response]:
        """One response per item, batch by batch; images and prompts of the next batch are prepared meanwhile."""
        arguments = sampling_arguments(decoding)
        batches = [items[start : start + self.batch_size] for start in range(0, len(items), self.batch_size)]
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead = reader.submit(self.prepare, batches[0]) if batches else None
            for following in [*batches[1:], None]:
                if ahead is None:
                    return
                batch = ahead.result()
                ahead = reader.submit(self.prepare, following) if following else None
                yield from batch.failures
                yield from self.answer(batch.items, batch.prompts, arguments)

    def prepare(self, items: Sequence[Item]) -> Batch:
        """Open the images, fill in the template, tokenise."""
        images = hf.open_images([item.image for item in items])
        sound, prompts, failures = [], [], []
        for item in items:
            image = images[item.image]
            problem = self.problem(item, image)
            if problem:
                failures.append(Response(item.id, "", state="error", error=problem))
            else:
                sound.append(item)
                prompts.append({"prompt_token_ids": self.tokens(item.prompt), "multi_modal_data": {"image": image}})
        return Batch(sound, prompts, failures)

    def problem(self, item: Item, image: Image.Image | str) -> str | None:
        """Why an item cannot be asked, or None."""
        if isinstance(image, str):
            return image
        marks = [token for token in hf.image_tokens(self.processor) if token in item.prompt]
        return f"the prompt contains the model's image token '{marks[0]}'" if marks else None

    def tokens(self, question: str) -> list[int]:
        """The prompt's tokens, its image still one token, which vLLM expands."""
        prompt = hf.render(self.processor, self.template, question)
        bos = self.processor.tokenizer.bos_token
        written = bos is not None and prompt.startswith(bos)  # by the template; the tokenizer would double it
        return list(self.processor.tokenizer(prompt, add_special_tokens=not written)["input_ids"])

    def answer(
        self, items: Sequence[Item], prompts: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]
    ) -> Iterator[Response]:
        """One response per item. A batch in which a request fails is tried item by item."""
        if not items:
            return
        try:
            outputs = self.engine.generate(
                list(prompts),
                [self.sampling(item, arguments) for item in items],
                use_tqdm=False,
                lora_request=self.lora,
            )
        except (*hf.FAILURES, VLLMClientError) as error:
            problem = f"{type(error).__name__}: {hf.first_sentence(error)}"
            if (
                self.engine.llm_engine.has_unfinished_requests()
            ):  # it broke off at work; they would answer the next call
                raise stopped(error) from error
        except VLLMError as error:
            raise stopped(error) from error
        else:
            self.failures.answered()
            yield from (response(item, output) for item, output in zip(items, outputs, strict=True))
            return
        if len(items) == 1:
            yield self.failures.row(items[0], problem)
            return
        for item, prompt in zip(items, prompts, strict=True):
            yield from self.answer([item], [prompt], arguments)

    def sampling(self, item: Item, arguments: Mapping[str, Any]) -> Any:
        """How one item is answered; the seed makes a sampled text the same in any order."""
        if not arguments["temperature"]:
            return vllm.SamplingParams(**arguments)
        return vllm.SamplingParams(**arguments, seed=int(content_hash([self.seed, item.id], 8), 16))


def stopped(error: Exception) -> InputError:
    """The line for an engine that answers no more."""
    return InputError(
        f"vLLM's engine stopped ({hf.first_sentence(error)}); its own lines above say why. What came before is kept, and the "
        "same command goes on"
    )


def response(item: Item, output: Any) -> Response:
    """The row of what the engine returned for an item."""
    answer = output.outputs[0]
    text, tokens = answer.text.strip(), len(answer.token_ids)
    if answer.finish_reason not in ("stop", "length"):
        error = f"generation failed: vLLM ended it with '{answer.finish_reason}'"
        return Response(item.id, text, tokens, answer.finish_reason, "error", error)
    return Response(item.id, text, tokens, answer.finish_reason, "ok" if text else "empty")

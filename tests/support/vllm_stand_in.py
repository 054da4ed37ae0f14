"""A module in vLLM's place, for machines without a GPU: it takes the arguments that vLLM 0.33 takes and no others, and answers
with the tiny checkpoint's own greedy text.

    calls = install(monkeypatch)

Its engine works in steps, as vLLM's does: a step gives each running request one token, and returns the requests that
finished. A step without a request, which vLLM's engine would wait in for ever, is a failed assertion.
"""

import itertools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import tiny_checkpoints
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

ENGINE_ARGUMENTS = (
    *("model", "tokenizer", "tokenizer_mode", "trust_remote_code", "tensor_parallel_size", "dtype", "quantization"),
    *("revision", "seed", "gpu_memory_utilization", "enforce_eager", "hf_overrides", "mm_processor_kwargs"),
    *("max_model_len", "max_num_seqs", "enable_prefix_caching", "limit_mm_per_prompt", "enable_lora"),
    *("max_lora_rank", "enable_tower_connector_lora"),
)


class VLLMError(Exception):
    pass


class VLLMClientError(VLLMError):
    pass


class VLLMServerError(VLLMError):
    pass


class EngineDeadError(VLLMServerError):
    def __init__(self) -> None:
        super().__init__("EngineCore encountered an issue. See stack trace (above) for the root cause.")


@dataclass
class SamplingParams:
    """The fields that the backend may set, with vLLM's defaults."""

    max_tokens: int | None = 16
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    min_tokens: int = 0
    seed: int | None = None
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    bad_words: list[str] | None = None
    allowed_token_ids: list[int] | None = None
    logit_bias: dict[int, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise VLLMClientError(f"top_p must be in (0, 1], got {self.top_p}.")


@dataclass(frozen=True)
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


@dataclass
class Calls:
    """The calls that the stand-in got, and what it is to do. environment: the variables with which the engine started.
    broken: words of questions -> what vLLM raises over them when they are added. fatal: words of questions in which the
    engine dies. lengths: words of questions -> tokens of the answer, which is then not the model's. finish: every
    answer's finish reason."""

    engine: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    sampling: list[SamplingParams] = field(default_factory=list)
    lora: list[Any] = field(default_factory=list)
    steps: int = 0
    most_at_once: int = 0
    aborted: list[str] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    fatal: str | None = None
    lengths: dict[str, int] = field(default_factory=dict)
    finish: str | None = None


@dataclass
class Request:
    """A request in the engine. answer: its output when it ends, known once it runs. made: tokens so far."""

    name: str
    inner_name: str
    text: str
    prompt: dict[str, Any]
    sampling: SamplingParams
    answer: Any = None
    made: int = 0


class Engine:
    """vllm.LLM.llm_engine as far as the backend uses it."""

    def __init__(self, calls: Calls, answer: Callable[[Request], Any]) -> None:
        self.calls, self.answer = calls, answer
        self.at_once = calls.engine.get("max_num_seqs", 256)
        self.requests: dict[str, Request] = {}
        self.dead = False

    def add(self, request: Request) -> None:
        if self.dead:
            raise EngineDeadError
        self.requests[request.inner_name] = request
        self.calls.most_at_once = max(self.calls.most_at_once, len(self.requests))

    def has_unfinished_requests(self) -> bool:
        return bool(self.requests)

    def step(self) -> list[Any]:
        assert self.requests, "vLLM would wait for ever"
        running = list(self.requests.values())[: self.at_once]
        self.dead = self.dead or any(self.calls.fatal is not None and self.calls.fatal in row.text for row in running)
        if self.dead:
            raise EngineDeadError
        self.calls.steps += 1
        return [output for request in running if (output := self.advance(request))]

    def advance(self, request: Request) -> Any:
        """One more token of a request; its output, if that was the last."""
        request.answer = request.answer or self.answer(request)
        request.made += 1
        if request.made < len(request.answer.token_ids):
            return None
        del self.requests[request.inner_name]
        return SimpleNamespace(request_id=request.name, finished=True, outputs=[request.answer])

    def abort_request(self, request_ids: list[str], internal: bool = False) -> None:
        for inner_name, request in list(self.requests.items()):
            if (inner_name if internal else request.name) in request_ids:
                del self.requests[inner_name]
                self.calls.aborted.append(request.name)


class LLM:
    """vllm.LLM as far as the backend uses it, on a CPU."""

    calls = Calls()

    def __init__(self, model: str, **arguments: Any) -> None:
        if unknown := set(arguments) - set(ENGINE_ARGUMENTS):
            raise TypeError(f"EngineArgs.__init__() got an unexpected keyword argument '{min(unknown)}'")
        self.calls.engine, self.calls.environment = {"model": model, **arguments}, dict(os.environ)
        self.model = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(model)
        self.model_config = SimpleNamespace(dtype=torch.float32)
        self.llm_engine = Engine(self.calls, self.answer)
        self.counter = itertools.count()

    def enqueue(
        self,
        prompts: Sequence[dict[str, Any]],
        sampling_params: Sequence[SamplingParams] | None = None,
        lora_request: LoRARequest | None = None,
        *,
        use_tqdm: bool = True,
    ) -> list[str]:
        assert sampling_params is not None
        assert use_tqdm is False, "a bar for each request would stand between ours"
        return [self.add(*pair, lora_request) for pair in zip(prompts, sampling_params, strict=True)]

    def add(self, prompt: dict[str, Any], sampling: SamplingParams, lora_request: LoRARequest | None) -> str:
        """Check a request as vLLM does before its engine sees it. Returns its name inside the engine."""
        assert prompt.keys() <= {"prompt_token_ids", "multi_modal_data"}
        images, ids = shown(prompt), prompt["prompt_token_ids"]
        assert all(image.mode == "RGB" for image in images)
        assert ids.count(tiny_checkpoints.IMAGE) == len(images)
        limit = self.calls.engine["limit_mm_per_prompt"]["image"]
        if len(images) > limit:
            raise ValueError(f"At most {limit} image(s) may be provided in one prompt.")
        text = self.processor.tokenizer.decode(ids)
        for words, error in self.calls.broken.items():
            if words in text:
                raise error
        name = str(next(self.counter))
        inner_name = f"{name}-{os.urandom(4).hex()}"
        self.llm_engine.add(Request(name, inner_name, text, prompt, sampling))
        self.calls.prompts.append(prompt)
        self.calls.sampling.append(sampling)
        self.calls.lora.append(lora_request)
        return inner_name

    def answer(self, request: Request) -> Any:
        """Expand each image token, as vLLM does, and generate."""
        for words, length in self.calls.lengths.items():
            if words in request.text:
                return SimpleNamespace(text="word " * length, token_ids=[1] * length, finish_reason="stop")
        images, tokenizer = shown(request.prompt), self.processor.tokenizer
        ids = [
            id
            for token in request.prompt["prompt_token_ids"]
            for id in [token] * (4 if token == tiny_checkpoints.IMAGE else 1)
        ]
        pixels = self.processor.image_processor(images, return_tensors="pt") if images else {}
        inputs = torch.tensor([ids])
        output = self.model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            **pixels,
            max_new_tokens=request.sampling.max_tokens,
            do_sample=False,
        )
        new = output[0, len(ids) :].tolist()
        finish = self.calls.finish or ("stop" if new[-1] == tiny_checkpoints.EOS else "length")
        text = tokenizer.decode(new, skip_special_tokens=True)
        return SimpleNamespace(text=text, token_ids=new, finish_reason=finish)


def shown(prompt: dict[str, Any]) -> list[Any]:
    """The images of a prompt."""
    data = prompt.get("multi_modal_data", {})
    return data["image"] if isinstance(data.get("image"), list) else list(data.values())


def install(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Put the stand-in into vLLM's place. Returns the calls that it gets."""
    for name in ("WORLD_SIZE", "VLLM_LOGGING_STREAM"):
        monkeypatch.delenv(name, raising=False)
    calls = Calls()
    for name, attributes in members(calls).items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "halbench.backends.vllm", raising=False)
    return calls


def members(calls: Calls) -> dict[str, dict[str, Any]]:
    """The modules of vLLM that the backend imports, with what it takes from them."""
    return {
        "vllm": {"LLM": type("LLM", (LLM,), {"calls": calls}), "SamplingParams": SamplingParams, "__version__": "0.33.0"},
        "vllm.exceptions": {"VLLMError": VLLMError, "VLLMClientError": VLLMClientError},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": LoRARequest},
    }  # fmt: skip


def write_package(folder: Path) -> None:
    """Write the stand-in as packages that another process can import as vllm."""
    for name in members(Calls()):
        path = folder / name.replace(".", "/")
        path = path / "__init__.py" if name in ("vllm", "vllm.lora") else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("from vllm_stand_in import Calls, members\n\nglobals().update(members(Calls())[__name__])\n")

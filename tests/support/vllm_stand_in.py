"""A module in vLLM's place, for machines without a GPU: it takes the arguments that vLLM 0.33 takes and no others, and answers
with the tiny checkpoint's own greedy text.

    calls = install(monkeypatch)
"""

import os
import sys
from dataclasses import dataclass, field
from enum import Enum
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


class RequestOutputKind(Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


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
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE

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
    """What the stand-in got. broken: words of questions -> what the engine raises when they are added. dies_at: the step at
    which the engine dies. most: requests at once. steps: of the engine."""

    engine: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    prompts: list[Any] = field(default_factory=list)
    sampling: list[SamplingParams] = field(default_factory=list)
    lora: list[Any] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)
    dies_at: int | None = None
    finish: str | None = None
    most: int = 0
    steps: int = 0


class LLM:
    """vllm.LLM as far as the backend uses it, on a CPU. It is its own llm_engine, whose step gives every request one token."""

    calls: Calls

    def __init__(self, model: str, **arguments: Any) -> None:
        if unknown := set(arguments) - set(ENGINE_ARGUMENTS):
            raise TypeError(f"EngineArgs.__init__() got an unexpected keyword argument '{min(unknown)}'")
        self.calls.engine = {"model": model, **arguments}
        self.calls.environment = dict(os.environ)
        self.model = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(model)
        self.model_config = SimpleNamespace(dtype=torch.float32)
        self.llm_engine = self
        self.running: dict[str, tuple[Any, int]] = {}

    def add_request(
        self,
        request_id: str,
        prompt: dict[str, Any],
        params: SamplingParams,
        arrival_time: float | None = None,
        lora_request: LoRARequest | None = None,
    ) -> str:
        assert request_id not in self.running
        assert params.output_kind is RequestOutputKind.FINAL_ONLY, "else every step returns what there is so far"
        output = self.answer(prompt, params)
        self.calls.prompts.append(prompt)
        self.calls.sampling.append(params)
        self.calls.lora.append(lora_request)
        self.running[request_id] = output, len(output.outputs[0].token_ids)
        self.calls.most = max(self.calls.most, len(self.running))
        return f"{request_id}-internal"

    def step(self) -> list[Any]:
        assert self.running, "stepping without requests waits for ever"
        self.calls.steps += 1
        if self.calls.steps == self.calls.dies_at:
            raise VLLMServerError("EngineCore encountered an issue")
        self.running = {name: (output, left - 1) for name, (output, left) in self.running.items()}
        done = {name: output for name, (output, left) in self.running.items() if left <= 0}
        self.running = {name: pair for name, pair in self.running.items() if name not in done}
        return [
            SimpleNamespace(request_id=name, finished=True, outputs=output.outputs) for name, output in done.items()
        ]

    def abort_request(self, request_ids: list[str], internal: bool = False) -> None:
        for name in request_ids:
            self.running.pop(name, None)  # as the engine, which ignores what it has finished
        self.calls.aborted += request_ids

    def answer(self, prompt: dict[str, Any], sampling: SamplingParams) -> Any:
        """Expand each image token, as vLLM does, and generate."""
        assert prompt.keys() <= {"prompt_token_ids", "multi_modal_data"}
        data = prompt.get("multi_modal_data", {})
        images = data["image"] if isinstance(data.get("image"), list) else list(data.values())
        ids = prompt["prompt_token_ids"]
        assert all(image.mode == "RGB" for image in images)
        assert ids.count(tiny_checkpoints.IMAGE) == len(images)
        limit = self.calls.engine["limit_mm_per_prompt"]["image"]
        if len(images) > limit:
            raise ValueError(f"At most {limit} image(s) may be provided in one prompt.")
        tokenizer = self.processor.tokenizer
        text = tokenizer.decode(ids)
        for words, error in self.calls.broken.items():
            if words in text:
                raise error
        ids = [id for token in ids for id in [token] * (4 if token == tiny_checkpoints.IMAGE else 1)]
        pixels = self.processor.image_processor(images, return_tensors="pt") if images else {}
        inputs = torch.tensor([ids])
        output = self.model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            **pixels,
            max_new_tokens=sampling.max_tokens,
            do_sample=False,
        )
        new = output[0, len(ids) :].tolist()
        finish = self.calls.finish or ("stop" if new[-1] == tiny_checkpoints.EOS else "length")
        text = tokenizer.decode(new, skip_special_tokens=True)
        return SimpleNamespace(outputs=[SimpleNamespace(text=text, token_ids=new, finish_reason=finish)])


def install(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Put the stand-in into vLLM's place. Returns the calls that it gets."""
    for name in ("WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "VLLM_LOGGING_STREAM"):
        monkeypatch.delenv(name, raising=False)
    calls = Calls()
    members = {
        "vllm": {"LLM": type("LLM", (LLM,), {"calls": calls}), "SamplingParams": SamplingParams, "__version__": "0.33.0"},
        "vllm.exceptions": {"VLLMError": VLLMError, "VLLMClientError": VLLMClientError},
        "vllm.lora": {},
        "vllm.sampling_params": {"RequestOutputKind": RequestOutputKind},
        "vllm.lora.request": {"LoRARequest": LoRARequest},
    }  # fmt: skip
    for name, attributes in members.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "halbench.backends.vllm", raising=False)
    return calls

"""How fast each objective trains a model of LLaVA-1.5-7B's shape (random weights, 576 image tokens, LoRA, bfloat16).

    python benchmarks/gpu_train.py --out benchmarks/results/gpu_train.json
    python benchmarks/gpu_train.py --shape tiny --device cpu        # does it run?

Times the trainer's own forward, loss, backward and optimiser step on random tokens, without reading images and without the
reference pass. Each round runs every (objective, layout) once, starting with another one; medians are reported, and ratios
to the first one are taken within a round. `separate` gives every answer a sequence of its own, as trainers without a block
mask do.

mfu: model FLOPs over the device's peak. Counted are 4 per language weight and token (forward, and backward to activations:
frozen weights get no gradient) and 2 per vision weight and patch; attention and adapters are left out, so it is a lower
bound. Tokens are those of the layout, without padding, so packing reduces the work and not the rate.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from baselines.encoding.collation import collate, on_device, token_positions
from baselines.encoding.packed_forward import as_scoring_model, split_by_view
from baselines.encoding.sequences import Branch, Example, TokenSequence
from baselines.training import adaptation
from baselines.training.open_objective import Objective, open_objective
from baselines.training.recipes import Recipe
from baselines.types import Scored

OWN_IMAGE = ("chosen", "rejected", "mined_rejected")
PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312}  # dense bfloat16, by the vendor's sheets
IMAGE = 3


@dataclass(frozen=True)
class Shape:
    """Sizes of a LLaVA. prompt: text tokens before the answer."""

    vision: tuple[int, int, int]
    language: tuple[int, int, int]
    heads: int
    vocabulary: int
    image: int
    patch: int
    prompt: int

    def patches(self) -> int:
        return (self.image // self.patch) ** 2


SHAPES = {
    "7b": Shape((1024, 4096, 24), (4096, 11008, 32), 32, 32064, 336, 14, 48),
    "tiny": Shape((32, 64, 2), (64, 128, 2), 4, 512, 56, 14, 8),
}


def build(shape: Shape, device: torch.device, dtype: torch.dtype) -> Any:
    """A LLaVA with random weights."""
    hidden, wide, layers = shape.language
    vision = CLIPVisionConfig(
        hidden_size=shape.vision[0],
        intermediate_size=shape.vision[1],
        num_hidden_layers=shape.vision[2],
        num_attention_heads=max(2, shape.vision[0] // 64),
        image_size=shape.image,
        patch_size=shape.patch,
    )
    text = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=wide,
        num_hidden_layers=layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        vocab_size=shape.vocabulary,
        max_position_embeddings=4096,
    )
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=shape.patches()
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            return LlavaForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)


def example(number: int, views: tuple[str, ...], shape: Shape, answer: int, packed: bool) -> Example:
    """A random pair with answers of `answer` tokens."""
    random = torch.Generator().manual_seed(number)

    def sequence(image: str, group: list[str]) -> TokenSequence:
        words = torch.randint(IMAGE + 1, shape.vocabulary, (1, shape.prompt), generator=random)
        ids = torch.cat([torch.full((1, shape.patches()), IMAGE), words], dim=1)
        pixels = torch.randn(1, 3, shape.image, shape.image, generator=random)
        drawn = torch.randint(IMAGE + 1, shape.vocabulary, (len(group), answer), generator=random)
        branches = tuple(Branch(view, row) for view, row in zip(group, drawn, strict=True))
        return TokenSequence({"input_ids": ids, "pixel_values": pixels}, image, branches)

    own = [view for view in views if view in OWN_IMAGE]
    shared = [own] if packed else [[view] for view in own]
    altered = [[view] for view in views if view not in OWN_IMAGE]
    return Example(str(number), tuple(sequence(group[0], group) for group in [*shared, *altered]))


@dataclass(frozen=True)
class Case:
    """One thing that is timed. flops: of a step."""

    objective: Objective
    arguments: dict[str, Any]
    token_positions: dict[str, Any]
    reference: torch.Tensor
    flops: float
    rewards: dict[str, torch.Tensor]


def case(name: str, packed: bool, model: Any, shape: Shape, flags: argparse.Namespace, device: torch.device) -> Case:
    objective = open_objective(name, {})
    examples = [example(number, objective.views, shape, flags.answer, packed) for number in range(flags.batch_size)]
    sequences = [sequence for one in examples for sequence in one.sequences]
    arguments = on_device(collate(sequences, 0, packed), device)
    where = on_device(token_positions(examples), device)
    with torch.no_grad():
        reference = model(**arguments).logp
    language = sum(
        w.numel()
        for name, w in model.get_decoder().named_parameters()
        if not {"lora", "embed"} & set(name.replace(".", "_").split("_"))
    )
    head = model.get_output_embeddings().weight.numel()
    vision = sum(weights.numel() for weights in model.model.vision_tower.parameters())
    tokens, scored = int(arguments["inputs"]["attention_mask"].sum()), len(arguments["targets"])
    flops = 4.0 * (language * tokens + head * scored) + 2.0 * vision * shape.patches() * len(sequences)
    rewards = {"mined_rejected": torch.zeros(len(examples), device=device)} if "mined_rejected" in where else {}
    return Case(objective, arguments, where, reference, flops, rewards)


def step(model: Any, optimiser: torch.optim.Optimizer, timed: Case) -> float:
    """The loss of one step."""
    policy, reference = (
        split_by_view(logp, timed.token_positions) for logp in (model(**timed.arguments).logp, timed.reference)
    )
    scored = Scored(policy, reference, timed.rewards)
    loss = timed.objective.loss(scored, timed.objective.config).per_pair.mean()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(loss.detach())


def clock(model: Any, optimiser: torch.optim.Optimizer, timed: Case, steps: int) -> tuple[float, float]:
    """Seconds a step, and peak memory in GB."""
    on_gpu = model.device.type == "cuda"
    step(model, optimiser, timed)  # first calls set things up
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    for _ in range(steps):
        step(model, optimiser, timed)
    if on_gpu:
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - begun) / steps
    return seconds, torch.cuda.max_memory_allocated() / 1e9 if on_gpu else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--objectives", nargs="+", default=["dpo", "mdpo", "mfpo", "mbpo"])
    parser.add_argument("--layouts", nargs="+", choices=("packed", "separate"), default=["packed", "separate"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--answer", type=int, default=100, help="tokens of an answer")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--peak-tflops", type=float, help="of the device in bfloat16; known for H100, H200, A100")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path)
    flags = parser.parse_args()

    torch.manual_seed(0)
    device, shape, recipe = torch.device(flags.device), SHAPES[flags.shape], Recipe()
    model = as_scoring_model(adaptation.without_dropout(build(shape, device, torch.bfloat16)))
    trained = adaptation.with_lora(model, recipe.lora_r, recipe.lora_alpha, "random").train()
    if flags.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimiser = torch.optim.AdamW([w for w in trained.parameters() if w.requires_grad], lr=recipe.learning_rate)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    peak = flags.peak_tflops or next((rate for kind, rate in PEAK_TFLOPS.items() if kind in name), None)

    cases = {
        f"{objective} {layout}": case(objective, layout == "packed", model, shape, flags, device)
        for objective in flags.objectives
        for layout in flags.layouts
    }
    order = list(cases)
    taken: dict[str, list[tuple[float, float]]] = {key: [] for key in cases}
    for number in range(flags.rounds):
        for key in order[number % len(order) :] + order[: number % len(order)]:
            taken[key].append(clock(trained, optimiser, cases[key], flags.steps))
    rows = {}
    for key, rounds in taken.items():
        seconds = statistics.median(second for second, _ in rounds)
        rows[key] = {
            "pairs_per_second": flags.batch_size / seconds,
            "seconds_per_step": [second for second, _ in rounds],
            "tokens_per_pair": int(cases[key].arguments["inputs"]["attention_mask"].sum()) / flags.batch_size,
            "tflops": cases[key].flops / seconds / 1e12,
            "mfu": cases[key].flops / seconds / 1e12 / peak if peak else None,
            "peak_memory_gb": max(memory for _, memory in rounds) if device.type == "cuda" else None,
            f"time_ratio_to_{order[0]}": statistics.median(
                own / first for (own, _), (first, _) in zip(rounds, taken[order[0]], strict=True)
            ),
        }
    result = {
        "device": name,
        "peak_tflops": peak,
        "torch": torch.__version__,
        "settings": {name: value for name, value in vars(flags).items() if name != "out"},
        "lora": {"r": recipe.lora_r, "alpha": recipe.lora_alpha},
        "parameters": sum(weights.numel() for weights in trained.parameters()),
        "rows": rows,
    }
    text = json.dumps(result, indent=1)
    print(text)
    if flags.out:
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(text + "\n")


if __name__ == "__main__":
    main()

"""Pairs of different shapes as examples of every tiny model family, and their log-probs by two ways."""

from pathlib import Path
from typing import Any

import tiny_checkpoints
import torch
from noise_images import noise_image

from baselines.encoding.collation import collate, stack_inputs, token_positions
from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import as_scoring_model, split_by_view
from baselines.encoding.sequences import Example
from baselines.types import Pair, Variant
from halbench.models.checkpoints import Checkpoint, open_checkpoint
from halbench.models.images import open_image
from halbench.types import BackendOptions

FAMILIES = ("llava", "llava_next", "idefics3", "smolvlm", "qwen2_vl")
ANSWERS = {"chosen": "There are two people.", "rejected": "Is there a red car behind them, and a dog on the grass?"}
SIZES = [(64, 64), (90, 40), (30, 80)]


def open_tiny(family: str, folder: Path) -> Checkpoint:
    """One of the tiny checkpoints, opened as a user's would be; Qwen2-VL's cannot be saved here."""
    if family == "qwen2_vl":
        model, processor = tiny_checkpoints.qwen2_vl()
        return Checkpoint(model, processor, processor.chat_template, {})
    saved = getattr(tiny_checkpoints, family)(folder / family)
    return open_checkpoint(str(saved), BackendOptions(device="cpu", dtype="float32"))


def shaped_pairs(folder: Path, images: int = 1) -> list[Pair]:
    """Three pairs with so many images each, which differ in shape, so that rows differ in crops, tokens and padding."""
    pairs = []
    for number in range(len(SIZES)):
        paths = []
        for index in range(images):
            image = noise_image(SIZES[(number + index) % len(SIZES)], 90, seed=100 * number + index)
            image.paste((200 - 90 * index, 40 * number, 30), (5, 5, 20, 20))
            paths.append(folder / f"{number}-{index}.png")
            image.save(paths[-1])
        answer = " ".join([ANSWERS["chosen"]] * (number + 1))
        pairs.append(Pair(str(number), tuple(paths), "Describe this image.", answer, ANSWERS["rejected"]))
    return pairs


def variants(pair: Pair) -> dict[str, Variant]:
    """Chosen and rejected and, for a pair with images, the chosen answer to the images upside down."""
    own = {"chosen": Variant(pair.prompt, pair.chosen), "rejected": Variant(pair.prompt, pair.rejected)}
    flipped = tuple(open_image(path).rotate(180) for path in pair.images)
    return own | ({"flipped": Variant(pair.prompt, pair.chosen, flipped)} if flipped else {})


def examples(checkpoint: Checkpoint, pairs: list[Pair], packed: bool) -> list[Example]:
    encoder = Encoder(checkpoint, packed)
    return [encoder.example(pair, variants(pair)) for pair in pairs]


def score(checkpoint: Checkpoint, batch: list[Example], packed: bool) -> dict[str, torch.Tensor]:
    """View -> log-probs [B, T], by the function under test."""
    model = checkpoint.model
    own_forward = model.forward
    sequences = [sequence for example in batch for sequence in example.sequences]
    try:
        with torch.no_grad():
            tokens = as_scoring_model(model)(**collate(sequences, 0, packed))
    finally:
        model.forward = own_forward
    return {view: logps.token for view, logps in split_by_view(tokens.logp, token_positions(batch)).items()}


def plain_logps(model: Any, prompt: dict[str, torch.Tensor], answer: torch.Tensor) -> torch.Tensor:
    """Log-probs [T] of one answer from the model's own forward, one sequence alone, all logits."""
    start = prompt["input_ids"].shape[1]
    ids = torch.cat([prompt["input_ids"][0], answer])[None]
    with torch.no_grad():
        logits = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), **stack_inputs([prompt], ids.shape[1])
        ).logits
    return logits[0, start - 1 : -1].log_softmax(-1).gather(-1, answer[:, None])[:, 0]

"""From pairs to tensors: prompts and answers as tokens, sequences that share their image, padded batches.

A `Sequence` is an image with its prompt, read once, and the answers that follow it as branches. Variants of a pair that
show the same image and ask the same thing share one:

    Example("17", (Sequence({"input_ids": [1, P], "pixel_values": ...}, (Branch("chosen", ...), Branch("rejected", ...))),
                   Sequence({...}, (Branch("cropped", ...),))), rewards={}, altered=("cropped",))

Conventions:

- A prompt is rendered and processed exactly as halbench/backends/hf.py does for generation.
- An answer is followed by what ends the template's assistant turn; where the template ends it with nothing that can be
  generated (LLaVA-1.5 writes a space), by the tokenizer's end token. Both are scored.
- Prompt and answer are tokenised together and cut where the prompt's own tokens end. Where those are no prefix of the
  whole (a tokenizer that merges across the border), the answer is tokenised alone: generation, too, starts behind a
  prompt that was tokenised alone.
- Nothing is ever cut. What is longer than `max_length` is refused by name.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from baselines.preferences import open_image
from baselines.types import Pair, Variant
from baselines.variants import image_hash, variant_hash
from halbench.backends.hf import Checkpoint, image_tokens, render
from halbench.errors import InputError
from halbench.records import content_hash

SENTINEL = "Answer"  # stands for the answer when the template is asked how it frames one


@dataclass(frozen=True)
class Branch:
    """One answer behind a prefix, as tokens [T]; the end token is the last."""

    view: str
    ids: torch.Tensor


@dataclass(frozen=True)
class Sequence:
    """An image with its prompt (what the processor returned, one row), and the answers that share it."""

    inputs: Mapping[str, torch.Tensor]
    image: str
    branches: tuple[Branch, ...]

    def length(self) -> int:
        """Tokens of the prefix, the image's included, and the longest answer: what positions must reach."""
        return int(self.inputs["input_ids"].shape[1]) + max(len(branch.ids) for branch in self.branches)

    def key(self, branch: Branch) -> str:
        """Hash of all that a branch's log-probs depend on beside the model: image, prompt tokens, answer tokens."""
        ids = [self.inputs["input_ids"][0].tolist(), branch.ids.tolist()]
        return content_hash([self.image, *ids], 32)


@dataclass(frozen=True)
class Example:
    """All views of one pair, ready to be batched.

    contents: view -> hash of what it shows, asks and answers, whatever the model. notes: view -> how it was made.
    altered: the views that show the chosen answer another image.
    """

    id: str
    sequences: tuple[Sequence, ...]
    contents: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rewards: Mapping[str, float] = field(default_factory=dict)
    altered: tuple[str, ...] = ()

    def length(self) -> int:
        """Tokens of the longest prompt with one answer, the image's included."""
        return max(sequence.length() for sequence in self.sequences)

    def keys(self) -> dict[str, str]:
        """View -> key of its log-probs."""
        return {branch.view: sequence.key(branch) for sequence in self.sequences for branch in sequence.branches}


@dataclass(frozen=True)
class Turn:
    """What stands before and after an answer in the template's assistant turn."""

    opening: str
    closing: str


def assistant_turn(checkpoint: Checkpoint) -> Turn:
    """How the template frames an answer, seen from where the prompt ends.

    White space after the last token of the turn is left out: it belongs to the next turn and is never generated.
    """
    processor, tokenizer = checkpoint.processor, checkpoint.processor.tokenizer
    prompt = render(processor, checkpoint.template, "?")
    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": SENTINEL}]}
    whole = str(processor.apply_chat_template([question, answer], chat_template=checkpoint.template))
    before, _, after = whole.rpartition(SENTINEL)
    # A template whose generation prompt says more than its answers do (a think tag): the answer follows the prompt.
    opening = before.removeprefix(prompt) if before.startswith(prompt) else ""
    closing = after.strip() or tokenizer.eos_token
    if not closing:
        raise InputError("the chat template ends no answer and the tokenizer has no end token; set eos_token")
    return Turn(opening, closing)


def own_image(pair: Pair) -> Image.Image:
    """A pair's image as RGB."""
    try:
        return open_image(pair.image)
    except OSError as error:
        raise InputError(f"pair {pair.id}: image {pair.image} cannot be read ({error})") from error


class Encoder:
    """Pairs and their variants -> Examples, for one checkpoint.

    packed: whether variants with one image and prompt share a sequence; else each is a sequence of its own.
    """

    def __init__(self, checkpoint: Checkpoint, packed: bool) -> None:
        self.checkpoint = checkpoint
        self.processor = checkpoint.processor
        self.turn = assistant_turn(checkpoint)
        self.packed = packed

    def example(self, pair: Pair, variants: Mapping[str, Variant]) -> Example:
        """The sequences of a pair, in the order of its views."""
        own = own_image(pair)
        groups: dict[tuple[str, ...], list[str]] = {}
        for view, variant in variants.items():
            shared = variant.image is None and self.packed
            groups.setdefault(("own image", variant.prompt) if shared else (view,), []).append(view)
        sequences = tuple(
            self.sequence(pair.id, variants[views[0]].image or own, {view: variants[view] for view in views})
            for views in groups.values()
        )
        contents = {view: variant_hash(pair, variant) for view, variant in variants.items()}
        rewards = {view: variant.reward for view, variant in variants.items() if variant.reward is not None}
        altered = (view for view, made in variants.items() if made.image is not None and made.answer == pair.chosen)
        notes = {view: variant.notes for view, variant in variants.items() if variant.notes}
        return Example(pair.id, sequences, contents, notes, rewards, tuple(altered))

    def sequence(self, pair_id: str, image: Image.Image, variants: Mapping[str, Variant]) -> Sequence:
        """One sequence for variants that show `image` and ask the same."""
        question = next(iter(variants.values())).prompt
        prompt = render(self.processor, self.checkpoint.template, question)
        marks = image_tokens(self.processor)
        texts = [question, *(variant.answer for variant in variants.values())]
        if any(mark in text for mark in marks for text in texts):
            raise InputError(
                f"pair {pair_id}: its text contains the model's image token {' or '.join(marks)}; remove it"
            )
        special = not starts_with_bos(self.processor.tokenizer, prompt)
        inputs = self.processor(text=[prompt], images=[[image]], return_tensors="pt", add_special_tokens=special)
        inputs = {name: value for name, value in inputs.items() if name != "attention_mask"}
        branches = tuple(
            Branch(view, self.answer_ids(prompt, variant.answer, special)) for view, variant in variants.items()
        )
        return Sequence(inputs, image_hash(image), branches)

    def answer_ids(self, prompt: str, answer: str, special: bool) -> torch.Tensor:
        """Tokens of an answer and of what ends it [T]."""
        tokenizer = self.processor.tokenizer
        said = self.turn.opening + answer + self.turn.closing
        head = tokenizer(prompt, add_special_tokens=special)["input_ids"]
        whole = tokenizer(prompt + said, add_special_tokens=special)["input_ids"]
        end = tokenizer.eos_token_id
        # Some tokenizers end every text with the end token by themselves.
        if head and head[-1] == end and not prompt.endswith(tokenizer.eos_token or ""):
            head, whole = head[:-1], whole[:-1]
        if whole[: len(head)] == head:
            return torch.tensor(whole[len(head) :])
        return torch.tensor(tokenizer(said, add_special_tokens=False)["input_ids"])


def starts_with_bos(tokenizer: Any, prompt: str) -> bool:
    """Whether the template already wrote the begin token, which the tokenizer would then double."""
    return tokenizer.bos_token is not None and prompt.startswith(tokenizer.bos_token)


@dataclass(frozen=True)
class Layout:
    """Where everything stands in R right-padded sequences of at most L tokens.

    ids, branch, shift [R, L]. branch: 0 for the prefix and for padding, then 1, 2 ... shift: how far a token's place lies
    beyond its position, because other branches stand before its own.
    predictors, targets [N]: flat place (row * L + column) of the token that predicts a response token, and that token's id;
    sequence by sequence, branch by branch.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    branch: torch.Tensor
    shift: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor


def lay_out(prefixes: Many[torch.Tensor], answers: Many[Many[torch.Tensor]], pad_id: int) -> Layout:
    """The layout of prefixes [P] and the answers [T] behind each. The first token of every answer is predicted by the last
    one of its prefix, whatever stands between."""
    ids, branch, shift = [], [], []
    width = max(len(prefix) + sum(map(len, branches)) for prefix, branches in zip(prefixes, answers, strict=True))
    predictors = []
    for row, (prefix, branches) in enumerate(zip(prefixes, answers, strict=True)):
        lengths = torch.tensor([len(prefix), *map(len, branches)])
        starts = lengths.cumsum(0) - lengths
        ids.append(torch.cat([prefix, *branches]))
        branch.append(torch.arange(len(lengths)).repeat_interleave(lengths))
        offsets = starts - len(prefix)
        offsets[0] = 0
        shift.append(offsets.repeat_interleave(lengths))
        for start, length in zip(starts[1:].tolist(), lengths[1:].tolist(), strict=True):
            places = torch.arange(start - 1, start + length - 1)
            places[0] = len(prefix) - 1
            predictors.append(row * width + places)
    mask = [torch.ones(len(row), dtype=torch.long) for row in ids]
    return Layout(
        pad_sequence(ids, batch_first=True, padding_value=pad_id),
        pad_sequence(mask, batch_first=True),
        pad_sequence(branch, batch_first=True),
        pad_sequence(shift, batch_first=True),
        torch.cat(predictors),
        torch.cat([answer for branches in answers for answer in branches]),
    )


def stack_inputs(rows: Many[Mapping[str, torch.Tensor]], width: int) -> dict[str, torch.Tensor]:
    """What the processor returned beside the token ids, for all rows: values per token are continued with zeros, images
    follow each other in the first dimension and are padded with zeros in the others (crops, pixels)."""
    stacked = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name == "input_ids":
            continue
        if all(value.shape == row["input_ids"].shape for value, row in zip(values, rows, strict=True)):
            values = [pad(value, (0, width - value.shape[1])) for value in values]
        most = torch.tensor([value.shape[1:] for value in values]).amax(0).tolist()
        for index, value in enumerate(values):
            gaps = [
                part for size, want in zip(value.shape[:0:-1], most[::-1], strict=True) for part in (0, want - size)
            ]
            values[index] = pad(value, gaps) if any(gaps) else value
        stacked[name] = torch.cat(values)
    return stacked


def collate(sequences: Many[Sequence], pad_id: int, packed: bool) -> dict[str, Any]:
    """The arguments of a scoring network (see logprobs.py) for some sequences."""
    prefixes = [sequence.inputs["input_ids"][0] for sequence in sequences]
    layout = lay_out(prefixes, [[branch.ids for branch in sequence.branches] for sequence in sequences], pad_id)
    inputs = stack_inputs([sequence.inputs for sequence in sequences], layout.ids.shape[1])
    blocks = {"branch": layout.branch, "shift": layout.shift} if packed else {}
    return {
        "inputs": {"input_ids": layout.ids, "attention_mask": layout.mask, **inputs},
        "predictors": layout.predictors,
        "targets": layout.targets,
        **blocks,
    }


def places(examples: Many[Example]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """View -> (index [B, T] into the N tokens of a batch, mask [B, T]): where `collate` put each answer's tokens."""
    spans: dict[str, list[torch.Tensor]] = {}
    start = 0
    for example in examples:
        for sequence in example.sequences:
            for branch in sequence.branches:
                spans.setdefault(branch.view, []).append(torch.arange(start, start + len(branch.ids)))
                start += len(branch.ids)
    return {
        view: (
            pad_sequence(rows, batch_first=True),
            pad_sequence([torch.ones(len(row), dtype=torch.bool) for row in rows], batch_first=True),
        )
        for view, rows in spans.items()
    }


def on_device(value: Any, device: torch.device) -> Any:
    """Nested tensors on a device."""
    if isinstance(value, Mapping):
        return {name: on_device(item, device) for name, item in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value

"""Token sequences laid out in padded batches, packed or not, and where each view's tokens are in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from baselines.encoding.sequences import Example, TokenSequence


@dataclass(frozen=True)
class Layout:
    """Where everything is in R right-padded sequences of at most L tokens.

    ids, branch, shift [R, L]. branch: 0 for the prefix and for padding, then 1, 2 ... shift: how far a token's index is
    beyond its position, because other branches come before its own.
    predictors, targets [N]: flat index (row * L + column) of the token that predicts a response token, and that token's
    id; sequence by sequence, branch by branch.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    branch: torch.Tensor
    shift: torch.Tensor
    predictors: torch.Tensor
    targets: torch.Tensor


def lay_out(prefixes: Sequence[torch.Tensor], answers: Sequence[Sequence[torch.Tensor]], pad_id: int) -> Layout:
    """The layout of prefixes [P] and the answers [T] behind each. The first token of every answer is predicted by the
    last one of its prefix, whatever is between them."""
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
            columns = torch.arange(start - 1, start + length - 1)
            columns[0] = len(prefix) - 1
            predictors.append(row * width + columns)
    mask = [torch.ones(len(row), dtype=torch.long) for row in ids]
    return Layout(
        pad_sequence(ids, batch_first=True, padding_value=pad_id),
        pad_sequence(mask, batch_first=True),
        pad_sequence(branch, batch_first=True),
        pad_sequence(shift, batch_first=True),
        torch.cat(predictors),
        torch.cat([answer for branches in answers for answer in branches]),
    )


def stack_inputs(rows: Sequence[Mapping[str, torch.Tensor]], width: int) -> dict[str, torch.Tensor]:
    """What the processor returned besides the token ids, for all rows, as it would have returned it for them together.

    Values per token are continued with zeros; images follow each other in the first dimension and are padded with zeros in the
    others (crops, pixels). Three families differ: which images a token of Mllama sees [1, T, images, tiles] is continued with
    what the last one sees; Molmo's pooling counts the patches of all images before; MiniCPM-V's images follow each other in
    the last dimension, with their sizes beside them.
    """
    stacked = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name == "input_ids":
            continue
        if name == "pixel_values" and "target_sizes" in rows[0]:
            stacked[name] = torch.cat(values, dim=-1)
            continue
        if name == "cross_attention_mask":
            values = [
                torch.cat([value, value[:, -1:].expand(-1, width - value.shape[1], -1, -1)], 1) for value in values
            ]
        elif name == "image_token_pooling":
            patches = torch.tensor([row["pixel_values"].shape[:2] for row in rows]).prod(1)
            before = (patches.cumsum(0) - patches).tolist()
            values = [torch.where(value < 0, value, value + count) for value, count in zip(values, before, strict=True)]
        elif all(value.shape == row["input_ids"].shape for value, row in zip(values, rows, strict=True)):
            values = [pad(value, (0, width - value.shape[1])) for value in values]
        most = torch.tensor([value.shape[1:] for value in values]).amax(0).tolist()
        for index, value in enumerate(values):
            gaps = [
                part for size, want in zip(value.shape[:0:-1], most[::-1], strict=True) for part in (0, want - size)
            ]
            values[index] = pad(value, gaps) if any(gaps) else value
        stacked[name] = torch.cat(values)
    return stacked


def collate(sequences: Sequence[TokenSequence], pad_id: int, packed: bool) -> dict[str, Any]:
    """The arguments of a scoring model (see packed_forward.py) for some sequences."""
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


def token_positions(examples: Sequence[Example]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
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

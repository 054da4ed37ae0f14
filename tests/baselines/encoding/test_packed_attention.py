"""Which token may attend to which in a packed row: the model's own mask, at the positions of each answer alone."""

import torch
from transformers.masking_utils import (
    causal_mask_function,
    or_masks,
    sdpa_mask,
    sliding_window_causal_mask_function,
)

from baselines.encoding.collation import lay_out
from baselines.encoding.packed_attention import packed_mask, packing

LAYOUT = lay_out([torch.tensor([7, 8])], [[torch.tensor([1, 2]), torch.tensor([4])]], pad_id=0)


def mask_of(mask_function) -> list[list[int]]:
    """The mask of LAYOUT's only row."""
    length = LAYOUT.ids.shape[1]
    with packing(LAYOUT.branch, LAYOUT.shift):
        mask = packed_mask(batch_size=1, q_length=length, kv_length=length, mask_function=mask_function)
    return mask[0, 0].int().tolist()


def test_an_answer_sees_the_prefix_and_itself_and_no_other_answer():
    assert mask_of(causal_mask_function) == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_a_sliding_window_is_counted_from_where_the_answer_would_stand_alone():
    assert mask_of(sliding_window_causal_mask_function(2)) == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 1, 0, 0, 1],
    ]


def test_image_tokens_that_see_each_other_still_do():
    image = torch.tensor([[1, 1, 0, 0, 0]], dtype=torch.bool)
    both_image = lambda row, head, query, key: image[row, query] & image[row, key]  # noqa: E731
    assert mask_of(or_masks(causal_mask_function, both_image))[0] == [1, 1, 0, 0, 0]
    assert mask_of(or_masks(causal_mask_function, both_image))[4] == [1, 1, 0, 0, 1]


def test_outside_a_packed_pass_the_mask_is_that_of_sdpa():
    sizes = {"batch_size": 1, "q_length": 3, "kv_length": 3, "allow_is_causal_skip": False}
    assert packed_mask(**sizes).equal(sdpa_mask(**sizes))

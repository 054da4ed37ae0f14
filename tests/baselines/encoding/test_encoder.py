"""From pairs to tokens."""

import pytest
from packed_examples import ANSWERS, examples, shaped_pairs

from baselines.encoding.encoder import Encoder
from baselines.types import Variant
from halbench.errors import InputError


@pytest.mark.parametrize(
    ("family", "end"), [("llava", "</s>"), ("idefics3", "<end_of_utterance>"), ("qwen2_vl", "<|im_end|>")]
)
def test_an_answer_ends_with_what_ends_the_assistants_turn(family, end, checkpoints, pairs):
    checkpoint = checkpoints(family)
    tokenizer = checkpoint.processor.tokenizer
    (sequence, _) = examples(checkpoint, pairs[:1], packed=True)[0].sequences
    text = tokenizer.decode(sequence.branches[0].ids)
    assert text.strip() == ANSWERS["chosen"] + end
    assert tokenizer.decode(sequence.branches[0].ids[-1:]) == end


def test_a_prompt_with_the_models_image_token_is_refused(checkpoints, pairs):
    encoder = Encoder(checkpoints("llava"), packed=True)
    with pytest.raises(InputError, match="pair 0: its text contains the model's image token"):
        encoder.example(pairs[0], {"chosen": Variant("What is <image>?", "A dog.")})


def test_a_view_that_asks_something_else_has_a_sequence_of_its_own(checkpoints, pairs):
    encoder = Encoder(checkpoints("llava"), packed=True)
    made = {"chosen": Variant("Describe this image.", "A dog."), "asked": Variant("Is there a dog?", "Yes.")}
    example = encoder.example(pairs[0], made)
    assert [[branch.view for branch in sequence.branches] for sequence in example.sequences] == [["chosen"], ["asked"]]
    assert len(set(example.keys().values())) == 2


def test_prompts_have_room_for_as_many_images_as_a_pair_has(checkpoints, tmp_path):
    checkpoint = checkpoints("llava")
    token = checkpoint.processor.tokenizer.convert_tokens_to_ids("<image>")
    for count in (0, 1, 2):
        (example, *_) = examples(checkpoint, shaped_pairs(tmp_path, count), packed=True)
        (first, *others) = example.sequences
        assert (first.inputs["input_ids"] == token).sum() == 4 * count, "4 patches an image"
        assert len(others) == (count > 0), "flipped images have a sequence of their own"
        assert ("pixel_values" in first.inputs) == (count > 0)


def test_views_that_show_images_next_to_views_that_show_none_are_refused(checkpoints, pairs):
    encoder = Encoder(checkpoints("llava"), packed=True)
    views = {"chosen": Variant("What is it?", "A dog."), "blind": Variant("What is it?", "A dog.", ())}
    with pytest.raises(InputError, match="pair 0: view 'chosen' shows images and view 'blind' shows none"):
        encoder.example(pairs[0], views)

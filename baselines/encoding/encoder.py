"""From pairs to tokens: prompts as the chat template writes them, and answers with what ends them.

- A prompt is rendered and processed exactly as halbench/backends/hf.py does for generation.
- An answer is followed by what ends the template's assistant turn; where the template ends it with nothing that can be
  generated (LLaVA-1.5 writes a space), by the tokenizer's end token. Both are scored.
- Prompt and answer are tokenised together and cut where the prompt's own tokens end. Where these are no prefix of the
  whole (a tokenizer that merges across the border), the answer is tokenised alone: generation, too, continues a prompt
  that was tokenised alone.
- Nothing is ever truncated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from baselines.encoding.sequences import Branch, Example, TokenSequence
from baselines.pairs.content_hashes import images_hash, variant_hash
from baselines.types import Pair, Variant
from halbench.errors import InputError
from halbench.models.chat_templates import image_tokens, render, starts_with_bos
from halbench.models.checkpoints import Checkpoint
from halbench.models.images import open_image
from halbench.reasoning import TAGS, opened_in

SENTINEL = "Answer"  # a stand-in for the answer, to see how the template frames one


@dataclass(frozen=True)
class Turn:
    """The text before and after an answer in the template's assistant turn."""

    opening: str
    closing: str


def assistant_turn(checkpoint: Checkpoint) -> Turn:
    """How the template frames an answer, from where the prompt ends.

    White space after the last token of the turn is left out: it belongs to the next turn and is never generated.
    """
    processor, tokenizer = checkpoint.processor, checkpoint.processor.tokenizer
    prompt = render(processor, checkpoint.template, "?")
    if opened_in(prompt, TAGS):
        raise InputError(
            "the chat template opens a thought in the prompt, and the pairs' answers would be learnt as thoughts; set its "
            "variable, if it has one: --template-kwargs enable_thinking=false"
        )
    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": SENTINEL}]}
    conversation = str(processor.apply_chat_template([question, answer], chat_template=checkpoint.template))
    before, _, after = conversation.rpartition(SENTINEL)
    # A template whose generation prompt has more text than its answers do (a think tag): the answer follows the prompt.
    opening = before.removeprefix(prompt) if before.startswith(prompt) else ""
    closing = after.strip() or tokenizer.eos_token
    if not closing:
        raise InputError("the chat template does not end answers and the tokenizer has no end token; set eos_token")
    return Turn(opening, closing)


def own_images(pair: Pair) -> list[Image.Image]:
    """A pair's images as RGB. Raises InputError for one that cannot be read."""
    try:
        return [open_image(path) for path in pair.images]
    except OSError as error:
        raise InputError(f"pair {pair.id}: image {error.filename or ''} cannot be read ({error})") from error


class Encoder:
    """Pairs and their variants -> Examples, for one checkpoint.

    packed: whether variants with the pair's own images and one prompt share a sequence; else each has its own.
    """

    def __init__(self, checkpoint: Checkpoint, packed: bool) -> None:
        self.checkpoint = checkpoint
        self.processor = checkpoint.processor
        self.turn = assistant_turn(checkpoint)
        self.packed = packed

    def example(self, pair: Pair, variants: Mapping[str, Variant]) -> Example:
        """The sequences of a pair, in the order of its views. Raises InputError where only some of them show images."""
        own = own_images(pair)
        shown = {view: own if variant.images is None else variant.images for view, variant in variants.items()}
        with_images = {bool(images): view for view, images in shown.items()}
        if len(with_images) > 1:
            raise InputError(
                f"pair {pair.id}: view '{with_images[True]}' shows images and view '{with_images[False]}' shows none; the "
                "views of an objective must all show images, or none of them"
            )
        groups: dict[tuple[str, ...], list[str]] = {}
        for view, variant in variants.items():
            shared = variant.images is None and self.packed
            groups.setdefault(("own images", variant.prompt) if shared else (view,), []).append(view)
        sequences = tuple(
            self.sequence(pair.id, shown[views[0]], {view: variants[view] for view in views})
            for views in groups.values()
        )
        altered = (view for view, one in variants.items() if one.images is not None and one.answer == pair.chosen)
        return Example(
            pair.id,
            sequences,
            contents={view: variant_hash(pair, variant) for view, variant in variants.items()},
            notes={view: variant.notes for view, variant in variants.items() if variant.notes},
            rewards={view: variant.reward for view, variant in variants.items() if variant.reward is not None},
            altered=tuple(altered),
        )

    def sequence(self, pair_id: str, images: Sequence[Image.Image], variants: Mapping[str, Variant]) -> TokenSequence:
        """One sequence for variants that show `images` and ask the same question."""
        question = next(iter(variants.values())).prompt
        prompt = render(self.processor, self.checkpoint.template, question, len(images))
        marks = image_tokens(self.processor)
        texts = [question, *(variant.answer for variant in variants.values())]
        if any(mark in text for mark in marks for text in texts):
            raise InputError(
                f"pair {pair_id}: its text contains the model's image token {' or '.join(marks)}; remove it"
            )
        add_special = not starts_with_bos(self.processor.tokenizer, prompt)
        image_arguments = {"images": [list(images)]} if images else {}
        inputs = self.processor(text=[prompt], **image_arguments, return_tensors="pt", add_special_tokens=add_special)
        inputs = {name: value for name, value in inputs.items() if name != "attention_mask"}
        branches = tuple(
            Branch(view, self.answer_ids(prompt, variant.answer, add_special)) for view, variant in variants.items()
        )
        return TokenSequence(inputs, images_hash(images), branches)

    def answer_ids(self, prompt: str, answer: str, add_special: bool) -> torch.Tensor:
        """Tokens of an answer and of what ends it [T]."""
        tokenizer = self.processor.tokenizer
        framed = self.turn.opening + answer + self.turn.closing
        prefix = tokenizer(prompt, add_special_tokens=add_special)["input_ids"]
        whole = tokenizer(prompt + framed, add_special_tokens=add_special)["input_ids"]
        end = tokenizer.eos_token_id
        # Some tokenizers end every text with the end token by themselves.
        if prefix and prefix[-1] == end and not prompt.endswith(tokenizer.eos_token or ""):
            prefix, whole = prefix[:-1], whole[:-1]
        if whole[: len(prefix)] == prefix:
            return torch.tensor(whole[len(prefix) :])
        return torch.tensor(tokenizer(framed, add_special_tokens=False)["input_ids"])

"""The tiny LLaVA of the embedded world: CLIP, a projector and Llama, with tokenizer and processor.

One patch of the vision tower is one cell of the scene, so an image is 16 tokens. Each word of the world is one token.
`save` writes an ordinary checkpoint folder, which any tool for LLaVA can open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from halbench.scenes.captions import DESCRIPTION_PROMPTS, FOLLOWINGS, KINDS, NUMBERS, OPENINGS, ask
from halbench.scenes.world import WorldParameters, plural, sample_scenes

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"
EMPTY = "nothing"  # the word for a cell without an object

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}ASSISTANT: {% else %}USER: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}</s>{% else %} {% endif %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of both towers."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    vision_width: int = 128
    vision_layers: int = 3
    vision_heads: int = 4


def words_of(parameters: WorldParameters) -> list[str]:
    """Every word that must be one token after a space."""
    names = [form for name in parameters.classes for form in (name, plural(name))]
    return [*names, *parameters.colours, *NUMBERS.values(), *parameters.contexts, "yes", "no", "and", EMPTY]


def corpus(parameters: WorldParameters) -> Iterator[str]:
    """Text to train the tokenizer on: each word many times, and prompts and sentences of the world."""
    for _ in range(50):
        for word in words_of(parameters):
            yield f" {word} {word.capitalize()}"
    for scene in sample_scenes(parameters, 0, "training", range(200)):
        questions = (ask(kind, scene, parameters, scene.random("corpus")) for kind in KINDS)
        yield from (f"USER: \n{question.text} ASSISTANT: " for question in questions if question)
    for template in (*DESCRIPTION_PROMPTS, *OPENINGS, *FOLLOWINGS):
        yield from [f" {template.format(context='', things='a an', be=be)}" for be in ("is", "are") for _ in range(50)]
    for opening in ("What colour", "How many", "In which column"):
        yield from [f"{opening} is are the there?"] * 50


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE, which can encode any text, and the world's own words in one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=40,
        special_tokens=[PAD, BOS, EOS, IMAGE],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE},
    )


def build_processor(parameters: WorldParameters) -> LlavaProcessor:
    """Image processor and tokenizer for scenes of these parameters. Images of other sizes are resized to a scene's."""
    side = parameters.pixels
    return LlavaProcessor(
        image_processor=LlavaImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}),
        tokenizer=build_tokenizer(corpus(parameters)),
        patch_size=parameters.cell,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # CLIP's class token, which "default" drops
        chat_template=CHAT_TEMPLATE,
    )


def build_model(
    parameters: WorldParameters, sizes: Sizes, tokenizer: PreTrainedTokenizerFast
) -> LlavaForConditionalGeneration:
    """The untrained model; its weights come from torch's global generator."""
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.width,
        intermediate_size=sizes.width * 3,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=sizes.vision_width,
        intermediate_size=sizes.vision_width * 3,
        num_hidden_layers=sizes.vision_layers,
        num_attention_heads=sizes.vision_heads,
        image_size=parameters.pixels,
        patch_size=parameters.cell,
        projection_dim=sizes.vision_width,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=parameters.grid**2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def pixel_values(processor: LlavaProcessor, images: Iterable[Any]) -> torch.Tensor:
    """Images as the model takes them, [B, 3, H, W]."""
    values: torch.Tensor = processor.image_processor(list(images), return_tensors="pt")["pixel_values"]
    return values


def save(folder: Path, model: LlavaForConditionalGeneration, processor: LlavaProcessor) -> None:
    """Write the checkpoint folder, with weights in bfloat16. Converts the model itself."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)

"""Checkpoints small enough to build in a test: real architectures, processors and tokenizers, random weights.

Each function writes what a trainer would have written (config.json, model.safetensors, processor files, chat template)
and needs no download. Facts that hold for all of them:

- The weights are drawn wider than transformers' own initialisation. With that one (sd 0.02) greedy text is the same
  for every prompt and image, and a test of padding or masks would pass whatever the code does.
- The text is gibberish, but it depends on every prompt token and on the image, and float32 on a CPU repeats it exactly.
- Images shrink to 28 or 32 pixels: LLaVA sees 4 patches, LLaVA-NeXT up to 5 crops of 4, Idefics3 up to 5 tiles of 4.
- `qwen2_vl` has no saved processor: its video processor needs torchvision, so the parts are put together in memory.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)
from transformers.models.idefics3 import Idefics3Processor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.video_processing_utils import BaseVideoProcessor

SPECIAL = ["<pad>", "<s>", "</s>", "<image>"]
PAD, BOS, EOS, IMAGE = range(4)
CORPUS = [
    "Describe this image in detail. Is there a dog in the image? Please answer yes or no.",
    "There are two people on the grass, and a red car stands behind them.",
    "How many chairs are at the table? What is the colour of the cup? The cup is left of the fork.",
]
LLAVA_TEMPLATE = (
    "{% for m in messages %}{{ 'USER: ' if m['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% for c in m['content'] if c['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
IDEFICS_TEMPLATE = (
    "<s>{% for m in messages %}{{ m['role'] | capitalize }}:{% for c in m['content'] %}"
    "{{ '<image>' if c['type'] == 'image' else c['text'] }}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_level_bpe(special: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 360 entries, special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=special[0], bos_token=special[1], eos_token=special[2]
    )


def widen(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """The model with matrices of unit gain and unit embeddings, so that its text depends on all that it reads."""
    generator, of_vectors = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2:
                fan_in = 1 if "embed_tokens" in name else weight[0].numel()
                weight.normal_(0, 1.5 / fan_in**0.5, generator=generator)
            elif "class_embedding" in name or "image_newline" in name:  # drawn from the global generator otherwise
                weight.normal_(0, 1, generator=of_vectors)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = EOS, PAD
    return model.eval()


def text_sizes(vocabulary: int) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": vocabulary,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": False,
    }


def clip_sizes() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=32,
    )


def save(folder: Path, model: PreTrainedModel, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def llava(folder: Path, seed: int = 0) -> Path:
    """LLaVA-1.5: CLIP (one image of 28 pixels, 4 patches) and Llama."""
    tokenizer = byte_level_bpe(SPECIAL)
    config = LlavaConfig(
        vision_config=clip_sizes(),
        text_config=LlamaConfig(**text_sizes(len(tokenizer))),
        image_token_index=IMAGE,
        image_seq_length=4,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    processor = LlavaProcessor(
        image_processor=LlavaImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    return save(folder, widen(LlavaForConditionalGeneration(config), seed), processor)


def llava_next(folder: Path, seed: int = 0) -> Path:
    """LLaVA-NeXT: the whole image and, by its shape, 2 or 4 crops; so prompts differ in their image tokens."""
    tokenizer = byte_level_bpe(SPECIAL)
    grid = [[28, 56], [56, 28], [56, 56]]
    config = LlavaNextConfig(
        vision_config=clip_sizes(),
        text_config=LlamaConfig(**text_sizes(len(tokenizer))),
        image_token_index=IMAGE,
        image_grid_pinpoints=grid,
        image_seq_length=4,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=grid
        ),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    return save(folder, widen(LlavaNextForConditionalGeneration(config), seed), processor)


def idefics3_parts() -> tuple[dict[str, Any], Idefics3Processor]:
    """Sizes and processor that Idefics3 and SmolVLM share: tiles of 32 pixels, 4 tokens each."""
    tiles = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    markers = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *tiles]
    tokenizer = byte_level_bpe([*SPECIAL, *markers])
    processor = Idefics3Processor(
        Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}),
        tokenizer,
        image_seq_len=4,
        chat_template=IDEFICS_TEMPLATE,
    )
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    sizes = {
        "vision_config": vision,
        "text_config": LlamaConfig(**text_sizes(len(tokenizer))),
        "image_token_id": IMAGE,
        "scale_factor": 2,
        "tie_word_embeddings": False,
    }
    return sizes, processor


def idefics3(folder: Path, seed: int = 0) -> Path:
    """Idefics3: SigLIP tiles and a whole view, marked off by special tokens that the processor adds."""
    sizes, processor = idefics3_parts()
    return save(folder, widen(Idefics3ForConditionalGeneration(Idefics3Config(**sizes)), seed), processor)


def smolvlm(folder: Path, seed: int = 0) -> Path:
    """SmolVLM's model behind Idefics3's processor, as in its first releases; its own one wants a video processor."""
    sizes, processor = idefics3_parts()
    return save(folder, widen(SmolVLMForConditionalGeneration(SmolVLMConfig(**sizes)), seed), processor)


class ImagesOnly(Qwen2VLProcessor):  # type: ignore[misc]
    """Qwen2-VL's processor where its video processor cannot be imported."""

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> None:
        """Looking up the expected video class is what fails without torchvision."""


def qwen2_vl(seed: int = 0) -> tuple[PreTrainedModel, Qwen2VLProcessor]:
    """Qwen2-VL in memory: images keep their shape, positions have three axes, `mm_token_type_ids` are needed."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = byte_level_bpe([*special, "<|vision_start|>", "<|vision_end|>"])
    config = Qwen2VLConfig(
        text_config={
            **text_sizes(len(tokenizer)),
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
        },
        image_token_id=3,
        video_token_id=4,
        vision_start_token_id=5,
        vision_end_token_id=6,
        tie_word_embeddings=False,
    )
    processor = ImagesOnly(
        Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 84 * 84}),
        tokenizer,
        BaseVideoProcessor(),
        chat_template=QWEN_TEMPLATE,
    )
    return widen(Qwen2VLForConditionalGeneration(config), seed), processor


def lora_adapter(folder: Path, base: Path, seed: int = 1) -> Path:
    """A LoRA adapter on a tiny LLaVA's language model, with weights large enough to change its text."""
    from peft import LoraConfig, get_peft_model

    model = LlavaForConditionalGeneration.from_pretrained(base)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=r".*language_model.*\.(q_proj|v_proj)", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.3, generator=generator)
    adapted.save_pretrained(folder)
    return folder


def llama(folder: Path) -> Path:
    """A language model without eyes, which the harness must refuse."""
    tokenizer = byte_level_bpe(SPECIAL)
    LlamaForCausalLM(LlamaConfig(**text_sizes(len(tokenizer)))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

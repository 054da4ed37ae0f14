"""Writing a tiny checkpoint folder as the hub has it: the tools of families.py and more_families.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_checkpoints import byte_level_bpe, widen
from transformers import PreTrainedModel, PreTrainedTokenizerFast

CLIP = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN = [*CHAT, "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
QWEN_IDS = {"image_token_id": 3, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
SIGLIP = {
    **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"image_size": 28, "patch_size": 7, "vision_use_head": False},
}
UNTIED = {"tie_word_embeddings": False}


def template(image: str, user: str = "<|im_start|>user\n", end: str = "<|im_end|>\n", start: str = "") -> str:
    """A chat template of turns: user, image, question, end. The answer's turn begins as the user's, with another role."""
    answer = user.replace("user", "assistant")
    return (
        f"{start}{{% for m in messages %}}{{{{ {user!r} if m['role'] == 'user' else {answer!r} }}}}"
        f"{{% for c in m['content'] %}}{{% if c['type'] == 'image' %}}{image}{{% else %}}{{{{ c['text'] }}}}{{% endif %}}"
        f"{{% endfor %}}{end}{{% endfor %}}{{% if add_generation_prompt %}}{answer}{{% endif %}}"
    )


def write(
    folder: Path,
    seed: int,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    chat_template: str,
    files: Mapping[str, Mapping[str, Any]],
) -> Path:
    """The checkpoint folder. files: name -> content of the processors' JSON files, without ending."""
    widen(model, seed)
    scale = getattr(model.get_input_embeddings(), "embed_scale", 1)
    with torch.no_grad():
        model.get_input_embeddings().weight /= scale  # Gemma multiplies by it, and what the layers add would not count
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(chat_template)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def images(kind: str, processor: str, **settings: Any) -> dict[str, Any]:
    """The content of preprocessor_config.json."""
    return {"image_processor_type": kind, "processor_class": processor, **settings}


def rope(*sections: int) -> dict[str, Any]:
    return {"rope_type": "default", "mrope_section": list(sections), "rope_theta": 10000.0}


def tokenizer_with(special: list[str], **named: str) -> PreTrainedTokenizerFast:
    """A tokenizer that knows some of its special tokens by name, as Gemma's and InternVL's do."""
    plain = byte_level_bpe(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer,
        pad_token=special[0],
        bos_token=special[1],
        eos_token=special[2],
        extra_special_tokens=named,
    )

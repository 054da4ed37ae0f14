"""What the checkpoints of all families are put together from: tokenizer, chat template, model and the hub's files.

Special tokens stand first in every vocabulary, in the order of tiny_checkpoints: padding, begin, end, image.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_checkpoints import BOS, EOS, IMAGE, PAD, byte_level_bpe, widen
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["BOS", "EOS", "IMAGE", "PAD", "chat", "tokenizer_of", "vision_sizes", "write"]


def tokenizer_of(special: list[str], begins: bool = False, **named: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE. begins: it writes special[1] at the start of a text, as Llama's, Gemma's and Mistral's do; the
    others have no begin token. named: special tokens by the attribute that the processor reads (image_token="<image>")."""
    tokenizer = byte_level_bpe(special).backend_tokenizer
    if begins:
        tokenizer.post_processor = TemplateProcessing(single=f"{special[BOS]} $A", special_tokens=[(special[BOS], BOS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=special[PAD],
        bos_token=special[BOS] if begins else None,
        eos_token=special[EOS],
        model_max_length=1024,
        extra_special_tokens=named,
    )


def chat(
    image: str,
    user: str,
    assistant: str,
    end: str,
    start: str = "",
    user_end: str | None = None,
    answer: str | None = None,
) -> str:
    """A chat template. image: what stands for one. user, assistant: how a turn opens. end: how it closes, user_end: how
    the user's does, if otherwise. answer: how the answer opens, if otherwise than an assistant's turn, as Jinja."""
    by_role = "{{{{ {!r} if message['role'] == 'user' else {!r} }}}}".format
    return (
        f"{{{{ {start!r} }}}}{{% for message in messages %}}{by_role(user, assistant)}"
        f"{{% for part in message['content'] %}}{{{{ {image!r} if part['type'] == 'image' else part['text'] }}}}"
        f"{{% endfor %}}{by_role(end if user_end is None else user_end, end)}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{{{{ {answer or repr(assistant)} }}}}{{% endif %}}"
    )


def vision_sizes(**others: Any) -> dict[str, Any]:
    """The names of CLIP's and SigLIP's configurations, which most vision towers share."""
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
        **others,
    }


def write(
    folder: Path,
    model: type[PreTrainedModel],
    config: PreTrainedConfig,
    seed: int,
    tokenizer: PreTrainedTokenizerFast,
    template: str | None,
    louder: Mapping[str, float] | None = None,
    filled: Mapping[str, float] | None = None,
    **files: dict[str, Any],
) -> Path:
    """The checkpoint's folder. louder: factors of parameters, filled: values of parameters, by a part of their names, for
    families in which the image would hardly be heard. files: what else the hub has there, each NAME.json."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # some models draw parameters that `widen` leaves alone
        built = model(config)
    widen(built, seed)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            for part, factor in (louder or {}).items():
                parameter.mul_(factor if part in name else 1)
            for part, value in (filled or {}).items():
                parameter.copy_(torch.full_like(parameter, value) if part in name else parameter)
    built.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
    return folder

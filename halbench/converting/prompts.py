"""Prompts of LLaVA's own code as chat templates, and a tokenizer that splits them as that code does.

LLaVA's code tokenises what stands before and after an image apart, so that the text after it begins with a space token, and
its tokenizers begin each part so. A tokenizer with prepend_scheme "first", transformers' default for Llama, leaves that token
out after an image. `tokens_in_parts` is the original's way, and `check_tokens` holds the converted one against it.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AddedToken, AutoTokenizer, PreTrainedTokenizerFast

from halbench.errors import InputError, MissingExtra, first_sentence
from halbench.models.chat_templates import render

IMAGE, PAD = "<image>", "<pad>"

# The sentence is Vicuna's (FastChat); the layout is that of "vicuna_v1", with which LLaVA-1.5's published numbers were made.
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
CONTENT = (
    "{%- macro content(message) -%}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}{{- '<image>\n' -}}{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}{{- part['text'] -}}{%- endfor -%}"
    "{%- endif -%}{%- endmacro -%}"
)
TEMPLATES = {
    "llama": CONTENT + '{{- "' + SYSTEM + ' " -}}' + "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{- 'USER: ' + content(message) + ' ' -}}"
    "{%- else -%}{{- 'ASSISTANT: ' + content(message) + '</s>' -}}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}",
    "mistral": CONTENT + "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{- '[INST] ' + content(message) + ' [/INST]' -}}"
    "{%- else -%}{{- ' ' + content(message) + ' </s>' -}}{%- endif -%}{%- endfor -%}",
}
"""Text model -> the prompt that its LLaVA checkpoints are evaluated with: vicuna_v1, mistral_instruct."""
NAMES = {"llama": "vicuna_v1", "mistral": "mistral_instruct"}
QUESTIONS = ("Is there a dog in the image?", "Describe this image in detail.\nAnswer  in two lines, naïvely — 是.")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a language model, as it is."""
    if not (folder / "tokenizer.json").is_file():
        if not (folder / "tokenizer.model").is_file():
            raise InputError(f"{folder}: expected a tokenizer, tokenizer.model or tokenizer.json; found neither")
        if missing := next((name for name in ("sentencepiece", "google.protobuf") if not installed(name)), None):
            raise MissingExtra(
                f"{folder / 'tokenizer.model'}: to read it, pip install 'halbench[convert]' (no module '{missing}')"
            )
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
        raise InputError(f"{folder}: its tokenizer cannot be loaded ({first_sentence(error)})") from error


def installed(module: str) -> bool:
    """Whether a module of a package can be imported."""
    package = module.partition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None


def with_image_token(tokenizer: PreTrainedTokenizerFast, text_model: str, source: str) -> PreTrainedTokenizerFast:
    """A copy with <image> and <pad>, which begins the text after an image as it begins any text."""
    if "<|start_header_id|>" in tokenizer.get_vocab():
        raise InputError(
            f"{source}: its tokenizer is Llama 3's, whose prompt is not known here; expected Llama, Vicuna or Mistral"
        )
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    first = state.get("pre_tokenizer") or {}
    if first.get("type") == "Metaspace" and first.get("prepend_scheme") == "first":
        first["prepend_scheme"] = "always"
    copy = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        unk_token=tokenizer.unk_token,
        model_max_length=tokenizer.model_max_length,
        clean_up_tokenization_spaces=False,
    )
    # <image> first, as in transformers' own conversion: 32000, and 32001 for <pad>.
    copy.add_tokens([AddedToken(IMAGE, special=True, normalized=False)], special_tokens=True)
    copy.add_special_tokens({"pad_token": AddedToken(PAD, special=True, normalized=False)})
    return copy


def tokens_in_parts(tokenizer: Any, prompt: str, image: int) -> list[int]:
    """A prompt's tokens as LLaVA's code makes them: each part by itself, the image's token between them."""
    first, *others = (tokenizer(part)["input_ids"] for part in prompt.split(IMAGE))
    for part in others:
        first = [*first, image, *part[int(part[:1] == [tokenizer.bos_token_id]) :]]
    return list(first)


def check_tokens(processor: Any, original: Any, template: str, source: str) -> None:
    """Raise InputError if the converted tokenizer splits a prompt differently from the original one."""
    image = processor.tokenizer.convert_tokens_to_ids(IMAGE)
    for question in QUESTIONS:
        for images in (0, 1, 2):
            prompt = render(processor, template, question, images)
            tokens, expected = processor.tokenizer(prompt)["input_ids"], tokens_in_parts(original, prompt, image)
            if expected[0] != original.bos_token_id:
                raise InputError(
                    f"{source}: its tokenizer puts no begin token before a prompt, which LLaVA's code expects"
                )
            if tokens != expected:
                at = next((n for n, pair in enumerate(zip(tokens, expected, strict=False)) if len(set(pair)) > 1), -1)
                raise InputError(
                    f"{source}: its tokenizer cannot be converted: token {at} of {prompt[-80:]!r} would change from "
                    f"{expected[at : at + 4]} to {tokens[at : at + 4]}"
                )

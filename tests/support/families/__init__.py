"""Checkpoints of today's families, as they lie on the hub: config.json, model.safetensors, tokenizer, chat template and
the processors' files with the class names found there. Random weights of tiny size, as in tiny_checkpoints.

    FAMILIES["qwen3_vl"](folder, seed) -> folder

A name is the `model_type` of config.json; `pixtral` is a llava. The chat templates are our own, of the family's shape, with its special tokens.
Many processors need torchvision: see torchvision_operators.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from families.cohere import aya_vision, cohere2_vision
from families.deepseek import deepseek_vl, janus
from families.gemma import gemma3, gemma4, paligemma
from families.glm import glm4v, glm46v
from families.idefics import idefics2, idefics3, smolvlm
from families.internvl import internvl
from families.kimi import kimi_k25
from families.lfm import lfm2_vl
from families.llama import mllama
from families.llava import llava, llava_next, llava_onevision
from families.minicpm import minicpmv4_6
from families.mistral import mistral3, pixtral
from families.molmo import molmo2
from families.ovis import ovis2
from families.qwen import qwen2_5_vl, qwen2_vl, qwen3_5, qwen3_5_moe, qwen3_vl, qwen3_vl_moe

BUILDERS = (
    *(llava, llava_next, llava_onevision),
    *(qwen2_vl, qwen2_5_vl, qwen3_vl, qwen3_vl_moe, qwen3_5, qwen3_5_moe),
    *(internvl, smolvlm, idefics3, idefics2),
    *(gemma3, gemma4, paligemma),
    *(mistral3, pixtral, mllama, glm4v, glm46v, molmo2),
    *(aya_vision, cohere2_vision, lfm2_vl, minicpmv4_6, kimi_k25),
    *(ovis2, deepseek_vl, janus),
)

FAMILIES: Mapping[str, Callable[[Path, int], Path]] = {build.__name__: build for build in BUILDERS}

WITHOUT_CHAT = ("paligemma",)
"""Families without a chat template on the hub, which halbench refuses."""

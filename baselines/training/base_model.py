"""The model that training starts from: where it is, and how it is opened."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainingArguments

from baselines.training.recipes import TrainingPlan
from halbench.errors import InputError, MissingExtra, first_sentence
from halbench.files.records import content_hash
from halbench.models.chat_templates import chat_template
from halbench.models.checkpoints import Checkpoint, check_source, open_checkpoint
from halbench.models.fingerprints import fingerprint
from halbench.models.llava_format import refuse_llava_format
from halbench.models.processors import load_processor
from halbench.scenes import PREFIX, checkpoint_path
from halbench.types import BackendOptions


def checkpoint_source(name: str) -> str:
    """Folder or hub name of the model to start from. Raises InputError unless it is a whole checkpoint."""
    if name.startswith(PREFIX):
        return str(checkpoint_path(name))
    refuse_llava_format(name)
    if (Path(name) / "adapter_config.json").is_file():
        raise InputError(
            f"{name} is an adapter; training starts from a whole checkpoint. Merge it into its base and save that first"
        )
    check_source(name)
    if not Path(name).is_dir():
        try:
            transformers.AutoConfig.from_pretrained(name)  # afterwards the hub's commit is known, see fingerprint
        except (OSError, ValueError) as error:
            refuse_llava_format(name)
            raise InputError(
                f"{name} is not a local folder, and it cannot be loaded from the hub ({first_sentence(error)})"
            ) from error
    return name


def open_for_training(source: str, plan: TrainingPlan, arguments: TrainingArguments) -> Checkpoint:
    """The model on this process's device, in the precision that the recipe needs."""
    recipe, options = plan.recipe, plan.options
    if recipe.load_in_4bit:
        identity = {"fingerprint": fingerprint(source), "transformers": transformers.__version__}
        return open_in_4bit(source, arguments.device, options, identity)
    dtype = "float32" if recipe.full else options.dtype
    return open_checkpoint(source, replace(options, device=str(arguments.device), dtype=dtype))


def open_in_4bit(source: str, device: torch.device, options: BackendOptions, identity: dict[str, str]) -> Checkpoint:
    """A checkpoint with its linear layers in 4-bit NF4, computing in bfloat16."""
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("--load-in-4bit needs: pip install bitsandbytes, and a GPU that it supports")
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        source,
        quantization_config=settings,
        dtype=torch.bfloat16,
        device_map={"": device},
        trust_remote_code=options.trust_remote_code,
    )
    processor = load_processor(source, options.trust_remote_code)
    template = chat_template(processor, source, options.template_kwargs)
    identity |= {"dtype": "nf4", "chat_template": content_hash(template)}
    return Checkpoint(model.eval(), processor, template, identity)


def image_token_id(model: Any) -> int | None:
    """Id of the token that stands for a piece of an image in prompts."""
    token = getattr(model.config, "image_token_id", None) or getattr(model.config, "image_token_index", None)
    return None if token is None else int(token)

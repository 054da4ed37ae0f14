"""Opening a checkpoint: weights, adapter, processor and chat template, or one line that says why it cannot be run.

Whatever would change the answers silently is refused: missing weights, an adapter that does not fit, pickled files, a
guessed prompt format.
"""

import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
    GenerationConfig,
)

from halbench.errors import InputError, first_sentence
from halbench.files.records import content_hash, read_json
from halbench.models.chat_templates import chat_template
from halbench.models.fingerprints import fingerprint
from halbench.models.llava_format import refuse_llava_format
from halbench.models.names import HUB_NAME, packaged_checkpoint, recorded_name, template_identity
from halbench.models.processors import load_processor, processor_identity
from halbench.types import BackendOptions


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to generate. template: the chat template's text. identity: see types.Backend."""

    model: Any
    processor: Any
    template: str
    identity: Mapping[str, str]


@dataclass(frozen=True)
class CheckpointSource:
    """Where a model's files are. base: folder or hub name of the whole checkpoint. adapter: PEFT folder to merge into it."""

    base: str
    adapter: Path | None

    def identity(self) -> dict[str, str]:
        """Fingerprints, for the manifest."""
        return {
            "fingerprint": fingerprint(self.base),
            **({"adapter": fingerprint(str(self.adapter))} if self.adapter else {}),
        }


def find_checkpoint(name: str, base: str | None = None) -> CheckpointSource:
    """The files of a checkpoint folder, adapter folder, hub name or packaged checkpoint. base: of an adapter, in place of the
    one that it names. Raises InputError if incomplete."""
    path = Path(packaged_checkpoint(name))
    if not (path / "adapter_config.json").is_file():
        check_source(packaged_checkpoint(name))
        if base is not None:
            raise InputError(f"--base {base} is the base model of an adapter, but {name} is a whole checkpoint")
        return CheckpointSource(packaged_checkpoint(name), None)
    refuse_llava_format(str(path))
    found = packaged_checkpoint(base or adapter_base(path))
    check_source(found)
    return CheckpointSource(found, path)


def open_checkpoint(name: str, options: BackendOptions) -> Checkpoint:
    """The model with its processor and chat template. Raises InputError, in one line, for whatever cannot be run."""
    transformers.utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    source = find_checkpoint(name, options.base)
    try:
        check_architecture(source.base, options.trust_remote_code)
    except InputError as error:
        if source.adapter and not Path(source.base).exists():
            raise InputError(f"{source.adapter}: its base model {error}; name a local copy with --base PATH") from error
        raise
    model = load_model(source.base, options, chosen_device(options.device))
    if source.adapter:
        model = merge_adapter(model, source.adapter)
    processor = load_processor(processor_folder(source), options.trust_remote_code)
    model.generation_config = token_ids_only(model.generation_config, processor.tokenizer)
    template = chat_template(processor, source.base, options.template_kwargs)
    identity = {
        "backend": "hf",
        "model": recorded_name(name),
        **source.identity(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "chat_template": content_hash(template),
        **template_identity(options.template_kwargs),
        **processor_identity(processor),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return Checkpoint(model.eval(), processor, template, identity)


def check_architecture(source: str, trust_remote_code: bool) -> None:
    """Raise InputError for a checkpoint that transformers cannot run as a vision-language model."""
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        refuse_llava_format(source)
        origin = (
            source if Path(source).exists() else f"{source} is not a local folder and cannot be loaded from the hub"
        )
        raise InputError(f"{origin}: {first_sentence(error)}") from error
    refuse_llava_format(source)
    remote = trust_remote_code and "AutoModelForImageTextToText" in (getattr(config, "auto_map", None) or {})
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and not remote:
        raise InputError(
            f"{source}: transformers cannot run a '{config.model_type}' checkpoint as a vision-language model; "
            "expected one such as llava, llava_next, qwen2_vl, qwen2_5_vl, idefics3 or smolvlm"
        )


def processor_folder(source: CheckpointSource) -> str:
    """Where the processor is: in the adapter's folder if that has one, else with the base."""
    files = ("processor_config.json", "preprocessor_config.json")
    if source.adapter and any((source.adapter / name).is_file() for name in files):
        return str(source.adapter)
    return source.base


def adapter_base(adapter: Path) -> str:
    """The base model that an adapter folder names."""
    base = read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise InputError(
            f"{adapter / 'adapter_config.json'}: expected base_model_name_or_path to name the base model, found {base!r}"
        )
    if not Path(base).is_dir() and not HUB_NAME.fullmatch(base):
        raise InputError(
            f"{adapter / 'adapter_config.json'}: base model {base} does not exist; name its folder with --base PATH"
        )
    return str(base)


def check_source(source: str) -> None:
    """Raise InputError for a path without a checkpoint with safetensors weights. Hub names are left to the hub."""
    folder = Path(source)
    if not folder.exists():
        if not HUB_NAME.fullmatch(source):
            raise InputError(
                f"{source} does not exist; expected a checkpoint folder or a hub name such as llava-hf/llava-1.5-7b-hf"
            )
        return
    refuse_llava_format(source)
    if not (folder / "config.json").is_file():
        below = sorted(path.parent.name for path in folder.glob("*/config.json"))
        hint = f"; did you mean {folder / below[-1]}?" if below else ""
        raise InputError(
            f"{source} is not a checkpoint folder: expected config.json, *.safetensors and the processor's files{hint}"
        )
    if not any(folder.glob("*.safetensors")):
        if any(folder.glob("*.bin")):
            raise InputError(
                f"{source} contains pickled weights (*.bin), which can run code when they are read; load it where you trust it "
                "and save it with save_pretrained, which writes safetensors"
            )
        raise InputError(f"{source} contains no *.safetensors weights")


def chosen_device(name: str | None) -> torch.device | None:
    """The device to run on; None for "auto", which spreads the model. The default is the GPU if there is one, else the CPU;
    Apple's "mps" must be named, since nobody has checked its numbers against the others."""
    if name == "auto":
        return None
    try:
        device = torch.device(name or default_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device '{name}' cannot be used; expected one that this machine and this build of torch have: cpu, cuda (or "
            "cuda:1 ...), mps or auto"
        ) from error
    return device


def default_device() -> str:
    """The GPU of this process if there is one (torchrun numbers them), else the CPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def chosen_dtype(name: str, device: torch.device | None) -> Any:
    """The torch dtype to load weights in. "auto": bfloat16 on GPUs that support it, float32 on CPUs, else as stored."""
    if name != "auto":
        return getattr(torch, name)
    if device is not None and device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "auto"


def load_model(source: str, options: BackendOptions, device: torch.device | None) -> Any:
    """The model with all its weights. Raises InputError if the checkpoint lacks some, which would then be random."""
    on_cpu = device is not None and device.type == "cpu"
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=chosen_dtype(options.dtype, device),
            device_map=None if on_cpu else ("auto" if device is None else {"": device}),
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below, with the name of the weight
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        hint = "choose another --device or --dtype" if is_out_of_memory(error) else "are the files complete?"
        raise InputError(f"{source}: the weights cannot be loaded ({first_sentence(error)}); {hint}") from error
    wrong = sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])])
    if wrong:
        raise InputError(
            f"{source} lacks {len(wrong)} weights of the {model.config.model_type} model that its config.json describes, "
            f"or has them in another shape, such as {wrong[0]}"
        )
    return model


def merge_adapter(model: Any, adapter: Path) -> Any:
    """The model with an adapter's weights added in. Raises InputError if any weight of the adapter has no counterpart."""
    if not (adapter / "adapter_model.safetensors").is_file():
        raise InputError(f"{adapter} contains no adapter_model.safetensors")
    from peft import PeftConfig, get_peft_model

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's own use of a name that transformers retires
            adapted = get_peft_model(model, PeftConfig.from_pretrained(str(adapter), inference_mode=True))
        report = adapted.load_adapter(str(adapter), "default", torch_device=str(model.device))
        misplaced = [*report.missing_keys, *report.unexpected_keys]
        if misplaced:
            raise InputError(
                f"{adapter} does not fit its base model: {len(misplaced)} weights have no counterpart, such as {misplaced[0]}"
            )
        return adapted.merge_and_unload()
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{adapter} cannot be merged into its base model: {first_sentence(error)}") from error


def token_ids_only(config: GenerationConfig, tokenizer: Any) -> GenerationConfig:
    """A generation config with the token ids of another one, and nothing else.

    generate() takes every argument that it is not given from the checkpoint's generation_config.json: Qwen2-VL ships
    temperature, top_p and repetition_penalty, others beams or length limits. None of these belongs to a suite's
    published decoding; each model would be decoded with settings of its own.
    """
    eos = tokenizer.eos_token_id if config.eos_token_id is None else config.eos_token_id
    pad = tokenizer.pad_token_id if config.pad_token_id is None else config.pad_token_id
    return GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=eos, pad_token_id=pad)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)

"""What one checkpoint needs in order to run on this machine: its type, its processor and the packages that this needs, its
chat template and its weights."""

from collections.abc import Callable
from typing import Any

import transformers
from transformers import AutoConfig

from halbench.doctor.checks import Finding
from halbench.errors import InputError
from halbench.models.chat_templates import chat_template
from halbench.models.checkpoints import check_architecture, find_checkpoint, processor_folder
from halbench.models.processors import load_processor, processor_identity
from halbench.types import BackendOptions


def examine_checkpoint(model: str, options: BackendOptions) -> list[Finding]:
    """One finding for each part of a checkpoint. Weights are looked for, not loaded."""
    transformers.utils.logging.set_verbosity_error()
    found: dict[str, Any] = {}

    def part(name: str, look: Callable[[], str]) -> Finding:
        try:
            return Finding(name, "ok", look())
        except InputError as error:
            return Finding(name, "problem", str(error))

    def files() -> str:
        found["source"] = find_checkpoint(model, options.base)
        adapter = f", with the adapter {found['source'].adapter}" if found["source"].adapter else ""
        return f"{found['source'].base}{adapter}"

    def model_type() -> str:
        check_architecture(found["source"].base, options.trust_remote_code)
        return str(
            AutoConfig.from_pretrained(found["source"].base, trust_remote_code=options.trust_remote_code).model_type
        )

    def processor() -> str:
        found["processor"] = load_processor(processor_folder(found["source"]), options.trust_remote_code)
        identity = processor_identity(found["processor"])
        return f"{type(found['processor']).__name__}; {identity['image_processor']}, pixels by {identity['pixels']}"

    def template() -> str:
        chat_template(found["processor"], found["source"].base)
        return "has a place for an image"

    findings = [part("files", files)]
    if "source" in found:
        findings += [part("model type", model_type), part("processor", processor)]
    if "processor" in found:
        findings.append(part("chat template", template))
    return findings

"""Checks of packages, devices, NLTK resources and data, each with one line of findings."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from halbench import __version__
from halbench.broken_torchvision import INSTALL_TORCHVISION
from halbench.data.datasets import Data, file_states, read_sources
from halbench.errors import MissingData
from halbench.fetching.suite_state import suite_state
from halbench.scoring_tools.language import BEHAVIOUR, open_language

NEEDED = ("numpy", "scipy", "nltk", "textblob", "pandas", "pyyaml", "rich", "typer", "filelock")
OPTIONAL = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "pillow",
    "safetensors",
    "openai",
    "spacy",
    "lmms-eval",
    "matplotlib",
)
SPACY_MODELS = {"en_core_web_lg": "AMBER's similarity", "en_core_web_trf": "Object HalBench's extraction"}
GIBIBYTE = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the report. state "none": optional and not installed, or not fetched."""

    name: str
    state: Literal["ok", "none", "problem"]
    detail: str


def examine(data: Data) -> list[Finding]:
    """All findings on this machine, in the order of the report."""
    return [
        *packages(),
        *device_facts(),
        *torchvision(),
        *spacy_models(),
        *language(data),
        *data_files(data),
        *disk_and_cache(data),
    ]


def version_of(package: str) -> str | None:
    """The installed version of a distribution, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def packages() -> list[Finding]:
    """Versions of Python, halbench and the packages that it uses."""
    requirements = (requires("halbench") or ()) if version_of("halbench") else ()
    python = ".".join(map(str, sys.version_info[:3]))
    findings = [
        Finding("python", "ok" if sys.version_info >= (3, 11) else "problem", python),
        Finding("halbench", "ok", __version__),
    ]
    exact = dict(
        requirement.split("==") for requirement in requirements if "==" in requirement and "extra" not in requirement
    )
    for name in NEEDED:
        installed, pinned = version_of(name), exact.get(name)
        if installed is None:
            findings.append(Finding(name, "problem", "not installed; pip install halbench"))
        elif pinned not in (None, installed):
            findings.append(
                Finding(name, "problem", f"{installed}; numbers are pinned to {pinned}: pip install {name}=={pinned}")
            )
        else:
            findings.append(Finding(name, "ok", f"{installed} (pinned)" if pinned else installed))
    return findings + [
        Finding(name, "ok" if version_of(name) else "none", version_of(name) or "not installed") for name in OPTIONAL
    ]


def device_facts() -> list[Finding]:
    """The devices that torch can use; none if torch is not installed."""
    if version_of("torch") is None:
        return []
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Finding("device", "problem", f"torch cannot be imported ({error})")]
    if not torch.cuda.is_available():
        return [Finding("device", "ok", f"no GPU; CPU with {torch.get_num_threads()} threads")]
    cards = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    bf16 = "with" if torch.cuda.is_bf16_supported() else "without"
    return [
        Finding(f"cuda:{n}", "ok", f"{card.name}, {card.total_memory / GIBIBYTE:.0f} GiB, {bf16} bfloat16")
        for n, card in enumerate(cards)
    ]


def torchvision() -> list[Finding]:
    """Whether torchvision can be imported, tried in a process of its own. Without it halbench goes on, with Pillow."""
    installed = version_of("torchvision")
    instead = "images are processed by Pillow, and parts of processors for videos are left out"
    if installed is None:
        return [
            Finding(
                "torchvision", "none", f"not installed: {instead}; doctor --checkpoint MODEL says whether it matters"
            )
        ]
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    if done.returncode == 0:
        return [Finding("torchvision", "ok", installed)]
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return [
        Finding(
            "torchvision",
            "none",
            f"{installed} cannot be imported ({reason}): {instead}; to use it, {INSTALL_TORCHVISION}",
        )
    ]


def spacy_models() -> list[Finding]:
    """Versions of the spaCy models that some options of suites need."""
    installed = {name: version_of(name) for name in SPACY_MODELS}
    return [
        Finding(
            name, "ok" if installed[name] else "none", installed[name] or f"not installed (only for {use} by spaCy)"
        )
        for name, use in SPACY_MODELS.items()
    ]


def language(data: Data) -> list[Finding]:
    """NLTK's resources: where they are, and whether they are the pinned ones."""
    states = file_states(read_sources().of("nltk_data"), data)
    if wrong := [state for state in states if state.state == "differs"]:
        return [
            Finding("language", "problem", f"{state.path}: SHA-256 {state.found}, pinned {state.expected}")
            for state in wrong
        ]
    try:
        identity = open_language(data).identity()
    except MissingData as error:
        return [Finding("language", "problem", str(error))]
    if identity["nltk"] not in BEHAVIOUR.values():
        like = f"NLTK behaves as {identity['nltk']}, and numbers are pinned to {', '.join(BEHAVIOUR.values())}"
        return [Finding("language", "problem", f"{like}: pip install nltk==3.9.4")]
    folders = sorted(
        {str(state.path.parents[state.source.file.count("/") - 1]) for state in states if state.state == "ok"}
    )
    return [Finding("language", "ok", f"{', '.join(f'{k} {v}' for k, v in identity.items())}, in {', '.join(folders)}")]


def data_files(data: Data) -> list[Finding]:
    """One line per suite. Missing data is no problem; wrong data is."""
    sources = read_sources()
    findings = [Finding("data folder", "ok" if data.root.is_dir() else "none", str(data.root))]
    for suite in sources.suites():
        if suite == "nltk_data":
            continue
        wrong = [
            s
            for s in file_states(sources.of(suite), data)
            if s.state == "differs" and s.source.file.startswith(f"{suite}/")
        ]
        findings += [
            Finding(suite, "problem", f"{s.path} differs from the pinned file; see: halbench data verify")
            for s in wrong
        ]
        if wrong:
            continue
        state = suite_state(suite, sources, data)
        findings.append(
            Finding(suite, "ok" if state.ready_to_score() else "none", state.summary().removeprefix(suite).strip())
        )
    return findings


def disk_and_cache(data: Data) -> list[Finding]:
    """Free disk space for data, and the folder in which Hugging Face keeps checkpoints."""
    existing = next(folder for folder in (data.root, *data.root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free / GIBIBYTE
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return [
        Finding("free disk", "ok", f"{free:.0f} GiB at {existing}"),
        Finding("checkpoint cache", "ok" if hub.is_dir() else "none", f"{hub}{offline}"),
    ]

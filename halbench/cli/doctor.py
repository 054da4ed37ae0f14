"""`halbench doctor`: does what is installed here work, and is the data right?

Exit codes: 0 all that is there works (what is optional may be missing); 2 there are problems, listed last.
With --batch-parity MODEL: 0 if a model says the same one by one and in batches, 2 if not.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from halbench.cli.options import AsJson, DataFolder, Device, Dtype, DtypeName
from halbench.errors import INCOMPLETE, InputError

if TYPE_CHECKING:
    from halbench.datasets import Data
    from halbench.types import Item, Response

NEEDED = ("numpy", "nltk", "textblob", "pandas", "pyyaml", "rich", "typer")
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
NEW_TOKENS = 64

QUESTIONS = (
    "Describe this image.",
    "What is this?",
    "Is there a circle in the image?",
    "Please describe this image in detail, from the left to the right, and say which colours and shapes you see.",
    "How many shapes are there?",
)


@dataclass(frozen=True)
class Finding:
    """One line of the report. state "none": optional and not there."""

    name: str
    state: Literal["ok", "none", "problem"]
    detail: str


@dataclass(frozen=True)
class Difference:
    """A question that was answered in two ways."""

    image: str
    prompt: str
    alone: str
    in_batch: str


@dataclass(frozen=True)
class Parity:
    """How many of `items` answers are the same one by one and in batches; a failed answer is never the same."""

    model: str
    items: int
    batch_size: int
    identical: int
    first_difference: Difference | None


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    data: DataFolder = None,
    batch_parity: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Compare this model's answers at batch size 1 and in batches.")
    ] = None,
    items: Annotated[int, typer.Option(min=1, help="Questions asked with --batch-parity.")] = 32,
    batch_size: Annotated[int, typer.Option(min=2, help="Batch size that is compared with 1.")] = 8,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photographs for --batch-parity. Default: drawn pictures.")
    ] = None,
    device: Device = None,
    dtype: Dtype = DtypeName.auto,
    as_json: AsJson = False,
) -> None:
    """Check versions, device, language resources and data; or, with --batch-parity, that batching changes no answer."""
    from halbench.datasets import open_data
    from halbench.records import dumps

    if batch_parity is not None:
        parity = check_batch_parity(batch_parity, items, batch_size, images, device, dtype)
        print(dumps(parity) if as_json else parity_text(parity))
        raise typer.Exit(INCOMPLETE if parity.first_difference else 0)
    findings = examine(open_data(data))
    problems = [finding for finding in findings if finding.state == "problem"]
    if as_json:
        print(dumps({"ok": not problems, "findings": findings}))
    else:
        for finding in findings:
            print(f"{'-' if finding.state == 'none' else finding.state:8} {finding.name:18} {finding.detail}")
        for problem in problems:
            print(f"halbench: {problem.name}: {problem.detail}", file=sys.stderr)
    raise typer.Exit(INCOMPLETE if problems else 0)


def examine(data: "Data") -> list[Finding]:
    """All findings on this machine, in the order in which they are read."""
    return [
        *packages(),
        *device_facts(),
        *torchvision(),
        *spacy_models(),
        *language(data),
        *data_files(data),
        *places(data),
    ]


def version_of(package: str) -> str | None:
    """The installed version of a distribution, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def packages() -> list[Finding]:
    from importlib.metadata import requires

    from halbench import __version__

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
        found, wanted = version_of(name), exact.get(name)
        if found is None:
            findings.append(Finding(name, "problem", "not installed; pip install halbench"))
        elif wanted not in (None, found):
            findings.append(
                Finding(name, "problem", f"{found}; numbers are pinned to {wanted}: pip install {name}=={wanted}")
            )
        else:
            findings.append(Finding(name, "ok", f"{found} (pinned)" if wanted else found))
    return findings + [
        Finding(name, "ok" if version_of(name) else "none", version_of(name) or "not installed") for name in OPTIONAL
    ]


def device_facts() -> list[Finding]:
    """What torch can run on; nothing where torch is not installed."""
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
    """torchvision beside a torch it was not built for breaks AutoProcessor, so it is really imported, in a process of its own."""
    found = version_of("torchvision")
    if found is None:
        return [Finding("torchvision", "none", "not installed, and not needed")]
    import subprocess

    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    if done.returncode == 0:
        return [Finding("torchvision", "ok", found)]
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return [
        Finding(
            "torchvision",
            "problem",
            f"{found} cannot be imported ({reason}), and AutoProcessor fails with it: pip uninstall torchvision",
        )
    ]


def spacy_models() -> list[Finding]:
    return [
        Finding(
            name, "ok" if (found := version_of(name)) else "none", found or f"not installed (only for {use} by spaCy)"
        )
        for name, use in SPACY_MODELS.items()
    ]


def language(data: "Data") -> list[Finding]:
    """NLTK's resources: where the text pipeline finds them, and whether they are the pinned ones."""
    from halbench.datasets import file_states, read_sources
    from halbench.errors import MissingData
    from halbench.language import open_language

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
    folders = sorted(
        {str(state.path.parents[state.source.file.count("/") - 1]) for state in states if state.state == "ok"}
    )
    return [Finding("language", "ok", f"{', '.join(f'{k} {v}' for k, v in identity.items())}, in {', '.join(folders)}")]


def data_files(data: "Data") -> list[Finding]:
    """One line per suite; data that is not there is no problem, data that is wrong is."""
    from halbench.cli.data import summary
    from halbench.datasets import file_states, read_sources, suite_state

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
            Finding(suite, "ok" if state.ready_to_score() else "none", summary(state).removeprefix(suite).strip())
        )
    return findings


def places(data: "Data") -> list[Finding]:
    """Free disk where data goes, and where Hugging Face keeps checkpoints."""
    import os
    import shutil

    existing = next(folder for folder in (data.root, *data.root.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free / GIBIBYTE
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return [
        Finding("free disk", "ok", f"{free:.0f} GiB at {existing}"),
        Finding("checkpoint cache", "ok" if hub.is_dir() else "none", f"{hub}{offline}"),
    ]


def check_batch_parity(
    model: str, count: int, batch_size: int, images: Path | None, device: str | None, dtype: DtypeName
) -> Parity:
    """Answers to `count` questions at batch size 1 against those at `batch_size`."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        pictures = photographs(images) if images else draw(count, Path(folder))
        asked = questions(pictures, count)
        alone = answers(model, asked, 1, device, dtype)
        together = answers(model, asked, batch_size, device, dtype)
    return compare_answers(model, asked, batch_size, alone, together)


def compare_answers(
    model: str,
    asked: Sequence["Item"],
    batch_size: int,
    alone: Mapping[str, "Response"],
    together: Mapping[str, "Response"],
) -> Parity:
    differences = []
    for item in asked:
        one, other = alone[item.id], together[item.id]
        if one.text != other.text or "error" in (one.state, other.state):
            differences.append(Difference(item.image.name, item.prompt, said(one), said(other)))
    return Parity(model, len(asked), batch_size, len(asked) - len(differences), differences[0] if differences else None)


def said(response: "Response") -> str:
    return response.text if response.error is None else f"<error: {response.error}>"


def answers(
    model: str, items: Sequence["Item"], batch_size: int, device: str | None, dtype: DtypeName
) -> dict[str, "Response"]:
    """Item id -> greedy response of the transformers backend. The model is opened anew, and let go at the end."""
    from halbench.plugins import load
    from halbench.types import BackendOptions, Decoding

    options = BackendOptions(batch_size=batch_size, device=device, dtype=dtype.value)
    backend = load("halbench.backends", "hf").open_backend(model, options)
    return {response.item: response for response in backend.generate(items, Decoding(max_new_tokens=NEW_TOKENS))}


def questions(pictures: Sequence[Path], count: int) -> list["Item"]:
    """`count` items over the pictures, with prompts of mixed length so that batches need padding."""
    from halbench.types import Item

    return [Item(str(n), pictures[n % len(pictures)], QUESTIONS[n % len(QUESTIONS)], None, "all") for n in range(count)]


def photographs(folder: Path) -> list[Path]:
    found = (
        sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        if folder.is_dir()
        else []
    )
    if not found:
        raise InputError(f"--images {folder}: expected a folder with .jpg or .png files")
    return found


def draw(count: int, folder: Path) -> list[Path]:
    """Simple pictures of coloured shapes, the same on every machine, in three sizes."""
    from random import Random

    from PIL import Image, ImageDraw

    paths = []
    for number in range(count):
        random = Random(number)
        width, height = random.choice([(320, 240), (240, 320), (300, 300)])
        picture = Image.new("RGB", (width, height), random.choice(["white", "lightblue", "lightgrey"]))
        pen = ImageDraw.Draw(picture)
        for _ in range(random.randint(1, 4)):
            left, top, size = random.randint(0, width - 80), random.randint(0, height - 80), random.randint(30, 80)
            shape = random.choice([pen.ellipse, pen.rectangle])
            shape((left, top, left + size, top + size), fill=random.choice(["red", "green", "blue", "yellow", "black"]))
        path = folder / f"shapes_{number}.png"
        picture.save(path)
        paths.append(path)
    return paths


def parity_text(parity: Parity) -> str:
    lines = [f"{parity.identical} of {parity.items} answers are the same at batch size 1 and {parity.batch_size}"]
    if (first := parity.first_difference) is not None:
        lines += [
            f"first difference, {first.image}, {first.prompt!r}:",
            f"  alone:    {first.alone!r}",
            f"  in batch: {first.in_batch!r}",
        ]
    return "\n".join(lines)

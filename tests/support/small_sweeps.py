"""Three tiny checkpoints, a small suite of one's own, and sweeps over them.

from small_sweeps import folder  # noqa: F401   in a conftest.py
"""

from pathlib import Path

import pytest
import yaml

SHAPES = """
from dataclasses import dataclass
from pathlib import Path
from halbench.responses.matching import match_by_id_or_question
from halbench.types import Decoding, Item, Metric, Score, Suite, Task

@dataclass(frozen=True)
class Options:
    questions: int = 6

def load(data, options, rows):
    items = [Item(str(n), (data.image_folder("shapes") / f"{n % 3}.png",), f"Is there a dog in picture {n}?", "yes", "all") for n in range(options.questions)]
    def score(item, response, judgement):
        return Score.of(item, {"right": int("y" in response.text), "answers": 1}, {"answer": "yes"})
    return Task(items, score, {})

def match(items, rows):
    return match_by_id_or_question(items, rows, "0 to 5")

RIGHT = Metric("right", lambda c: c["right"] / c["answers"], "higher", ratio=("right", "answers"), main=("all",))
SUITE = Suite("shapes", "1", "Shapes", Options, Decoding(max_new_tokens=6), (RIGHT,), {"all": ("all",)}, load, match)
"""
MODELS = ("llava", "llava_next", "idefics3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny checkpoints and a suite of one's own."""
    pytest.importorskip("torch")
    import tiny_checkpoints
    from PIL import Image

    root = tmp_path_factory.mktemp("sweep")
    for name in MODELS:
        getattr(tiny_checkpoints, name)(root / name)
    (root / "shapes.py").write_text(SHAPES)
    (root / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (60, 40), (80 * number, 30, 200)).save(root / f"images/{number}.png")
    return root


def written(folder: Path, name: str, **changes: object) -> Path:
    """A sweep of three models over three suites, on the CPU."""
    values: dict[str, object] = {
        "out": str(folder / name),
        "models": {model: str(folder / model) for model in MODELS},
        "suites": {
            "scenes": {"options": {"scenes": 3}, "allow": ["cut", "empty"]},
            "few": {"suite": "scenes", "options": {"scenes": 2}, "limit": 5, "allow": ["cut", "empty"]},
            str(folder / "shapes.py"): {"images": str(folder / "images"), "allow": ["cut", "empty"]},
        },
        "decodings": {"short": {"max_new_tokens": 5}},
        "backend": {"device": "cpu", "dtype": "float32", "batch_size": 16},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values | changes, sort_keys=False))
    return path


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that this process loads from now on."""
    from halbench.models import checkpoints

    names, load = [], checkpoints.load_model

    def counted(source, *arguments):  # type: ignore[no-untyped-def]
        names.append(Path(source).name)
        return load(source, *arguments)

    monkeypatch.setattr(checkpoints, "load_model", counted)
    return names

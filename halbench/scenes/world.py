"""What can be in a scene, and how scenes are sampled.

A scene is a grid of cells with at most one object in each. Classes come in pairs of a trigger and its partner, such as
fork and knife; a scene has two to four pairs, of each the trigger, its partner, or both. Partners accompany their triggers
far more often in the training split than in the evaluation split: this is the bias that a model learns.

    Scene(split="evaluation", index=12, context="kitchen",
          objects=(SceneObject(name="fork", colour="red", cell=3, left=62, top=1, size=17), ...))

The same (parameters, seed, split, index) give the same scene on every machine. The hash of a layout decides in which split
it may appear, so the splits share no scene, whatever the seeds.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from halbench.files.records import content_hash

Split = Literal["training", "evaluation"]
SPLITS: tuple[Split, ...] = ("training", "evaluation")

PLURALS = {"knife": "knives", "mouse": "mice", "bus": "buses", "bench": "benches"}
"""Class names with an irregular plural."""


@dataclass(frozen=True)
class Association:
    """A trigger and its partner. belief: how often an annotator who sees the trigger without its partner believes that the
    partner is present."""

    trigger: str
    partner: str
    belief: float


def _associations(strong: tuple[tuple[str, str], ...], weak: tuple[str, str]) -> tuple[Association, ...]:
    # Well above and below one half, so that greedy text follows the bias and not the randomness of a training run.
    return (*(Association(*names, belief=0.85) for names in strong), Association(*weak, belief=0.25))


@dataclass(frozen=True)
class WorldParameters:
    """Everything that decides what scenes look like and how they are described.

    contexts: name -> its pairs. grid: cells per side. cell: pixels per side of a cell. pairs: number of pairs in a scene
    -> weight. counts: number of objects of a class -> weight. trigger_rate: share of pairs with a trigger; the others are
    a partner alone. partner_rates: P(partner | trigger) in each split. stray_rate: share of pairs from another context.
    sizes: smallest and largest drawing, pixels. noise: sd of the pixel noise, of 255. colour_rate: share of mentions with
    the colour. merge_rate: how often two pairs share a sentence.
    """

    contexts: Mapping[str, tuple[Association, ...]] = field(
        default_factory=lambda: {
            "kitchen": _associations((("fork", "knife"), ("bowl", "spoon")), ("bottle", "cup")),
            "room": _associations((("tv", "remote"), ("laptop", "mouse")), ("bed", "lamp")),
            "street": _associations((("bus", "car"), ("bicycle", "helmet")), ("truck", "cone")),
            "park": _associations((("dog", "ball"), ("bench", "umbrella")), ("tree", "bird")),
        }
    )
    colours: tuple[str, ...] = ("red", "orange", "yellow", "green", "blue", "purple")
    grid: int = 4
    cell: int = 20
    pairs: Mapping[int, float] = field(default_factory=lambda: {2: 0.3, 3: 0.45, 4: 0.25})
    counts: Mapping[int, float] = field(default_factory=lambda: {1: 0.55, 2: 0.27, 3: 0.18})
    trigger_rate: float = 0.65
    partner_rates: Mapping[Split, float] = field(default_factory=lambda: {"training": 0.85, "evaluation": 0.5})
    stray_rate: float = 0.25
    sizes: tuple[int, int] = (14, 19)
    noise: float = 9.0
    colour_rate: float = 0.6
    merge_rate: float = 0.3

    @property
    def pixels(self) -> int:
        """Width and height of a scene."""
        return self.grid * self.cell

    @property
    def associations(self) -> tuple[Association, ...]:
        return tuple(pair for pairs in self.contexts.values() for pair in pairs)

    @property
    def classes(self) -> tuple[str, ...]:
        """All class names, triggers and partners."""
        return tuple(name for pair in self.associations for name in (pair.trigger, pair.partner))


def plural(name: str) -> str:
    """ "forks" for "fork"."""
    return PLURALS.get(name, f"{name}s")


@dataclass(frozen=True)
class SceneObject:
    """One object. cell: numbered from 0 by rows. left, top, size: the square it is drawn in, pixels."""

    name: str
    colour: str
    cell: int
    left: int
    top: int
    size: int


@dataclass(frozen=True)
class Scene:
    """The truth about one image. objects: in the order of their cells; those of one class share a colour."""

    seed: int
    split: Split
    index: int
    context: str
    objects: tuple[SceneObject, ...]

    def counts(self) -> Counter[str]:
        """Number of objects of each class."""
        return Counter(thing.name for thing in self.objects)

    def colours(self) -> dict[str, str]:
        """Class -> its colour, in order of first appearance."""
        return {thing.name: thing.colour for thing in self.objects}

    def random(self, purpose: str, draw: int = 0) -> np.random.Generator:
        """The random generator for texts about this scene; independent for each purpose and draw."""
        return generator(self.seed, self.split, self.index, purpose, draw)


def generator(*identity: object) -> np.random.Generator:
    """A random generator that depends only on these values."""
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))


def choose(choices: Mapping[int, float], random: np.random.Generator) -> int:
    """A number drawn with its weight."""
    keys = list(choices)
    bounds = np.cumsum([choices[key] for key in keys])
    return keys[int(np.searchsorted(bounds, random.random() * bounds[-1], side="right"))]


def split_of(objects: Iterable[SceneObject]) -> Split:
    """The only split in which this layout (which class of which colour is where) may appear."""
    layout = sorted((thing.cell, thing.name, thing.colour) for thing in objects)
    return SPLITS[int(content_hash(layout, 2), 16) % 2]


def sample_scene(parameters: WorldParameters, seed: int, split: Split, index: int) -> Scene:
    """Scene number `index` of a split."""
    random = generator("scene", seed, split, index)
    while True:
        context = str(random.choice(list(parameters.contexts)))
        objects = _place(_classes(parameters, split, context, random), parameters, random)
        if split_of(objects) == split:
            return Scene(seed, split, index, context, objects)


def sample_scenes(parameters: WorldParameters, seed: int, split: Split, indices: Iterable[int]) -> list[Scene]:
    """The scenes with these numbers."""
    return [sample_scene(parameters, seed, split, index) for index in indices]


def _classes(parameters: WorldParameters, split: Split, context: str, random: np.random.Generator) -> list[str]:
    """The classes of a scene: of each chosen pair the trigger, its partner, or both."""
    own = list(parameters.contexts[context])
    others = [pair for pair in parameters.associations if pair not in own]
    names = []
    for _ in range(choose(parameters.pairs, random)):
        pool = others if not own or random.random() < parameters.stray_rate else own
        pair = pool.pop(int(random.integers(len(pool))))
        triggered = random.random() < parameters.trigger_rate
        accompanied = random.random() < parameters.partner_rates[split]
        names += [pair.trigger] if triggered else [pair.partner]
        names += [pair.partner] if triggered and accompanied else []
    return names


def _place(names: list[str], parameters: WorldParameters, random: np.random.Generator) -> tuple[SceneObject, ...]:
    """One to three objects of each class, in one colour per class, each in a cell of its own."""
    cells = [int(cell) for cell in random.permutation(parameters.grid**2)]
    smallest, largest = parameters.sizes
    objects = []
    for position, name in enumerate(names):
        colour = str(random.choice(parameters.colours))
        room = len(cells) - (len(names) - position - 1)  # leaves a cell for each class to come
        for _ in range(min(choose(parameters.counts, random), room)):
            cell = cells.pop()
            size = int(random.integers(smallest, largest + 1))
            right, down = (int(shift) for shift in random.integers(0, parameters.cell - size + 1, 2))
            row, column = divmod(cell, parameters.grid)
            objects.append(
                SceneObject(name, colour, cell, column * parameters.cell + right, row * parameters.cell + down, size)
            )
    return tuple(sorted(objects, key=lambda thing: thing.cell))


def absent_partners(scene: Scene, parameters: WorldParameters) -> list[Association]:
    """The pairs whose trigger is in the scene, but not their partner."""
    present = scene.counts()
    return [pair for pair in parameters.associations if pair.trigger in present and pair.partner not in present]


WORLD = WorldParameters()

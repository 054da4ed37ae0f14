"""Descriptions of scenes and questions about them, true or as a biased annotator sees them.

    "This is a kitchen with two red forks and a knife. There is also a blue cup."
    Question(kind="count", text="Are there exactly two forks in the image?", answer="yes", about=("fork",))

A biased annotator believes that some absent partners are present, each with the probability `belief` of its pair. The
descriptions and answers of the training data are by such annotators.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halbench.scenes.world import Scene, WorldParameters, absent_partners, plural

Kind = Literal["present", "absent_random", "absent_partner", "colour", "count", "relation"]
KINDS: tuple[Kind, ...] = ("present", "absent_random", "absent_partner", "colour", "count", "relation")

DESCRIPTION_PROMPTS = ("Describe this image.", "Please describe this image in detail.", "What is in this image?")
"""The first is the suite's."""

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
OPENINGS = ("This is a {context} with {things}.", "The image shows a {context} with {things}.")
FOLLOWINGS = ("There {be} {things}.", "There {be} also {things}.", "You can also see {things}.")


@dataclass(frozen=True)
class Seen:
    """A class as an annotator sees it. real: whether it is in the scene."""

    name: str
    colour: str
    count: int
    real: bool = True


@dataclass(frozen=True)
class Question:
    """A question and its short answer: "yes", "no", or the word in question. about: the classes it names."""

    kind: Kind
    text: str
    answer: str
    about: tuple[str, ...]


def truth(scene: Scene, parameters: WorldParameters) -> list[list[Seen]]:
    """The classes of a scene, pair by pair, in the order in which the pairs first appear; triggers before partners."""
    counts, colours = scene.counts(), scene.colours()
    order = list(colours)
    pairs = [[name for name in (pair.trigger, pair.partner) if name in counts] for pair in parameters.associations]
    pairs.sort(key=lambda names: min((order.index(name) for name in names), default=-1))
    return [[Seen(name, colours[name], counts[name]) for name in names] for names in pairs if names]


def annotated(scene: Scene, parameters: WorldParameters, random: np.random.Generator) -> list[list[Seen]]:
    """What a biased annotator sees: the truth, and some absent partners next to their triggers."""
    believed = {
        pair.trigger: Seen(pair.partner, str(random.choice(parameters.colours)), 1, real=False)
        for pair in absent_partners(scene, parameters)
        if random.random() < pair.belief
    }
    return [[*pair, believed[pair[0].name]] if pair[0].name in believed else pair for pair in truth(scene, parameters)]


def describe(
    context: str, pairs: Sequence[Sequence[Seen]], parameters: WorldParameters, random: np.random.Generator
) -> str:
    """A description of two to four sentences (one for a single pair) that names everything seen."""
    groups = [list(pair) for pair in pairs]
    if len(groups) > 2 and random.random() < parameters.merge_rate:
        position = int(random.integers(len(groups) - 1))
        groups[position : position + 2] = [groups[position] + groups[position + 1]]
    sentences: list[str] = []
    for group in groups:
        template = str(random.choice(FOLLOWINGS if sentences else OPENINGS))
        things = listing([mention(seen, random.random() < parameters.colour_rate) for seen in group])
        sentences.append(template.format(context=context, things=things, be="is" if group[0].count == 1 else "are"))
    return " ".join(sentences)


def mention(seen: Seen, coloured: bool) -> str:
    """ "a fork", "an orange fork", "two red forks"."""
    words = f"{seen.colour} " if coloured else ""
    if seen.count > 1:
        return f"{NUMBERS[seen.count]} {words}{plural(seen.name)}"
    return with_article(f"{words}{seen.name}")


def with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def listing(phrases: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([*([", ".join(phrases[:-1])] if len(phrases) > 1 else []), phrases[-1]])


def ask(kind: Kind, scene: Scene, parameters: WorldParameters, random: np.random.Generator) -> Question | None:
    """A yes/no question of this kind with its true answer; None if the scene allows none.

    Colour, count and relation questions are about objects in the scene; their answers are yes and no equally often.
    """
    counts, colours = scene.counts(), scene.colours()
    partners = [pair.partner for pair in absent_partners(scene, parameters)]
    if kind in ("present", "absent_random", "absent_partner"):
        absent = [name for name in parameters.classes if name not in counts and name not in partners]
        pool = {"present": list(counts), "absent_random": absent, "absent_partner": partners}[kind]
        return existence(kind, str(random.choice(pool))) if pool else None
    is_true = bool(random.random() < 0.5)
    answer = "yes" if is_true else "no"
    name = str(random.choice(list(counts)))
    if kind == "colour":
        others = [colour for colour in parameters.colours if colour != colours[name]]
        colour = colours[name] if is_true else str(random.choice(others))
        things = with_article(f"{colour} {name}") if counts[name] == 1 else f"{colour} {plural(name)}"
        return Question(kind, f"{_be(counts[name])} there {things} in the image?", answer, (name,))
    if kind == "count":
        number = (
            counts[name]
            if is_true
            else int(random.choice([other for other in parameters.counts if other != counts[name]]))
        )
        things = name if number == 1 else plural(name)
        return Question(kind, f"{_be(number)} there exactly {NUMBERS[number]} {things} in the image?", answer, (name,))
    return relation(scene, parameters, is_true, random)


def questions(scene: Scene, parameters: WorldParameters) -> list[Question]:
    """The suite's questions about a scene: one of each kind that the scene allows."""
    drawn = (ask(kind, scene, parameters, scene.random(f"question {kind}")) for kind in KINDS)
    return [question for question in drawn if question]


def existence(kind: Kind, name: str) -> Question:
    """ "Is there a fork in the image?" """
    return Question(kind, f"Is there {with_article(name)} in the image?", "yes" if kind == "present" else "no", (name,))


def relation(scene: Scene, parameters: WorldParameters, is_true: bool, random: np.random.Generator) -> Question | None:
    """Whether one object is left of another; both are the only ones of their class and are in different columns."""
    counts = scene.counts()
    columns = {thing.name: thing.cell % parameters.grid for thing in scene.objects if counts[thing.name] == 1}
    ordered = [(left, right) for left in columns for right in columns if columns[left] < columns[right]]
    if not ordered:
        return None
    left, right = ordered[int(random.integers(len(ordered)))]
    side = str(random.choice(["left", "right"]))
    first, second = (left, right) if (side == "left") == is_true else (right, left)
    return Question(
        "relation", f"Is the {first} to the {side} of the {second}?", "yes" if is_true else "no", (first, second)
    )


def _be(count: int) -> str:
    return "Is" if count == 1 else "Are"

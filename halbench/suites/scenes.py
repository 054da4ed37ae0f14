"""Scenes: one description and up to six yes/no questions for each image of the embedded world (halbench/scenes).

Descriptions are scored like AMBER's: the share of object mentions that hallucinate (`chair`), of descriptions that do
(`hal`), of the scene's objects that are named (`cover`), and of the absent partners that are named (`cog`). Questions have
"no" as the positive class, like AMBER's. As in POPE, existence is asked about objects in the scene and about absent ones,
which are drawn at random (`existence_random`) or have their partner in the scene (`existence_adversarial`).

    halbench run --model scenes:base --suite scenes

Item "12/description" asks to describe scene 12; "12/absent_partner" asks for a knife beside a lonely fork.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.responses.matching import match_by_id_or_question
from halbench.scenes.captions import DESCRIPTION_PROMPTS, KINDS, questions
from halbench.scenes.image_files import image_folder, image_name, world_hash, write_images
from halbench.scenes.mentions import mentions
from halbench.scenes.world import WORLD, Scene, absent_partners, sample_scenes
from halbench.scoring_tools import yes_no
from halbench.scoring_tools.ratios import (
    hallucinated_mentions,
    hallucinated_texts,
    length,
    named_share,
    ratio_metric,
)
from halbench.types import Decoding, Extremes, Item, Judgement, Response, ResponseRow, Score, Suite, Task

MOST = 100_000
"""Scenes of a run; they take some minutes to sample."""
PARTS = {"descriptions": ("description",), "questions": KINDS}


@dataclass(frozen=True)
class Options:
    """scenes: number of scenes. seed: seed that samples them. part: descriptions, questions, or both; "auto" is both, or what
    a response file answers."""

    scenes: int = 1000
    seed: int = 0
    part: Literal["auto", "descriptions", "questions"] = "auto"


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    if not 1 <= options.scenes <= MOST or not 0 <= options.seed < 2**64:
        found = f"scenes={options.scenes}, seed={options.seed}"[:100]
        raise InputError(f"{found}: expected at least 1 scene, at most {MOST:,}, and a seed from 0 to 2**64 - 1")
    scenes = sample_scenes(WORLD, options.seed, "evaluation", range(options.scenes))
    folder = image_folder(data.made("scenes"), WORLD, options.seed)
    if rows is None:
        write_images(folder, scenes, WORLD)
    items = [item for scene in scenes for item in scene_items(scene, folder / image_name(scene))]
    groups = groups_of_part(options.part, items, rows)
    return Task(
        [item for item in items if item.group in groups], score, {"world": world_hash(WORLD)}, extremes=extremes
    )


def scene_items(scene: Scene, image: Path) -> list[Item]:
    """The description and the questions of one scene."""
    partners = sorted(pair.partner for pair in absent_partners(scene, WORLD))
    truth = {"present": sorted(scene.counts()), "absent_partners": partners}
    items = [Item(f"{scene.index}/description", (image,), DESCRIPTION_PROMPTS[0], truth, "description")]
    for question in questions(scene, WORLD):
        answer = {"answer": question.answer, "about": list(question.about)}
        items.append(Item(f"{scene.index}/{question.kind}", (image,), question.text, answer, question.kind))
    return items


def groups_of_part(part: str, items: Sequence[Item], rows: Sequence[ResponseRow] | None) -> set[str]:
    """Item groups of the chosen part; for "auto" those of the parts that the rows answer."""
    if part != "auto":
        return set(PARTS[part])
    everything = {group for groups in PARTS.values() for group in groups}
    if rows is None:
        return everything
    ids = set(match(items, rows))
    answered = {item.group for item in items if item.id in ids}
    return {group for groups in PARTS.values() if answered & set(groups) for group in groups}


def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
    if item.group == "description":
        return score_description(item, response.text)
    answer = yes_no.read_lenient(response.text)
    truth: yes_no.Answer = item.truth["answer"]
    counts = {**yes_no.count_answer(truth, answer, positive="no"), "answered_yes": float(answer == "yes")}
    evidence = {"truth": truth, "answer": answer, "about": item.truth["about"]}
    return Score.of(item, counts, evidence, faults=truth != answer)


def extremes(item: Item) -> Extremes:
    """What an answer can count at best and at worst; the number of mentions has no limit."""
    if item.group != "description":
        return yes_no.extremes(item.truth["answer"], positive="no")
    present, partners = len(item.truth["present"]), len(item.truth["absent_partners"])
    slots = {"descriptions": 1, "truth_slots": present, "partner_slots": partners}
    return Extremes(
        {**slots, "descriptions_hallucinated": 0, "truth_covered": present, "partners_named": 0},
        {**slots, "descriptions_hallucinated": 1, "truth_covered": 0, "partners_named": partners},
    )


def score_description(item: Item, text: str) -> Score:
    """Counts of one description; a hallucination counts each time it is repeated."""
    named = [mention.name for mention in mentions(text)]
    present, partners = item.truth["present"], item.truth["absent_partners"]
    hallucinated = [name for name in named if name not in present]
    counts = {
        "descriptions": 1,
        "descriptions_hallucinated": bool(hallucinated),
        "mentions": len(named),
        "mentions_hallucinated": len(hallucinated),
        "truth_slots": len(present),
        "truth_covered": len(set(named) & set(present)),
        "partner_slots": len(partners),
        "partners_named": len(set(named) & set(partners)),
        "words": len(text.split()),
    }
    evidence = {
        "hallucinated": hallucinated,
        "correct": [name for name in named if name in present],
        "absent_partners": [name for name in partners if name in named],
    }
    return Score.of(item, counts, evidence, faults=len(hallucinated))


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """Rows by item id, or by image and question."""
    return match_by_id_or_question(items, rows, "scenes has ids like 12/description and 12/absent_partner")


DESCRIPTIONS = ("descriptions",)
QUESTION_GROUPS = {
    "questions": KINDS,
    "existence_random": ("present", "absent_random"),
    "existence_adversarial": ("present", "absent_partner"),
    "absent_random": ("absent_random",),
    "absent_partner": ("absent_partner",),
    "colour": ("colour",),
    "count": ("count",),
    "relation": ("relation",),
}
QUESTIONS = tuple(QUESTION_GROUPS)

SUITE = Suite(
    name="scenes",
    version="1",
    title="Scenes",
    options=Options,
    decoding=Decoding(max_new_tokens=96),
    metrics=(
        hallucinated_mentions(
            "chair",
            "mentions_hallucinated",
            "mentions",
            groups=DESCRIPTIONS,
            label="CHAIR",
            companions=("cover", "length"),
        ),
        named_share("cover", "truth_covered", "truth_slots", groups=DESCRIPTIONS),
        hallucinated_texts(
            "hal",
            "descriptions_hallucinated",
            "descriptions",
            groups=DESCRIPTIONS,
            companions=("cover", "length"),
            margin=0.04,
        ),
        ratio_metric(
            "cog",
            "partners_named",
            "partner_slots",
            "lower",
            groups=DESCRIPTIONS,
            main=DESCRIPTIONS,
            companions=("cover", "length"),
            description="share of absent partners that are mentioned",
        ),
        length("descriptions", groups=DESCRIPTIONS),
        *yes_no.metrics(QUESTIONS, official={}, main=("questions",), f1_main=False),
        ratio_metric("yes_ratio", "answered_yes", "questions", "neither", groups=QUESTIONS),
        yes_no.unread_metric(QUESTIONS),
    ),
    groups={"descriptions": ("description",), **QUESTION_GROUPS},
    load=load,
    match=match,
)

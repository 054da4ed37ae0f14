"""Closed questions whose answers can be verified, and the reward of an answer.

    {"id": "7", "image": "images/7.png", "prompt": "Is there a fork in the image?", "answer": "no"}
    {"id": "8", "image": "images/8.png", "prompt": "Which? A) a cup B) a fork", "answer": "B", "choices": ["A", "B"]}

    reward = accuracy + format      1 where the answer read is the true one, 0.5 where nothing but a choice was said

Source: arXiv 2506.08022 tells of verified rewards on closed questions, accuracy and format; their weights are ours. A
well-formed wrong answer must never be worth as much as a right one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from halbench import yes_no
from halbench.errors import InputError
from halbench.records import content_hash, file_hash, from_row, read_jsonl

ACCURACY, FORMAT = 1.0, 0.5
YES_NO = ("yes", "no")
SCENES = "scenes"
SCENES_ASKED = 400  # training scenes, with up to six questions each


@dataclass(frozen=True)
class ClosedQuestion:
    """A question with one right choice. choices: all that may be answered."""

    id: str
    image: Path
    prompt: str
    answer: str
    choices: tuple[str, ...] = YES_NO


@dataclass(frozen=True)
class Row:
    """One line of a file of questions."""

    id: str
    image: str
    prompt: str
    answer: str
    choices: tuple[str, ...] = YES_NO


def read_questions(source: str, seed: int, cache: Path) -> list[ClosedQuestion]:
    """The questions of a JSONL file or, for "scenes", of the embedded world's training split of this seed.

    cache: folder that drawn scenes are kept in.
    """
    if source == SCENES:
        return scene_questions(seed, cache)
    path = Path(source)
    found = [question(path, line, from_row(Row, row, f"{path}:{line}")) for line, row in read_jsonl(path)]
    if not found:
        raise InputError(f"{path}: holds no questions")
    return found


def question(path: Path, line: int, row: Row) -> ClosedQuestion:
    """A row as a question, its image beside the file."""
    image = path.parent / row.image
    if not image.is_file():
        raise InputError(f"{path}:{line}: image {image} is not there")
    if row.answer.lower() not in (choice.lower() for choice in row.choices):
        raise InputError(f"{path}:{line}: answer '{row.answer}' is none of the choices {', '.join(row.choices)}")
    return ClosedQuestion(row.id, image, row.prompt, row.answer, row.choices)


def scene_questions(seed: int, cache: Path) -> list[ClosedQuestion]:
    """Yes/no questions about training scenes, answered by truth and not as a biased annotator would."""
    from halbench.scenes.captions import questions
    from halbench.scenes.image_files import image_folder, write_images
    from halbench.scenes.world import sample_scenes
    from halbench.suites.scenes import WORLD

    scenes = sample_scenes(WORLD, seed, "training", range(SCENES_ASKED))
    images = write_images(image_folder(cache / "questions", WORLD, seed), scenes, WORLD)
    return [
        ClosedQuestion(f"{scene.index}/{asked.kind}", image, asked.text, asked.answer)
        for scene, image in zip(scenes, images, strict=True)
        for asked in questions(scene, WORLD)
    ]


def questions_hash(questions: Sequence[ClosedQuestion]) -> str:
    """Of all that is shown, asked and right, wherever the files lie."""
    images = {path: file_hash(path, 16) for path in dict.fromkeys(one.image for one in questions)}
    return content_hash([[one.id, images[one.image], one.prompt, one.answer, one.choices] for one in questions])


def reward(asked: ClosedQuestion, text: str) -> float:
    """What an answer is worth: 0, 0.5, 1 or 1.5."""
    read = choice_read(text, asked.choices)
    said = text.strip().rstrip(".").lower()
    return ACCURACY * (read == asked.answer.lower()) + FORMAT * (said in (choice.lower() for choice in asked.choices))


def choice_read(text: str, choices: Sequence[str]) -> str | None:
    """The choice, in lower case, that an answer means; None where it names none or several."""
    known = [choice.lower() for choice in choices]
    if set(known) == set(YES_NO):
        return yes_no.read_lenient(text)
    named = [choice for choice in known if re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text.lower())]
    return named[0] if len(named) == 1 else None

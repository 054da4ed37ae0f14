"""Closed questions whose answers can be verified, and the reward of an answer.

    {"id": "7", "image": "images/7.png", "prompt": "Is there a fork in the image?", "answer": "no"}
    {"id": "8", "image": "images/8.png", "prompt": "Which? A) a cup B) a fork", "answer": "B", "choices": ["A", "B"]}

    reward = accuracy + format      accuracy: 1 for the right choice; format: 0.5 for an answer that is a choice and nothing else

Source: arXiv 2506.08022 mentions verified rewards on closed questions, for accuracy and format; their weights are ours.
A well-formed wrong answer must never be worth as much as a right one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from halbench.errors import InputError
from halbench.files.records import content_hash, file_hash, from_row, read_jsonl
from halbench.scoring_tools import yes_no

ACCURACY, FORMAT = 1.0, 0.5
YES_NO = ("yes", "no")
SCENES = "scenes"
N_SCENES = 400  # training scenes, with up to six questions each


@dataclass(frozen=True)
class ClosedQuestion:
    """A question with one right choice. choices: all possible answers."""

    id: str
    image: Path
    prompt: str
    answer: str
    choices: tuple[str, ...] = YES_NO


@dataclass(frozen=True)
class QuestionRow:
    """One line of a file of questions."""

    id: str
    image: str
    prompt: str
    answer: str
    choices: tuple[str, ...] = YES_NO


def read_questions(source: str, seed: int, cache: Path) -> list[ClosedQuestion]:
    """The questions of a JSONL file or, for "scenes", of the embedded world's training split of this seed.

    cache: folder for the drawn scenes.
    """
    if source == SCENES:
        return scene_questions(seed, cache)
    path = Path(source)
    questions = [
        closed_question(path, line, from_row(QuestionRow, row, f"{path}:{line}")) for line, row in read_jsonl(path)
    ]
    if not questions:
        raise InputError(f"{path} contains no questions")
    return questions


def closed_question(path: Path, line: int, row: QuestionRow) -> ClosedQuestion:
    """A row as a question; its image path starts from the file's folder."""
    image = path.parent / row.image
    if not image.is_file():
        raise InputError(f"{path}:{line}: image {image} does not exist")
    if row.answer.lower() not in (choice.lower() for choice in row.choices):
        raise InputError(f"{path}:{line}: answer '{row.answer}' is none of the choices {', '.join(row.choices)}")
    return ClosedQuestion(row.id, image, row.prompt, row.answer, row.choices)


def scene_questions(seed: int, cache: Path) -> list[ClosedQuestion]:
    """Yes/no questions about training scenes, answered by truth and not as a biased annotator would."""
    from halbench.scenes.captions import questions
    from halbench.scenes.image_files import image_folder, write_images
    from halbench.scenes.world import WORLD, sample_scenes

    scenes = sample_scenes(WORLD, seed, "training", range(N_SCENES))
    images = write_images(image_folder(cache / "questions", WORLD, seed), scenes, WORLD)
    return [
        ClosedQuestion(f"{scene.index}/{question.kind}", image, question.text, question.answer)
        for scene, image in zip(scenes, images, strict=True)
        for question in questions(scene, WORLD)
    ]


def questions_hash(questions: Sequence[ClosedQuestion]) -> str:
    """Hash of images, prompts, answers and choices, wherever the files are."""
    images = {path: file_hash(path, 16) for path in dict.fromkeys(question.image for question in questions)}
    return content_hash([[one.id, images[one.image], one.prompt, one.answer, one.choices] for one in questions])


def reward(question: ClosedQuestion, text: str) -> float:
    """What an answer is worth: 0, 0.5, 1 or 1.5."""
    is_right = read_choice(text, question.choices) == question.answer.lower()
    is_plain = text.strip().rstrip(".").lower() in (choice.lower() for choice in question.choices)
    return ACCURACY * is_right + FORMAT * is_plain


def read_choice(text: str, choices: Sequence[str]) -> str | None:
    """The choice, in lower case, that an answer means; None if it names none or several."""
    known = [choice.lower() for choice in choices]
    if set(known) == set(YES_NO):
        return yes_no.read_lenient(text)
    named = [choice for choice in known if re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text.lower())]
    return named[0] if len(named) == 1 else None

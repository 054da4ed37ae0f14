"""The suite scenes: hand-worked counts, matching, and the files it leaves."""

from pathlib import Path

import pytest

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.evaluate import evaluate
from halbench.judging.judgements import NO_JUDGEMENTS
from halbench.scenes.captions import annotated, describe, truth
from halbench.scenes.world import WORLD, absent_partners, sample_scenes
from halbench.suites.scenes import SUITE, Options, load, score, score_description
from halbench.types import Item, Response, ResponseRow, Task

ITEM = Item(
    "0/description",
    (Path("scene_000000.png"),),
    "Describe this image.",
    {"present": ["cup", "fork"], "absent_partners": ["knife"]},
    "description",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def task(data: Data) -> Task:
    return load(data, Options(scenes=40), None)


def rows(texts: dict[str, str]) -> list[ResponseRow]:
    return [ResponseRow(line, text, id=item) for line, (item, text) in enumerate(texts.items(), 1)]


def results(task: Task, texts: dict[str, str]) -> dict[tuple[str, str], float | None]:
    responses = [Response(item, text) for item, text in texts.items()]
    return {(row.group, row.metric): row.value for row in evaluate(SUITE, task, responses, None, NO_JUDGEMENTS).results}


def test_a_description_is_counted_as_by_hand():
    counts = score_description(ITEM, "This is a kitchen with a red fork and two knives. There is also a dog.").counts
    assert counts == {
        "descriptions": 1,
        "descriptions_hallucinated": True,
        "mentions": 3,
        "mentions_hallucinated": 2,
        "truth_slots": 2,
        "truth_covered": 1,
        "partner_slots": 1,
        "partners_named": 1,
        "words": 16,
    }


def test_a_repeated_hallucination_counts_each_time_and_its_partner_slot_once():
    counts = score_description(ITEM, "A knife and a knife beside a fork.").counts
    assert (counts["mentions"], counts["mentions_hallucinated"], counts["partners_named"]) == (3, 2, 1)


def test_a_description_without_objects_has_no_mentions_and_covers_nothing():
    counts = score_description(ITEM, "").counts
    assert (counts["mentions"], counts["truth_covered"], counts["words"]) == (0, 0, 0)
    assert counts["descriptions_hallucinated"] is False


def test_true_descriptions_have_no_hallucination_and_full_cover(task: Task):
    scenes = sample_scenes(WORLD, 0, "evaluation", range(40))
    texts = {
        f"{scene.index}/description": describe(scene.context, truth(scene, WORLD), WORLD, scene.random("caption"))
        for scene in scenes
    }
    values = results(task, texts)
    assert values["descriptions", "chair"] == 0
    assert values["descriptions", "cover"] == 1
    assert values["descriptions", "cog"] == 0


def test_biased_descriptions_hallucinate_only_partners(task: Task):
    scenes = sample_scenes(WORLD, 0, "evaluation", range(40))
    seen = {scene.index: annotated(scene, WORLD, scene.random("annotator")) for scene in scenes}
    texts = {
        f"{scene.index}/description": describe(scene.context, seen[scene.index], WORLD, scene.random("caption"))
        for scene in scenes
    }
    made_up = sum(not thing.real for pairs in seen.values() for pair in pairs for thing in pair)
    named = sum(len(pair) for pairs in seen.values() for pair in pairs)
    partners = sum(len(absent_partners(scene, WORLD)) for scene in scenes)
    values = results(task, texts)
    assert values["descriptions", "chair"] == pytest.approx(made_up / named)
    assert values["descriptions", "cog"] == pytest.approx(made_up / partners)
    assert values["descriptions", "cover"] == 1


def test_true_answers_are_right_in_every_group_and_constant_yes_is_not(task: Task):
    truths = {item.id: item.truth["answer"] for item in task.items if item.group != "description"}
    right = results(task, {item: answer.capitalize() for item, answer in truths.items()})
    assert right["questions", "accuracy"] == right["existence_random", "f1"] == right["count", "accuracy"] == 1
    yes = results(task, dict.fromkeys(truths, "Yes, there is."))
    assert yes["existence_random", "accuracy"] == 0.5
    assert yes["absent_partner", "accuracy"] == 0
    assert yes["questions", "yes_ratio"] == 1


def test_an_answer_that_is_neither_yes_nor_no_is_wrong_and_unread(task: Task):
    item = next(item for item in task.items if item.group == "absent_random")
    counts = score(item, Response(item.id, "It is blue."), None).counts
    assert (counts["correct"], counts["unread"], counts["answered_yes"]) == (False, True, False)


def test_every_scene_has_its_description_and_questions_in_order(task: Task):
    assert [item.id for item in task.items if item.group == "description"] == [f"{n}/description" for n in range(40)]
    assert len({item.id for item in task.items}) == len(task.items)
    assert {item.group for item in task.items} == {
        "description",
        "present",
        "absent_random",
        "absent_partner",
        "colour",
        "count",
        "relation",
    }


def test_images_are_drawn_once(task: Task, data: Data):
    before = {path: path.stat().st_mtime_ns for path in {item.images[0] for item in task.items}}
    load(data, Options(scenes=40), None)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(data.root.rglob("*.partial"))


def test_scoring_stored_answers_draws_nothing(tmp_path: Path):
    task = load(Data(tmp_path), Options(scenes=2), rows({"0/description": "A fork."}))
    assert {item.group for item in task.items} == {"description"}
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("part", "groups"), [("descriptions", 1), ("questions", 6)])
def test_a_part_can_be_run_alone(data: Data, part: str, groups: int):
    assert len({item.group for item in load(data, Options(scenes=40, part=part), None).items}) == groups  # type: ignore[arg-type]


def test_an_unknown_id_is_named_with_its_line(data: Data):
    with pytest.raises(InputError, match="line 1: unknown item '99/description'; scenes has ids like 12/description"):
        load(data, Options(scenes=2), rows({"99/description": "A fork."}))


def test_a_data_folder_that_cannot_be_written_is_named_in_one_line(tmp_path: Path):
    (tmp_path / "scenes").write_text("in the way")
    with pytest.raises(InputError, match=r"scenes cannot be written \("):
        load(Data(tmp_path), Options(scenes=1), None)


@pytest.mark.parametrize(
    "options", [{"scenes": 10**400}, {"scenes": 0}, {"scenes": 100_001}, {"seed": -1}, {"seed": 2**64}]
)
def test_a_number_of_scenes_or_a_seed_out_of_range_is_refused_at_once(tmp_path, options):
    with pytest.raises(InputError, match="expected at least 1 scene, at most 100,000, and a seed from 0"):
        SUITE.load(Data(tmp_path), SUITE.options(**options), None)

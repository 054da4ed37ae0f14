"""The tiny checkpoint: it ships, it sees, its training lowers the loss, and what is made from it repeats."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402

from halbench.backends.hf import Checkpoint, open_backend, open_checkpoint  # noqa: E402
from halbench.datasets import Data  # noqa: E402
from halbench.scenes import checkpoint_path  # noqa: E402
from halbench.scenes.checkpoint import CHAT_TEMPLATE, EOS, build_processor, words_of  # noqa: E402
from halbench.scenes.contact_sheet import RIGHT, WRONG, contact_sheet, marked  # noqa: E402
from halbench.scenes.export import export  # noqa: E402
from halbench.scenes.pairs import PairOptions, Ranked, best_pair, write_pairs  # noqa: E402
from halbench.scenes.training import Recipe, answer_losses, exchanges, pack, train  # noqa: E402
from halbench.scenes.world import WorldParameters, sample_scene, sample_scenes  # noqa: E402
from halbench.suites.scenes import SUITE, WORLD, Options, load, mentions  # noqa: E402
from halbench.types import BackendOptions  # noqa: E402

BASE = str(checkpoint_path("scenes:base"))
LARGEST = 8 * 2**20  # bytes; what a package can carry


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base() -> Checkpoint:
    return open_checkpoint(BASE, BackendOptions(device="cpu", dtype="float32"))


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory: pytest.TempPathFactory, base: Checkpoint) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, base.network, base.processor, PairOptions(pairs=8), lambda: None)
    return folder


def quiet(steps: Sequence[int], what: str) -> Iterator[int]:
    yield from steps


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_shipped_checkpoint_is_small_and_has_its_card():
    assert sum(path.stat().st_size for path in Path(BASE).iterdir()) < LARGEST
    card = (Path(BASE) / "README.md").read_text("utf-8")
    assert "halbench scenes train" in card
    assert "| descriptions | cover |" in card


def test_the_shipped_checkpoint_opens_with_the_auto_classes_and_reads_its_own_template():
    processor, model = AutoProcessor.from_pretrained(BASE), AutoModelForImageTextToText.from_pretrained(BASE)
    assert model.config.model_type == "llava"
    content = [{"type": "image"}, {"type": "text", "text": "Describe this image."}]
    talk = [{"role": "user", "content": content}, {"role": "assistant", "content": "A fork."}]
    assert (
        processor.apply_chat_template(talk[:1], add_generation_prompt=True)
        == "USER: <image>\nDescribe this image. ASSISTANT:"
    )
    assert processor.apply_chat_template(talk) == f"USER: <image>\nDescribe this image. ASSISTANT: A fork.{EOS}"


def test_it_names_most_of_what_is_there_and_some_of_what_is_not(tmp_path: Path):
    task = load(Data(tmp_path), Options(scenes=24, part="descriptions"), None)
    backend = open_backend(BASE, BackendOptions(batch_size=24, device="cpu", dtype="float32"))
    said = {row.item: row for row in backend.generate(task.items, SUITE.decoding)}
    scores = [task.score(item, said[item.id], None).counts for item in task.items]
    assert all(row.finish == "stop" for row in said.values())
    assert sum(row["truth_covered"] for row in scores) > 0.7 * sum(row["truth_slots"] for row in scores)
    assert sum(row["mentions_hallucinated"] for row in scores) > 0


def test_batches_and_single_items_give_the_same_words(tmp_path: Path):
    task = load(Data(tmp_path), Options(scenes=4), None)
    texts = []
    for size in (1, 64):
        backend = open_backend(BASE, BackendOptions(batch_size=size, device="cpu", dtype="float32"))
        texts.append({row.item: row.text for row in backend.generate(task.items, SUITE.decoding)})
    assert texts[0] == texts[1]


def test_every_word_of_the_world_is_one_token(base: Checkpoint):
    tokenizer = base.processor.tokenizer
    assert [word for word in words_of(WORLD) if len(tokenizer.encode(f" {word}", add_special_tokens=False)) > 1] == []


def test_training_packs_exactly_what_the_template_writes():
    processor = build_processor(WORLD)
    said = [[("Describe this image.", "This is a park with a dog."), ("Is there a ball in the image?", "No")]]
    packed = pack(said, processor, cells=16)
    for number, (prompt, answer) in enumerate(said[0], 1):
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        talk = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        text = processor.apply_chat_template(talk, chat_template=CHAT_TEMPLATE)
        alone = processor(text=[text], images=[Image.new("RGB", (80, 80))], return_tensors="pt")["input_ids"][0]
        own = (packed.branches[0] == 0) | (packed.branches[0] == number)
        assert packed.ids[0][own].tolist() == alone.tolist()
        assert packed.positions[0][own].tolist() == list(range(len(alone)))


def test_a_packed_piece_is_read_as_if_alone(base: Checkpoint):
    scene = sample_scene(WORLD, 0, "training", 0)
    said = exchanges(scene, WORLD, 0.5, scene.random("test"))
    features = torch.randn(
        1, 16, base.network.config.text_config.hidden_size, generator=torch.Generator().manual_seed(0)
    )
    together = pack([said], base.processor, cells=16)
    with torch.no_grad():
        packed = answer_losses(base.network, together, features)
        for number, piece in enumerate(said, 1):
            alone = answer_losses(base.network, pack([[piece]], base.processor, cells=16), features)
            torch.testing.assert_close(packed.nats[packed.branch == number], alone.nats, atol=1e-4, rtol=1e-4)


def test_a_few_steps_of_training_lower_the_loss_and_repeat_exactly():
    recipe = Recipe(scenes=48, probed=2, sight_steps=2, sight_batch=4, speech_steps=8, speech_batch=4, warm_up=2)
    first, second = train(WORLD, recipe, quiet), train(WORLD, recipe, quiet)
    assert first.losses == second.losses
    assert first.losses[-1] < first.losses[0] - 0.5


def test_pairs_are_better_by_truth_and_alike_in_length(pair_folder: Path):
    found = rows(pair_folder / "pairs.jsonl")
    assert len(found) == 8
    for row in found:
        chosen, rejected = row["meta"]["chosen"], row["meta"]["rejected"]
        assert chosen["mentions_hallucinated"] < rejected["mentions_hallucinated"]
        assert chosen["truth_covered"] >= rejected["truth_covered"]
        assert max(chosen["words"], rejected["words"]) <= 1.25 * min(chosen["words"], rejected["words"])
        assert (pair_folder / row["image"]).is_file()


def test_regions_of_a_pair_are_the_objects_that_the_chosen_text_names(pair_folder: Path):
    for row in rows(pair_folder / "pairs.jsonl"):
        present = sample_scene(WORLD, 0, "training", int(row["id"])).counts()
        named = {mention.name for mention in mentions(row["chosen"])}
        regions = [region["name"] for region in row["regions"]]
        assert set(regions) == named & set(present)
        assert all(regions.count(name) == present[name] for name in regions)
        with Image.open(pair_folder / row["image"]) as image:
            for left, top, right, bottom in (region["box"] for region in row["regions"]):
                assert 0 <= left < right <= image.width
                assert 0 <= top < bottom <= image.height


def test_fewer_pairs_with_the_same_seed_are_the_first_ones(pair_folder: Path, tmp_path: Path, base: Checkpoint):
    write_pairs(tmp_path, base.network, base.processor, PairOptions(pairs=3), lambda: None)
    assert rows(tmp_path / "pairs.jsonl") == rows(pair_folder / "pairs.jsonl")[:3]


def ranked(hallucinated: int, covered: int, words: int) -> Ranked:
    counts = {"mentions_hallucinated": hallucinated, "truth_covered": covered, "words": words}
    return Ranked(f"{hallucinated} {covered} {words}", counts)


def test_the_pair_furthest_apart_in_hallucinations_wins_then_coverage():
    candidates = [ranked(2, 3, 20), ranked(0, 3, 20), ranked(0, 4, 20), ranked(1, 4, 20)]
    best = best_pair(candidates, length_ratio=1.25)
    assert best == (candidates[2], candidates[0])


@pytest.mark.parametrize(
    "candidates",
    [
        pytest.param([ranked(1, 4, 20), ranked(1, 3, 20)], id="as many hallucinations"),
        pytest.param([ranked(1, 4, 20), ranked(0, 3, 20)], id="it covers less"),
        pytest.param([ranked(1, 4, 30), ranked(0, 4, 20)], id="much shorter"),
        pytest.param([], id="nothing sampled"),
    ],
)
def test_no_pair_is_made_of_descriptions_that_are_no_better(candidates: list[Ranked]):
    assert best_pair(candidates, length_ratio=1.25) is None


def test_an_export_reads_back(tmp_path: Path):
    scenes = sample_scenes(WORLD, 0, "evaluation", range(5))
    export(tmp_path, scenes, WORLD)
    coco = json.loads((tmp_path / "annotations.json").read_text("utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert len(names) == len(WORLD.classes)
    for scene, image in zip(scenes, coco["images"], strict=True):
        with Image.open(tmp_path / "images" / image["file_name"]) as drawn:
            assert drawn.size == (image["width"], image["height"]) == (80, 80)
        own = [row for row in coco["annotations"] if row["image_id"] == image["id"]]
        assert [(names[row["category_id"]], row["colour"]) for row in own] == [
            (t.name, t.colour) for t in scene.objects
        ]
        for row, thing in zip(own, scene.objects, strict=True):
            left, top, width, height = row["bbox"]
            assert thing.left <= left
            assert left + width <= thing.left + thing.size
            assert thing.top <= top
            assert top + height <= thing.top + thing.size
    for row, scene in zip(rows(tmp_path / "captions.jsonl"), scenes, strict=True):
        assert {mention.name for mention in mentions(row["caption"])} == set(scene.counts())
        assert {mention.name for mention in mentions(row["annotated"])} == set(scene.counts()) | set(
            row["hallucinated"]
        )
    asked = load(Data(tmp_path / "data"), Options(scenes=5, part="questions"), None).items
    assert [(row["id"], row["question"], row["answer"]) for row in rows(tmp_path / "questions.jsonl")] == [
        (item.id, item.prompt, item.truth["answer"]) for item in asked
    ]


def test_a_sheet_marks_what_is_there_and_what_is_not():
    words = {word.text: word.colour for word in marked("A red fork and two knives.", {"fork"})}
    assert words["fork"] == RIGHT
    assert words["knives."] == WRONG
    assert words["red"] not in (RIGHT, WRONG)


def test_a_sheet_has_a_panel_for_each_scene():
    scenes = sample_scenes(WORLD, 0, "evaluation", range(3))
    sheet = contact_sheet([(scene, "There is a fork.") for scene in scenes])
    assert sheet.height > 2 * WORLD.pixels * 3
    colours = {colour for _, colour in sheet.getcolors(sheet.width * sheet.height) or []}
    assert RIGHT in colours or WRONG in colours


def test_another_world_can_be_trained_on():
    small = WorldParameters(grid=3, pairs={2: 1.0})
    recipe = Recipe(scenes=8, probed=2, sight_steps=1, sight_batch=2, speech_steps=1, speech_batch=2)
    assert len(train(small, recipe, quiet).losses) == 1

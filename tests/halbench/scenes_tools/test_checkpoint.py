"""The shipped checkpoint: it is small, any tool opens it, and it sees and hallucinates."""

from pathlib import Path

import pytest

from halbench.data.datasets import Data
from halbench.models.names import packaged_checkpoint
from halbench.scenes.world import WORLD
from halbench.suites.scenes import SUITE, Options, load
from halbench.types import BackendOptions

transformers = pytest.importorskip("transformers")
hf = pytest.importorskip("halbench.backends.hf")
checkpoint = pytest.importorskip("halbench.scenes_tools.checkpoint")

BASE = packaged_checkpoint("scenes:base")
LARGEST = 8 * 2**20  # bytes; what a package can carry


def test_the_shipped_checkpoint_is_small_and_has_its_card():
    assert sum(path.stat().st_size for path in Path(BASE).iterdir()) < LARGEST
    card = (Path(BASE) / "README.md").read_text("utf-8")
    assert "halbench scenes train" in card
    assert "| descriptions | cover |" in card


def test_the_shipped_checkpoint_opens_with_the_auto_classes_and_reads_its_own_template():
    processor = transformers.AutoProcessor.from_pretrained(BASE)
    model = transformers.AutoModelForImageTextToText.from_pretrained(BASE)
    assert model.config.model_type == "llava"
    content = [{"type": "image"}, {"type": "text", "text": "Describe this image."}]
    talk = [{"role": "user", "content": content}, {"role": "assistant", "content": "A fork."}]
    assert (
        processor.apply_chat_template(talk[:1], add_generation_prompt=True)
        == "USER: <image>\nDescribe this image. ASSISTANT:"
    )
    assert (
        processor.apply_chat_template(talk) == f"USER: <image>\nDescribe this image. ASSISTANT: A fork.{checkpoint.EOS}"
    )


def test_it_mentions_most_objects_and_some_that_are_absent(tmp_path: Path):
    task = load(Data(tmp_path), Options(scenes=24, part="descriptions"), None)
    backend = hf.open_backend(BASE, BackendOptions(batch_size=24, device="cpu", dtype="float32"))
    responses = {row.item: row for row in backend.generate(task.items, SUITE.decoding)}
    scores = [task.score(item, responses[item.id], None).counts for item in task.items]
    assert all(row.finish == "stop" for row in responses.values())
    assert sum(row["truth_covered"] for row in scores) > 0.7 * sum(row["truth_slots"] for row in scores)
    assert sum(row["mentions_hallucinated"] for row in scores) > 0


def test_batches_and_single_items_give_the_same_words(tmp_path: Path):
    task = load(Data(tmp_path), Options(scenes=4), None)
    texts = []
    for size in (1, 64):
        backend = hf.open_backend(BASE, BackendOptions(batch_size=size, device="cpu", dtype="float32"))
        texts.append({row.item: row.text for row in backend.generate(task.items, SUITE.decoding)})
    assert texts[0] == texts[1]


def test_every_word_of_the_world_is_one_token(base):
    tokenizer = base.processor.tokenizer
    assert [
        word for word in checkpoint.words_of(WORLD) if len(tokenizer.encode(f" {word}", add_special_tokens=False)) > 1
    ] == []

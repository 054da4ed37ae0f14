"""Questions with no image, one image or several, on every architecture of the transformers backend."""

from dataclasses import replace

import pytest
from tiny_backends import DECODING, QUESTIONS, answers, mixed_items, opened, texts

from halbench.errors import InputError
from halbench.types import Item

ARCHITECTURES = ("llava", "llava_next", "idefics3", "smolvlm", "qwen2_vl")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_image_one_and_two_in_one_run_give_the_same_text_as_each_item_alone(checkpoints, images, name):
    mixed = mixed_items(images)
    alone = answers(opened(checkpoints, name, 1), mixed)
    assert {row.state for row in alone.values()} == {"ok"}
    for size in (2, 8, len(mixed)):
        assert answers(opened(checkpoints, name, size), mixed) == alone


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_text_depends_on_every_image_and_their_order(checkpoints, images, name):
    first, second, third, _ = images
    shown = [(), (first,), (first, second), (first, third), (second, first), (first, second, third)]
    asked = [Item(str(n), paths, QUESTIONS[0], None, "all") for n, paths in enumerate(shown)]
    assert len(set(texts(opened(checkpoints, name, 4), asked).values())) == len(shown)


def test_a_text_only_question_is_the_template_s_prompt_and_nothing_more(checkpoints):
    backend = opened(checkpoints, "llava")
    (text,) = texts(backend, [Item("1", (), "How many?", None, "all")]).values()
    prompt = backend.processor.tokenizer("USER: How many? ASSISTANT:", return_tensors="pt")
    new = backend.model.generate(**prompt, max_new_tokens=10)[0, prompt["input_ids"].shape[1] :]
    assert text == backend.decoder.decode(new, skip_special_tokens=True).strip()


@pytest.mark.parametrize("name", ["llava", "llava_next", "idefics3"])
def test_questions_on_the_same_two_images_share_them(checkpoints, images, name):
    shown = [tuple(images[:2]), tuple(images[1::-1])]
    asked = [Item(f"{n}-{q}", paths, q, None, "all") for n, paths in enumerate(shown) for q in QUESTIONS]
    backend = opened(checkpoints, name, len(asked))
    batch = backend.prepare(asked, share=True)
    assert len(batch.inputs["input_ids"]) == 2
    assert batch.suffixes.prefix.tolist() == [0, 0, 0, 1, 1, 1]
    assert texts(backend, asked) == texts(opened(checkpoints, name, 1), asked)


def test_a_template_with_the_question_between_two_images_shares_nothing_and_changes_nothing(checkpoints, images):
    asked = [Item(question, tuple(images[:2]), question, None, "all") for question in QUESTIONS]
    backends = [opened(checkpoints, "llava", size) for size in (1, 8)]
    template = (
        "{% set c = messages[0]['content'] %}<image>{{ c[-1]['text'] }}{% if c | length > 2 %}<image>{% endif %}:"
    )
    for backend in backends:
        backend.checkpoint = replace(backend.checkpoint, template=template)
    assert texts(backends[1], asked) == texts(backends[0], asked)
    assert backends[1].prepare(asked, share=True).suffixes is None


def test_items_with_and_without_images_never_share_a_batch(checkpoints, images):
    backend = opened(checkpoints, "llava", 5)
    for batch in backend.batches(mixed_items(images), one_by_one=False):
        assert len({bool(item.images) for item in batch}) == 1


def test_sampling_and_beams_take_any_number_of_images_too(checkpoints, images):
    mixed = mixed_items(images)[:7]
    for decoding in (replace(DECODING, temperature=1.0), replace(DECODING, num_beams=2)):
        alone = texts(opened(checkpoints, "llava", 1), mixed, decoding)
        assert texts(opened(checkpoints, "llava", 4), mixed[::-1], decoding) == alone


def test_one_image_of_two_that_is_missing_is_that_item_s_error_row(checkpoints, images, tmp_path):
    gone = Item("gone", (images[0], tmp_path / "gone.png"), QUESTIONS[0], None, "all")
    mixed = mixed_items(images)
    rows = answers(opened(checkpoints, "llava", 4), [*mixed, gone])
    assert rows.pop("gone").error == f"image not found: {tmp_path / 'gone.png'}"
    assert {row.state for row in rows.values()} == {"ok"}


@pytest.mark.parametrize(
    ("template", "count", "line"),
    [
        ("<image>{{ messages[0]['content'][-1]['text'] }}", 2, "shows 2 images, .* writes the prompt for 1 image"),
        ("<image>{{ messages[0]['content'][-1]['text'] }}", 0, "shows no image, .* writes the prompt for 1 image"),
        ("<image>{{ messages[0]['content'][1]['text'] }}", 0, r"shows no image, .* fails with that many \("),
    ],
)
def test_a_template_without_room_for_the_images_is_refused_before_anything_is_generated(
    checkpoints, images, template, count, line
):
    backend = opened(checkpoints, "llava")
    backend.checkpoint = replace(backend.checkpoint, template=template)
    asked = [Item("one", (images[0],), "?", None, "all"), Item("odd", tuple(images[:count]), "?", None, "all")]
    with pytest.raises(InputError, match=rf"item 'odd' {line}") as raised:
        next(backend.generate(asked, DECODING))
    assert "\n" not in str(raised.value)

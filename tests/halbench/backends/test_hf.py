"""The transformers backend, on tiny checkpoints of the real architectures (see tiny_checkpoints.py)."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_backends import DECODING, answers, opened, texts

from halbench.errors import InputError
from halbench.models.chat_templates import render
from halbench.models.images import open_image
from halbench.types import BackendOptions, Item

hf = pytest.importorskip("halbench.backends.hf")

ARCHITECTURES = ("llava", "llava_next", "idefics3", "smolvlm", "qwen2_vl")


def edited(checkpoints: Path, tmp_path: Path, name: str, file: str, changes: Mapping[str, object]) -> Path:
    """A copy of a checkpoint in which a JSON file says something else."""
    shutil.copytree(checkpoints / name, tmp_path / name)
    path = tmp_path / name / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return tmp_path / name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_text_does_not_depend_on_the_batch(checkpoints, items, name):
    alone, batched = opened(checkpoints, name, 1), opened(checkpoints, name, 8)
    expected = answers(alone, items)
    assert answers(batched, items) == expected
    assert len({row.text for row in expected.values()}) == len(items), "the tiny model must heed image and question"


@pytest.mark.parametrize("name", ["llava", "llava_next"])
def test_an_image_with_several_questions_is_encoded_once(checkpoints, items, name):
    backend = opened(checkpoints, name, len(items))
    list(backend.generate(items, DECODING))  # the first run also tries whether images can be shared
    seen: list[int] = []
    tower = backend.model.model.vision_tower
    tower.register_forward_hook(lambda module, inputs, output: seen.append(len(output.last_hidden_state)))
    list(backend.generate(items, DECODING))
    crops = {"llava": 4, "llava_next": 5 + 5 + 5 + 3}  # each image whole, and two or four crops of it
    assert sum(seen) == crops[name]


def test_a_template_with_the_question_before_the_image_shares_nothing_and_changes_nothing(checkpoints, items):
    backends = [opened(checkpoints, "llava", size) for size in (1, 8)]
    template = "{{ messages[0]['content'][1]['text'] }}<image> ASSISTANT:"
    for backend in backends:
        backend.checkpoint = replace(backend.checkpoint, template=template)
    alone, batched = [texts(backend, items) for backend in backends]
    assert batched == alone
    assert not backends[1].prepare(items, share=True).suffixes


@pytest.mark.parametrize("beams", [1, 3])
def test_beam_search_does_not_depend_on_the_batch_either(checkpoints, items, beams):
    decoding = replace(DECODING, num_beams=beams)
    assert texts(opened(checkpoints, "llava", 5), items, decoding) == texts(
        opened(checkpoints, "llava", 1), items, decoding
    )


def test_sampled_text_depends_on_seed_and_item_and_not_on_order(checkpoints, items):
    decoding = replace(DECODING, temperature=1.0)
    backend = opened(checkpoints, "llava", 4, seed=3)
    first = texts(backend, items, decoding)
    assert texts(backend, items[::-1], decoding) == first
    assert texts(backend, items[5:6], decoding) == {items[5].id: first[items[5].id]}
    assert texts(opened(checkpoints, "llava", 4, seed=4), items, decoding) != first
    twin = replace(items[5], id="twin")
    assert texts(backend, [twin], decoding)["twin"] != first[items[5].id]


def test_finish_distinguishes_an_answer_that_ended_from_one_that_was_cut(checkpoints, items):
    backend = opened(checkpoints, "llava", 4)
    cut = answers(backend, items)
    assert {(row.tokens, row.finish) for row in cut.values()} == {(10, "length")}

    prompts = [render(backend.processor, backend.checkpoint.template, items[0].prompt)]
    inputs = backend.encode(prompts, [[open_image(items[0].images[0])]])
    new = backend.model.generate(**inputs, max_new_tokens=10)[0, inputs["input_ids"].shape[1] :].tolist()
    backend.model.generation_config.eos_token_id = [new[3]]  # let the fourth token be the one that ends an answer
    length = new.index(new[3]) + 1
    row = answers(backend, items)[items[0].id]
    assert (row.tokens, row.finish) == (length, "stop")
    assert cut[items[0].id].text.startswith(row.text.rstrip("\ufffd")), (
        "half a character at the end is shown as one of these"
    )


def test_an_answer_without_text_is_empty_and_no_error(checkpoints, items):
    backend = opened(checkpoints, "llava", 4)
    row = answers(backend, items[:1], replace(DECODING, extra={"suppress_tokens": list(range(3, 360))}))[items[0].id]
    assert (row.state, row.text, row.error) == ("empty", "", None)


def test_the_checkpoints_own_decoding_settings_are_not_used(checkpoints, items, tmp_path):
    settings: dict[str, object] = {
        "do_sample": True,
        "temperature": 0.1,
        "top_k": 1,
        "repetition_penalty": 5.0,
        "num_beams": 4,
    }
    settings["min_new_tokens"] = 9
    leaky = edited(checkpoints, tmp_path, "llava", "generation_config.json", settings)
    plain = opened(checkpoints, "llava")
    for decoding in (DECODING, replace(DECODING, temperature=1.0)):
        assert texts(hf.open_backend(str(leaky), BackendOptions(batch_size=4)), items, decoding) == texts(
            plain, items, decoding
        )


def test_sampling_is_not_limited_to_the_top_50_tokens_by_default(checkpoints, items):
    backend, decoding = opened(checkpoints, "llava"), replace(DECODING, temperature=5.0)
    assert texts(backend, items, decoding) != texts(backend, items, replace(decoding, extra={"top_k": 50}))


def test_generation_arguments_change_the_text_and_a_wrong_one_is_named(checkpoints, items):
    backend = opened(checkpoints, "llava")
    assert texts(backend, items, replace(DECODING, extra={"repetition_penalty": 5.0})) != texts(backend, items)
    with pytest.raises(
        InputError, match="unknown generation argument 'repetition_penalti'; did you mean 'repetition_penalty'"
    ):
        list(backend.generate(items, replace(DECODING, extra={"repetition_penalti": 5.0})))


def test_long_and_short_answers_are_not_batched_together_once_they_are_known(checkpoints, images):
    backend = opened(checkpoints, "llava", 2)
    backend.answer_tokens.update({"describe": [100, 1], "yes or no": [2, 1]})
    mixed = [
        Item(f"{n}{group}", (image,), "?", None, group)
        for n, image in enumerate(images)
        for group in ("describe", "yes or no")
    ]
    assert [{item.group for item in batch} for batch in backend.batches(mixed, one_by_one=False)] == [
        {"yes or no"},
        {"yes or no"},
        {"describe"},
        {"describe"},
    ]


@pytest.mark.parametrize(("setting", "threads"), [(None, [1]), ("2", [])], ids=["by itself", "not where the user says"])
def test_a_tiny_model_runs_in_one_thread(checkpoints, monkeypatch, setting, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if setting:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    calls: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", calls.append)
    hf.open_backend("scenes:base", BackendOptions(device="cpu"))
    assert calls == threads

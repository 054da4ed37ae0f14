"""The transformers backend, on tiny checkpoints of the real architectures (see tiny_checkpoints.py)."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from halbench.errors import InputError
from halbench.types import BackendOptions, Decoding, Item, Response

hf = pytest.importorskip("halbench.backends.hf")
tiny_checkpoints = pytest.importorskip("tiny_checkpoints")

ARCHITECTURES = ("llava", "llava_next", "idefics3", "smolvlm", "qwen2_vl")
SIZES = [(60, 40), (40, 60), (50, 50), (90, 30)]
QUESTIONS = ["Describe this image.", "Is there a dog in the image? Please answer yes or no.", "How many?"]
DECODING = Decoding(max_new_tokens=10)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    """A folder with a tiny checkpoint of each kind."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name in ("llava", "llava_next", "idefics3", "smolvlm", "llama"):
        getattr(tiny_checkpoints, name)(root / name)
    tiny_checkpoints.lora_adapter(root / "lora", root / "llava")
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[Path]:
    """Pictures of blocks of colour in four shapes."""
    root, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        blocks = generator.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(root / f"{number}.png")
    return sorted(root.iterdir())


@pytest.fixture(scope="module")
def items(images) -> list[Item]:
    return [
        Item(f"{image.stem}-{number}", image, question, None, "all")
        for image in images
        for number, question in enumerate(QUESTIONS)
    ]


def opened(checkpoints: Path, name: str, batch_size: int = 4, **options: object) -> "hf.HfBackend":
    options = BackendOptions(batch_size=batch_size, **options)
    if name == "qwen2_vl":
        network, processor = tiny_checkpoints.qwen2_vl()
        processor.tokenizer.padding_side = "left"
        network.generation_config = hf.token_ids_only(network.generation_config, processor.tokenizer)
        return hf.HfBackend(hf.Checkpoint(network, processor, processor.chat_template, {}), options)
    return hf.open_backend(str(checkpoints / name), options)


def answers(backend: "hf.HfBackend", items: Sequence[Item], decoding: Decoding = DECODING) -> dict[str, Response]:
    rows = list(backend.generate(items, decoding))
    assert sorted(row.item for row in rows) == sorted(item.id for item in items)
    return {row.item: row for row in rows}


def texts(backend: "hf.HfBackend", items: Sequence[Item], decoding: Decoding = DECODING) -> dict[str, str]:
    return {id: row.text for id, row in answers(backend, items, decoding).items()}


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
    seen: list[int] = []
    tower = backend.network.model.vision_tower
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
    assert not backends[1].prepare(items, share=True).tails


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


def test_finish_tells_an_answer_that_ended_from_one_that_was_cut(checkpoints, items):
    backend = opened(checkpoints, "llava", 4)
    cut = answers(backend, items)
    assert {(row.tokens, row.finish) for row in cut.values()} == {(10, "length")}

    prompts = [hf.render(backend.processor, backend.checkpoint.template, items[0].prompt)]
    inputs = backend.encode(prompts, [Image.open(items[0].image)])
    new = backend.network.generate(**inputs, max_new_tokens=10)[0, inputs["input_ids"].shape[1] :].tolist()
    backend.network.generation_config.eos_token_id = [new[3]]  # let the fourth token be the one that ends an answer
    length = new.index(new[3]) + 1
    row = answers(backend, items)[items[0].id]
    assert (row.tokens, row.finish) == (length, "stop")
    assert cut[items[0].id].text.startswith(row.text)


def test_an_answer_without_text_is_empty_and_no_error(checkpoints, items):
    backend = opened(checkpoints, "llava", 4)
    row = answers(backend, items[:1], replace(DECODING, extra={"suppress_tokens": list(range(3, 360))}))[items[0].id]
    assert (row.state, row.text, row.error) == ("empty", "", None)


def test_the_checkpoints_own_decoding_settings_are_not_used(checkpoints, items, tmp_path):
    leaky = edited(
        checkpoints,
        tmp_path,
        "llava",
        "generation_config.json",
        {
            "do_sample": True,
            "temperature": 0.1,
            "top_k": 1,
            "repetition_penalty": 5.0,
            "num_beams": 4,
            "min_new_tokens": 9,
        },
    )
    plain = opened(checkpoints, "llava")
    for decoding in (DECODING, replace(DECODING, temperature=1.0)):
        assert texts(hf.open_backend(str(leaky), BackendOptions(batch_size=4)), items, decoding) == texts(
            plain, items, decoding
        )


def test_sampling_is_not_cut_to_the_fifty_likeliest_tokens_unless_asked(checkpoints, items):
    backend, decoding = opened(checkpoints, "llava"), replace(DECODING, temperature=5.0)
    assert texts(backend, items, decoding) != texts(backend, items, replace(decoding, extra={"top_k": 50}))


def test_generation_arguments_change_the_text_and_a_wrong_one_is_named(checkpoints, items):
    backend = opened(checkpoints, "llava")
    assert texts(backend, items, replace(DECODING, extra={"repetition_penalty": 5.0})) != texts(backend, items)
    with pytest.raises(
        InputError, match="unknown generation argument 'repetition_penalti'; did you mean 'repetition_penalty'"
    ):
        list(backend.generate(items, replace(DECODING, extra={"repetition_penalti": 5.0})))


def test_images_that_are_missing_or_broken_or_too_large_become_error_rows(checkpoints, items, tmp_path, monkeypatch):
    (tmp_path / "cut.png").write_bytes(items[0].image.read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    Image.new("RGB", (200, 200)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15_000)
    names = ["absent.jpg", "cut.png", "text.jpg", "folder.jpg", "huge.png"]
    broken = [Item(name, tmp_path / name, "Describe this image.", None, "all") for name in names]
    backend = opened(checkpoints, "llava", 4)
    rows = answers(backend, [*items[:2], *broken, *items[2:]])
    assert {id: row.text for id, row in rows.items() if row.state == "ok"} == texts(backend, items)
    assert rows["absent.jpg"].error == f"image not found: {tmp_path / 'absent.jpg'}"
    for name in names[1:]:
        assert rows[name].state == "error"
        assert str(rows[name].error).startswith(f"image cannot be read: {tmp_path / name} (")


def failing(network: torch.nn.Module, too_much: Callable[[Mapping[str, torch.Tensor]], bool], error: Exception) -> None:
    """From now on the network's generate() raises where `too_much` says so of its inputs."""
    generate = network.generate

    def limited(**arguments: torch.Tensor) -> torch.Tensor:
        if too_much(arguments):
            raise error
        return generate(**arguments)

    network.generate = limited


def failing_above(limit: int, network: torch.nn.Module, error: Exception) -> None:
    failing(network, lambda inputs: len(inputs["input_ids"]) > limit, error)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried ..."),
        RuntimeError("[...] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["GPU", "CPU"],
)
def test_a_batch_that_does_not_fit_is_halved_for_good_and_no_item_is_lost(checkpoints, items, error):
    expected = texts(opened(checkpoints, "llava", 1), items)
    backend = opened(checkpoints, "llava", "auto")
    assert backend.batch_size == 8
    failing_above(3, backend.network, error)
    assert texts(backend, items) == expected
    assert backend.batch_size == 2


def test_one_item_that_never_fits_does_not_leave_the_others_to_small_batches(checkpoints, items):
    backend = opened(checkpoints, "llava", 8)
    huge = Item("huge", items[0].image, "word " * 100, None, "all")
    failing(backend.network, lambda inputs: inputs["input_ids"].shape[1] > 150, torch.OutOfMemoryError("out of memory"))
    rows = answers(backend, [*items[:3], huge, *items[3:]])
    assert [id for id, row in rows.items() if row.state == "error"] == ["huge"]
    assert backend.batch_size == 8


def test_an_item_that_does_not_fit_alone_becomes_an_error_row(checkpoints, items):
    backend = opened(checkpoints, "llava", 4)
    failing_above(0, backend.network, torch.OutOfMemoryError("CUDA out of memory. Tried ..."))
    rows = answers(backend, items[:5])
    assert {row.error for row in rows.values()} == {"generation failed: does not fit in memory even alone"}


@pytest.mark.parametrize("position", [0, 1], ids=["first of its image", "later of its image"])
def test_a_prompt_with_the_models_own_image_token_becomes_an_error_row(checkpoints, items, position):
    backend = opened(checkpoints, "llava", 6)
    odd = Item("odd", items[0].image, "What does <image> mean?", None, "all")
    rows = answers(backend, [*items[:position], odd, *items[position:]])
    assert rows.pop("odd").error == "the prompt contains the model's image token '<image>'"
    assert {id: row.text for id, row in rows.items()} == texts(backend, items)


def test_an_item_that_the_processor_rejects_fails_alone(checkpoints, items, tmp_path):
    Image.new("RGB", (1, 900)).save(tmp_path / "thread.png")  # Qwen2-VL takes sides of up to 200 to 1
    thread = Item("thread", tmp_path / "thread.png", "Describe this image.", None, "all")
    backend = opened(checkpoints, "qwen2_vl", 6)
    rows = answers(backend, [*items[:2], thread, *items[2:]])
    assert "ValueError: absolute aspect ratio must be smaller than 200" in str(rows.pop("thread").error)
    assert {id: row.text for id, row in rows.items()} == texts(backend, items)


def test_a_model_that_fails_on_everything_stops_the_run_instead_of_filling_it_with_errors(checkpoints, items, tmp_path):
    backend = opened(checkpoints, "llava", 4)
    failing_above(0, backend.network, RuntimeError("CUDA error: device-side assert triggered"))
    apart = [replace(items[0], id=str(n), image=shutil.copy(items[0].image, tmp_path / f"{n}.png")) for n in range(12)]
    rows = backend.generate(apart, DECODING)
    assert {next(rows).state for _ in range(7)} == {"error"}, "what is known is told before the run stops"
    with pytest.raises(InputError, match=r"8 images in a row failed with the same message.*device-side assert"):
        next(rows)


def test_an_image_that_always_fails_leaves_the_others_alone_however_much_is_asked_of_it(checkpoints, items, tmp_path):
    Image.new("RGB", (1, 900)).save(tmp_path / "thread.png")
    thread = [Item(f"t{n}", tmp_path / "thread.png", "Describe this image.", None, "all") for n in range(15)]
    rows = answers(opened(checkpoints, "qwen2_vl", 6), [*thread, *items])
    assert {row.state for id, row in rows.items() if id.startswith("t")} == {"error"}
    assert {rows[item.id].state for item in items} == {"ok"}


def test_long_and_short_answers_are_not_batched_together_once_they_are_known(checkpoints, images):
    backend = opened(checkpoints, "llava", 2)
    backend.answer_tokens.update({"describe": [100, 1], "yes or no": [2, 1]})
    mixed = [
        Item(f"{n}{group}", image, "?", None, group)
        for n, image in enumerate(images)
        for group in ("describe", "yes or no")
    ]
    assert [{item.group for item in batch} for batch in backend.batches(mixed, one_by_one=False)] == [
        {"yes or no"},
        {"yes or no"},
        {"describe"},
        {"describe"},
    ]


def test_an_adapter_is_merged_into_its_base_and_changes_the_text(checkpoints, items):
    adapted, base = opened(checkpoints, "lora"), opened(checkpoints, "llava")
    assert texts(adapted, items) != texts(base, items)
    assert adapted.identity()["fingerprint"] == base.identity()["fingerprint"]
    assert adapted.identity()["adapter"] != base.identity()["fingerprint"]
    weight = "model.language_model.layers.0.self_attn.q_proj.weight"
    tensors = {
        name.split("layers.0.self_attn.q_proj.")[-1]: tensor for name, tensor in lora_weights(checkpoints).items()
    }
    added = 8 / 4 * tensors["lora_B.weight"] @ tensors["lora_A.weight"]  # lora_alpha / r
    torch.testing.assert_close(adapted.network.state_dict()[weight], base.network.state_dict()[weight] + added)


def lora_weights(checkpoints: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(checkpoints / "lora" / "adapter_model.safetensors")


def test_a_checkpoint_is_known_by_its_content_and_not_by_its_place(checkpoints, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(checkpoints / "llava", copy)
    here, there = hf.fingerprint(str(checkpoints / "llava")), hf.fingerprint(str(copy))
    assert here == there
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(data))
    assert hf.fingerprint(str(copy)) != here


def test_identity_says_what_can_change_the_text(checkpoints):
    identity = opened(checkpoints, "llava", dtype="bfloat16").identity()
    assert identity["model"] == "llava"
    assert identity["dtype"] == "bfloat16"
    assert identity["image_processor"].startswith("LlavaImageProcessor")
    assert {"backend", "fingerprint", "chat_template", "torch", "transformers"} < identity.keys()
    assert opened(checkpoints, "llava").identity()["dtype"] == "float32"


def without(*names: str):
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def renamed(old: str, new: str):
    return lambda folder: (folder / old).rename(folder / new)


def rewritten(name: str, change):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("llama", None, "a 'llama' checkpoint is no vision-language model"),
        ("llava", without("config.json"), "is no checkpoint folder: expected config.json"),
        ("llava", without("model.safetensors"), r"holds no \*\.safetensors weights"),
        ("llava", renamed("model.safetensors", "pytorch_model.bin"), "holds pickled weights.*save_pretrained"),
        ("llava", rewritten("model.safetensors", lambda data: data[: len(data) // 2]), "are the files whole?"),
        ("llava", rewritten("config.json", lambda data: data[:40]), "not a valid JSON file"),
        (
            "llava",
            rewritten("config.json", lambda data: data.replace(b'"llava"', b'"halluva"')),
            "model type `halluva`",
        ),
        (
            "llava",
            rewritten("config.json", lambda data: data.replace(b'"intermediate_size": 64', b'"intermediate_size": 80')),
            r"lacks \d+ weights of the llava model.*such as",
        ),
        ("llava", without("processor_config.json"), "processor cannot be loaded.*copy them from the base"),
        (
            "llava",
            without("tokenizer.json", "tokenizer_config.json"),
            "processor cannot be loaded.*copy them from the base",
        ),
        ("llava", without("chat_template.jinja"), "no chat template; copy chat_template.jinja"),
        (
            "llava",
            rewritten("chat_template.jinja", lambda data: b"{{ messages[0].content[1].text }}"),
            "no place for the image",
        ),
        ("llava", rewritten("chat_template.jinja", lambda data: data[:50]), "its chat template fails"),
        ("lora", rewritten("adapter_config.json", lambda data: b"{}"), "to name the base model, found None"),
        (
            "lora",
            rewritten("adapter_config.json", lambda data: data.replace(b"(q_proj|v_proj)", b"q_proj")),
            "4 weights have no counterpart",
        ),
        ("lora", without("adapter_model.safetensors"), "holds no adapter_model.safetensors"),
    ],
)
def test_a_checkpoint_that_cannot_be_run_is_refused_in_one_line(checkpoints, tmp_path, name, damage, message):
    shutil.copytree(checkpoints / name, tmp_path / "damaged")
    if damage:
        damage(tmp_path / "damaged")
    with pytest.raises(InputError, match=message) as raised:
        hf.open_backend(str(tmp_path / "damaged"), BackendOptions())
    assert "\n" not in str(raised.value)


def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub():
    with pytest.raises(InputError, match="does not exist; expected a checkpoint folder or a hub name"):
        hf.open_backend("./no/such/folder", BackendOptions())


def test_a_device_that_is_not_there_is_named(checkpoints):
    with pytest.raises(InputError, match="device 'nonsense' cannot be used here"):
        opened(checkpoints, "llava", device="nonsense")


@pytest.mark.parametrize(("said", "threads"), [(None, [1]), ("2", [])], ids=["by itself", "not where the user says"])
def test_a_tiny_network_runs_in_one_thread(checkpoints, monkeypatch, said, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    hf.open_backend("scenes:base", BackendOptions(device="cpu"))
    assert asked == threads

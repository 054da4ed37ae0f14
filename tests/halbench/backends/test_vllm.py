"""The vllm backend against vLLM's documented interface, with a module in its place (see vllm_stand_in.py)."""

import os
import shutil
import sys
from dataclasses import replace

import pytest
from PIL import Image
from tiny_backends import answers, mixed_items

from halbench import plugins
from halbench.errors import InputError, MissingExtra
from halbench.models.fingerprints import fingerprint
from halbench.reasoning import Reasoning
from halbench.types import BackendOptions, Decoding, Item

hf = pytest.importorskip("halbench.backends.hf")
tiny_checkpoints = pytest.importorskip("tiny_checkpoints")
stand_in = pytest.importorskip("vllm_stand_in")
LoRARequest, SamplingParams = stand_in.LoRARequest, stand_in.SamplingParams
VLLMClientError, VLLMServerError = stand_in.VLLMClientError, stand_in.VLLMServerError

GREEDY = Decoding(max_new_tokens=12)


@pytest.fixture
def calls(monkeypatch):
    """The stand-in is in vLLM's place; the calls that it gets."""
    yield stand_in.install(monkeypatch)
    sys.modules.pop("halbench.backends.vllm", None)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_checkpoints.llava(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def items(tmp_path):
    """Six questions on two images."""
    for n in range(2):
        Image.effect_mandelbrot((40, 30), (-2 + n, -1, 1, 1), 50).convert("RGB").save(tmp_path / f"{n}.png")
    questions = ("Describe this image.", "Is there a dog?", "How many chairs?")
    return [Item(f"{n}/{q}", (tmp_path / f"{n}.png",), q, None, "all") for n in range(2) for q in questions]


def open_backend(model, **options):
    return plugins.load("halbench.backends", "vllm").open_backend(str(model), BackendOptions(**options))


def test_it_gives_the_same_greedy_answers_as_hf(calls, checkpoint, items):
    direct = {row.item: row for row in hf.open_backend(str(checkpoint), BackendOptions()).generate(items, GREEDY)}
    assert {row.item: row for row in open_backend(checkpoint).generate(items, GREEDY)} == direct
    assert len({row.text for row in direct.values()}) >= 3, "answers must depend on image and question"


def test_the_engine_caches_prefixes_takes_one_image_and_the_users_arguments(calls, checkpoint):
    open_backend(checkpoint, dtype="float16", seed=3, model_args={"tensor_parallel_size": 2, "max_model_len": 512})
    assert calls.engine == {
        "model": str(checkpoint),
        "dtype": "float16",
        "seed": 3,
        "trust_remote_code": False,
        "enable_prefix_caching": True,
        "limit_mm_per_prompt": {"image": 1},
        "tensor_parallel_size": 2,
        "max_model_len": 512,
    }


def test_the_identity_names_checkpoint_engine_arguments_and_versions(calls, checkpoint):
    identity = open_backend(checkpoint, model_args={"max_model_len": 512}).identity()
    assert identity["backend"] == "vllm"
    assert identity["fingerprint"] == hf.open_backend(str(checkpoint), BackendOptions()).identity()["fingerprint"]
    assert (identity["dtype"], identity["vllm"], identity["model_args"]) == (
        "float32",
        "0.33.0",
        '{"max_model_len": 512}',
    )
    assert {"chat_template", "torch", "transformers"} <= identity.keys()
    assert (
        identity["image_processor"] == hf.open_backend(str(checkpoint), BackendOptions()).identity()["image_processor"]
    )


def test_requests_are_added_in_the_items_order_so_that_an_image_follows_itself(calls, checkpoint, items):
    list(open_backend(checkpoint, batch_size=4).generate(items, GREEDY))
    images = [prompt["multi_modal_data"]["image"].tobytes() for prompt in calls.prompts]
    assert images == [images[0]] * 3 + [images[3]] * 3


def test_no_more_requests_than_the_batch_size_are_with_the_engine(calls, checkpoint, items):
    list(open_backend(checkpoint, batch_size=4).generate(items, GREEDY))
    assert calls.most_at_once == 4


def test_a_row_comes_when_its_answer_is_finished_however_long_another_takes(calls, checkpoint, items):
    calls.lengths = {"Describe": 100, "dog": 2, "chairs": 3}
    backend = open_backend(checkpoint, batch_size=3)
    rows = [(row.item, calls.steps) for row in backend.generate(items[:3] + items[4:], GREEDY)]
    assert rows == [(items[1].id, 2), (items[2].id, 3), (items[4].id, 4), (items[5].id, 6), (items[0].id, 100)]


def test_amber_s_mix_takes_a_fifth_of_the_steps_that_batches_waiting_for_their_longest_answer_took(calls, checkpoint):
    """Each image has one description of 100 tokens and 14 answers of 2."""
    calls.lengths = {"Describe": 100, "Is there": 2}
    prompts = ["Describe this image.", *["Is there a dog?"] * 14]
    items = [Item(f"{n}/{k}", (), prompt, None, "all") for n in range(256) for k, prompt in enumerate(prompts)]
    backend = open_backend(checkpoint)
    assert {row.tokens for row in backend.generate(items, GREEDY)} == {2, 100}
    rolling, calls.steps = calls.steps, 0
    for start in range(0, len(items), 256):
        list(backend.generate(items[start : start + 256], GREEDY))
    assert calls.steps == 15 * 100
    assert rolling <= calls.steps / 5
    assert rolling >= 256 * 128 / 256, "no engine is faster than all its places in use"


def test_greedy_decoding_sets_nothing_but_length_and_temperature(calls, checkpoint, items):
    list(open_backend(checkpoint).generate(items[:1], GREEDY))
    assert calls.sampling == [SamplingParams(max_tokens=12, temperature=0.0)]


def test_sampling_has_a_seed_that_belongs_to_the_item(calls, checkpoint, items):
    sampling = Decoding(4, temperature=0.7, top_p=0.9, extra={"top_k": 5})
    list(open_backend(checkpoint).generate(items, sampling))
    forwards = [params.seed for params in calls.sampling]
    list(open_backend(checkpoint).generate(items[::-1], sampling))
    assert [params.seed for params in calls.sampling[6:]] == forwards[::-1]
    assert len(set(forwards)) == 6
    assert calls.sampling[0] == SamplingParams(4, 0.7, 0.9, 5, seed=forwards[0])


def test_the_begin_token_that_a_template_writes_is_not_doubled(calls, checkpoint, items, tmp_path):
    backend = open_backend(checkpoint)
    backend.template = "<s>" + backend.template
    assert backend.tokens(items[0])[:2].count(tiny_checkpoints.BOS) == 1


@pytest.mark.parametrize(
    ("decoding", "line"),
    [
        pytest.param(Decoding(8, num_beams=3), r"num_beams=3: .* no beam search; .* --gen-kwargs num_beams=1", id="beams"),
        pytest.param(Decoding(8, extra={"topk": 5}), "unknown generation argument 'topk'; did you mean 'top_k'", id="typo"),
    ],
)  # fmt: skip
def test_decoding_that_it_does_not_know_is_refused(calls, checkpoint, items, decoding, line):
    with pytest.raises(InputError, match=line):
        next(open_backend(checkpoint).generate(items, decoding))
    assert calls.prompts == []


def test_a_missing_image_and_an_image_token_in_the_question_are_error_rows(calls, checkpoint, items, tmp_path):
    bad = [replace(items[0], images=(tmp_path / "gone.png",)), replace(items[1], prompt="What is <image>?")]
    rows = {row.item: row for row in open_backend(checkpoint).generate([*bad, *items[2:]], GREEDY)}
    assert rows[bad[0].id].error == f"image not found: {tmp_path / 'gone.png'}"
    assert rows[bad[1].id].error == "the prompt contains the model's image token '<image>'"
    assert [rows[item.id].state for item in items].count("ok") == 4


def test_no_image_one_and_two_images_give_the_answers_of_hf(calls, checkpoint, images):
    mixed = mixed_items(images)
    direct = answers(hf.open_backend(str(checkpoint), BackendOptions()), mixed, GREEDY)
    backend = open_backend(checkpoint, model_args={"limit_mm_per_prompt": {"image": 2}})
    assert answers(backend, mixed, GREEDY) == direct
    assert {row.state for row in direct.values()} == {"ok"}
    data = [prompt.get("multi_modal_data") for prompt in calls.prompts]
    for item, shown in zip(mixed, data, strict=True):
        assert (shown is None) == (not item.images)
        if shown:
            assert isinstance(shown["image"], list) == (len(item.images) > 1)


@pytest.mark.parametrize(
    ("limit", "count"),
    [(None, 2), ({"image": 1}, 2), ({"image": 0}, 1), ({"image": {"count": 2, "width": 64}}, 3)],
)
def test_more_images_than_the_engine_was_started_for_are_refused_in_one_line(calls, checkpoint, images, limit, count):
    backend = open_backend(checkpoint, model_args={"limit_mm_per_prompt": limit} if limit else {})
    item = Item("odd", tuple(images[:count]), "What?", None, "all")
    line = rf"item 'odd' shows {count} images, but vLLM was started .* limit_mm_per_prompt={{\"image\":{count}}}"
    with pytest.raises(InputError, match=line) as raised:
        next(backend.generate([Item("fine", (), "What?", None, "all"), item], GREEDY))
    assert "\n" not in str(raised.value)
    assert calls.prompts == []


def test_a_limit_for_other_media_leaves_vllm_s_own_for_images(calls, checkpoint):
    assert open_backend(checkpoint, model_args={"limit_mm_per_prompt": {"video": 0}}).images_per_prompt == 999


@pytest.mark.parametrize("limit", [2, "image", {"image": "two"}])
def test_a_limit_that_is_none_is_refused(calls, checkpoint, limit):
    with pytest.raises(InputError, match=r'limit_mm_per_prompt=.*: expected a JSON object such as {"image":2}'):
        open_backend(checkpoint, model_args={"limit_mm_per_prompt": limit})


def test_a_template_without_room_for_two_images_is_refused(calls, checkpoint, images):
    backend = open_backend(checkpoint, model_args={"limit_mm_per_prompt": {"image": 2}})
    backend.template = "<image>{{ messages[0]['content'][-1]['text'] }}"
    with pytest.raises(InputError, match=r"item 'odd' shows 2 images, .* writes the prompt for 1 image"):
        next(backend.generate([Item("odd", tuple(images[:2]), "What?", None, "all")], GREEDY))


@pytest.mark.parametrize("error", [ValueError("too long"), VLLMClientError("too long"), RuntimeError("too long")])
def test_a_request_that_fails_is_an_error_row_and_the_others_are_answered(calls, checkpoint, items, error):
    calls.broken = {"chairs": error}
    rows = {row.item: row for row in open_backend(checkpoint).generate(items, GREEDY)}
    assert [rows[item.id].state for item in items] == ["ok", "ok", "error"] * 2
    assert rows[items[2].id].error == f"generation failed: {type(error).__name__}: too long"


def test_images_that_fail_among_others_that_do_not_never_stop_the_run(calls, checkpoint, items, tmp_path):
    calls.broken, calls.lengths = {"chairs": ValueError("too long")}, {"": 2}
    copies = [shutil.copy(items[0].images[0], tmp_path / f"own{n}.png") for n in range(20)]
    many = [replace(items[1 + n % 2], id=str(n), images=(copy,)) for n, copy in enumerate(copies)]
    states = [row.state for row in open_backend(checkpoint).generate(many, GREEDY)]
    assert (states.count("ok"), states.count("error")) == (10, 10)


def test_an_engine_that_dies_stops_the_run_and_keeps_what_was_answered(calls, checkpoint, items):
    calls.fatal, calls.lengths = "chairs", {"Describe": 1, "dog": 1}
    answers = open_backend(checkpoint, batch_size=2).generate(items, GREEDY)
    assert [next(answers).item, next(answers).item] == [items[0].id, items[1].id]
    with pytest.raises(InputError, match=r"engine stopped \(EngineCore encountered an issue\).*repeat the command"):
        next(answers)


def test_an_engine_that_died_takes_no_further_request(calls, checkpoint, items):
    backend = open_backend(checkpoint)
    backend.engine.llm_engine.dead = True
    with pytest.raises(InputError, match="engine stopped"):
        list(backend.generate(items, GREEDY))


def test_requests_that_the_engine_forgot_stop_the_run_instead_of_waiting_for_ever(calls, checkpoint, items):
    calls.lengths = {"dog": 1, "": 9}
    backend = open_backend(checkpoint)
    answers = backend.generate(items[:3], GREEDY)
    assert next(answers).item == items[1].id
    backend.engine.llm_engine.requests.clear()
    with pytest.raises(InputError, match=r"engine stopped \(2 requests are lost\)"):
        next(answers)


@pytest.mark.parametrize("end", ["closed", "interrupted"])
def test_answers_that_nobody_waits_for_any_more_leave_no_request_behind(calls, checkpoint, items, monkeypatch, end):
    calls.lengths = {"dog": 1, "": 9}
    backend = open_backend(checkpoint)
    answers = backend.generate(items, GREEDY)
    assert next(answers).item == items[1].id
    if end == "closed":
        answers.close()
    else:
        monkeypatch.setattr(backend.engine.llm_engine, "step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(answers)
        monkeypatch.undo()
    assert not backend.engine.llm_engine.requests
    again = list(backend.generate(items[:3], GREEDY))
    assert sorted(row.item for row in again) == sorted(item.id for item in items[:3])


def interrupt():
    raise KeyboardInterrupt


def test_an_answer_to_a_request_of_somebody_else_is_no_row(calls, checkpoint, items):
    calls.lengths = {"": 2}
    backend = open_backend(checkpoint)
    tokens = {"prompt_token_ids": backend.tokens(replace(items[0], images=()))}
    backend.engine.enqueue([tokens], [SamplingParams(max_tokens=1)], use_tqdm=False)
    assert [row.item for row in backend.generate(items[:2], GREEDY)] == [items[0].id, items[1].id]


def test_the_same_failure_of_many_items_in_a_row_stops_the_run(calls, checkpoint, items, tmp_path):
    calls.broken = {"": ValueError("no")}
    copies = [shutil.copy(items[0].images[0], tmp_path / f"own{n}.png") for n in range(20)]
    many = [replace(items[0], id=str(n), images=(copy,)) for n, copy in enumerate(copies)]
    with pytest.raises(InputError, match="failed for 8 images in a row with the same error"):
        list(open_backend(checkpoint).generate(many, GREEDY))


def test_an_answer_that_vllm_gave_up_is_an_error_row(calls, checkpoint, items):
    calls.finish = "abort"
    (row,) = open_backend(checkpoint).generate(items[:1], GREEDY)
    assert (row.state, row.error) == ("error", "generation failed: vLLM ended it with 'abort'")


def test_a_lora_adapter_is_applied_by_the_engine_at_the_next_rank_it_knows(calls, checkpoint, items, tmp_path):
    adapter = tiny_checkpoints.lora_adapter(tmp_path / "adapter", checkpoint)
    backend = open_backend(adapter)
    assert calls.engine["model"] == str(checkpoint)
    assert (calls.engine["enable_lora"], calls.engine["max_lora_rank"]) == (True, 8)
    list(backend.generate(items, GREEDY))
    assert calls.lora == [LoRARequest("adapter", 1, str(adapter.resolve()))] * 6
    assert backend.identity()["adapter"] == fingerprint(str(adapter))


def module():
    return plugins.load("halbench.backends", "vllm")


@pytest.mark.parametrize(
    ("config", "weights", "reason"),
    [
        ({"peft_type": "IA3"}, [], "a IA3 adapter, not LORA"),
        ({"peft_type": "LORA", "use_dora": True}, [], "DoRA"),
        ({"peft_type": "LORA", "modules_to_save": ["lm_head"]}, [], "whole modules: lm_head"),
        ({"peft_type": "LORA", "bias": "all"}, [], "bias: all"),
        (
            {"peft_type": "LORA"},
            ["model.language_model.layers.0.q_proj.lora_A", "model.vision_tower.layers.0.q_proj.lora_A"],
            "weights outside the language model, such as model.vision_tower.layers.0.q_proj.lora_A",
        ),
    ],
)
def test_an_adapter_that_vllm_would_apply_in_part_is_refused(calls, config, weights, reason):
    assert module().lora_problem(config, weights, towers=False) == reason


def test_the_vision_part_of_an_adapter_is_accepted_if_vllm_is_set_to_apply_it(calls):
    assert module().lora_problem({"peft_type": "LORA"}, ["visual.blocks.0.lora_A"], towers=True) is None


@pytest.mark.parametrize(
    ("options", "line"),
    [
        pytest.param({"model_args": {"tensor_paralel": 2}}, r"vLLM cannot start with --model-args tensor_paralel", id="typo"),
        pytest.param({"model_args": {"dtype": "half"}}, "--model-args dtype: use --dtype instead", id="ours"),
        pytest.param({"device": "cuda:1"}, "vllm uses the GPUs in CUDA_VISIBLE_DEVICES", id="device"),
    ],
)  # fmt: skip
def test_options_that_the_engine_does_not_take_are_one_clear_line(calls, checkpoint, options, line):
    with pytest.raises(InputError, match=line):
        open_backend(checkpoint, **options)


def test_under_torchrun_an_engine_has_gpus_of_its_own_and_does_not_see_torchrun(calls, checkpoint, monkeypatch):
    launcher = {"RANK": "5", "WORLD_SIZE": "6", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "29500"}
    for name, value in {**launcher, "CUDA_VISIBLE_DEVICES": "4,5,6,7"}.items():
        monkeypatch.setenv(name, value)
    open_backend(checkpoint, model_args={"tensor_parallel_size": 2})
    assert calls.environment["CUDA_VISIBLE_DEVICES"] == "6,7"
    assert not launcher.keys() & calls.environment.keys()
    assert calls.engine["tensor_parallel_size"] == 2


@pytest.mark.parametrize("sizes", [{"tensor_parallel_size": "two"}, {"pipeline_parallel_size": 0}])
def test_a_size_that_is_no_number_of_gpus_is_refused(calls, checkpoint, sizes):
    with pytest.raises(InputError, match=r"are whole numbers from 1; found \["):
        open_backend(checkpoint, model_args=sizes)


def test_vllms_log_lines_do_not_stand_among_the_results(calls):
    module()
    assert os.environ["VLLM_LOGGING_STREAM"] == "ext://sys.stderr"


def test_without_vllm_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.delitem(sys.modules, "halbench.backends.vllm", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'halbench\[vllm\]'"):
        module()


def test_thoughts_and_answers_have_the_budgets_that_they_have_with_hf(calls, checkpoint, items):
    decoding = replace(GREEDY, reasoning=Reasoning(max_reasoning_tokens=5))
    direct = answers(hf.open_backend(str(checkpoint), BackendOptions()), items, decoding)
    assert answers(open_backend(checkpoint), items, decoding) == direct
    assert {params.max_tokens for params in calls.sampling} == {17}
    assert {row.tokens for row in direct.values()} == {12}, "without a thought the answer has its own budget"

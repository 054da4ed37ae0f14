"""lmms-eval's model classes as our generator. Skipped without lmms-eval: pip install -c constraints.txt -e '.[lmms-eval]'."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from judge_server import JudgeServer, failure, reply
from PIL import Image
from tiny_backends import mixed_items

from halbench import plugins
from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.evaluation.suites import load_suite
from halbench.files.records import read_json
from halbench.types import BackendOptions, Decoding, Item

pytest.importorskip("lmms_eval", reason="needs: pip install 'halbench[lmms-eval]'")
hf = pytest.importorskip("halbench.backends.hf")
tiny_checkpoints = pytest.importorskip("tiny_checkpoints")

from lmms_eval.models import MODEL_REGISTRY_V2  # noqa: E402
from lmms_eval.models.registry_v2 import ModelManifest  # noqa: E402

GREEDY = Decoding(max_new_tokens=24)

for manifest in (
    ModelManifest("scripted", simple_class_path="lmms_models.Scripted"),
    ModelManifest("scripted_chat", chat_class_path="lmms_models.ScriptedChat"),
):
    MODEL_REGISTRY_V2.register_manifest(manifest, overwrite=True)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """What halbench and lmms-eval write goes to an empty folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def open_backend(engine, model, **options):
    module = plugins.load("halbench.backends", "lmms")
    return module.open_backend(str(model), BackendOptions(engine=engine, device="cpu", **options))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_checkpoints.llava(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    paths = [tmp_path / f"{n}.png" for n in range(16)]
    for n, path in enumerate(paths):
        Image.effect_mandelbrot((40 + n, 30), (-2 + n / 8, -1, 1, 1), 50).convert("RGB").save(path)
    return paths


@pytest.fixture
def items(pictures) -> list[Item]:
    """64 questions on 16 images."""
    questions = ("Describe this image.", "Is there a dog?", "How many chairs?", "What is left of the cup?")
    return [Item(f"{path.stem}/{q}", (path,), q, None, "all") for path in pictures for q in questions]


def rows(backend, items, decoding=GREEDY):
    return {row.item: row for row in backend.generate(items, decoding)}


@pytest.mark.parametrize("decoding", [GREEDY, Decoding(8, num_beams=3)], ids=["greedy", "beams"])
def test_llava_hf_gives_the_same_rows_as_hf_for_a_tiny_checkpoint(checkpoint, items, decoding):
    direct = rows(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")), items, decoding)
    assert len({row.text for row in direct.values()}) > 16, "answers must depend on image and question"
    assert rows(open_backend("llava_hf", checkpoint), items, decoding) == direct


def test_llava_hf_gives_the_same_rows_as_hf_for_the_scenes_checkpoint(tmp_path):
    suite = load_suite("scenes")
    items = suite.load(Data(tmp_path), suite.options(scenes=11), None).items[:64]
    direct = rows(hf.open_backend("scenes:base", BackendOptions(device="cpu")), items, suite.decoding)
    assert rows(open_backend("llava_hf", "scenes:base"), items, suite.decoding) == direct


def test_the_simple_class_gives_the_same_texts_where_its_prompt_is_the_same(checkpoint, items):
    """It fills the template with one string, so a template for messages in parts loses the question: give it its own."""
    template = "USER: {{ messages[0]['content'] }} ASSISTANT:"
    simple = open_backend("llava_hf", checkpoint, model_args={"force_simple": True, "chat_template": template})
    direct = rows(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")), items)
    answers = rows(simple, items)
    assert {item: row.text for item, row in answers.items()} == {item: row.text for item, row in direct.items()}
    assert {row.tokens for row in answers.values()} == {None}
    assert simple.identity()["model_class"] == "lmms_eval.models.simple.llava_hf.LlavaHf"


def test_the_checkpoints_own_generation_settings_do_not_leak_in(checkpoint, items, tmp_path):
    import shutil

    from transformers import GenerationConfig

    opinionated = shutil.copytree(checkpoint, tmp_path / "opinionated")
    settings = {
        **read_json(checkpoint / "generation_config.json"),
        "repetition_penalty": 5.0,
        "no_repeat_ngram_size": 2,
    }
    (opinionated / "generation_config.json").write_text(json.dumps(settings))
    backend = open_backend("llava_hf", opinionated)
    plain = rows(open_backend("llava_hf", checkpoint), items[:8])
    assert rows(backend, items[:8]) == plain
    assert backend.identity()["generation_config"] == "token ids only"
    backend.inner.generation_config = GenerationConfig(**settings)
    backend.inner = None
    assert rows(backend, items[:8]) != plain, "these settings would have changed the text"


def test_sampling_gives_the_same_text_in_any_order(checkpoint, items):
    sampled = Decoding(12, temperature=0.9, top_p=0.95)
    backend = open_backend("llava_hf", checkpoint, seed=3)
    forwards = rows(backend, items[:8], sampled)
    assert rows(backend, items[7::-1], sampled) == forwards
    assert rows(open_backend("llava_hf", checkpoint, seed=4), items[:8], sampled) != forwards


def test_an_exception_that_the_class_swallows_is_an_error_row_with_its_reason(checkpoint, items, monkeypatch):
    backend = open_backend("llava_hf", checkpoint)
    expected = rows(backend, items)
    generate = type(backend.inner).generate

    def failing(self, **inputs):
        if "dog" in backend.engine.tokenizer.decode(inputs["input_ids"][0]):
            raise RuntimeError("CUDA error: device-side assert")
        return generate(self, **inputs)

    monkeypatch.setattr(type(backend.inner), "generate", failing)
    answers = rows(backend, items)
    bad = {item.id for item in items if "dog" in item.prompt}
    assert {id: row for id, row in answers.items() if row.state == "ok"} == {
        id: row for id, row in expected.items() if id not in bad
    }
    assert {(row.text, row.error) for id, row in answers.items() if id in bad} == {
        ("", "generation failed: Error CUDA error: device-side assert in generating")
    }


def test_a_chat_class_gets_all_images_in_their_order_and_questions_without_any(pictures):
    shown = [(), (0,), (2, 1), (1, 2, 0)]
    mixed = [Item(str(n), tuple(pictures[i] for i in order), "What?", None, "all") for n, order in enumerate(shown)]
    answers = rows(open_backend("scripted_chat", "a/model", batch_size=4), mixed)
    assert [answers[item.id].text for item in mixed] == [
        "user: What?",
        "user: (40, 30) What?",
        "user: (42, 30) (41, 30) What?",
        "user: (41, 30) (42, 30) (40, 30) What?",
    ]


def test_a_simple_class_gets_all_images_and_no_question_without_one(pictures):
    pair = Item("pair", tuple(pictures[:2]), "What?", None, "all")
    backend = open_backend("scripted", "a/model")
    assert rows(backend, [pair])["pair"].text == "What? (40, 30) (41, 30)"
    line = "item 'odd' shows no image, but lmms-eval's simple classes such as Scripted take only questions with images"
    with pytest.raises(InputError, match=line) as raised:
        rows(backend, [pair, Item("odd", (), "What?", None, "all")])
    assert "\n" not in str(raised.value)
    assert len(backend.engine.calls) == 1


def test_llava_hf_gives_the_rows_of_hf_for_two_images_and_its_own_error_for_none(checkpoint, pictures):
    mixed = mixed_items(pictures[:4])
    direct = rows(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")), mixed)
    answers = rows(open_backend("llava_hf", checkpoint), mixed)
    for item in mixed:
        if item.images:
            assert answers[item.id] == direct[item.id]
        else:
            assert answers[item.id].error.startswith("generation failed: Error not enough values to unpack")


def test_answers_failures_and_unknown_images_each_get_their_row(items, pictures, tmp_path):
    backend = open_backend("scripted", "a/model")
    questions = ("What?", "raise", "silent", "end", "long", "What is <image>?")
    odd = [replace(items[0], id=question, prompt=question) for question in questions]
    odd.append(replace(items[0], id="gone", images=(tmp_path / "gone.png",)))
    answers = rows(backend, odd)
    assert (answers["What?"].text, answers["What?"].tokens, answers["What?"].finish) == ("What? (40, 30)", 5, "stop")
    assert (answers["end"].state, answers["end"].text, answers["end"].tokens) == ("empty", "", 1)
    assert (answers["long"].finish, answers["long"].tokens) == ("length", 24)
    assert {id: row.error for id, row in answers.items() if row.state == "error"} == {
        "raise": "generation failed: KeyError: 'no such thing'",
        "silent": "generation failed: an empty answer without a count of tokens",
        "What is <image>?": "the prompt contains the model's image token '<image>'",
        "gone": f"image not found: {tmp_path / 'gone.png'}",
    }


def test_each_item_is_sent_once_and_a_few_at_a_time(items):
    backend = open_backend("scripted", "a/model", batch_size=2)
    answers = rows(backend, items)
    assert [len(call) for call in backend.engine.calls] == [16] * 4
    assert all(row.state == "ok" for row in answers.values())
    assert {row.tokens for row in answers.values()} == {None}, "counts of a batch may include padding"


def test_the_same_failure_of_many_items_in_a_row_stops_the_run(items):
    failing = [replace(item, prompt="raise") for item in items]
    with pytest.raises(InputError, match=r"failed for 8 images in a row with the same error.*no such thing"):
        rows(open_backend("scripted", "a/model"), failing)


@pytest.mark.parametrize(
    ("engine", "options", "line"),
    [
        pytest.param(None, {}, "expected a model class of lmms-eval after a colon, such as lmms:llava_hf", id="none"),
        pytest.param("lava_hf", {}, r"no model class 'lava_hf'; did you mean 'llava_hf'\?", id="typo"),
        pytest.param(
            "scripted", {"model_args": {"depth": 3}}, r"Unexpected kwargs: \{'depth': 3\}", id="unknown argument"
        ),
        pytest.param(
            "scripted", {"model_args": {"device": "cpu"}}, "--model-args device: use --device instead", id="ours"
        ),
        pytest.param("scripted", {"dtype": "float16"}, "Scripted chooses its precision itself", id="dtype"),
        pytest.param("dummy", {}, "Dummy takes no model; its arguments are response", id="no model"),
        pytest.param(
            "huggingface", {"model_args": {"force_simple": True}}, "has no simple class 'huggingface'", id="simple"
        ),
    ],
)
def test_what_cannot_be_opened_is_one_clear_line(engine, options, line):
    with pytest.raises(InputError, match=line) as caught:
        open_backend(engine, "a/model", **options)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_no_folder_and_no_hub_name_is_refused_without_asking_the_hub(tmp_path):
    with pytest.raises(InputError, match="gone does not exist; expected a checkpoint folder or a hub name"):
        open_backend("llava_hf", tmp_path / "gone")


def test_the_reason_of_the_class_is_shown_where_a_checkpoint_cannot_be_opened(checkpoint, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match=r"lmms-eval's llava_hf cannot be opened with .* \(KeyError: 'llama'\)"):
        open_backend("llava_hf", tmp_path)


def test_an_adapter_folder_is_refused(checkpoint, tmp_path):
    adapter = tiny_checkpoints.lora_adapter(tmp_path / "adapter", checkpoint)
    with pytest.raises(InputError, match="do not take adapter folders; merge it into its base, or use --backend hf"):
        open_backend("llava_hf", adapter)


@pytest.mark.parametrize(
    ("decoding", "line"),
    [
        (
            Decoding(8, num_beams=3),
            "num_beams=3: lmms-eval's Scripted ignores it.*--gen-kwargs num_beams=1 for greedy",
        ),
        (Decoding(8, extra={"repetition_penalty": 1.2}), "repetition_penalty=1.2: .*; use --backend hf, or omit it"),
    ],
)
def test_decoding_that_the_class_would_ignore_is_refused(items, decoding, line):
    with pytest.raises(InputError, match=line):
        rows(open_backend("scripted", "a/model"), items, decoding)


def test_a_checkpoint_that_lacks_weights_is_refused(checkpoint, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(checkpoint, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    removed = next(name for name in weights if "q_proj" in name and "language" in name)
    del weights[removed]
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks weights of the model that this class opens it as, such as .*q_proj"):
        open_backend("llava_hf", broken)


def test_what_classes_print_stays_off_stdout(items, capsys):
    rows(open_backend("scripted", "a/model"), items[:2])
    answers = capsys.readouterr()
    assert answers.out == ""
    assert "a line on stdout" in answers.err


def test_the_sentence_that_replaces_a_failed_request_is_an_error_row(items, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    broken = "What is left of the cup?"
    script = lambda prompt, _: failure(500, "overloaded") if broken in prompt else reply("Yes")  # noqa: E731
    with JudgeServer(script) as server:
        arguments = {"base_url": server.url, "max_retries": 1, "httpx_trust_env": False}
        answers = rows(open_backend("openai", "m", model_args=arguments), items[:8])
    bad = {id for id, row in answers.items() if row.state == "error"}
    assert bad == {item.id for item in items[:8] if item.prompt == broken}
    assert {row.text for id, row in answers.items() if id not in bad} == {"Yes"}
    assert all("overloaded" in answers[id].error for id in bad)

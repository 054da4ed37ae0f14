"""lmms-eval both ways: its model classes as our generator, our suites as its tasks. What needs lmms-eval itself is skipped
where it is not installed: pip install -c constraints.txt -e '.[lmms-eval]'."""

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from judge_server import JudgeServer, failure, reply

from halbench import plugins
from halbench.datasets import Data
from halbench.errors import InputError, MissingExtra
from halbench.evaluation import Evaluation, load_suite, score_stored
from halbench.lmms_tasks import FOLDER, SUITES, suite_task
from halbench.not_answers import lmms_failure
from halbench.records import read_json, read_jsonl
from halbench.types import BackendOptions, Decoding, Item

INSTALLED = importlib.util.find_spec("lmms_eval") is not None
needs_lmms_eval = pytest.mark.skipif(not INSTALLED, reason="needs: pip install 'halbench[lmms-eval]'")
GREEDY = Decoding(max_new_tokens=24)
SETTINGS = (
    "HALBENCH_SET",
    "HALBENCH_JUDGE",
    "HALBENCH_JUDGE_BASE_URL",
    "HALBENCH_JUDGE_PROMPT",
    "HALBENCH_JUDGE_KWARGS",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No settings but those of the test; runs/ and what halbench makes itself go to an empty folder."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    suite_task.evaluate.cache_clear()


def same_numbers(found: dict[str, object], evaluation: Evaluation) -> None:
    """Check lmms-eval's values (metric -> value) against all rows of an evaluation."""
    rows = {suite_task.full_name(row.group, row.metric): row for row in evaluation.results}
    assert rows.keys() <= found.keys()
    for name, value in found.items():
        row = rows.get(name)
        expected = "no score" if row is None or not row.n else "undefined" if row.value is None else row.value
        assert value == expected, name


# Failures


@pytest.mark.parametrize(
    ("text", "tokens", "reason"),
    [
        pytest.param("A dog.", None, None, id="an answer"),
        pytest.param("", 1, None, id="only the end token"),
        pytest.param("", None, "an empty answer without a count of tokens", id="empty, nothing counted"),
        pytest.param(" \n", None, "an empty answer without a count of tokens", id="blank, nothing counted"),
        pytest.param("", 0, "an empty answer without a count of tokens", id="empty, no token"),
        pytest.param(
            "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error.",
            None,
            "LMMS_EVAL_REQUEST_FAILED after 5 retries: Connection error.",
            id="a request that failed",
        ),
        pytest.param("[LMMS_EVAL_BUDGET_EXCEEDED]", None, "LMMS_EVAL_BUDGET_EXCEEDED", id="out of budget"),
        pytest.param("A sign says [LMMS_EVAL_REQUEST_FAILED]", None, None, id="an answer that quotes one"),
        pytest.param(["A", "B"], 2, "expected text, found list", id="several rounds"),
    ],
)
def test_what_lmms_eval_gives_in_place_of_an_answer_is_a_failure(text, tokens, reason):
    assert lmms_failure(text, tokens) == reason


# Our suites as tasks: what needs no lmms-eval


def task_files() -> list[Path]:
    return sorted(FOLDER.glob("*.yaml"))


class Named(yaml.SafeLoader):
    """Reads `!function a.b.c` as lmms-eval does where no file a/b.py lies beside the YAML file."""


def named(loader: Named, node: yaml.ScalarNode) -> object:
    module, _, name = loader.construct_scalar(node).rpartition(".")
    return getattr(importlib.import_module(module), name)


Named.add_constructor("!function", named)


def read_task(path: Path) -> dict[str, object]:
    task = yaml.load(path.read_text("utf-8"), Named)
    return (read_task(path.with_name(task.pop("include"))) if "include" in task else {}) | task


def test_lmms_path_prints_the_folder_of_the_tasks(halbench):
    done = halbench("lmms-path")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in Path(done.stdout.strip()).glob("*.yaml")} == {
        f"halbench_{name}.yaml" for name in SUITES
    }


@pytest.mark.parametrize("path", task_files(), ids=lambda path: path.stem)
def test_a_task_asks_what_its_suite_asks_with_the_published_decoding(path):
    task = read_task(path)
    suite = load_suite(str(task["dataset_name"]))
    assert task["task"] == path.stem == f"halbench_{suite.name}"
    assert task["metadata"] == {"version": int(suite.version)}
    assert task["generation_kwargs"] == {
        "max_new_tokens": suite.decoding.max_new_tokens,
        "num_beams": suite.decoding.num_beams,
        "temperature": suite.decoding.temperature,
        "do_sample": False,
        "until": [],
    }
    assert (suite.decoding.top_p, suite.decoding.extra) == (1.0, {})


@pytest.mark.parametrize("path", task_files(), ids=lambda path: path.stem)
def test_a_task_lists_every_metric_in_every_group_once_and_says_which_side_is_better(path):
    task = read_task(path)
    suite = load_suite(str(task["dataset_name"]))
    listed = {entry["metric"]: entry["higher_is_better"] for entry in task["metric_list"]}
    assert (
        len(listed) == len(task["metric_list"]) == sum(len(set(m.groups) & suite.groups.keys()) for m in suite.metrics)
    )
    assert not any("," in name for name in listed), "lmms-eval parts metric and filter by a comma"
    for metric in suite.metrics:
        for group in metric.groups:
            if group in suite.groups:
                expected = {"higher": True, "lower": False, "neither": None}[metric.better]
                assert listed[metric.name if group == "all" else f"{group}_{metric.name}"] is expected


def answers(suite: str, texts: dict[str, str]) -> dict[str, list[suite_task.Answer]]:
    """What lmms-eval hands to each metric for these texts (item id -> text)."""
    kept = [suite_task.answer({"suite": suite, "item": item}, [text]) for item, text in texts.items()]
    names = suite_task.metric_names(load_suite(suite))
    return {name: [row[name] for row in kept] for name in names}


def stored(data: Data, name: str, id_field: str, text_field: str) -> dict[str, str]:
    path = data.root / "responses" / name
    rows = read_json(path) if path.suffix == ".json" else [row for _, row in read_jsonl(path)]
    return {str(row[id_field]): row[text_field].strip() for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "file", "id_field", "text_field"),
    [
        ("amber", "amber/llava15_7b__amber_g.json", "id", "response"),
        ("chair", "chair/minigpt4_greedy.jsonl", "image_id", "caption"),
        ("object_halbench", "object_halbench/real_responses__kchaosun_beam.jsonl", "image_id", "answer"),
    ],
)
def test_the_metrics_of_real_responses_are_those_of_halbench_score(data, capsys, suite, file, id_field, text_field):
    texts = stored(data, file, id_field, text_field)
    found = {name: suite_task.value(given) for name, given in answers(suite, texts).items()}
    evaluation = score_stored(suite, [], data, data.root / "responses" / file)
    assert evaluation.coverage.complete
    same_numbers(found, evaluation)
    assert capsys.readouterr().err.strip() == evaluation.signature, "told once, not with every metric"


def test_options_of_the_suites_come_from_the_environment(data, monkeypatch):
    texts = stored(data, "chair/llava-1.5_greedy.jsonl", "image_id", "caption")
    monkeypatch.setenv("HALBENCH_SET", "amber.answers=lenient,chair.captions=pattern")
    found = {name: suite_task.value(given) for name, given in answers("chair", texts).items()}
    same_numbers(
        found, score_stored("chair", ["captions=pattern"], data, data.root / "responses/chair/llava-1.5_greedy.jsonl")
    )


@pytest.mark.parametrize("text", ["captions=pattern", "pope.split=all", "chairs.captions=pattern"])
def test_an_option_without_a_known_suite_is_one_clear_line(monkeypatch, text):
    monkeypatch.setenv("HALBENCH_SET", text)
    with pytest.raises(
        InputError, match=re.escape(f"HALBENCH_SET {text}: expected SUITE.NAME=VALUE with a suite of amber,")
    ):
        suite_task.assignments("chair")


def test_a_failed_generation_is_an_error_row_that_no_metric_averages(data, capsys):
    texts = stored(data, "amber/llava15_7b__amber_g.json", "id", "response")
    given = answers("amber", texts | {"1": "", "2": "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error."})
    value = suite_task.value(given["generative_hal"])
    kept = suite_task.evaluate("amber", tuple(answer.row for answer in given["generative_hal"]))
    assert (kept.coverage.scored, kept.coverage.errors) == (1002, 2)
    row = next(row for row in kept.results if (row.group, row.metric) == ("generative", "hal"))
    assert (row.value, row.n) == (value, 1002)
    assert "1002 of 1004 items scored (2 failed in generation)" in capsys.readouterr().err


@pytest.mark.slow
def test_the_sample_log_holds_the_row_once_and_is_read_back_by_halbench_score(data, tmp_path):
    texts = stored(data, "amber/llava15_7b__amber_g.json", "id", "response") | {"1": ""}
    log = tmp_path / "samples_halbench_amber.jsonl"
    rows = [
        {"doc_id": n, "filtered_resps": text} | suite_task.answer({"suite": "amber", "item": item}, [text])
        for n, (item, text) in enumerate(texts.items())
    ]
    log.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), "utf-8")
    assert log.stat().st_size < 2.5e6, "not the text with each of the 47 metrics"
    found = {name: suite_task.value(given) for name, given in answers("amber", texts).items()}
    evaluation = score_stored("amber", [], data, log)
    assert evaluation.coverage.errors == 1
    same_numbers(found, evaluation)


def mmhal_answers(data: Data) -> dict[str, list[suite_task.Answer]]:
    return answers("mmhal", stored(data, "mmhal/llava_7b.json", "image_id", "model_answer"))


def test_without_a_judge_mmhal_has_no_score_and_never_0(data, capsys):
    found = {name: suite_task.value(given) for name, given in mmhal_answers(data).items()}
    assert set(found.values()) == {"no score"}
    assert "mmhal: INCOMPLETE: 0 of 96 items scored (96 without a verdict)" in capsys.readouterr().err


def test_the_judge_of_the_environment_gives_the_scores_and_its_replies_are_kept(data, monkeypatch, tmp_path):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("HALBENCH_JUDGE", "m")
    with JudgeServer(lambda prompt, _: reply(f"Rating: {len(prompt) % 7}")) as server:
        monkeypatch.setenv("HALBENCH_JUDGE_BASE_URL", server.url)
        found = {name: suite_task.value(given) for name, given in mmhal_answers(data).items()}
        assert len(server.requests) == 96
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("lmms-eval-")
    same_numbers(found, score_stored("mmhal", [], data, folder))
    assert 0 < found["score"] < 6


def test_a_judge_that_is_down_costs_no_answers(data, monkeypatch, capsys):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("HALBENCH_JUDGE", "m")
    with JudgeServer(lambda *_: failure(401, "wrong key")) as server:
        monkeypatch.setenv("HALBENCH_JUDGE_BASE_URL", server.url)
        assert suite_task.value(mmhal_answers(data)["score"]) == "no score"
    line = capsys.readouterr().err
    assert "wrong key" in line
    assert "The answers stand in lmms-eval's sample log (--log_samples), which halbench score reads" in line


def test_without_lmms_eval_the_line_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lmms_eval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lmms_eval", None)
    monkeypatch.delitem(sys.modules, "halbench.backends.lmms", raising=False)
    with pytest.raises(MissingExtra, match=r"backend 'lmms' needs: pip install 'halbench\[lmms-eval\]'"):
        plugins.load("halbench.backends", "lmms")


def test_a_backend_that_takes_nothing_after_a_colon_says_so(halbench, tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"id": "0/description", "response": "A dog."}\n')
    done = halbench("run", "--backend", "replay:x", "--model", "answers.jsonl", "--suite", "scenes")
    assert (done.returncode, done.stderr) == (
        2,
        "halbench: --backend replay:x: replay takes nothing after a colon\n",
    )


# lmms-eval's model classes as our generator

if INSTALLED:
    import tiny_checkpoints
    from lmms_eval.models import MODEL_REGISTRY_V2
    from lmms_eval.models.registry_v2 import ModelManifest
    from lmms_models import Replay
    from PIL import Image

    from halbench.backends import hf

    MODEL_REGISTRY_V2.register_manifest(
        ModelManifest("scripted", simple_class_path="lmms_models.Scripted"), overwrite=True
    )


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
    return [Item(f"{path.stem}/{q}", path, q, None, "all") for path in pictures for q in questions]


def rows(backend, items, decoding=GREEDY):
    return {row.item: row for row in backend.generate(items, decoding)}


@needs_lmms_eval
@pytest.mark.parametrize("decoding", [GREEDY, Decoding(8, num_beams=3)], ids=["greedy", "beams"])
def test_llava_hf_gives_the_same_rows_as_hf_for_a_tiny_checkpoint(checkpoint, items, decoding):
    direct = rows(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")), items, decoding)
    assert len({row.text for row in direct.values()}) > 16, "answers must depend on image and question"
    assert rows(open_backend("llava_hf", checkpoint), items, decoding) == direct


@needs_lmms_eval
def test_llava_hf_gives_the_same_rows_as_hf_for_the_scenes_checkpoint(tmp_path):
    items = load_suite("scenes").load(Data(tmp_path), load_suite("scenes").options(scenes=11), None).items[:64]
    decoding = load_suite("scenes").decoding
    direct = rows(hf.open_backend("scenes:base", BackendOptions(device="cpu")), items, decoding)
    assert rows(open_backend("llava_hf", "scenes:base"), items, decoding) == direct


@needs_lmms_eval
def test_the_simple_class_gives_the_same_texts_where_its_prompt_is_the_same(checkpoint, items):
    """It fills the template with one string, so a template for messages in parts loses the question: give it its own."""
    template = "USER: {{ messages[0]['content'] }} ASSISTANT:"
    simple = open_backend("llava_hf", checkpoint, model_args={"force_simple": True, "chat_template": template})
    direct = rows(hf.open_backend(str(checkpoint), BackendOptions(device="cpu")), items)
    found = rows(simple, items)
    assert {item: row.text for item, row in found.items()} == {item: row.text for item, row in direct.items()}
    assert {row.tokens for row in found.values()} == {None}
    assert simple.identity()["model_class"] == "lmms_eval.models.simple.llava_hf.LlavaHf"


@needs_lmms_eval
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
    backend.network.generation_config = GenerationConfig(**settings)
    backend.network = None
    assert rows(backend, items[:8]) != plain, "these settings would have changed the text"


@needs_lmms_eval
def test_sampling_gives_the_same_text_in_any_order(checkpoint, items):
    sampled = Decoding(12, temperature=0.9, top_p=0.95)
    backend = open_backend("llava_hf", checkpoint, seed=3)
    forwards = rows(backend, items[:8], sampled)
    assert rows(backend, items[7::-1], sampled) == forwards
    assert rows(open_backend("llava_hf", checkpoint, seed=4), items[:8], sampled) != forwards


@needs_lmms_eval
def test_an_exception_that_the_class_swallows_is_an_error_row_with_its_reason(checkpoint, items, monkeypatch):
    backend = open_backend("llava_hf", checkpoint)
    expected = rows(backend, items)
    generate = type(backend.network).generate

    def failing(self, **inputs):
        if "dog" in backend.engine.tokenizer.decode(inputs["input_ids"][0]):
            raise RuntimeError("CUDA error: device-side assert")
        return generate(self, **inputs)

    monkeypatch.setattr(type(backend.network), "generate", failing)
    found = rows(backend, items)
    bad = {item.id for item in items if "dog" in item.prompt}
    assert {id: row for id, row in found.items() if row.state == "ok"} == {
        id: row for id, row in expected.items() if id not in bad
    }
    assert {(row.text, row.error) for id, row in found.items() if id in bad} == {
        ("", "generation failed: Error CUDA error: device-side assert in generating")
    }


@needs_lmms_eval
def test_answers_failures_and_unknown_images_each_get_their_row(items, pictures, tmp_path):
    backend = open_backend("scripted", "a/model")
    questions = ("What?", "raise", "silent", "end", "long", "What is <image>?")
    asked = [replace(items[0], id=question, prompt=question) for question in questions]
    asked.append(replace(items[0], id="gone", image=tmp_path / "gone.png"))
    found = rows(backend, asked)
    assert (found["What?"].text, found["What?"].tokens, found["What?"].finish) == ("What? (40, 30)", 5, "stop")
    assert (found["end"].state, found["end"].text, found["end"].tokens) == ("empty", "", 1)
    assert (found["long"].finish, found["long"].tokens) == ("length", 24)
    assert {id: row.error for id, row in found.items() if row.state == "error"} == {
        "raise": "generation failed: KeyError: 'no such thing'",
        "silent": "generation failed: an empty answer without a count of tokens",
        "What is <image>?": "the prompt contains the model's image token '<image>'",
        "gone": f"image not found: {tmp_path / 'gone.png'}",
    }


@needs_lmms_eval
def test_each_item_is_asked_once_and_a_few_at_a_time(items):
    backend = open_backend("scripted", "a/model", batch_size=2)
    found = rows(backend, items)
    assert [len(call) for call in backend.engine.calls] == [16] * 4
    assert all(row.state == "ok" for row in found.values())
    assert {row.tokens for row in found.values()} == {None}, "counts of a batch may include padding"


@needs_lmms_eval
def test_the_same_failure_of_many_items_in_a_row_stops_the_run(items):
    asked = [replace(item, prompt="raise") for item in items]
    with pytest.raises(InputError, match=r"8 images in a row failed with the same message.*no such thing"):
        rows(open_backend("scripted", "a/model"), asked)


@needs_lmms_eval
@pytest.mark.parametrize(
    ("engine", "options", "line"),
    [
        pytest.param(None, {}, "expected a model class of lmms-eval after a colon, such as lmms:llava_hf", id="none"),
        pytest.param("lava_hf", {}, r"no model class 'lava_hf'; did you mean 'llava_hf'\?", id="typo"),
        pytest.param(
            "scripted", {"model_args": {"depth": 3}}, r"Unexpected kwargs: \{'depth': 3\}", id="unknown argument"
        ),
        pytest.param(
            "scripted", {"model_args": {"device": "cpu"}}, "--model-args device: is set by --device", id="ours"
        ),
        pytest.param("scripted", {"dtype": "float16"}, "Scripted decides on its precision itself", id="dtype"),
        pytest.param("dummy", {}, "Dummy takes no model; it takes response", id="no model"),
        pytest.param(
            "huggingface", {"model_args": {"force_simple": True}}, "has no simple class 'huggingface'", id="simple"
        ),
    ],
)
def test_what_cannot_be_opened_is_one_clear_line(engine, options, line):
    with pytest.raises(InputError, match=line) as caught:
        open_backend(engine, "a/model", **options)
    assert "\n" not in str(caught.value)


@needs_lmms_eval
def test_a_model_that_is_no_folder_and_no_hub_name_is_refused_without_asking_the_hub(tmp_path):
    with pytest.raises(InputError, match="gone does not exist; expected a checkpoint folder or a hub name"):
        open_backend("llava_hf", tmp_path / "gone")


@needs_lmms_eval
def test_the_reason_of_the_class_is_told_where_a_checkpoint_cannot_be_opened(checkpoint, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match=r"lmms-eval's llava_hf cannot be opened with .* \(KeyError: 'llama'\)"):
        open_backend("llava_hf", tmp_path)


@needs_lmms_eval
def test_an_adapter_folder_is_refused(checkpoint, tmp_path):
    adapter = tiny_checkpoints.lora_adapter(tmp_path / "adapter", checkpoint)
    with pytest.raises(InputError, match="take no adapter folder; merge it, or use --backend hf"):
        open_backend("llava_hf", adapter)


@needs_lmms_eval
@pytest.mark.parametrize(
    ("decoding", "line"),
    [
        (
            Decoding(8, num_beams=3),
            "num_beams=3: lmms-eval's Scripted never reads it.*--gen-kwargs num_beams=1 asks for greedy",
        ),
        (Decoding(8, extra={"repetition_penalty": 1.2}), "repetition_penalty=1.2: .*; leave it out"),
    ],
)
def test_decoding_that_the_class_would_leave_unread_is_refused(items, decoding, line):
    with pytest.raises(InputError, match=line):
        rows(open_backend("scripted", "a/model"), items, decoding)


@needs_lmms_eval
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


@needs_lmms_eval
def test_what_classes_print_stays_off_stdout(items, capsys):
    rows(open_backend("scripted", "a/model"), items[:2])
    found = capsys.readouterr()
    assert found.out == ""
    assert "a line on stdout" in found.err


@needs_lmms_eval
def test_the_sentence_that_stands_for_a_failed_request_is_an_error_row(items, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    broken = "What is left of the cup?"
    script = lambda prompt, _: failure(500, "overloaded") if broken in prompt else reply("Yes")  # noqa: E731
    with JudgeServer(script) as server:
        arguments = {"base_url": server.url, "max_retries": 1, "httpx_trust_env": False}
        found = rows(open_backend("openai", "m", model_args=arguments), items[:8])
    bad = {id for id, row in found.items() if row.state == "error"}
    assert bad == {item.id for item in items[:8] if item.prompt == broken}
    assert {row.text for id, row in found.items() if id not in bad} == {"Yes"}
    assert all("overloaded" in found[id].error for id in bad)


# Our suites as tasks, in lmms-eval itself


def lmms_eval(*arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line of lmms-eval, without network."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "lmms_eval", "--include_path", str(FOLDER), *map(str, arguments)],
        cwd=folder,
        env=os.environ | offline | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def printed_values(stdout: str) -> dict[str, str]:
    """Metric -> value of lmms-eval's table."""
    cells = [
        [cell.strip() for cell in line.split("|")] for line in stdout.splitlines() if line.startswith("|halbench_")
    ]
    return {row[4]: row[6] for row in cells}


@needs_lmms_eval
def test_lmms_evals_command_line_prints_the_numbers_of_halbench_score(tmp_path):
    model = f"pretrained={FOLDER.parent / 'scenes/base'},device=cpu,device_map=cpu,dtype=float32"
    done = lmms_eval(
        *("--tasks", "halbench_scenes", "--model", "llava_hf", "--model_args", model, "--limit", 64),
        *("--batch_size", 1, "--log_samples", "--output_path", "logs"),
        folder=tmp_path,
    )
    (log,) = (tmp_path / "logs").rglob("*_samples_halbench_scenes.jsonl")
    (results,) = (tmp_path / "logs").rglob("*_results.json")
    evaluation = score_stored("scenes", [], Data(tmp_path), log)
    exact = read_json(results)["results"]["halbench_scenes"]
    names = suite_task.metric_names(evaluation.suite)
    same_numbers({name: exact[f"{name},none"] for name in names}, evaluation)
    shown = printed_values(done.stdout)
    for name in names:
        value = exact[f"{name},none"]
        assert float(shown[name]) == round(value, 4) if isinstance(value, float) else shown[name] == value
    assert "halbench: scenes: INCOMPLETE: 64 of 6259 items scored (6195 without a response)" in done.stderr
    assert evaluation.signature in done.stderr
    # The same checkpoint through our own command gives the same answers.
    suite = load_suite("scenes")
    task = suite.load(Data(tmp_path), suite.options(scenes=11), None)
    direct = rows(hf.open_backend("scenes:base", BackendOptions(device="cpu")), task.items[:64], suite.decoding)
    assert {row["item"]: row["prediction"] for _, row in read_jsonl(log)} == {
        id: row.text for id, row in direct.items()
    }


@pytest.fixture
def pictured(data, tmp_path, monkeypatch) -> Data:
    """The suites' data, with a picture for every image that a suite asks about."""
    root = tmp_path / "data"
    photograph = next((data.root / "images").glob("*.jpg"))
    for suite in ("amber", "chair", "mmhal", "object_halbench"):
        (root / suite).mkdir(parents=True)
        for path in (data.root / suite).iterdir():
            if path.name != "images":
                (root / suite / path.name).symlink_to(path)
        (root / suite / "images").mkdir()
        loaded = load_suite(suite)
        for item in loaded.load(Data(root), loaded.options(), None).items:
            if not item.image.exists():
                item.image.symlink_to(photograph)
    monkeypatch.setenv("HALBENCH_DATA", str(root))
    return Data(root)


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "datasets"))
    from lmms_eval.api import task

    task._resolve_hf_datasets_cache_dir.cache_clear()
    yield
    task._resolve_hf_datasets_cache_dir.cache_clear()


@needs_lmms_eval
def test_all_tasks_run_in_one_command_and_aggregate_real_responses_as_halbench_score_does(
    pictured, data, offline, capsys
):
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    texts = {
        "amber": stored(data, "amber/llava15_7b__amber_g.json", "id", "response"),
        "chair": stored(data, "chair/llava-1.5_greedy.jsonl", "image_id", "caption"),
        "mmhal": stored(data, "mmhal/llava_7b.json", "image_id", "model_answer"),
        "object_halbench": stored(data, "object_halbench/real_responses__kchaosun_beam.jsonl", "image_id", "answer"),
    }
    model = Replay({f"halbench_{suite}": given for suite, given in texts.items()})
    found = simple_evaluate(
        model=model,
        tasks=[f"halbench_{suite}" for suite in texts],
        task_manager=TaskManager(include_path=str(FOLDER)),
        bootstrap_iters=0,
    )
    assert found["n-samples"]["halbench_amber"]["original"] == 15220
    for suite in texts:
        samples = found["samples"][f"halbench_{suite}"]
        log = pictured.root / f"{suite}.jsonl"
        log.write_text("".join(json.dumps(sample, default=str) + "\n" for sample in samples), "utf-8")
        evaluation = score_stored(suite, [], pictured, log)
        values = found["results"][f"halbench_{suite}"]
        names = suite_task.metric_names(evaluation.suite)
        same_numbers({name: values[f"{name},none"] for name in names}, evaluation)
        assert evaluation.coverage.complete == (suite != "mmhal")
    assert {
        found["results"]["halbench_mmhal"][f"{name},none"] for name in suite_task.metric_names(load_suite("mmhal"))
    } == {"no score"}
    assert "mmhal: no judge, so its metrics will be 'no score'; set HALBENCH_JUDGE=MODEL" in capsys.readouterr().err
    assert len({sample["item"] for sample in found["samples"]["halbench_chair"]}) == 500


@needs_lmms_eval
def test_questions_on_images_that_are_missing_are_not_asked_and_count_as_missing(pictured, offline, capsys):
    import datasets

    gone = suite_task.open_task("mmhal").items[0]
    gone.image.unlink()
    placeholder = datasets.Dataset.from_list([{"see": ""}])
    placeholder.info.config_name = "mmhal"
    documents = suite_task.documents(placeholder)
    assert len(documents) == 95
    assert gone.id not in documents["item"]
    assert "mmhal: 1 of 96 items are not asked: their images are missing" in capsys.readouterr().err


@needs_lmms_eval
def test_a_task_without_any_image_is_refused_before_anything_is_asked(data, monkeypatch, tmp_path):
    import datasets

    placeholder = datasets.Dataset.from_list([{"see": ""}])
    placeholder.info.config_name = "amber"
    with pytest.raises(InputError, match=r"none of the 15220 images of amber is there .* Set HALBENCH_DATA"):
        suite_task.documents(placeholder)

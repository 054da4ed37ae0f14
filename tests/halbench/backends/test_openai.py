"""The openai backend against a real HTTP server: what it sends, and what it makes of the answers."""

import time
from dataclasses import replace

import pytest

pytest.importorskip("openai")
pytest.importorskip("PIL")

from chat_backends import GREEDY, ask, backend, echo, image_part, questions
from judge_server import Answer, JudgeServer, failure, reply
from PIL import Image

from halbench.backends.openai import Patience, open_backend, patience, request_fields
from halbench.errors import InputError
from halbench.reasoning import Reasoning
from halbench.running.generation import generate
from halbench.running.run import served_models
from halbench.types import BackendOptions, Decoding, Item, Response


@pytest.fixture
def items(tmp_path):
    return questions(tmp_path)


@pytest.mark.parametrize(
    ("format", "kind"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp")]
)
def test_a_request_holds_the_image_files_own_bytes_then_the_question_and_greedy_decoding(tmp_path, format, kind):
    path = tmp_path / "misnamed.dat"
    Image.new("RGB", (8, 8), (9, 5, 1)).save(path, format)
    with JudgeServer(echo) as server:
        ask(server, [Item("1", (path,), "What?", None, "all")])
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": [image_part(path, kind), {"type": "text", "text": "What?"}]}],
            "max_tokens": 32,
            "temperature": 0.0,
        }
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_request_holds_as_many_images_as_the_item_shows_in_their_order_before_the_text(items, count):
    paths = [item.images[0] for item in items[::4]][::-1][:count]
    with JudgeServer(echo) as server:
        (row,) = ask(server, [Item("1", tuple(paths), "What?", None, "all")])
    (request,) = server.requests
    assert request["messages"][0]["content"] == [
        *(image_part(path, "png") for path in paths),
        {"type": "text", "text": "What?"},
    ]
    assert row.text == "about What?"


def test_one_image_of_two_that_is_missing_is_an_error_row_and_no_request(items, tmp_path):
    shown = (items[0].images[0], tmp_path / "gone.png")
    with JudgeServer(echo) as server:
        (row,) = ask(server, [Item("1", shown, "What?", None, "all")])
    assert (row.state, row.error, server.requests) == ("error", f"image not found: {tmp_path / 'gone.png'}", [])


def test_sampling_states_top_p_and_a_seed_that_belongs_to_the_item(items):
    sampling = Decoding(32, temperature=0.7, top_p=0.9)
    with JudgeServer(echo) as server:
        ask(server, items, sampling, concurrency=1)
        forwards = {prompt: request["seed"] for prompt, request in zip(server.prompts(), server.requests, strict=True)}
        ask(server, items[::-1], sampling, concurrency=1)
        backwards = {
            prompt: request["seed"] for prompt, request in zip(server.prompts()[12:], server.requests[12:], strict=True)
        }
        ask(server, items[:1], sampling, seed=1)
    assert forwards == backwards
    assert len(set(forwards.values())) == 12
    assert server.requests[-1]["seed"] != forwards["question 0"]
    assert (server.requests[0]["temperature"], server.requests[0]["top_p"]) == (0.7, 0.9)


def test_openai_itself_is_sent_the_names_that_its_newer_models_take():
    sampling = replace(GREEDY, temperature=1.0)
    assert request_fields(sampling, "https://api.openai.com/v1") == {"max_completion_tokens": 32, "temperature": 1.0}
    assert request_fields(sampling, "http://localhost:1/v1") == {"max_tokens": 32, "temperature": 1.0, "top_p": 1.0}


def test_further_arguments_become_fields_and_null_leaves_one_out():
    extra = {"repetition_penalty": 1.0, "max_tokens": None, "max_completion_tokens": 9}
    assert request_fields(replace(GREEDY, extra=extra), "http://localhost:1/v1") == {
        "temperature": 0.0,
        "repetition_penalty": 1.0,
        "max_completion_tokens": 9,
    }
    with pytest.raises(InputError, match="--gen-kwargs stream: is set by halbench"):
        request_fields(replace(GREEDY, extra={"stream": True}), "http://localhost:1/v1")


def test_beam_search_is_refused_with_what_to_do_instead(items):
    with pytest.raises(InputError, match=r"num_beams=3: .* --gen-kwargs num_beams=1 .* changes the signature"):
        next(backend("http://localhost:1/v1").generate(items, Decoding(32, num_beams=3)))


def test_every_row_has_text_tokens_finish_and_the_served_model(items):
    body = reply("  Two dogs.\n", served="m-2024-08-06", finish="length").body
    with JudgeServer(lambda *_: Answer({**body, "usage": {"completion_tokens": 3}})) as server:
        rows = ask(server, items[:1])
    assert rows == [Response("0", "Two dogs.", 3, "length", extra={"served_model": "m-2024-08-06"})]


def test_all_models_that_answered_are_recorded_and_a_strange_one_is_warned_of_once(items, caplog):
    with JudgeServer(lambda prompt, _: reply("A dog.", served="other" if int(prompt[9:]) % 2 else "m@main")) as server:
        rows = ask(server, items)
    assert served_models(rows) == {"served_models": ["m@main", "other"]}
    assert [record.getMessage() for record in caplog.records] == ["requested 'm', but answers come from 'other'"]


def test_as_many_requests_as_allowed_are_open_at_once(items):
    def script(*_):
        return reply("A dog.", wait_s=0.01, when=lambda: server.busiest >= 4)

    with JudgeServer(script) as server:
        assert len(ask(server, items, concurrency=4)) == 12
    assert server.busiest == 4


@pytest.mark.parametrize(
    ("answer", "text", "error"),
    [
        pytest.param(reply(None, refusal="I cannot."), "I cannot.", "the model declined: refusal", id="a refusal"),
        pytest.param(
            reply("A ma", finish="content_filter"), "A ma", "the model declined: content_filter", id="a filtered answer"
        ),
        pytest.param(failure(400, "filtered", "content_filter"), "", "400: filtered", id="a filtered question"),
        pytest.param(reply(""), "", "an empty answer without a count of tokens", id="nothing at all"),
    ],
)
def test_what_is_no_answer_is_an_error_row_with_its_reason(items, answer, text, error):
    with JudgeServer(lambda *_: answer) as server:
        (row,) = ask(server, items[:1])
    assert (row.state, row.text, row.error) == ("error", text, error)
    assert len(server.requests) == 1


def test_an_empty_answer_that_was_generated_is_empty(items):
    with JudgeServer(lambda *_: Answer({**reply(" ").body, "usage": {"completion_tokens": 1}})) as server:
        (row,) = ask(server, items[:1])
    assert (row.state, row.tokens) == ("empty", 1)


def test_a_finished_run_needs_no_server(items, folder):
    with JudgeServer(echo) as server:
        first = generate(items, backend(server.url), GREEDY, folder)
    assert generate(items, backend(server.url), GREEDY, folder) == first


def test_an_answer_that_was_cut_off_before_it_began_is_unfinished_and_not_empty(items, folder):
    answer = reply("", finish="length")
    answer.body["usage"] = {"completion_tokens": 64}
    with JudgeServer(lambda *_: answer) as server:
        (row,) = generate(items[:1], backend(server.url), GREEDY, folder)
    assert (row.state, row.text, row.tokens) == ("unfinished", "", 64)
    assert "still reasoning" in row.error


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_a_server_tells_apart_as_thoughts_is_kept_beside_the_answer(items, folder, name):
    def answer(prompt: str, _: int) -> Answer:
        said = reply("A dog.")
        said.body["choices"][0]["message"][name] = "A cat? No."
        return said

    with JudgeServer(answer) as server:
        (row,) = generate(items[:1], backend(server.url), GREEDY, folder)
    assert (row.state, row.text, row.extra["reasoning"]) == ("ok", "A dog.", "A cat? No.")


def test_thoughts_in_the_text_are_set_apart_and_the_budgets_are_added_up(items, folder):
    decoding = replace(GREEDY, reasoning=Reasoning(max_reasoning_tokens=100))
    with JudgeServer(lambda *_: reply("<think>A cat?</think>\n\nA dog.")) as server:
        (row,) = generate(items[:1], backend(server.url, template_kwargs={"enable_thinking": True}), decoding, folder)
    assert (row.state, row.text, row.extra["reasoning"]) == ("ok", "A dog.", "A cat?")
    request = server.requests[-1]
    assert (request["max_tokens"], request["chat_template_kwargs"]) == (132, {"enable_thinking": True})


def test_stopping_midway_leaves_no_request_behind(items):
    with JudgeServer(lambda *_: reply("A dog.", wait_s=0.02)) as server:
        answers = backend(server.url, concurrency=2).generate(items, GREEDY)
        next(answers)
        answers.close()
        time.sleep(0.5)  # what was sent already may still arrive
        arrived = len(server.requests)
        time.sleep(0.2)
    assert len(server.requests) == arrived < 6


def test_the_identity_is_the_requested_model_wherever_it_is_served():
    options = BackendOptions(base_url="http://me:password@gpu-7:8000/v1")
    assert open_backend("m", options).identity() == {"backend": "openai", "model": "m"}


def test_model_args_say_how_long_to_wait():
    assert patience({"timeout": 9.5, "retries": 0}) == Patience(9.5, 0)
    with pytest.raises(InputError, match=r"--model-args timeuot: unknown .* did you mean 'timeout'"):
        patience({"timeuot": 9})
    with pytest.raises(InputError, match="--model-args retries=some: expected a number"):
        patience({"retries": "some"})

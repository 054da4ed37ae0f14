"""Opening a backend: options that it does not take, secrets, and what a user's own backend may get wrong."""

import pytest

from halbench.errors import InputError
from halbench.plugins import source_line
from halbench.running.opening import check_options, model_identity, open_backend
from halbench.running.plan import Plan
from halbench.types import BackendOptions

KEY = "sk-very-secret-123"


def test_options_that_a_backend_does_not_take_are_refused():
    check_options(
        "openai", ("base_url", "model_args"), BackendOptions(base_url="http://a/v1", model_args={"timeout": 9})
    )
    with pytest.raises(InputError, match="--backend hf does not take --base-url"):
        check_options("hf", (), BackendOptions(base_url="http://a/v1"))
    with pytest.raises(InputError, match="--backend openai does not take --base"):
        check_options("openai", ("base_url",), BackendOptions(base="vicuna"))
    with pytest.raises(InputError, match="--backend hf does not take --model-args"):
        check_options("hf", (), BackendOptions(model_args={"timeout": 9}))
    with pytest.raises(InputError, match="--backend hf:llava: backend 'hf' takes nothing after its name"):
        check_options("hf", (), BackendOptions(engine="llava"))


def test_a_server_takes_an_address_and_arguments_and_a_replay_takes_neither():
    options = BackendOptions(base_url="http://127.0.0.1:9/v1", model_args={"timeout": 9})
    with pytest.raises(InputError, match="--backend replay does not take --base-url"):
        open_backend(Plan("answers.jsonl", "replay"), options)
    pytest.importorskip("openai")
    assert model_identity(open_backend(Plan("m", "openai"), options)) == {"backend": "openai", "model": "m"}


@pytest.mark.parametrize("name", ["api_key", "openai_api_key", "hf_token", "token", "client_secret", "password"])
def test_secrets_are_not_taken_where_they_would_be_written_down(name):
    with pytest.raises(InputError, match=f"--model-args {name}: would be written into the manifest") as raised:
        check_options("vllm", ("model_args",), BackendOptions(model_args={"max_model_len": 9, name: KEY}))
    assert KEY not in str(raised.value)
    check_options("vllm", ("model_args",), BackendOptions(model_args={"image_token": "<image>", "max_tokens": 3}))


def written(tmp_path, code):
    path = tmp_path / "mine.py"
    path.write_text(code)
    return Plan(model="m", backend=str(path))


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1", r"mine\.py: does not define open_backend"),
        ("def open_backend(model): ...", r"mine\.py:1: open_backend\(\) cannot be called as halbench does \(too many"),
        (
            "\ndef open_backend(model, options): ...",
            r"mine\.py:2: open_backend\(\) returned a NoneType without identity\(\)",
        ),
        (
            "class Mine:\n    def identity(self): return {}\ndef open_backend(model, options): return Mine()",
            r"mine\.py:3: open_backend\(\) returned a Mine without generate\(\)",
        ),
        (
            "class Mine:\n    def identity(self): return {}\n    def generate(self, items): ...\n"
            "def open_backend(model, options): return Mine()",
            r"mine\.py:3: Mine\.generate\(\) cannot be called as halbench does",
        ),
    ],
)
def test_what_is_no_backend_is_one_line_with_file_and_line(tmp_path, code, line):
    with pytest.raises(InputError, match=line) as raised:
        open_backend(written(tmp_path, code), BackendOptions())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("identity", ["None", "[1]", "{'model': 3}", "{3: 'model'}"])
def test_an_identity_that_is_not_text_is_one_line_with_file_and_line(tmp_path, identity):
    plan = written(
        tmp_path,
        f"class Mine:\n    def identity(self): return {identity}\n    def generate(self, items, decoding): ...\n"
        "def open_backend(model, options): return Mine()",
    )
    with pytest.raises(
        InputError, match=r"mine\.py:2: identity\(\) returned .*; expected names and values that are all text"
    ):
        model_identity(open_backend(plan, BackendOptions()))


def test_a_generator_is_located_at_its_current_line():
    def generator():
        yield 1
        yield 2

    running = generator()
    first = generator.__code__.co_firstlineno
    assert source_line(generator) == f"{__file__}:{first}"
    for line in (first + 1, first + 2):
        next(running)
        assert source_line(running) == f"{__file__}:{line}"
    assert source_line([]) == "a list"


def test_the_engine_after_the_colon_reaches_the_backend(tmp_path):
    plan = written(
        tmp_path,
        "OPTIONS = ('engine',)\nclass Mine:\n    def __init__(self, engine): self.engine = engine\n"
        "    def identity(self): return {'engine': self.engine}\n    def generate(self, items, decoding): ...\n"
        "def open_backend(model, options): return Mine(options.engine)",
    )
    assert model_identity(open_backend(Plan("m", f"{plan.backend}:fast"), BackendOptions())) == {"engine": "fast"}

"""Prompts from chat templates, and whether they have room for as many images as an item shows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from halbench.errors import InputError
from halbench.models.chat_templates import (
    chat_template,
    check_image_counts,
    image_count_problem,
    image_tokens,
    render,
    starts_with_bos,
)
from halbench.types import Item

ANY_NUMBER = (
    "{% for part in messages[0]['content'] %}{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}"
)
ONE = "<image>{{ messages[0]['content'][-1]['text'] }}"


class Processor:
    """As much of a processor as templates need; templates are rendered by jinja2."""

    def __init__(self, template: Any = None, **tokens: str) -> None:
        self.chat_template, self.tokenizer = template, SimpleNamespace(chat_template=None)
        vars(self).update(tokens)

    def apply_chat_template(self, messages: list[Any], chat_template: str, add_generation_prompt: bool) -> str:
        jinja2 = pytest.importorskip("jinja2")
        return str(jinja2.Template(chat_template).render(messages=messages))


def items(*counts: int) -> list[Item]:
    return [
        Item(str(n), tuple(Path(f"{i}.jpg") for i in range(count)), "?", None, "all") for n, count in enumerate(counts)
    ]


def test_a_prompt_has_its_images_before_the_question():
    assert render(Processor(), ANY_NUMBER, "What?", 2) == "<image><image>What?"
    assert render(Processor(), ANY_NUMBER, "What?", 0) == "What?"


def test_gemma_marks_an_image_by_another_token():
    assert image_tokens(Processor(image_token="<img>", boi_token="<start>")) == ["<img>", "<start>"]
    gemma = Processor(image_token="<img>", boi_token="<image>")
    assert [image_count_problem(gemma, ANY_NUMBER, count) for count in (0, 1, 3)] == [None] * 3


def test_a_processor_without_image_tokens_is_trusted():
    assert image_count_problem(Processor(), "no place at all", 2) is None


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ((1, 1, 2), r"item '2' shows 2 images, but .* writes the prompt for 1 image\. This checkpoint cannot answer"),
        ((1, 0), r"item '1' shows no image, but .* writes the prompt for 1 image"),
    ],
)
def test_the_first_item_with_more_or_fewer_images_than_the_template_takes_is_named(counts, line):
    with pytest.raises(InputError, match=line):
        check_image_counts(Processor(image_token="<image>"), ONE, items(*counts))
    check_image_counts(Processor(image_token="<image>"), ANY_NUMBER, items(*counts))


def test_a_named_template_s_default_is_used_and_none_at_all_is_refused():
    assert chat_template(Processor({"default": ONE, "tool": ""}, image_token="<image>"), "model") == ONE
    with pytest.raises(InputError, match=r"^model: no chat template; copy chat_template\.jinja"):
        chat_template(Processor(), "model")


def test_the_begin_token_is_seen_where_the_template_writes_it():
    tokenizer = SimpleNamespace(bos_token="<s>")
    assert starts_with_bos(tokenizer, "<s>USER: ?")
    assert not starts_with_bos(tokenizer, "USER: ?")
    assert not starts_with_bos(SimpleNamespace(bos_token=None), "USER: ?")

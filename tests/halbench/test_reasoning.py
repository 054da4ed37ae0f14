"""Where thoughts end and what the answer is."""

import pytest

from halbench.errors import InputError
from halbench.reasoning import Reasoning, Split, opened_in, split

CAT = "A cat."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>A dog?</think>\n\nA cat.", Split(CAT, "A dog?", True)),
        ("\n<think>\n\n</think>\n\nA cat.", Split(CAT, "", True)),
        ("A dog? No.\n</think>\n\nA cat.", Split(CAT, "A dog? No.", True)),
        ("<think>one</think><think>two</think>A cat.", Split(CAT, "one\n\ntwo", True)),
        ("◁think▷A dog?◁/think▷A cat.", Split(CAT, "A dog?", True)),
        ("<|channel>thought\nA dog?<channel|>A cat.", Split(CAT, "A dog?", True)),
        ("<think>A dog?</think><answer>A cat.</answer>", Split(CAT, "A dog?", True)),
        ("<think>A dog?</think><|begin_of_box|>A cat.", Split(CAT, "A dog?", True)),
        (
            "<think>A dog?</think><answer>A cat.</answer> I am sure.",
            Split("<answer>A cat.</answer> I am sure.", "A dog?", True),
        ),
        ("<think>A dog? Or", Split("", "A dog? Or", False)),
        ("<think>one</think>\n<think>two", Split("", "one\n\ntwo", False)),
        ("<think>A dog?</think>", Split("", "A dog?", True)),
        (CAT, None),
        ("", None),
        ("The sign says <think> before you drive.", None),
        ("<answer>A cat.</answer>", None),
    ],
    ids=[
        *(
            "thought and answer",
            "an empty thought",
            "opened in the prompt",
            "two thoughts",
            "Kimi's tags",
            "Gemma's channel",
        ),
        *(
            "an answer in tags",
            "a box that was cut off",
            "more than the tags hold",
            "never closed",
            "second never closed",
        ),
        *("no answer at all", "no thought", "nothing", "a tag that is only mentioned", "tags without thoughts"),
    ],
)
def test_a_text_is_split_into_thoughts_and_answer(text, expected):
    assert split(text) == expected


def test_tags_of_ones_own_replace_the_known_ones():
    tags = Reasoning(reasoning_tags=("<<,>>",)).tags()
    assert split("<<A dog?>>A cat.", tags) == Split(CAT, "A dog?", True)
    assert split("<think>A dog?</think> A cat.", tags) is None


@pytest.mark.parametrize("wrong", ["<think>", "<think>,", "a,b,c"])
def test_tags_that_are_no_pair_are_refused(wrong):
    with pytest.raises(InputError, match="expected two tags such as"):
        Reasoning(reasoning_tags=(wrong,)).tags()


def test_a_prompt_can_open_a_thought_and_can_close_it_again():
    tags = Reasoning().tags()
    assert opened_in("<|im_start|>assistant\n<think>\n", tags) == "<think>"
    assert opened_in("<|im_start|>assistant\n<think>\n\n</think>\n\n", tags) == ""
    assert opened_in("ASSISTANT:", tags) == ""


def test_only_what_differs_from_the_default_is_signed():
    assert Reasoning().identity() == {}
    assert Reasoning(reasoning="keep").identity() == {"reasoning": "keep"}
    assert Reasoning(reasoning_tags=("<a>,</a>",)).identity() == {"reasoning": "split at <a>,</a>"}

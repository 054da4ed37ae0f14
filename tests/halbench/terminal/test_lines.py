"""Text from data on the terminal: it cannot act on it, look like a line of ours, or fill it."""

import json
import time

import pytest

from halbench.terminal.formatting import print_table
from halbench.terminal.lines import LONGEST_LINE, one_line, show, show_json, visible
from halbench.terminal.progress import progress, say

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\r\nhalbench: all fine\u2028\u202e"
LETTERS = "Größe 猫 مرحبا हिन्दी 👩‍🔬"


def harmless(text: str) -> bool:
    return not any(character in text for character in HOSTILE if not character.isprintable() and character != "\n")


def test_what_a_terminal_would_act_on_is_shown_as_an_escape_and_letters_are_kept():
    assert visible("a\x1b[31m\nb\t\x9b\u202e\ud800") == r"a\x1b[31m\nb\t\x9b\u202e\ud800"
    assert visible(LETTERS) == LETTERS


@pytest.mark.parametrize("line", [f"item '{HOSTILE}' is unknown", HOSTILE, f"{HOSTILE}\n"])
def test_no_text_can_forge_a_line_of_ours(line, capsys):
    say(line)
    with progress(f"judge {HOSTILE}", 1) as steps:
        steps.advance(note=HOSTILE)
    show(line, HOSTILE)
    out, err = capsys.readouterr()
    assert harmless(out + err)
    assert (out.count("\n"), err.count("\n")) == (2, 2)
    assert "halbench: all fine" not in [text.strip() for text in (out + err).splitlines()]


def test_a_table_shows_hostile_cells_in_one_line_and_leaves_names_between_colons(capsys):
    print_table({f"group{HOSTILE}": "left"}, [[f"a:smile:{HOSTILE}"]], f"run {HOSTILE}")
    out = capsys.readouterr().out
    assert harmless(out)
    assert "a:smile:" in out
    assert out.startswith("run ")
    assert not any(line.startswith("halbench") for line in out.splitlines())


def test_json_has_no_control_characters_and_its_values_are_unchanged(capsys):
    show_json({"text": HOSTILE + LETTERS})
    out = capsys.readouterr().out
    assert harmless(out)
    assert LETTERS in out
    assert json.loads(out) == {"text": HOSTILE + LETTERS}


def test_long_values_are_cut_and_what_to_do_stays():
    message = f"run/scores.jsonl: item '{'x' * 100_000}' has two scores (\"{'why ' * 1000}\"); score the run again"
    line = one_line(message)
    assert line.startswith("run/scores.jsonl: item 'xxx")
    assert line.endswith("; score the run again")
    assert "more characters]" in line
    assert len(line) < 600
    assert len(one_line("word " * 100_000)) < LONGEST_LINE + 100


def test_a_usual_message_is_not_changed():
    path = "/scratch/" + "/".join(["a-long-folder-name"] * 12)
    message = f"{path}: the suite's words aren't those of the run's; expected 'amber' or \"chair\", see --set"
    assert one_line(message) == message


def test_a_message_full_of_quotes_is_cut_at_once():
    begun = time.monotonic()
    one_line("item '" + "'a'b " * 50_000)
    assert time.monotonic() - begun < 1


def test_what_stands_between_two_quoted_names_is_not_cut():
    between = "8 replies in a row have no verdict, and this goes on for more than eighty characters, the last"
    message = f"judge 'm' at http://localhost: {between}: 'I like this picture.'. Check the model"
    assert one_line(message) == message
    assert one_line(f"'{'a' * 500}' {between} 'b'").endswith(f"' {between} 'b'")

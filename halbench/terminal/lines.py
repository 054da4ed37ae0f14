"""Lines on the terminal. Text from data (ids, errors, model names, replies) can neither move the cursor, change colours nor
look like a line of ours, and it is cut where it is long. Letters of every language stay as they are.

    one_line("item 'a\\nhalbench: all fine' ...")      item 'a\\\\nhalbench: all fine' ...
"""

import re
from typing import Any

# Control characters, line ends, marks that turn the direction of text, and halves of characters.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
IN_QUOTES = re.compile(r"""(?<![^\s(:=\[{])(['"])((?:(?!\1(?:[\s,.;:)\]}]|$)).)+)\1(?=[\s,.;:)\]}]|$)""")
QUOTED = {"'": 80, '"': 300}  # ids and names are in single quotes, sentences in double ones
LONGEST_WORD = 600  # a signature, a path
LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
LONGEST_LINE = 2000


def visible(text: object) -> str:
    """The text with everything that a terminal would act on as an escape such as \\x1b."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: object) -> str:
    """A message as one line, with long values in it cut."""
    line = LONG_WORD.sub(lambda found: shortened(found[0], LONGEST_WORD), visible(str(text).rstrip()))
    line = shortened(line, 2 * LONGEST_LINE)  # a search for quotes takes the square of the length
    line = IN_QUOTES.sub(lambda found: found[1] + shortened(found[2], QUOTED[found[1]]) + found[1], line)
    return shortened(line, LONGEST_LINE)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and end where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end]}[{len(text) - most:,} more characters]{text[-end:]}"


def show(*lines: object) -> None:
    """Print lines on stdout, each as one line."""
    for line in lines:
        print(visible(line))


def show_json(value: Any) -> None:
    """Print a JSON value on stdout, for programs."""
    import json

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1)
    # What JSON itself leaves unescaped stands only within its strings.
    print(re.sub(r"[^\x00-\x7e]", lambda found: escaped(found[0]), text))


def escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if UNPRINTABLE.match(character) else character

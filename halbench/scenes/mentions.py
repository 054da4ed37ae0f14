"""The classes that a text mentions as present, and where in the text."""

import re
from dataclasses import dataclass
from functools import lru_cache

from halbench.scenes.world import WORLD, plural


@dataclass(frozen=True)
class Mention:
    """A mention of a class, text[start:end]."""

    name: str
    start: int
    end: int


def mentions(text: str) -> list[Mention]:
    """All mentions of classes as present, in the order of the text; denied ones ("no red fork") are left out."""
    classes, mentioned = class_of_word(), []
    denied = False
    for word in re.finditer(r"[a-z]+|[^a-z\s]", text.lower()):
        name = classes.get(word[0])
        if name and not denied:
            mentioned.append(Mention(name, word.start(), word.end()))
        # A denial applies to the next class, across its article and colour, and no further.
        denied = word[0] in ("no", "without") or (denied and word[0] in ("a", "an", "any", *WORLD.colours))
    return mentioned


@lru_cache(maxsize=1)
def class_of_word() -> dict[str, str]:
    """Singular and plural of every class -> its name."""
    return {form: name for name in WORLD.classes for form in (name, plural(name))}

"""The chosen suite, its options and data. Imports no numpy, so that the command line can show these flags at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from halbench import plugins
from halbench.data.datasets import Data, open_data
from halbench.errors import InputError, did_you_mean
from halbench.settings import option

SUITES = f"{', '.join(plugins.names('halbench.suites'))}; or a .py file. To run several: NAME,NAME."


@dataclass(frozen=True)
class DataChoice:
    """Folders of the suites' data and images; None for the defaults."""

    data: Path | None = option(
        None, "Folder with the suites' data.", metavar="DIR", otherwise="HALBENCH_DATA, else the user's cache"
    )
    images: Path | None = option(
        None, "Folder with the suite's images.", metavar="DIR", otherwise="images/ in the suite's data folder"
    )

    def open(self) -> Data:
        return open_data(self.data, self.images)


@dataclass(frozen=True)
class SuiteChoice(DataChoice):
    """A suite with its options and data. suite: name or file; None if a run folder names it. settings: options as
    "name=value"."""

    suite: str | None = option(None, SUITES, "--suite", "-s", metavar="NAME", joined=True)
    settings: tuple[str, ...] = option(
        (),
        "Option of the suite, e.g. captions=pattern, or chair.captions=pattern. May be repeated.",
        "--set",
        metavar="NAME=VALUE",
    )


Unwanted = Literal["empty", "cut"]


def read_unwanted(flag: str, text: str) -> tuple[str, ...]:
    """ "empty,cut" -> ("empty", "cut")."""
    kinds = tuple(text.split(","))
    for kind in kinds:
        if kind not in get_args(Unwanted):
            raise InputError(f"{flag}: unknown kind '{kind}'{did_you_mean(kind, get_args(Unwanted))}")
    return kinds


@dataclass(frozen=True)
class Acceptance:
    """What a run may contain and still count as complete; see Coverage."""

    allow: tuple[Unwanted, ...] = option(
        (),
        "Accept a run as complete although more than 1 % of its answers are empty (empty), or cut off at the token limit "
        "(cut), or either (empty,cut); recorded in the signature.",
        metavar="KIND",
        parse=read_unwanted,
    )


NOTHING_ALLOWED = Acceptance()

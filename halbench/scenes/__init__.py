"""The embedded world: small drawn scenes with exact truth, and a tiny checkpoint that hallucinates from a biased prior.

With it the whole product runs offline on a laptop in minutes, and objectives can be developed against a known bias with any
number of scenes and seeds. It is not meant to rank methods; real suites are.

    halbench run --model scenes:base --suite scenes
"""

from pathlib import Path

from halbench.errors import InputError, did_you_mean

PREFIX = "scenes:"


def checkpoint_path(name: str) -> Path:
    """Folder of a checkpoint that ships with the package, by its name "scenes:base" or "base". Needs no torch."""
    folder = Path(__file__).parent
    known = sorted(path.parent.name for path in folder.glob("*/config.json"))
    checkpoint = name.removeprefix(PREFIX)
    if checkpoint not in known:
        raise InputError(
            f"unknown model '{name}'{did_you_mean(PREFIX + checkpoint, [PREFIX + known_name for known_name in known])}"
        )
    return folder / checkpoint

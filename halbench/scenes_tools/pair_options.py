"""Options of preference pairs from the embedded world. Imports no torch, so that the command line can show its flags at once."""

from dataclasses import dataclass

from halbench.settings import option


@dataclass(frozen=True)
class PairOptions:
    """pairs: how many. samples: descriptions per scene. length_ratio: of words, longer by shorter, at most."""

    pairs: int = option(400, "Number of pairs.", minimum=1)
    samples: int = option(6, "Descriptions sampled for each scene.", minimum=2)
    temperature: float = option(1.0, "Sampling temperature.", minimum=0.01)
    length_ratio: float = 1.25
    max_new_tokens: int = 96
    seed: int = option(0, "Random seed of the scenes and of sampling.", minimum=0)

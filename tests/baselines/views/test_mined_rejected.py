"""Answers mined by an attack."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from baselines.types import Pair
from baselines.view_tools.information_gain import information_gain
from baselines.view_tools.reference_model import ReferenceModel
from baselines.view_tools.tools import Tools
from baselines.view_tools.variants import make_variant
from baselines.views import mined_rejected


def test_mined_answers_come_from_the_attack_and_low_gain_is_left_out(
    dog_pairs: list[Pair], reference: ReferenceModel, tmp_path: Path
):
    scenes = [
        replace(pair, prompt="Describe this image.", chosen=text)
        for pair, text in zip(
            dog_pairs, ("This is a park with a dog.", "This is a room with a ball.", "Zebra."), strict=True
        )
    ]
    tools = Tools(pairs=scenes, reference=reference, cache=tmp_path)
    variants = [make_variant("mined_rejected", pair, 0, tools) for pair in scenes]
    gains = [variant.notes["gain"] for variant in variants]
    assert gains == pytest.approx([information_gain(reference, pair) for pair in scenes])
    lowest = int(np.argmin(gains))
    for index, variant in enumerate(variants):
        assert variant.images is None
        if index == lowest:
            assert isnan(variant.reward)
            assert variant.answer == scenes[index].rejected
        else:
            assert variant.reward == mined_rejected.REWARD
            assert variant.answer not in ("", scenes[index].chosen, scenes[index].rejected)
    again = [make_variant("mined_rejected", pair, 0, tools) for pair in reversed(scenes)]
    assert [variant.answer for variant in reversed(again)] == [variant.answer for variant in variants]
    reference.gains.clear()
    fresh = make_variant("mined_rejected", scenes[lowest], 0, replace(tools, cache=tmp_path / "other"))
    assert isnan(fresh.reward)

"""The figures of what training logged."""

from dataclasses import replace

import numpy as np
import pytest
from small_reports import FEW

pytest.importorskip("matplotlib")

from reports.kinds import training_curves


def test_training_curves_are_means_with_the_seeds_as_a_band(reading):
    trainings = [training for training in reading.trainings if training.objective == "dpo"]
    curve = training_curves.curve(trainings, "loss")
    first = trainings[0].log["loss"].iloc[0]
    assert curve["mean"].iloc[0] == pytest.approx(first + 0.005)
    assert (curve["high"] - curve["low"]).to_numpy() == pytest.approx(np.full(12, 0.01))
    assert training_curves.curve(trainings, "image") is None


def legend(figure) -> list[str]:
    (box,) = figure.draw("light").legends
    return [text.get_text() for text in box.get_texts()]


def test_the_terms_of_any_objective_are_drawn_with_its_loss(reading):
    trainings = [replace(one, log=one.log.assign(length_penalty=0.5)) for one in reading.trainings]
    losses, shared = training_curves.build(replace(reading, trainings=trainings), FEW)
    assert legend(losses) == ["loss", "text", "length_penalty"]
    assert legend(shared) == ["dpo", "mdpo"]


def test_a_loss_of_a_single_term_is_drawn_once(reading):
    trainings = [replace(one, log=one.log.assign(text=one.log["loss"])) for one in reading.trainings]
    losses, _ = training_curves.build(replace(reading, trainings=trainings), FEW)
    assert legend(losses) == ["loss"]


def test_the_caption_gives_the_number_of_seeds(reading):
    losses, _ = training_curves.build(reading, FEW)
    assert "Number of seeds: 2." in losses.note
    one_each = replace(reading, trainings=[one for one in reading.trainings if one.seed == 0])
    assert "one seed each" in training_curves.build(one_each, FEW)[0].note
    uneven = replace(reading, trainings=reading.trainings[:3])
    assert "dpo 2, mdpo 1" in training_curves.build(uneven, FEW)[0].note

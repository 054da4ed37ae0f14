"""Whether cells trained on identical data."""

from typing import Any

from baselines.experiments.data_identity import data_identity, describe


def training(seed: int = 0, order: str = "shuffled", **changed: Any) -> dict[str, Any]:
    identity = {
        **{"pairs": "p", "used": 8, "dropped": [], "seed": seed, "order": [f"{order} by {seed}"], "views": {}},
        **{"model": "m", "reference": "r", "packed": True, "processes": 1, "versions": {"torch": "2"}},
    }
    settings = {"recipe": {"order": None}, "objective": {"config": {"order": order}}}
    return {"identity": {**identity, **changed}, "settings": settings}


def test_cells_that_saw_other_pairs_are_named():
    identity = data_identity({"a": training(), "b": training(), "c": training(pairs="q", used=7)})
    assert not identity["identical"]
    assert list(identity["differences"]) == ["c"]
    assert identity["differences"]["c"][0].startswith("pairs:")


def test_another_order_is_a_difference_only_if_the_objective_does_not_name_it():
    assert data_identity({"a": training(), "b": training(order="curriculum")}) == {
        "identical": True,
        "cells": 2,
        "differences": {},
        "intended": {"b": "order is curriculum, not shuffled"},
    }
    assert not data_identity(
        {"a": training(), "b": training(**{}) | {"identity": training(1)["identity"] | {"seed": 0}}}
    )["identical"]


def test_seeds_may_differ_in_order_but_not_in_pairs_or_model():
    assert data_identity({"a": training(0), "b": training(1)})["identical"]
    assert list(data_identity({"a": training(0), "b": training(1, model="n")})["differences"]) == ["b"]


def test_the_description_names_what_is_the_same_and_what_is_meant_to_differ():
    cells = {"dpo": training(), "mfpo": training(order="curriculum")}
    same = {"identity": data_identity(cells), "settings": {"pairs": {"hash": "abc"}}}
    assert describe(same) == [
        "truncated base: the base's own answers without their last sentence",
        "data: pairs abc, the same for all 2 cells",
        "expected difference: order is curriculum, not shuffled (mfpo)",
    ]
    cells["sft"] = training(pairs="q")
    (differing,) = [line for line in describe({**same, "identity": data_identity(cells)}) if "sft" in line]
    assert differing.startswith("data of sft differ: pairs: ")

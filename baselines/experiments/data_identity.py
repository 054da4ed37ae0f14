"""Whether all cells of an ablation trained on identical data."""

from collections.abc import Mapping
from typing import Any

from baselines.training import data_proof
from halbench.files.records import differing_fields

UNSEEDED = ("pairs", "used", "dropped", "model", "reference", "packed", "processes", "versions")
"""Fields of a training's data proof that no seed may change."""


def data_identity(trained: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Whether all cells trained on identical data, and how they differ. Cells of one seed must agree in everything,
    cells of several seeds in what no seed changes. An objective with another order of the same pairs is listed
    separately, since it is meant to differ.

    trained: cell -> its training.json.
    """
    differences, intended = {}, {}
    first_of_all = next(iter(trained.values()), {})
    first_of_seed: dict[int, Mapping[str, Any]] = {}
    for name, training in trained.items():
        first = first_of_seed.setdefault(training["identity"]["seed"], training)
        differing = data_proof.differences(first["identity"], training["identity"])
        if order_of(first) != order_of(training):
            intended[name] = f"order is {order_of(training)}, not {order_of(first)}"
            differing = [line for line in differing if not line.startswith("order:")]
        differing += differing_fields(unseeded(first_of_all), unseeded(training), data_proof.RUNS)
        if differing:
            differences[name] = list(dict.fromkeys(differing))
    return {"identical": not differences, "cells": len(trained), "differences": differences, "intended": intended}


def order_of(training: Mapping[str, Any]) -> str:
    """The order in which a run trained its pairs: "shuffled" or "curriculum"."""
    settings = training["settings"]
    return str(settings["recipe"].get("order") or settings["objective"]["config"].get("order", "shuffled"))


def unseeded(training: Mapping[str, Any]) -> dict[str, Any]:
    return {name: training["identity"].get(name) for name in UNSEEDED}


def describe(record: Mapping[str, Any]) -> list[str]:
    """The data behind an ablation's table, as lines to print. record: ablation.json."""
    identity, pairs = record["identity"], record["settings"]["pairs"]["hash"]
    lines = ["truncated base: the base's own answers without their last sentence"]
    if identity["identical"]:
        lines += [f"data: pairs {pairs}" + (f", the same for all {identity['cells']} cells" * (identity["cells"] > 1))]
    lines += [f"data of {name} differ: {'; '.join(differing)}" for name, differing in identity["differences"].items()]
    reasons: dict[str, list[str]] = {}
    for name, reason in identity["intended"].items():
        reasons.setdefault(reason, []).append(name)
    return lines + [f"expected difference: {reason} ({', '.join(names)})" for reason, names in reasons.items()]

"""Means over the seeds of a run group."""

from dataclasses import replace

import numpy as np
import pytest

from reports.group_values import seed_values, value_cells
from reports.run_groups import panels


def test_a_group_of_seeds_has_means_and_a_range_and_a_single_run_its_own_values(reading):
    (panel,) = panels(reading)
    chair = panel.metrics[0]
    base, _, dpo, _ = panel.groups
    alone, seeds = (value_cells(panel, group, [chair]) for group in (base, dpo))
    values = seed_values(panel, dpo, chair)
    assert seed_values(panel, base, chair) == []
    assert alone["descriptions/chair lowest"] is None
    assert seeds["descriptions/chair"] == pytest.approx(np.mean(values))
    assert (seeds["descriptions/chair lowest"], seeds["descriptions/chair highest"]) == (min(values), max(values))


def test_a_metric_that_is_undefined_for_one_seed_has_no_mean(reading):
    (panel,) = panels(reading)
    chair, dpo = panel.metrics[0], panel.groups[2]
    rows = (panel.results["run"] == dpo.runs[0].name) & (panel.results["metric"] == "chair")
    results = panel.results.assign(value=panel.results["value"].mask(rows))
    cells = value_cells(replace(panel, results=results), dpo, [chair])
    assert cells["descriptions/chair"] is None
    assert cells["descriptions/chair highest"] is None

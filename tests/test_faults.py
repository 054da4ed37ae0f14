"""The campaigns of `make faults` themselves, in small."""

import importlib

import pytest

from tests.faults.__main__ import CAMPAIGNS
from tests.faults.fuzz_folders import MARGINS
from tests.faults.limits import guarded
from tests.faults.strict import margins
from tests.faults.table import Row


def test_every_campaign_is_where_its_name_says():
    for name, (module, _) in CAMPAIGNS.items():
        assert name in importlib.import_module(f"tests.faults.{module}").CAMPAIGNS


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("fuzz responses", 0.002), ("fuzz folders", 0.005), ("readers", 0.005)])
def test_a_few_damaged_files_end_well(name, share):
    rows = importlib.import_module(f"tests.faults.{CAMPAIGNS[name][0]}").CAMPAIGNS[name](seed=1, share=share)
    assert all(row.count and row.kept for row in rows), [row.examples for row in rows]


def test_a_traceback_breaks_the_promise():
    row = Row("p", "f")
    assert guarded(row, "division", lambda: 1 // 0) is None
    assert (row.traces, row.kept) == (1, False)


def test_the_strict_reader_of_margins_passes_over_other_suites():
    ours = {"chair": 0.02, "descriptions/hal": 0.05, "cog": 0.01}
    assert margins(MARGINS) == margins(MARGINS + "amber:\n  chair: 0.5\n") == ours

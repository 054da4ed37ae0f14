"""Settings of a run. The run as a whole is tested in tests/halbench/cli/test_run.py."""

import pytest

from halbench.errors import InputError
from halbench.evaluation.choice import SuiteChoice
from halbench.running.plan import Plan
from halbench.running.run import open_plan, served_models, with_arguments
from halbench.types import Decoding, Response


def test_gen_kwargs_override_the_suite_s_decoding():
    changed = with_arguments(Decoding(512), {"max_new_tokens": 64, "num_beams": 3, "stop": ["\n", ","]})
    assert changed == Decoding(64, 3, extra={"stop": ["\n", ","]})
    for wrong in ({"max_new_tokens": 0}, {"num_beams": 2.5}, {"temperature": -1}, {"max_new_tokens": "many"}):
        with pytest.raises(InputError, match="expected a"):
            with_arguments(Decoding(512), wrong)


def test_served_models_are_listed_once_and_only_if_there_are_any():
    rows = [Response("1", "a", extra={"served_model": name}) for name in ("m2", "m1", "m2")]
    assert served_models(rows) == {"served_models": ["m1", "m2"]}
    assert served_models([Response("1", "a")]) == {}


def test_the_error_for_a_plan_without_a_suite_lists_the_suites():
    with pytest.raises(InputError, match="--suite is needed: amber, "):
        open_plan(Plan("m"), SuiteChoice())

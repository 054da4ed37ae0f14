"""Checkpoints that ship with the package, by name."""

import pytest

from halbench.errors import InputError
from halbench.scenes import checkpoint_path


def test_an_unknown_checkpoint_name_lists_those_that_ship():
    assert (checkpoint_path("scenes:base") / "config.json").is_file()
    with pytest.raises(InputError, match="did you mean 'scenes:base'"):
        checkpoint_path("scenes:bas")

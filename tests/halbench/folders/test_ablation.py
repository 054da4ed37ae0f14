"""An ablation's folder: where its parts are, and which role a run has in it."""

import pytest

from halbench.errors import InputError
from halbench.folders.ablation import AblationFolder, ablation_of


def test_a_run_knows_its_ablation_and_its_role(tmp_path):
    folder = AblationFolder(tmp_path)
    assert ablation_of(folder.base) is None  # no record yet
    folder.write_record({"status": "running"})
    roles = {path: ablation_of(path) for path in (folder.base, folder.truncated, folder.run("dpo-seed1"))}
    assert [role for _, role in roles.values()] == ["base", "truncated", "cell"]
    assert {found.path for found, _ in roles.values()} == {tmp_path}
    assert ablation_of(tmp_path / "elsewhere" / "run") is None


def test_the_parts_of_a_cell_are_below_it(tmp_path):
    folder = AblationFolder(tmp_path)
    assert folder.training("a").parent == folder.run("a").parent == folder.cell("a") == tmp_path / "cells" / "a"


def test_the_record_is_read_back_and_another_format_refused(tmp_path):
    folder = AblationFolder(tmp_path)
    settings = {"model": {}, "pairs": {"source": {"pairs": 8}}, "suite": {}, "limit": None}
    folder.write_record({"status": "complete", "settings": settings, "cells": {}})
    assert folder.record() == {"format": 1, "status": "complete", "settings": settings, "cells": {}}
    folder.record_path.write_text('{"format": 9}')
    with pytest.raises(InputError, match="format 9; this halbench reads format 1"):
        folder.record()

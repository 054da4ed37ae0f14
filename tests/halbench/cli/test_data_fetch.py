"""halbench data fetch: what it prints, and with which exit code."""

import typer
from typer.testing import CliRunner
from upstream import nobody_listens

from halbench.cli.data import add_to
from halbench.data.datasets import read_sources


def test_offline_the_command_ends_with_2_and_names_every_file_of_the_suite(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    app = typer.Typer()
    add_to(app)
    app.command("other")(lambda: None)
    shown = CliRunner().invoke(app, ["data", "fetch", "pope", "--data", str(tmp_path), "--mirror", nobody_listens()])
    assert shown.exit_code == 2
    for entry in read_sources().of("pope"):
        assert f"Get it from {entry.url} and put it at {tmp_path / entry.file}" in shown.stderr

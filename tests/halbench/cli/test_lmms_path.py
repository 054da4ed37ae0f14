"""halbench lmms-path."""

from pathlib import Path

from halbench.plugins import names


def test_it_writes_a_task_for_each_suite_and_prints_their_folder(halbench, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = halbench("lmms-path")
    assert (done.returncode, done.stderr) == (0, "")
    tasks = {path.name for path in Path(done.stdout.strip()).glob("*.yaml")}
    assert tasks == {f"halbench_{name}.yaml" for name in names("halbench.suites")}

"""The user's cache folder."""

from pathlib import Path

from halbench.files.user_cache import user_cache


def test_the_cache_is_where_the_system_or_the_home_folder_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "halbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "me")
    assert user_cache() == tmp_path / "me/.cache/halbench"

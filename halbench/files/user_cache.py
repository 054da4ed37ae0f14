"""The user's cache folder, for what halbench fetches and computes when no other folder is named."""

import os
from pathlib import Path


def user_cache() -> Path:
    """XDG_CACHE_HOME/halbench, else ~/.cache/halbench; it may not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "halbench"

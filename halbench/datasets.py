"""Where suite data lies, and how it gets there.

The data folder holds one folder per suite, laid out as the authors publish it:

    amber/annotations.json  amber/relation.json  amber/query/query_all.json  amber/images/AMBER_1.jpg
    chair/synonyms.txt      chair/coco2014_objects_wordnet.json.gz
"""

import os
from dataclasses import dataclass
from pathlib import Path

from halbench.errors import MissingData


@dataclass(frozen=True)
class Data:
    """The data folder, and where images lie when that is elsewhere."""

    root: Path
    images: Path | None = None

    def file(self, name: str) -> Path:
        """The path of a data file such as "amber/annotations.json"; MissingData says how to get it."""
        path = self.root / name
        if not path.is_file():
            raise MissingData(f"{path} is missing. Get it with: halbench data fetch {name.split('/')[0]}")
        return path

    def image_folder(self, suite: str) -> Path:
        """Where the images of a suite lie: --images DIR, else images/ in the suite's own folder. It may not exist."""
        return self.images or self.root / suite / "images"


def open_data(root: Path | None = None, images: Path | None = None) -> Data:
    """The data folder: the one named, else HALBENCH_DATA, else the user's cache directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Data(root or Path(os.environ.get("HALBENCH_DATA") or cache / "halbench"), images)

from pathlib import Path

import pytest
from preference_rows import png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images, cup.png and sky.png."""
    for name, colour in (("cup", "red"), ("sky", "blue")):
        (tmp_path / f"{name}.png").write_bytes(png(colour))
    return tmp_path

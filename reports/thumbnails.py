"""Small copies of images as data URLs, so that a page contains them."""

import base64
import io
from pathlib import Path

EDGE, QUALITY = 320, 70


def thumbnail(path: Path) -> str | None:
    """A JPEG with sides of at most EDGE pixels as a data URL; None if the file is missing or cannot be read as an image."""
    from PIL import Image

    from halbench.models.images import open_image

    try:
        image = open_image(path)
    except Exception:  # decoders raise almost anything for a damaged file
        return None
    if max(image.size) < EDGE // 2:  # drawn scenes: keep their pixels sharp
        scale = EDGE // 2 // max(image.size) + 1
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    image.thumbnail((EDGE, EDGE))
    content = io.BytesIO()
    image.save(content, "jpeg", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()

"""Small copies of images, as addresses that a page carries within itself."""

import base64
import io
from pathlib import Path

EDGE, QUALITY = 320, 70


def thumbnail(path: Path) -> str | None:
    """A JPEG of at most EDGE pixels as a data address; None where there is no image, or none that can be read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")  # as models see it, EXIF's rotation left out
    except Exception:  # decoders of damaged files raise nearly anything
        return None
    if max(image.size) < EDGE // 2:  # drawn scenes: their pixels stay sharp
        scale = EDGE // 2 // max(image.size) + 1
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    image.thumbnail((EDGE, EDGE))
    content = io.BytesIO()
    image.save(content, "jpeg", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()

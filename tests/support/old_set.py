"""A small preference set, and the hashes that halbench 0.1 gave it before pairs could have several images.

The images are written byte by byte, so that no encoder's release can change them.
"""

import json
from pathlib import Path

WIDE, HIGH = 48, 36
HASH = "17c10e1b826f"
VIEW_HASHES = {  # of seed 0, at LLaVA-1.5's resolution
    "chosen": "5903b89fadc4",
    "rejected": "0ef1897f1d6c",
    "blank": "9cfbc7be74de",
    "cropped": "5de732da03ef",
    "globally_noised": "969c71da1297",
    "random_region_noised": "ab7af547ed33",
    "region_noised": "7da1b972b0e7",
    "other_image": "546d3fa3489f",
}


def write_old_set(folder: Path) -> Path:
    """Three pairs, two of them with a region."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(3):
        pixels = (
            value
            for y in range(HIGH)
            for x in range(WIDE)
            for value in ((x * 5 + number * 40) % 256, (y * 7) % 256, (x * y + number) % 256)
        )
        (folder / f"{number}.ppm").write_bytes(f"P6 {WIDE} {HIGH} 255\n".encode() + bytes(pixels))
        regions = [{"name": "dog", "box": [4, 5, 20, 30]}] if number else []
        texts = {"prompt": "What is there?", "chosen": "A dog.", "rejected": "A cat."}
        rows.append({"id": str(number), "image": f"{number}.ppm", **texts, "regions": regions})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder

"""A PNG for checking a view by eye: each image next to what the view made of it, with the boxes it used and the
answers.

Key objects are green if they were found, else red. Unchanged images are not drawn twice.
"""

from collections.abc import Sequence
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from baselines.types import Pair, Variant
from halbench.models.images import open_image

INK, FAINT, HIT, MISSED = (40, 40, 48), (120, 122, 130), (22, 132, 62), (206, 30, 40)
PAPER, LINE = (255, 255, 255), (224, 226, 230)
SIDE, MARGIN, TEXT, SIZE, LEADING = 240, 16, 330, 15, 20
MOST_LINES = 7  # of one answer, so that panels have similar heights

Line = tuple[str, tuple[int, int, int]]


def sheet(variants: Sequence[tuple[Pair, Variant]], title: str, columns: int = 2) -> Image.Image:
    """One panel for each pair and its variant."""
    panels = [panel(pair, variant) for pair, variant in variants]
    width, height = panels[0].width, max(drawn.height for drawn in panels)
    rows = -(-len(panels) // columns)
    drawn = Image.new("RGB", (min(columns, len(panels)) * width, rows * height + 3 * MARGIN), PAPER)
    ImageDraw.Draw(drawn).text((MARGIN, MARGIN), title, INK, ImageFont.load_default(SIZE + 2))
    for number, part in enumerate(panels):
        drawn.paste(part, (number % columns * width, 3 * MARGIN + number // columns * height))
    return drawn


def panel(pair: Pair, variant: Variant) -> Image.Image:
    """The original, the variant, and the caption to their right."""
    own = open_image(pair.images[0]) if pair.images else None
    lines = caption(pair, variant)
    height = max(SIDE, len(lines) * LEADING) + 2 * MARGIN
    drawn = Image.new("RGB", (2 * SIDE + TEXT + 4 * MARGIN, height), PAPER)
    pen = ImageDraw.Draw(drawn)
    pen.line((MARGIN, 0, drawn.width - MARGIN, 0), fill=LINE)
    if own:
        boxes = variant.notes.get("boxes", [])
        if len(pair.images) > 1:
            boxes = boxes[:1]  # one for each image, in their order
        drawn.paste(fitted(own, boxes), (MARGIN, MARGIN))
    else:
        pen.text((MARGIN, MARGIN), "no image", FAINT, ImageFont.load_default(SIZE))
    if variant.images:
        drawn.paste(fitted(variant.images[0], []), (SIDE + 2 * MARGIN, MARGIN))
    elif own:
        pen.text((SIDE + 2 * MARGIN, MARGIN), "unchanged", FAINT, ImageFont.load_default(SIZE))
    for number, (text, colour) in enumerate(lines):
        corner = (2 * SIDE + 3 * MARGIN, MARGIN + number * LEADING)
        pen.text(corner, text, colour, ImageFont.load_default(SIZE))
    return drawn


def fitted(image: Image.Image, boxes: Sequence[Sequence[object]]) -> Image.Image:
    """The image fitted into a square of SIDE pixels, with boxes [name, x0, y0, x1, y1] in its own pixels drawn on
    it."""
    scale = SIDE / max(image.size)
    resample = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), resample)
    pen = ImageDraw.Draw(small)
    for name, *box in boxes:
        left, top, right, bottom = (float(str(edge)) * scale for edge in box)
        pen.rectangle((left, top, right - 1, bottom - 1), outline=HIT, width=2)
        label = pen.textbbox((left + 3, top + 1), str(name), ImageFont.load_default(SIZE - 3))
        pen.rectangle(label, fill=PAPER)
        pen.text((left + 3, top + 1), str(name), HIT, ImageFont.load_default(SIZE - 3))
    return small


def caption(pair: Pair, variant: Variant) -> list[Line]:
    """Id, question, answer and the view's notes, in lines that fit."""
    notes = dict(variant.notes)
    more = f", the first of {len(pair.images)} images" if len(pair.images) > 1 else ""
    lines = [*wrapped(f"Pair {pair.id}{more}", FAINT), *wrapped(f"Q: {variant.prompt}", INK)]
    kind = {pair.chosen: "chosen", pair.rejected: "rejected"}.get(variant.answer, "generated")
    lines += wrapped(f"A ({kind}): {variant.answer}", INK)
    notes.pop("boxes", None)
    hit = notes.pop("hit", [])
    for word in notes.pop("keywords", []):
        lines += wrapped(
            f"key object: {word}" + ("" if word in hit else " - not found"), HIT if word in hit else MISSED
        )
    for name, value in notes.items():
        lines += wrapped(f"{name}: {round(value, 4) if isinstance(value, float) else value}", FAINT)
    return lines


def wrapped(text: str, colour: tuple[int, int, int]) -> list[Line]:
    font = ImageFont.load_default(SIZE)
    letters = int(TEXT / (font.getlength("abcdefghijklmnopqrstuvwxyz ") / 27))
    return [(line, colour) for line in wrap(text, letters, max_lines=MOST_LINES, placeholder=" ...")]

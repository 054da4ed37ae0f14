"""A PNG on which a person checks a view: each image beside what the view made of it, the boxes it used, and the answers.

Key objects that were found are green, others red; what was not changed is not drawn twice.
"""

from collections.abc import Sequence
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from baselines.preferences import open_image
from baselines.types import Pair, Variant

INK, FAINT, FOUND, MISSED = (40, 40, 48), (120, 122, 130), (22, 132, 62), (206, 30, 40)
PAPER, LINE = (255, 255, 255), (224, 226, 230)
SIDE, MARGIN, TEXT, SIZE, LEADING = 240, 16, 330, 15, 20
MOST_LINES = 7  # of an answer; more would make panels of very unequal height

Line = tuple[str, tuple[int, int, int]]


def sheet(made: Sequence[tuple[Pair, Variant]], title: str, columns: int = 2) -> Image.Image:
    """One panel for each pair and its variant."""
    panels = [panel(pair, variant) for pair, variant in made]
    width, height = panels[0].width, max(drawn.height for drawn in panels)
    rows = -(-len(panels) // columns)
    drawn = Image.new("RGB", (min(columns, len(panels)) * width, rows * height + 3 * MARGIN), PAPER)
    ImageDraw.Draw(drawn).text((MARGIN, MARGIN), title, INK, ImageFont.load_default(SIZE + 2))
    for place, part in enumerate(panels):
        drawn.paste(part, (place % columns * width, 3 * MARGIN + place // columns * height))
    return drawn


def panel(pair: Pair, variant: Variant) -> Image.Image:
    """The original, the variant, and the words beside them."""
    own = open_image(pair.image)
    lines = caption(pair, variant)
    height = max(SIDE, len(lines) * LEADING) + 2 * MARGIN
    drawn = Image.new("RGB", (2 * SIDE + TEXT + 4 * MARGIN, height), PAPER)
    pen = ImageDraw.Draw(drawn)
    pen.line((MARGIN, 0, drawn.width - MARGIN, 0), fill=LINE)
    drawn.paste(fitted(own, variant.notes.get("boxes", [])), (MARGIN, MARGIN))
    if variant.image:
        drawn.paste(fitted(variant.image, []), (SIDE + 2 * MARGIN, MARGIN))
    else:
        pen.text((SIDE + 2 * MARGIN, MARGIN), "the same image", FAINT, ImageFont.load_default(SIZE))
    for number, (text, colour) in enumerate(lines):
        place = (2 * SIDE + 3 * MARGIN, MARGIN + number * LEADING)
        pen.text(place, text, colour, ImageFont.load_default(SIZE))
    return drawn


def fitted(image: Image.Image, boxes: Sequence[Sequence[object]]) -> Image.Image:
    """An image that fits into a square of SIDE pixels, with boxes [name, x0, y0, x1, y1] of its own pixels drawn on it."""
    scale = SIDE / max(image.size)
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), how)
    pen = ImageDraw.Draw(small)
    for name, *box in boxes:
        left, top, right, bottom = (float(str(edge)) * scale for edge in box)
        pen.rectangle((left, top, right - 1, bottom - 1), outline=FOUND, width=2)
        label = pen.textbbox((left + 3, top + 1), str(name), ImageFont.load_default(SIZE - 3))
        pen.rectangle(label, fill=PAPER)
        pen.text((left + 3, top + 1), str(name), FOUND, ImageFont.load_default(SIZE - 3))
    return small


def caption(pair: Pair, variant: Variant) -> list[Line]:
    """Id, question, answer and what the view says of itself, in lines that fit."""
    notes = dict(variant.notes)
    lines = [*wrapped(f"Pair {pair.id}", FAINT), *wrapped(f"Q: {variant.prompt}", INK)]
    kind = {pair.chosen: "chosen", pair.rejected: "rejected"}.get(variant.answer, "made")
    lines += wrapped(f"A ({kind}): {variant.answer}", INK)
    notes.pop("boxes", None)
    hit = notes.pop("hit", [])
    for word in notes.pop("keywords", []):
        lines += wrapped(
            f"key object: {word}" + ("" if word in hit else " - not found"), FOUND if word in hit else MISSED
        )
    for name, value in notes.items():
        lines += wrapped(f"{name}: {round(value, 4) if isinstance(value, float) else value}", FAINT)
    return lines


def wrapped(text: str, colour: tuple[int, int, int]) -> list[Line]:
    font = ImageFont.load_default(SIZE)
    letters = int(TEXT / (font.getlength("abcdefghijklmnopqrstuvwxyz ") / 27))
    return [(line, colour) for line in wrap(text, letters, max_lines=MOST_LINES, placeholder=" ...")]

"""A PNG that shows what the suite measures: scenes, their truth, and a model's descriptions of them.

Correctly mentioned objects are green, hallucinated ones red.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from halbench.scenes.captions import listing, mention, truth
from halbench.scenes.drawing import draw_scene
from halbench.scenes.mentions import mentions
from halbench.scenes.world import WORLD, Scene

INK, FAINT, RIGHT, WRONG = (40, 40, 48), (120, 122, 130), (22, 132, 62), (206, 30, 40)
PAPER, LINE = (255, 255, 255), (224, 226, 230)
ENLARGED, MARGIN, TEXT_WIDTH, SIZE, LEADING = 3, 16, 380, 17, 25


@dataclass(frozen=True)
class Word:
    """A piece of text without spaces around it, in one colour."""

    text: str
    colour: tuple[int, int, int]


def contact_sheet(described: Sequence[tuple[Scene, str]], columns: int = 2) -> Image.Image:
    """One panel for each (scene, description)."""
    panels = [panel(scene, text) for scene, text in described]
    width, height = max(p.width for p in panels), max(p.height for p in panels)
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height + 2 * MARGIN + LEADING), PAPER)
    legend = [Word("mentioned and in the image", RIGHT), Word("mentioned but not in the image", WRONG)]
    write(ImageDraw.Draw(sheet), legend, (MARGIN, MARGIN), columns * width, gap=24)
    for index, drawn in enumerate(panels):
        sheet.paste(drawn, (index % columns * width, MARGIN + LEADING + index // columns * height))
    return sheet


def panel(scene: Scene, text: str) -> Image.Image:
    """The enlarged scene, its truth in grey, and the description with its mentions in colour."""
    side = WORLD.pixels * ENLARGED
    drawn = Image.new("RGB", (side + TEXT_WIDTH + 3 * MARGIN, side + 2 * MARGIN), PAPER)
    pen = ImageDraw.Draw(drawn)
    pen.line((MARGIN, 0, drawn.width - MARGIN, 0), fill=LINE)
    drawn.paste(draw_scene(scene, WORLD).resize((side, side), Image.Resampling.NEAREST), (MARGIN, MARGIN))
    contents = listing([mention(thing, coloured=True) for pair in truth(scene, WORLD) for thing in pair])
    left = side + 2 * MARGIN
    facts = [Word(word, FAINT) for word in f"Scene {scene.index}, {scene.context}: {contents}.".split()]
    bottom = write(pen, facts, (left, MARGIN), left + TEXT_WIDTH)
    write(pen, marked(text, set(scene.counts())), (left, bottom + LEADING // 2), left + TEXT_WIDTH)
    return drawn


def marked(text: str, present: set[str]) -> list[Word]:
    """The words of a description, each in its colour. present: classes of the objects in the scene."""
    starts = {mentioned.start: mentioned for mentioned in mentions(text)}
    words, position = [], 0
    for word in text.split():
        position = text.index(word, position)
        end = position + len(word)
        mentioned = next((starts[start] for start in range(position, end) if start in starts), None)
        words.append(Word(word, INK if mentioned is None else RIGHT if mentioned.name in present else WRONG))
        position = end
    return words


def write(pen: ImageDraw.ImageDraw, words: Sequence[Word], start: tuple[int, int], right: int, gap: int = 6) -> int:
    """Write words from `start`, breaking lines at `right`. Returns the y of the next line."""
    font = ImageFont.load_default(SIZE)
    x, y = start
    for word in words:
        width = round(pen.textlength(word.text, font))
        if x > start[0] and x + width > right:
            x, y = start[0], y + LEADING
        pen.text((x, y), word.text, word.colour, font)
        x += width + gap
    return y + LEADING

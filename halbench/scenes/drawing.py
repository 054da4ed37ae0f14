"""Scenes as images: flat drawings of the classes on the backdrop of their context, with pixel noise.

A class is a list of strokes on a square of 100 x 100 units, in three tones of the object's colour:

    "ball": (("oval", "main", 4, 4, 96, 96), ("line", "dark", 6, 8, 50, 94, 50), ...)     kind, tone, coordinates

A line's first number is its width. Strokes are drawn large and scaled down, so that edges are smooth at 14 pixels.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from halbench.scenes.world import Scene, SceneObject, WorldParameters, generator

Stroke = tuple[str | float, ...]
Box = tuple[int, int, int, int]

SCALE = 16  # factor by which sprites are drawn larger than shown
VISIBLE = 40  # alpha, of 255, from which a sprite's pixel counts for the object's box

COLOURS = {
    "red": (216, 44, 44),
    "orange": (245, 140, 24),
    "yellow": (246, 212, 46),
    "green": (44, 160, 72),
    "blue": (48, 104, 214),
    "purple": (146, 66, 186),
}
DARK, LIGHT = 0.45, 0.62  # how much black or white is mixed in
FIXED_TONES = {"ink": (44, 42, 52), "steel": (158, 164, 176), "white": (252, 252, 250)}
BACKDROPS = {  # above, below, height of the line between them in cells
    "kitchen": ((252, 246, 232), (238, 226, 208), 2.2),
    "room": ((232, 236, 246), (222, 214, 206), 2.8),
    "street": ((226, 234, 240), (204, 206, 210), 1.8),
    "park": ((222, 240, 250), (212, 236, 200), 1.4),
}

SHAPES: dict[str, tuple[Stroke, ...]] = {
    "fork": (
        ("round", "main", 41, 44, 59, 100, 8),
        ("round", "main", 16, 0, 28, 46, 5),
        ("round", "main", 44, 0, 56, 46, 5),
        ("round", "main", 72, 0, 84, 46, 5),
        ("round", "main", 16, 34, 84, 54, 9),
    ),
    "knife": (
        ("poly", "steel", 34, 54, 34, 0, 62, 10, 70, 36, 66, 54),
        ("round", "main", 32, 50, 66, 100, 12),
        ("oval", "white", 43, 60, 55, 72),
        ("oval", "white", 43, 78, 55, 90),
    ),
    "bowl": (
        ("chord", "main", 0, -30, 100, 88, 0, 180),
        ("round", "main", 30, 82, 70, 96, 4),
        ("oval", "dark", 0, 18, 100, 42),
        ("oval", "light", 10, 22, 90, 38),
    ),
    "spoon": (("oval", "main", 26, 0, 74, 52), ("oval", "light", 36, 8, 64, 42), ("round", "main", 43, 48, 57, 100, 6)),
    "bottle": (
        ("round", "ink", 38, 0, 62, 12, 3),
        ("box", "main", 41, 10, 59, 38),
        ("round", "main", 24, 32, 76, 100, 12),
        ("box", "white", 24, 56, 76, 80),
    ),
    "cup": (
        ("ring", "main", 58, 28, 100, 76, 11),
        ("round", "main", 4, 14, 76, 94, 14),
        ("oval", "dark", 4, 6, 76, 30),
        ("oval", "white", 12, 10, 68, 26),
    ),
    "tv": (
        ("line", "ink", 6, 50, 24, 28, 0),
        ("line", "ink", 6, 50, 24, 72, 0),
        ("round", "main", 0, 20, 100, 90, 8),
        ("round", "ink", 8, 28, 92, 82, 4),
        ("poly", "white", 16, 34, 46, 34, 24, 76, 16, 76),
        ("box", "ink", 18, 90, 30, 100),
        ("box", "ink", 70, 90, 82, 100),
    ),
    "remote": (
        ("round", "main", 32, 0, 68, 100, 10),
        ("oval", "ink", 42, 8, 58, 24),
        *(("box", "white", x, y, x + 9, y + 9) for y in (34, 50, 66, 82) for x in (39, 53)),
    ),
    "laptop": (
        ("round", "main", 12, 8, 88, 72, 5),
        ("box", "white", 21, 17, 79, 63),
        ("poly", "steel", 27, 57, 27, 23, 61, 23),
        ("poly", "main", 14, 70, 86, 70, 100, 92, 0, 92),
        ("poly", "dark", 20, 74, 80, 74, 85, 83, 15, 83),
    ),
    "mouse": (
        ("line", "ink", 5, 50, 22, 50, 10, 68, 0),
        ("oval", "main", 20, 18, 80, 100),
        ("line", "dark", 5, 50, 20, 50, 54),
        ("line", "dark", 5, 22, 54, 78, 54),
        ("oval", "white", 44, 28, 56, 46),
    ),
    "bed": (
        ("box", "ink", 0, 18, 8, 92),
        ("box", "ink", 92, 48, 100, 92),
        ("round", "white", 8, 38, 38, 56, 7),
        ("round", "main", 8, 52, 92, 78, 6),
        ("box", "dark", 8, 72, 92, 80),
    ),
    "lamp": (
        ("poly", "main", 28, 0, 72, 0, 98, 48, 2, 48),
        ("box", "ink", 46, 48, 54, 90),
        ("oval", "ink", 22, 86, 78, 100),
        ("poly", "light", 38, 8, 50, 8, 46, 40, 22, 40),
    ),
    "bus": (
        ("round", "main", 0, 10, 100, 84, 10),
        *(("box", "white", x, 20, x + 17, 42) for x in (7, 29, 51, 73)),
        ("box", "dark", 0, 52, 100, 59),
        ("oval", "ink", 12, 70, 38, 96),
        ("oval", "ink", 62, 70, 88, 96),
    ),
    "car": (
        ("poly", "main", 18, 52, 34, 26, 68, 26, 86, 52),
        ("poly", "white", 28, 50, 38, 33, 49, 33, 49, 50),
        ("poly", "white", 54, 50, 54, 33, 65, 33, 75, 50),
        ("round", "main", 0, 48, 100, 76, 10),
        ("oval", "ink", 12, 62, 38, 88),
        ("oval", "ink", 62, 62, 88, 88),
    ),
    "bicycle": (
        ("ring", "ink", 0, 46, 44, 90, 7),
        ("ring", "ink", 56, 46, 100, 90, 7),
        ("line", "main", 10, 22, 68, 38, 34, 68, 34, 50, 68, 22, 68),
        ("line", "main", 10, 34, 28, 50, 68),
        ("line", "main", 10, 78, 68, 66, 20, 78, 14),
        ("line", "ink", 9, 24, 26, 44, 26),
    ),
    "helmet": (
        ("pie", "main", 4, 12, 96, 112, 180, 360),
        ("round", "dark", 0, 58, 100, 70, 5),
        ("poly", "white", 46, 12, 58, 12, 62, 56, 42, 56),
        ("poly", "white", 20, 30, 28, 24, 24, 56, 12, 56),
        ("line", "ink", 5, 22, 70, 46, 92, 60, 70),
    ),
    "truck": (
        ("box", "light", 0, 12, 62, 76),
        ("line", "main", 7, 4, 16, 58, 16, 58, 72, 4, 72, 4, 16),
        ("poly", "main", 66, 34, 86, 34, 100, 56, 100, 78, 66, 78),
        ("poly", "white", 72, 40, 84, 40, 92, 56, 72, 56),
        ("box", "ink", 0, 74, 100, 80),
        ("oval", "ink", 10, 68, 34, 94),
        ("oval", "ink", 68, 68, 92, 94),
    ),
    "cone": (
        ("poly", "main", 42, 0, 58, 0, 84, 88, 16, 88),
        ("poly", "white", 37, 24, 63, 24, 69, 42, 31, 42),
        ("poly", "white", 27, 58, 73, 58, 78, 74, 22, 74),
        ("round", "dark", 2, 86, 98, 100, 4),
    ),
    "dog": (
        ("line", "main", 11, 14, 48, 2, 24),
        ("round", "main", 10, 42, 72, 72, 12),
        ("box", "main", 14, 62, 26, 98),
        ("box", "main", 56, 62, 68, 98),
        ("round", "main", 56, 16, 88, 52, 10),
        ("round", "main", 78, 32, 100, 50, 6),
        ("poly", "dark", 54, 12, 68, 16, 66, 44, 52, 40),
        ("oval", "ink", 74, 24, 82, 32),
        ("oval", "ink", 92, 30, 100, 40),
    ),
    "ball": (
        ("oval", "main", 2, 2, 98, 98),
        ("pie", "white", 12, 12, 88, 88, 250, 310),
        ("pie", "white", 12, 12, 88, 88, 10, 70),
        ("pie", "white", 12, 12, 88, 88, 130, 190),
        ("oval", "dark", 40, 40, 60, 60),
    ),
    "tree": (
        ("poly", "ink", 42, 100, 44, 60, 56, 60, 58, 100),
        ("oval", "main", 2, 24, 58, 76),
        ("oval", "main", 42, 24, 98, 76),
        ("oval", "main", 20, 0, 80, 56),
        ("oval", "light", 30, 8, 52, 30),
    ),
    "bird": (
        ("poly", "main", 0, 38, 26, 50, 22, 70),
        ("oval", "main", 14, 34, 78, 84),
        ("oval", "main", 52, 12, 88, 50),
        ("poly", "ink", 86, 26, 100, 34, 86, 40),
        ("oval", "white", 68, 20, 80, 32),
        ("oval", "ink", 72, 23, 78, 29),
        ("poly", "dark", 26, 44, 60, 46, 40, 74),
        ("line", "ink", 5, 44, 82, 44, 98),
        ("line", "ink", 5, 56, 80, 56, 98),
    ),
    "bench": (
        ("box", "main", 0, 14, 100, 28),
        ("box", "main", 0, 34, 100, 46),
        ("box", "main", 0, 58, 100, 72),
        ("box", "ink", 10, 14, 18, 60),
        ("box", "ink", 82, 14, 90, 60),
        ("box", "ink", 6, 72, 16, 98),
        ("box", "ink", 84, 72, 94, 98),
    ),
    "umbrella": (
        ("pie", "main", 0, 6, 100, 106, 180, 360),
        ("pie", "light", 34, 6, 66, 106, 180, 360),
        ("oval", "dark", 46, 0, 54, 10),
        ("line", "ink", 7, 50, 52, 50, 90, 44, 97, 36, 97, 31, 90),
    ),
}


def draw_scene(scene: Scene, parameters: WorldParameters) -> Image.Image:
    """The image of a scene, RGB, `parameters.pixels` on a side."""
    image = backdrop(scene.context, parameters.pixels).copy()
    for thing in scene.objects:
        drawn = sprite(thing.name, thing.colour, thing.size)
        image.paste(drawn, (thing.left, thing.top), drawn)
    noise = generator("noise", scene.seed, scene.split, scene.index).standard_normal(
        (parameters.pixels, parameters.pixels, 3)
    )
    return Image.fromarray(np.clip(np.asarray(image) + parameters.noise * noise, 0, 255).astype(np.uint8))


def object_box(thing: SceneObject) -> Box:
    """The tight box of an object's pixels: left, top, right, bottom; right and bottom are exclusive."""
    visible = sprite(thing.name, thing.colour, thing.size).getchannel("A").point(lambda alpha: 255 * (alpha >= VISIBLE))
    left, top, right, bottom = visible.getbbox() or (0, 0, thing.size, thing.size)
    return thing.left + left, thing.top + top, thing.left + right, thing.top + bottom


@cache
def backdrop(context: str, pixels: int) -> Image.Image:
    """The background of a context: two soft tones that meet at a horizon."""
    above, below, horizon = BACKDROPS[context]
    image = Image.new("RGB", (pixels, pixels), above)
    ImageDraw.Draw(image).rectangle((0, round(horizon * pixels / 4), pixels, pixels), fill=below)
    return image


@cache
def sprite(name: str, colour: str, size: int) -> Image.Image:
    """A class in a colour, RGBA, `size` pixels on a side."""
    canvas = Image.new("RGBA", (size * SCALE, size * SCALE))
    pen = ImageDraw.Draw(canvas)
    tones = _tones(COLOURS[colour])
    for kind, tone, *numbers in SHAPES[name]:
        _stroke(pen, str(kind), tones[str(tone)], [float(number) for number in numbers], size * SCALE / 100)
    return canvas.resize((size, size), Image.Resampling.BOX)


def _tones(colour: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    def mixed(share: float, other: int) -> tuple[int, int, int]:
        red, green, blue = (round(share * part + (1 - share) * other) for part in colour)
        return red, green, blue

    return {"main": colour, "dark": mixed(1 - DARK, 0), "light": mixed(1 - LIGHT, 255), **FIXED_TONES}


def _stroke(pen: ImageDraw.ImageDraw, kind: str, fill: tuple[int, int, int], numbers: list[float], unit: float) -> None:
    """One stroke; coordinates in hundredths of the square, angles in degrees clockwise from three o'clock."""
    lengths = [number * unit for number in numbers]
    if kind == "oval":
        pen.ellipse(lengths, fill=fill)
    elif kind == "box":
        pen.rectangle(lengths, fill=fill)
    elif kind == "round":
        pen.rounded_rectangle(lengths[:4], lengths[4], fill=fill)
    elif kind == "ring":
        pen.ellipse(lengths[:4], outline=fill, width=round(lengths[4]))
    elif kind == "pie":
        pen.pieslice(lengths[:4], numbers[4], numbers[5], fill=fill)
    elif kind == "chord":
        pen.chord(lengths[:4], numbers[4], numbers[5], fill=fill)
    elif kind == "poly":
        pen.polygon(lengths, fill=fill)
    elif kind == "line":
        pen.line(lengths[1:], fill=fill, width=round(lengths[0]), joint="curve")
    else:
        raise ValueError(kind)

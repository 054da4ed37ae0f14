"""The openai backend as its tests open and ask it, over a JudgeServer."""

import base64
import socket
from pathlib import Path
from random import Random
from typing import Any

from judge_server import Answer, JudgeServer, reply
from PIL import Image

from halbench.backends.openai import OpenAIBackend, Patience
from halbench.folders.run import RunFolder
from halbench.types import BackendOptions, Decoding, Item, Response

GREEDY = Decoding(max_new_tokens=32)
KEY = "sk-very-secret-123"
CUT_OFF = Answer(b'{"choices": [{"mess', headers={"Content-Length": "500", "Connection": "close"})


def questions(folder: Path) -> list[Item]:
    """Twelve questions on three images, which are written into the folder."""
    paths = [folder / f"{n}.png" for n in range(3)]
    for n, path in enumerate(paths):
        Image.new("RGB", (8, 8), (n, 0, 0)).save(path)
    return [Item(str(n), (paths[n // 4],), f"question {n}", None, "all") for n in range(12)]


def no_pause(attempt: int, retry_after: float | None, jitter: Random) -> float:
    return 0.0


def backend(
    url: str, model: str = "m", pause: Any = no_pause, retries: int = 2, timeout: float = 60.0, **options: Any
) -> OpenAIBackend:
    """Attempts follow each other at once, unless a test is about the waits."""
    return OpenAIBackend(model, url, BackendOptions(**options), Patience(timeout, retries), pause)


def ask(server: JudgeServer, items: list[Item], decoding: Decoding = GREEDY, **options: Any) -> list[Response]:
    """The responses, in the order of the items."""
    rows = {row.item: row for row in backend(server.url, **options).generate(items, decoding)}
    return [rows[item.id] for item in items if item.id in rows]


def echo(prompt: str, _: int) -> Answer:
    return reply(f" about {prompt} ", wait_s=0.002)


def image_part(path: Path, kind: str) -> dict[str, Any]:
    """The part of a message that shows an image file."""
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"},
    }


def kept(folder: RunFolder) -> list[Response]:
    return folder.read(Response, folder.responses_path)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])

"""Rows of preference data about one red cup, in every layout."""

import io
import json
from pathlib import Path

from PIL import Image

QUESTION, CHOSEN, REJECTED = "What is on the table?", "A red cup.", "A red cup and a knife."


def png(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "png")
    return buffer.getvalue()


def row(**changes) -> dict:
    return {"id": "1", "image": "cup.png", "prompt": QUESTION, "chosen": CHOSEN, "rejected": REJECTED, **changes}


def write(path: Path, rows: list[dict]) -> Path:
    """Rows as a .jsonl or .json file."""
    lines = path.suffix == ".jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows))
    return path


def message(role: str, text: str, image: bool = False) -> dict:
    return {"role": role, "content": [*([{"type": "image"}] if image else []), {"type": "text", "text": text}]}


def turns(*texts: str) -> list[dict]:
    return [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(texts)]


VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
    f"polite answers to the user's questions. USER: <image>\n{QUESTION} ASSISTANT:"
)


ANSWERS = {"chosen": CHOSEN, "rejected": REJECTED}


LAYOUTS = {
    "RLHF-V": {
        "ds_name": "RLHF-V",
        "image": "cup.png",
        "text": json.dumps({"question": QUESTION, **ANSWERS}),
        "idx": 7,
    },
    "RLAIF-V": {"ds_name": "RLAIF-V", "image": {"path": "cup.png", "bytes": None}, "question": QUESTION, **ANSWERS},
    "mDPO": {"img_path": "cup.png", "prompt": VICUNA, **ANSWERS},
    "mDPO, bare prompt": {"img_path": "cup.png", "prompt": f"<image>\n{QUESTION}", **ANSWERS},
    "TRL, text": {"images": ["cup.png"], "prompt": QUESTION, "chosen": " " + CHOSEN, "rejected": " " + REJECTED},
    "TRL, messages": {
        "images": ["cup.png"],
        "prompt": [message("user", QUESTION, image=True)],
        "chosen": [message("assistant", CHOSEN)],
        "rejected": [message("assistant", REJECTED)],
    },
    "TRL, prompt within the answers": {
        "image": "cup.png",
        "chosen": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": CHOSEN}],
        "rejected": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": REJECTED}],
    },
    "LLaVA turns, answers apart": {
        "image": "cup.png",
        "conversations": turns(f"{QUESTION}\n<image>"),
        "chosen": {"from": "gpt", "value": CHOSEN},
        "rejected": {"from": "gpt", "value": REJECTED},
    },
    "LLaVA turns, two conversations": {
        "image": "cup.png",
        "conversations": turns(f"<image>\n{QUESTION}", CHOSEN),
        "rejected_conversations": turns(f"<image>\n{QUESTION}", REJECTED),
    },
    "LLaVA turns, two outputs": {
        "image": "cup.png",
        "conversations": turns(f"<image>\n{QUESTION}"),
        "output_1": {"from": "llava", "value": REJECTED},
        "output_2": {"from": "llava", "value": CHOSEN},
        "preference": 2,
    },
    "ms-swift, rejected answer": {
        "images": ["cup.png"],
        "messages": [{"role": "user", "content": f"<image>{QUESTION}"}, {"role": "assistant", "content": CHOSEN}],
        "rejected_response": REJECTED,
    },
    "ms-swift, rejected conversation": {
        "images": ["cup.png"],
        "messages": [{"role": "user", "content": f"<image>{QUESTION}"}, {"role": "assistant", "content": CHOSEN}],
        "rejected_messages": [
            {"role": "user", "content": f"<image>{QUESTION}"},
            {"role": "assistant", "content": REJECTED},
        ],
        "rejected_images": ["cup.png"],
    },
}


def own_folder(folder: Path, rows: list[dict]) -> Path:
    """Rows in our own layout: a folder with pairs.jsonl."""
    write(folder / "pairs.jsonl", rows)
    return folder

"""Checkpoints in LLaVA's own format: converted, they say what the original says."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from llava_originals import Originals, squared
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from halbench.converting.convert import convert
from halbench.converting.prompts import TEMPLATES
from halbench.models.chat_templates import render

PROMPT = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
    "polite answers to the user's questions. USER: <image>\nIs there a dog in the image? ASSISTANT:"
)


@pytest.fixture
def originals(tmp_path):
    return Originals(tmp_path / "originals")


@pytest.fixture
def picture():
    return Image.effect_noise((60, 41), 90).convert("RGB").rotate(30)


def said(folder: Path, prompt: str, picture: Image.Image) -> torch.Tensor:
    """The converted checkpoint's logits, [tokens, vocabulary]."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(**processor(text=prompt, images=picture, return_tensors="pt")).logits[0]


def assert_says_the_same(folder: Path, originals: Originals, picture: Image.Image, prompt: str = PROMPT) -> None:
    pixels = CLIPImageProcessorPil.from_pretrained(originals.folder / "clip")(
        images=squared(picture), return_tensors="pt"
    )["pixel_values"]
    expected, found = originals.logits(prompt, pixels), said(folder, prompt, picture)
    vocabulary = expected.shape[1]
    torch.testing.assert_close(found[:, :vocabulary], expected, rtol=1e-5, atol=1e-5)
    mean = expected.mean(dim=1, keepdim=True)
    torch.testing.assert_close(
        found[:, vocabulary:], mean.expand(-1, found.shape[1] - vocabulary), rtol=1e-4, atol=1e-4
    )


def build(originals: Originals, kind: str) -> tuple[Path, str | None]:
    """An original of this kind, and the base that it needs."""
    if kind == "in safetensors":
        return originals.full_safetensors("model"), None
    if kind == "with a tuned tower":
        folder = originals.full("model", originals.tower_weights(), unfreeze_mm_vision_tower=True)
        torch.save({"vision_model.other": torch.ones(1)}, originals.folder / "clip" / "pytorch_model.bin")
        return folder, None
    if kind == "projector on a language model":
        return originals.projector_only("model"), str(originals.vicuna())
    if kind == "adapter on a language model":
        return originals.adapter("model", originals.vicuna()), None
    if kind == "adapter without more on a whole checkpoint":
        folder = originals.adapter("model", originals.full("base"))
        for name in ("non_lora_trainables.bin", "config.json"):
            (folder / name).unlink()
        return folder, None
    if kind == "adapter with rslora on a whole checkpoint":
        base = originals.full("base")
        return originals.adapter("model", Path("gone"), pickled=True, use_rslora=True), str(base)
    return originals.full("model"), None


@pytest.mark.parametrize(
    "kind",
    [
        "in pickled files",
        "in safetensors",
        "with a tuned tower",
        "projector on a language model",
        "adapter on a language model",
        "adapter with rslora on a whole checkpoint",
        "adapter without more on a whole checkpoint",
    ],
)
def test_a_converted_checkpoint_gives_the_logits_of_the_original(originals, picture, tmp_path, kind):
    source, base = build(originals, kind)
    done = convert(str(source), tmp_path / "out", base, None, "auto")
    assert (done.dtype, done.prompt) == ("float32", "vicuna_v1")
    assert_says_the_same(tmp_path / "out", originals, picture)


def test_a_linear_projector_is_converted_exactly(tmp_path, picture):
    originals = Originals(tmp_path / "originals", projector="linear")
    convert(str(originals.full("model")), tmp_path / "out", None, None, "auto")
    assert_says_the_same(tmp_path / "out", originals, picture)


def test_a_mistral_is_asked_in_its_own_format(tmp_path, picture):
    originals = Originals(tmp_path / "originals", text_model="mistral")
    assert convert(str(originals.full("model")), tmp_path / "out", None, None, "auto").prompt == "mistral_instruct"
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    prompt = render(processor, processor.chat_template, "How many?")
    assert prompt == "[INST] <image>\nHow many? [/INST]"
    assert_says_the_same(tmp_path / "out", originals, picture, prompt)


def test_the_prompt_is_that_of_llava_1_5_and_split_as_its_code_splits_it(originals, tmp_path):
    convert(str(originals.full("model")), tmp_path / "out", None, None, "auto")
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    assert render(processor, processor.chat_template, "Is there a dog in the image?") == PROMPT
    tokens = processor.tokenizer(PROMPT)["input_ids"]
    at = tokens.index(processor.tokenizer.convert_tokens_to_ids("<image>"))
    around = processor.tokenizer.convert_ids_to_tokens(tokens[at - 1 : at + 3])
    assert around == ["▁", "<image>", "▁", "<0x0A>"]
    assert processor.tokenizer.convert_tokens_to_ids(["<image>", "<pad>"]) == [
        len(originals.tokenizer) + n for n in (0, 1)
    ]
    content = [{"type": "image"}, {"type": "text", "text": "One?"}]
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes."}]
    text = processor.apply_chat_template([*turns, {"role": "user", "content": "Two?"}], add_generation_prompt=True)
    assert text.endswith("questions. USER: <image>\nOne? ASSISTANT: Yes.</s>USER: Two? ASSISTANT:")
    assert processor.chat_template == TEMPLATES["llama"]


@pytest.mark.parametrize("size", [(60, 41), (41, 60), (50, 50), (29, 280), (7, 3)])
def test_pixels_are_those_of_a_picture_padded_to_a_square_in_the_mean_colour(originals, tmp_path, size):
    convert(str(originals.full("model")), tmp_path / "out", None, None, "auto")
    picture = Image.effect_noise(size, 90).convert("RGB")
    clip = CLIPImageProcessorPil.from_pretrained(originals.folder / "clip")
    expected = clip(images=squared(picture), return_tensors="pt")["pixel_values"]
    found = AutoProcessor.from_pretrained(tmp_path / "out").image_processor(picture, return_tensors="pt")
    assert torch.equal(found["pixel_values"], expected)


def test_without_pad_the_picture_is_cropped_as_clip_does(originals, tmp_path, picture):
    convert(str(originals.full("model", image_aspect_ratio=None)), tmp_path / "out", None, None, "auto")
    clip = CLIPImageProcessorPil.from_pretrained(originals.folder / "clip")
    expected = clip(images=picture, return_tensors="pt")["pixel_values"]
    found = AutoProcessor.from_pretrained(tmp_path / "out").image_processor(picture, return_tensors="pt")
    assert torch.equal(found["pixel_values"], expected)


def test_settings_are_taken_over(originals, tmp_path):
    source = originals.full("model", mm_vision_select_feature="cls_patch", mm_vision_select_layer=-1)
    convert(str(source), tmp_path / "out", None, None, "bfloat16")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["vision_feature_layer"], config["vision_feature_select_strategy"]) == (-1, "full")
    assert (config["dtype"], config["image_seq_length"]) == ("bfloat16", 5)
    assert config["text_config"]["rope_parameters"]["rope_theta"] == 20000.0
    assert config["text_config"]["vocab_size"] % 64 == 0
    assert "mm_vision_tower" not in config["text_config"]
    processor = json.loads((tmp_path / "out" / "processor_config.json").read_text())
    assert processor["vision_feature_select_strategy"] == "full"


def test_large_checkpoints_are_written_in_parts(originals, tmp_path, picture, monkeypatch):
    monkeypatch.setattr("halbench.converting.convert.SHARD", 40_000)
    convert(str(originals.full("model")), tmp_path / "out", None, None, "auto")
    files = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 2
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    assert_says_the_same(tmp_path / "out", originals, picture)

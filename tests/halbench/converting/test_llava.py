"""Checkpoints of LLaVA's own code, converted: the same logits, the same pixels, and one line for what cannot be."""

import json
import pickle
from pathlib import Path

import llava_originals as originals
import numpy as np
import pytest
import torch
from noise_images import noise_image
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import save_file
from tiny_checkpoints import byte_level_bpe, lora_adapter
from transformers import LlamaConfig, LlamaForCausalLM

from halbench.backends import hf
from halbench.converting.llava import convert
from halbench.errors import InputError
from halbench.models.checkpoints import open_checkpoint
from halbench.types import BackendOptions, Decoding, Item

CPU = BackendOptions(device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def model():
    return originals.reference()


@pytest.fixture(scope="module")
def clip(model, tmp_path_factory) -> str:
    return str(originals.clip_folder(tmp_path_factory.mktemp("clip") / "clip", model))


def logits(model, size: int) -> torch.Tensor:
    """Of some prompt with an image, for the tokens of the old vocabulary."""
    image = model.config.image_token_id
    ids = torch.tensor([[1, *[image] * 4, 50, 60, 70, 80]])
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels).logits[0, 5:, :size]


def check(converted: Path, expected) -> None:
    """The converted checkpoint opens as any other, and has the logits of the model that it was made of."""
    opened = open_checkpoint(str(converted), CPU)
    size = expected.config.text_config.vocab_size
    torch.testing.assert_close(logits(opened.model, size), logits_without_image_row(expected, size))


def logits_without_image_row(model, size: int) -> torch.Tensor:
    """The reference has no row for the image's token, which is replaced before it is looked up."""
    image = model.config.image_token_id
    ids = torch.tensor([[1, *[image] * 4, 50, 60, 70, 80]])
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    embeddings = model.get_input_embeddings()(ids.clamp(max=size - 1))
    with torch.no_grad():
        features = model.get_image_features(pixel_values=pixels)
        features = getattr(features, "pooler_output", features)
        embeddings[0, 1:5] = torch.cat(list(features)).reshape(4, -1)
        return model(inputs_embeds=embeddings, attention_mask=torch.ones_like(ids)).logits[0, 5:, :size]


def test_a_whole_checkpoint_has_the_logits_of_the_model_it_was_made_of(model, clip, tmp_path):
    source = originals.write_full(tmp_path / "llava-v1.5", originals.own_names(model))
    convert(source, tmp_path / "out", None, clip, "auto")
    check(tmp_path / "out", model)
    assert [path.suffix for path in (tmp_path / "out").iterdir() if path.suffix in (".bin", ".pt")] == []


def test_a_tuned_vision_tower_in_the_checkpoint_replaces_clip(model, clip, tmp_path):
    tuned = originals.reference()
    with torch.no_grad():
        for weight in tuned.model.vision_tower.parameters():
            weight.mul_(1.1)
    weights = originals.own_names(tuned)
    for name, value in tuned.model.vision_tower.state_dict().items():
        inner = name if name.startswith("vision_model.") else f"vision_model.{name}"
        weights[f"model.vision_tower.vision_tower.{inner}"] = value
    source = originals.write_full(tmp_path / "tuned", weights)
    convert(source, tmp_path / "out", None, clip, "auto")
    check(tmp_path / "out", tuned)


def test_a_linear_projector_becomes_one_whose_second_layer_changes_nothing(clip, tmp_path):
    linear = originals.reference("linear")
    with torch.no_grad():
        linear.model.multi_modal_projector.linear_2.weight.copy_(torch.eye(32))
        linear.model.multi_modal_projector.linear_2.bias.zero_()
    weights = originals.own_names(linear, linear=True)
    source = originals.write_full(tmp_path / "linear", weights, mm_projector_type="linear")
    convert(source, tmp_path / "out", None, clip, "auto")
    check(tmp_path / "out", linear)


@pytest.mark.parametrize("rslora", [False, True], ids=["LoRA", "rank-stabilised"])
def test_an_adapter_with_its_other_weights_is_merged_as_peft_does(model, clip, tmp_path, rslora):
    weights = originals.own_names(model)
    projector = {name: value for name, value in weights.items() if "mm_projector" in name}
    text = {name: value for name, value in weights.items() if "mm_projector" not in name}
    config = LlamaConfig(**{**model.config.text_config.to_dict(), "dtype": "float32"})
    language = LlamaForCausalLM(config)
    language.load_state_dict(text)
    language.save_pretrained(tmp_path / "vicuna")
    byte_level_bpe(originals.SPECIAL).save_pretrained(tmp_path / "vicuna")
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_rslora=rslora, task_type="CAUSAL_LM")
    adapted = get_peft_model(language, lora)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    folder = originals.write_config(tmp_path / "lora")
    adapted.save_pretrained(folder)
    torch.save(
        {f"base_model.model.{name}": value for name, value in projector.items()}, folder / "non_lora_trainables.bin"
    )
    convert(folder, tmp_path / "out", tmp_path / "vicuna", clip, "auto")
    merged = originals.reference()
    state = {
        f"model.language_model.{name.removeprefix('model.')}" if name.startswith("model.") else name: value
        for name, value in adapted.merge_and_unload().state_dict().items()
    }
    merged.load_state_dict(state, strict=False)
    check(tmp_path / "out", merged)


def test_a_projector_alone_takes_its_language_model_from_the_base(model, clip, tmp_path):
    weights = originals.own_names(model)
    base = tmp_path / "vicuna"
    base.mkdir()
    save_file(
        {name: value for name, value in weights.items() if "mm_projector" not in name}, base / "model.safetensors"
    )
    config = {
        name: value for name, value in originals.config_of(model_type="llama").items() if not name.startswith("mm_")
    }
    (base / "config.json").write_text(json.dumps(config))
    byte_level_bpe(originals.SPECIAL).save_pretrained(base)
    folder = originals.write_config(tmp_path / "pretrain")
    torch.save({name: value for name, value in weights.items() if "mm_projector" in name}, folder / "mm_projector.bin")
    convert(folder, tmp_path / "out", base, clip, "auto")
    check(tmp_path / "out", model)


def test_images_are_padded_to_a_square_of_the_mean_colour_as_llavas_code_does(model, clip, tmp_path):
    source = originals.write_full(tmp_path / "llava", originals.own_names(model))
    convert(source, tmp_path / "out", None, clip, "auto")
    processor = open_checkpoint(str(tmp_path / "out"), CPU).processor
    for size in ((80, 40), (40, 80), (60, 60)):
        image = noise_image(size, 90, seed=1)
        side, mean = max(size), tuple(int(value * 255) for value in processor.image_processor.image_mean)
        square = Image.new("RGB", (side, side), mean)
        square.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
        expected = np.asarray(square.resize((28, 28), Image.Resampling.BICUBIC)) / 255
        found = processor.image_processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
        own = (expected - processor.image_processor.image_mean) / processor.image_processor.image_std
        assert np.abs(found - own).max() < 0.03, size  # less than two levels of 255


def test_the_prompt_is_the_conversation_of_llava_1_5(model, clip, tmp_path):
    source = originals.write_full(tmp_path / "llava", originals.own_names(model))
    convert(source, tmp_path / "out", None, clip, "auto")
    processor = open_checkpoint(str(tmp_path / "out"), CPU).processor
    talk = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
    prompt = processor.apply_chat_template(talk, add_generation_prompt=True)
    assert prompt.startswith("A chat between a curious human and an artificial intelligence assistant. ")
    assert prompt.endswith("questions. USER: <image>\nWhat is this? ASSISTANT:")
    answered = processor.apply_chat_template(
        [*talk, {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}]
    )
    assert answered.endswith(" ASSISTANT: A cat.</s>")


def test_a_converted_checkpoint_is_run_and_the_original_says_how_to_convert_it(model, clip, tmp_path):
    source = originals.write_full(tmp_path / "llava", originals.own_names(model))
    with pytest.raises(InputError, match="in the format of LLaVA's own code; convert it first: halbench convert"):
        hf.open_backend(str(source), CPU)
    convert(source, tmp_path / "out", None, clip, "auto")
    noise_image((50, 40), 90, seed=3).save(tmp_path / "a.png")
    item = Item("1", (tmp_path / "a.png",), "Describe this image.", None, "all")
    (row,) = hf.open_backend(str(tmp_path / "out"), CPU).generate([item], Decoding(max_new_tokens=5))
    assert row.state == "ok"


class Command:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_a_file_of_weights_is_refused_and_not_run(model, clip, tmp_path):
    source = originals.write_full(tmp_path / "llava", originals.own_names(model))
    (source / "pytorch_model-00003-of-00003.bin").write_bytes(pickle.dumps({"a": Command(tmp_path / "ran")}))
    with pytest.raises(InputError, match="holds more than weights, which could run code"):
        convert(source, tmp_path / "out", None, clip, "auto")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mm_projector_type": "ldpnet"}, "mm_projector_type 'ldpnet' cannot be converted"),
        ({"model_type": "llava_mpt"}, "a 'llava_mpt' language model"),
        ({"image_aspect_ratio": "anyres"}, "a LLaVA-1.6 checkpoint"),
        ({"mm_use_im_start_end": True}, "tokens around the image"),
    ],
)
def test_what_transformers_cannot_express_is_named(model, clip, tmp_path, change, message):
    source = originals.write_full(tmp_path / "llava", originals.own_names(model), **change)
    with pytest.raises(InputError, match=message):
        convert(source, tmp_path / "out", None, clip, "auto")


def test_missing_damaged_and_foreign_weights_are_named(model, clip, tmp_path):
    weights = originals.own_names(model)
    lost = {name: value for name, value in weights.items() if name != "model.mm_projector.2.bias"}
    with pytest.raises(InputError, match=r"weight model\.multi_modal_projector\.linear_2\.bias is missing"):
        convert(originals.write_full(tmp_path / "lost", lost), tmp_path / "out", None, clip, "auto")
    more = {**weights, "model.image_newline": torch.zeros(32)}
    with pytest.raises(InputError, match="image_newline has no place"):
        convert(originals.write_full(tmp_path / "more", more), tmp_path / "out", None, clip, "auto")
    cut = originals.write_full(tmp_path / "cut", weights)
    file = cut / "pytorch_model-00001-of-00002.bin"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"pytorch_model-00001-of-00002\.bin: "):
        convert(cut, tmp_path / "out", None, clip, "auto")
    whole = originals.write_full(tmp_path / "whole", weights)
    with pytest.raises(InputError, match="name its folder with --vision-tower"):
        convert(whole, tmp_path / "out", None, str(tmp_path / "nowhere"), "auto")
    with pytest.raises(InputError, match="is a whole checkpoint and needs no base"):
        convert(whole, tmp_path / "out", tmp_path, clip, "auto")
    with pytest.raises(InputError, match="exists; choose another --out"):
        convert(whole, tmp_path, None, clip, "auto")
    assert not (tmp_path / "out").exists()


def test_an_adapter_takes_its_base_from_elsewhere(tmp_path):
    import tiny_checkpoints

    base = tiny_checkpoints.llava(tmp_path / "base")
    adapter = lora_adapter(tmp_path / "adapter", base)
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="name it with --base"):
        open_checkpoint(str(adapter), CPU)
    opened = open_checkpoint(str(adapter), BackendOptions(device="cpu", dtype="float32", base=str(moved)))
    assert opened.identity["fingerprint"] == open_checkpoint(str(moved), CPU).identity["fingerprint"]
    with pytest.raises(InputError, match="is no adapter folder and has no base model"):
        open_checkpoint(str(moved), BackendOptions(device="cpu", base=str(moved)))

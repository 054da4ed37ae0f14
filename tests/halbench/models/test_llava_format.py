"""Checkpoints in LLaVA's own format are told from others, and the command that converts them is named."""

import json

import pytest

from halbench.errors import InputError
from halbench.models.llava_format import llava_kind, refuse_llava_format

CONFIG = {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "openai/clip-vit"}


def folder(path, config=None, *files, base=None):
    path.mkdir()
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    if base is not None:
        (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    for name in files:
        (path / name).write_text("x")
    return path


@pytest.mark.parametrize(
    ("config", "files", "base", "kind"),
    [
        (CONFIG, ["pytorch_model-00001-of-00002.bin", "mm_projector.bin"], None, "full"),
        ({"mm_vision_tower": "x"}, ["model-00001-of-00002.safetensors"], None, "full"),
        ({"architectures": ["LlavaMistralForCausalLM"]}, ["model.safetensors"], None, "full"),
        (CONFIG, ["adapter_model.bin", "non_lora_trainables.bin"], "lmsys/vicuna-7b-v1.5", "adapter"),
        (None, ["adapter_model.safetensors", "non_lora_trainables.bin"], "lmsys/vicuna-7b-v1.5", "adapter"),
        (CONFIG, ["mm_projector.bin"], None, "projector"),
        (None, ["mm_projector.bin"], None, "projector"),
        ({"model_type": "llava", "vision_config": {}}, ["model.safetensors"], None, None),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, ["pytorch_model.bin"], None, None),
        (None, ["adapter_model.safetensors"], "llava-hf/llava-1.5-7b-hf", None),
        (None, [], None, None),
    ],
)
def test_the_kind_of_a_checkpoint_is_seen_in_its_files(tmp_path, config, files, base, kind):
    assert llava_kind(folder(tmp_path / "model", config, *files, base=base)) == kind


def hint(path):
    with pytest.raises(InputError) as raised:
        refuse_llava_format(str(path))
    return str(raised.value)


def test_the_command_has_the_flags_that_the_checkpoint_needs(tmp_path):
    full = folder(tmp_path / "llava", CONFIG, "pytorch_model.bin")
    assert hint(full) == (
        f"{full} is a checkpoint in LLaVA's own format; convert it first: halbench convert {full} --out llava-hf"
    )
    gone = folder(tmp_path / "tower gone", {**CONFIG, "mm_vision_tower": "/gone/clip"}, "pytorch_model.bin")
    assert hint(gone).endswith(f"convert '{gone}' --out 'tower gone-hf' --vision-tower PATH")
    adapter = folder(tmp_path / "lora", CONFIG, "non_lora_trainables.bin", base="lmsys/vicuna-7b-v1.5")
    assert hint(adapter).endswith("--out lora-hf --base lmsys/vicuna-7b-v1.5")
    beside = folder(tmp_path / "beside", CONFIG, "non_lora_trainables.bin", base=str(full))
    assert hint(beside).endswith("--out beside-hf")
    assert hint(folder(tmp_path / "projector", CONFIG, "mm_projector.bin")).endswith("--out projector-hf --base PATH")
    recorded = {**CONFIG, "_name_or_path": "lmsys/vicuna-13b-v1.5"}
    assert hint(folder(tmp_path / "other", recorded, "mm_projector.bin")).endswith("--base lmsys/vicuna-13b-v1.5")


def test_an_adapter_without_more_is_known_by_its_base(tmp_path):
    base = folder(tmp_path / "base", CONFIG, "pytorch_model.bin")
    adapter = folder(tmp_path / "adapter", None, "adapter_model.safetensors", base=str(base))
    assert hint(adapter).endswith(f"halbench convert {adapter} --out adapter-hf")


def test_damaged_files_are_left_to_those_who_read_them(tmp_path):
    path = folder(tmp_path / "model", None, "model.safetensors")
    for text in ("{", "[]", "\x00"):
        (path / "config.json").write_text(text)
        refuse_llava_format(str(path))


def test_a_hub_name_that_was_loaded_before_is_recognised(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--llava-v1.5"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots").mkdir()
    folder(repository / "snapshots" / "abc", CONFIG)
    assert hint("someone/llava-v1.5").endswith("halbench convert someone/llava-v1.5 --out llava-v1.5-hf")
    refuse_llava_format("someone/other")
    refuse_llava_format("./no/such/folder")

"""Opening checkpoints: adapters are merged, and what cannot be run is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_backends import opened, texts

from halbench.backends.hf import HfBackend
from halbench.errors import InputError
from halbench.models.checkpoints import open_checkpoint
from halbench.types import BackendOptions


def test_an_adapter_is_merged_into_its_base_and_changes_the_text(checkpoints, items):
    adapted, base = opened(checkpoints, "lora"), opened(checkpoints, "llava")
    assert texts(adapted, items) != texts(base, items)
    assert adapted.identity()["fingerprint"] == base.identity()["fingerprint"]
    assert adapted.identity()["adapter"] != base.identity()["fingerprint"]
    weight = "model.language_model.layers.0.self_attn.q_proj.weight"
    tensors = {
        name.split("layers.0.self_attn.q_proj.")[-1]: tensor for name, tensor in lora_weights(checkpoints).items()
    }
    added = 8 / 4 * tensors["lora_B.weight"] @ tensors["lora_A.weight"]  # lora_alpha / r
    torch.testing.assert_close(adapted.model.state_dict()[weight], base.model.state_dict()[weight] + added)


def lora_weights(checkpoints: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(checkpoints / "lora" / "adapter_model.safetensors")


def test_identity_says_what_can_change_the_text(checkpoints):
    identity = opened(checkpoints, "llava", dtype="bfloat16").identity()
    assert identity["model"] == "llava"
    assert identity["dtype"] == "bfloat16"
    assert identity["image_processor"].startswith("LlavaImageProcessor")
    assert {"backend", "fingerprint", "chat_template", "torch", "transformers"} < identity.keys()
    assert opened(checkpoints, "llava").identity()["dtype"] == "float32"


def without(*names: str):
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def renamed(old: str, new: str):
    return lambda folder: (folder / old).rename(folder / new)


def rewritten(name: str, change):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("llama", None, "cannot run a 'llama' checkpoint as a vision-language model"),
        ("llava", without("config.json"), "is not a checkpoint folder: expected config.json"),
        ("llava", without("model.safetensors"), r"contains no \*\.safetensors weights"),
        ("llava", renamed("model.safetensors", "pytorch_model.bin"), "contains pickled weights.*save_pretrained"),
        ("llava", rewritten("model.safetensors", lambda data: data[: len(data) // 2]), "are the files complete?"),
        ("llava", rewritten("config.json", lambda data: data[:40]), "not a valid JSON file"),
        (
            "llava",
            rewritten("config.json", lambda data: data.replace(b'"llava"', b'"halluva"')),
            "model type `halluva`",
        ),
        (
            "llava",
            rewritten("config.json", lambda data: data.replace(b'"intermediate_size": 64', b'"intermediate_size": 80')),
            r"lacks \d+ weights of the llava model.*such as",
        ),
        ("llava", without("processor_config.json"), "processor cannot be loaded.*copy them from the base"),
        (
            "llava",
            without("tokenizer.json", "tokenizer_config.json"),
            "processor cannot be loaded.*copy them from the base",
        ),
        ("llava", without("chat_template.jinja"), "no chat template; copy chat_template.jinja"),
        (
            "llava",
            rewritten("chat_template.jinja", lambda data: b"{{ messages[0].content[1].text }}"),
            "no place for the image",
        ),
        ("llava", rewritten("chat_template.jinja", lambda data: data[:50]), "its chat template fails"),
        ("lora", rewritten("adapter_config.json", lambda data: b"{}"), "to name the base model, found None"),
        (
            "lora",
            rewritten("adapter_config.json", lambda data: data.replace(b"(q_proj|v_proj)", b"q_proj")),
            "4 weights have no counterpart",
        ),
        ("lora", without("adapter_model.safetensors"), "contains no adapter_model.safetensors"),
    ],
)
def test_a_checkpoint_that_cannot_be_run_is_refused_in_one_line(checkpoints, tmp_path, name, damage, message):
    shutil.copytree(checkpoints / name, tmp_path / "damaged")
    if damage:
        damage(tmp_path / "damaged")
    with pytest.raises(InputError, match=message) as raised:
        open_checkpoint(str(tmp_path / "damaged"), BackendOptions())
    assert "\n" not in str(raised.value)


def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub():
    with pytest.raises(InputError, match="does not exist; expected a checkpoint folder or a hub name"):
        open_checkpoint("./no/such/folder", BackendOptions())


def test_the_error_names_a_missing_device(checkpoints):
    with pytest.raises(InputError, match="device 'nonsense' cannot be used; expected"):
        opened(checkpoints, "llava", device="nonsense")


def adapter_on(checkpoints: Path, folder: Path, base: str) -> Path:
    """A copy of the adapter that names another base."""
    shutil.copytree(checkpoints / "lora", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}))
    return folder


def test_the_base_of_an_adapter_can_be_named_and_is_the_one_in_the_identity(checkpoints, tmp_path, items):
    moved = adapter_on(checkpoints, tmp_path / "moved", "/gone/llava")
    with pytest.raises(InputError, match="base model /gone/llava does not exist; name its folder with --base PATH"):
        open_checkpoint(str(moved), BackendOptions())
    base = str(checkpoints / "llava")
    found = HfBackend(open_checkpoint(str(moved), BackendOptions(base=base)), BackendOptions())
    assert texts(found, items) == texts(opened(checkpoints, "lora"), items)
    assert found.identity()["fingerprint"] == opened(checkpoints, "llava").identity()["fingerprint"]


def test_a_base_that_the_hub_does_not_give_can_be_named(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    adapter = adapter_on(checkpoints, tmp_path / "hub", "llava-hf/no-such-model")
    with pytest.raises(
        InputError, match=r"its base model llava-hf/no-such-model is not .* a local copy with --base PATH"
    ):
        open_checkpoint(str(adapter), BackendOptions())


def test_a_base_for_a_whole_checkpoint_is_refused(checkpoints):
    with pytest.raises(InputError, match=r"is the base model of an adapter, but .* is a whole checkpoint"):
        open_checkpoint(str(checkpoints / "llava"), BackendOptions(base=str(checkpoints / "llava")))


def test_a_checkpoint_in_llavas_own_format_is_not_called_damaged(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava_llama", "mm_vision_tower": "openai/clip"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="in LLaVA's own format; convert it first: halbench convert"):
        open_checkpoint(str(tmp_path), BackendOptions())

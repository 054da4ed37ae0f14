"""What cannot be converted is refused in one line, and nothing is left behind."""

import json
import pickle
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from llava_originals import Originals

from halbench.converting.convert import convert
from halbench.errors import InputError


@pytest.fixture
def originals(tmp_path):
    return Originals(tmp_path / "originals")


def refused(source: Path, tmp_path: Path, match: str, base: Path | None = None, tower: str | None = None) -> None:
    with pytest.raises(InputError, match=match) as raised:
        convert(str(source), tmp_path / "out", None if base is None else str(base), tower, "auto")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("out*"))


class Attack:
    """A pickle that makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("file", ["pytorch_model-00001-of-00002.bin", "mm_projector.bin", "adapter_model.bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_not_run(originals, tmp_path, file, zipped):
    base = originals.vicuna()
    make = {"mm_projector.bin": lambda: originals.projector_only("model")}
    make["adapter_model.bin"] = lambda: originals.adapter("model", base, pickled=True)
    source = make.get(file, lambda: originals.full("model"))()
    weights = {"model.norm.weight": torch.ones(32), "attack": Attack(tmp_path / "mark")}
    torch.save(weights, source / file, _use_new_zipfile_serialization=zipped)
    refused(
        source,
        tmp_path,
        f"{file}: contains more than weights, and could run code",
        base if "model-" not in file else None,
    )
    if not zipped:
        (source / file).write_bytes(pickle.dumps(weights["attack"]))
        refused(source, tmp_path, f"{file}: ", base if "model-" not in file else None)
    assert not (tmp_path / "mark").exists()


def shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_a_file_that_was_cut_short_is_named(originals, tmp_path):
    source = originals.full("pickled")
    shortened(source / "pytorch_model-00002-of-00002.bin")
    refused(source, tmp_path, r"pytorch_model-00002-of-00002.bin: cannot be read \(.*\); is it complete\?")
    source = originals.full_safetensors("safe")
    shortened(source / "model.safetensors")
    refused(source, tmp_path, r"model.safetensors: cannot be read \(.*\); is it complete\?")


def test_a_missing_file_of_the_index_is_named(originals, tmp_path):
    source = originals.full("model")
    (source / "pytorch_model-00001-of-00002.bin").unlink()
    refused(source, tmp_path, "index.json names pytorch_model-00001-of-00002.bin, which is missing")


def changed(folder: Path, change) -> Path:
    """The folder with the weights of its second file changed."""
    file = folder / "pytorch_model-00002-of-00002.bin"
    weights = torch.load(file)
    change(weights)
    torch.save(weights, file)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("model.mm_projector.2.bias"), "has no projector .*expected model.mm_projector"),
        (lambda w: w.update({"mm_projector.2.bias": torch.ones(32)}), "projector.2.bias would both become multi_modal"),
        (lambda w: w.pop("model.norm.weight"), "lacks language_model.model.norm.weight"),
        (lambda w: w.update({"model.extra.weight": torch.ones(1)}), "model.extra.weight has no place in the model"),
        (lambda w: w.update({"model.mm_projector.4.weight": torch.ones(1)}), "mm_projector.4.weight has no place"),
        (lambda w: w.update({"model.norm.weight": torch.ones(31)}), r"has the shape \[31\]; expected \[32\]"),
        (lambda w: w.update({"model.norm.weight": torch.ones(32, dtype=torch.int8)}), "norm.weight is quantised"),
        (lambda w: w.update({"model.norm.weight": 3}), "expected a tensor as 'model.norm.weight', found a int"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(originals, tmp_path, change, message):
    refused(changed(originals.full("model"), change), tmp_path, message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mm_projector_type": "mlp3x_gelu"}, "mm_projector_type = 'mlp3x_gelu' cannot be converted; expected linear"),
        ({"mm_projector_type": "resampler"}, "mm_projector_type = 'resampler' cannot be converted"),
        ({"image_aspect_ratio": "anyres"}, r"image_aspect_ratio = 'anyres' \(LLaVA-NeXT; .*\) cannot be converted"),
        ({"mm_patch_merge_type": "spatial_unpad"}, "mm_patch_merge_type = 'spatial_unpad' cannot be converted"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end = True cannot be converted"),
        (
            {"model_type": "llava_mpt"},
            "cannot convert a 'llava_mpt' checkpoint; expected llava, llava_llama, llava_mistral",
        ),
        ({"mm_vision_select_layer": None}, "expected mm_vision_select_layer to be a whole number"),
        ({"hidden_size": 48}, r"has the shape .*; expected"),
        ({"hidden_size": 33}, "config.json: no model can be built as it says"),
        ({"num_attention_heads": "2"}, "config.json: no model can be built as it says .*num_attention_heads"),
        ({"mm_vision_tower": "openai/no-such-clip"}, "cannot be loaded from the hub .*--vision-tower PATH"),
        ({"mm_vision_tower": "/no/such/clip"}, r"/no/such/clip does not exist; expected .*--vision-tower"),
    ],
)
def test_what_transformers_cannot_express_is_refused_by_name(originals, tmp_path, monkeypatch, config, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(originals.full("model", **config), tmp_path, message)


def test_a_tower_of_another_kind_is_refused(originals, tmp_path):
    source = originals.full("model")
    refused(source, tmp_path, "cannot convert a 'llama' vision tower; expected clip", tower=str(originals.vicuna()))


def test_bases_are_asked_for_and_refused_where_there_is_none(originals, tmp_path):
    vicuna = originals.vicuna()
    refused(originals.projector_only("projector"), tmp_path, "is a projector; name its base with --base")
    refused(originals.full("model"), tmp_path, "is for adapters and projectors, but .* is a whole checkpoint", vicuna)
    refused(originals.adapter("adapter", Path("/gone")), tmp_path, r"/gone does not exist; expected .*--base PATH")
    refused(vicuna, tmp_path, "is no checkpoint in LLaVA's own format")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_dora": True}, "use_dora = True cannot be merged here"),
        ({"bias": "all"}, "bias = 'all' cannot be merged here"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"r": 8}, "expected r = 4, as in the weights"),
    ],
)
def test_an_adapter_that_is_more_than_plain_lora_is_refused(originals, tmp_path, settings, message):
    source = originals.adapter("adapter", originals.vicuna())
    config = json.loads((source / "adapter_config.json").read_text())
    (source / "adapter_config.json").write_text(json.dumps({**config, **settings}))
    refused(source, tmp_path, message)


def test_an_adapter_of_another_model_is_refused(originals, tmp_path):
    base = originals.vicuna()
    source = originals.adapter("adapter", base, pickled=True)
    weights = torch.load(source / "adapter_model.bin")
    first = next(iter(weights))
    torch.save({name.replace("layers.1.", "layers.7."): t for name, t in weights.items()}, source / "adapter_model.bin")
    refused(source, tmp_path, "adapts model.layers.7.*, which the base does not have. Another --base?")
    torch.save({**weights, first: torch.ones(4, 5)}, source / "adapter_model.bin")
    refused(source, tmp_path, "does not fit model.layers.0.* of the base")
    torch.save({name: t for name, t in weights.items() if name != first}, source / "adapter_model.bin")
    refused(source, tmp_path, "has no counterpart")


def test_an_existing_folder_is_left_alone_and_what_a_kill_left_is_replaced(originals, tmp_path):
    source = originals.full("model")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="there exists; choose another --out"):
        convert(str(source), tmp_path / "there", None, None, "auto")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "model-00009-of-00009.safetensors").write_text("half")
    convert(str(source), tmp_path / "out", None, None, "auto")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("chat_template.jinja", "config.json", "generation_config.json", "model-00001-of-00001.safetensors"),
        *("model.safetensors.index.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"),
    ]
    assert not (tmp_path / "out.partial").exists()

"""What is checked before the first step."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import small_training
from small_training import RECIPE, log_rows, own_objective, plan
from transformers import LlavaForConditionalGeneration as Llava

from baselines.encoding.reference_cache import ReferenceCache
from baselines.training.train import train
from halbench.errors import InputError
from halbench.files.records import read_json


def test_a_loss_that_does_not_start_where_it_must_stops_the_run(model, pairs, tmp_path):
    with pytest.raises(InputError, match=r"must be 0.70000, found -?0.0000"):
        train(plan(own_objective(tmp_path), model, pairs, tmp_path / "out", settings={"start": 0.7}))


def test_a_reference_of_another_model_stops_the_run(undisturbed, model, pairs, tmp_path):
    cache = shutil.copytree(undisturbed.parent / "cache", tmp_path / "cache")
    (folder,) = (cache / "reference").iterdir()
    entries = ReferenceCache(cache, read_json(folder / "identity.json"))
    for path in folder.glob("*.safetensors"):
        path.unlink()
    entries.unsaved = {key: value - 1 for key, value in entries.entries.items()}
    entries.flush()
    with pytest.raises(InputError, match="policy and reference must agree"):
        train(plan("mdpo", model, pairs, tmp_path / "out"))


def with_logits(change: Callable[[Any, dict[str, Any]], Any]) -> Callable[..., Any]:
    """LLaVA's forward with other logits."""
    plain = Llava.forward

    def forward(self: Any, *arguments: Any, **named: Any) -> Any:
        output = plain(self, *arguments, **named)
        output.logits = change(output.logits, named)
        return output

    return forward


def test_what_a_model_does_to_its_logits_behind_the_head_is_trained_with(model, pairs, tmp_path, monkeypatch):
    """As families do that scale or cap them; before the first step the log-probs are held against the model's own."""
    monkeypatch.setattr(Llava, "forward", with_logits(lambda logits, _: 10 * (logits / 20).tanh()))
    record = train(plan("dpo", model, pairs, tmp_path / "out"))
    assert record["steps"] > 0


def test_a_model_whose_own_forward_says_otherwise_is_refused(model, pairs, tmp_path, monkeypatch):
    """As with a family whose logits depend on more than the last hidden states."""
    monkeypatch.setattr(
        Llava, "forward", with_logits(lambda logits, named: logits * (0.5 if "pixel_values" in named else 1))
    )
    with pytest.raises(InputError, match="the training forward is not correct for model type 'llava'"):
        train(plan("dpo", model, pairs, tmp_path / "out"))


def test_a_mix_of_pairs_with_and_without_images_is_refused_in_one_line(model, tmp_path):
    folder = small_training.write_pairs(tmp_path / "pairs")
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    rows[5]["images"] = []
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError) as error:
        train(plan("dpo", model, folder, tmp_path / "out"))
    assert "pair p5 has no image and pair" in str(error.value)
    assert "\n" not in str(error.value)


def test_pairs_may_differ_in_how_many_images_they_have(model, tmp_path):
    folder = small_training.write_pairs(tmp_path / "pairs", images=2)
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    for row in rows[::3]:
        row["images"] = row["images"][:1]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(plan("mdpo", model, folder, tmp_path / "out", replace(RECIPE, epochs=1)))
    assert log_rows(tmp_path / "out")[0]["loss"] == pytest.approx(3 * math.log(2), abs=1e-4)


def test_a_chat_template_without_room_for_all_images_is_refused(model, tmp_path):
    one_image = shutil.copytree(model, tmp_path / "model")
    template = one_image / "chat_template.jinja"
    loop = "{% for c in m['content'] if c['type'] == 'image' %}<image>\n{% endfor %}"
    assert loop in template.read_text()
    template.write_text(template.read_text().replace(loop, "<image>\n"))
    pairs = small_training.write_pairs(tmp_path / "pairs", images=2)
    with pytest.raises(InputError, match="pair p0 has 2 images, but the checkpoint's chat template"):
        train(plan("dpo", one_image, pairs, tmp_path / "out"))

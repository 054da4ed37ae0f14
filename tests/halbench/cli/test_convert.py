"""halbench convert, and how the other commands lead to it."""

import json

import pytest

pytest.importorskip("torch")

from llava_originals import Originals


def test_a_checkpoint_that_run_refuses_runs_when_it_is_converted_as_it_says(halbench, tmp_path):
    source = Originals(tmp_path).adapter("lora", Originals(tmp_path / "other").vicuna())
    asked = ("--suite", "scenes", "--limit", "2", "--allow", "cut", "--gen-kwargs", "max_new_tokens=4")
    refused = halbench("run", "--model", "lora", *asked)
    assert refused.returncode == 2
    line = "lora is a checkpoint in LLaVA's own format; convert it first: halbench "
    (command,) = [text.partition(line)[2] for text in refused.stderr.splitlines() if line in text]
    assert command == "convert lora --out lora-hf"
    trained = halbench("train", "--model", str(source), "--objective", "dpo", "--data", "none", "--out", "tuned")
    assert "convert it first: halbench convert" in trained.stderr
    done = halbench(*command.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lora-hf: ")
    assert "prompt vicuna_v1. Run it: halbench run --model lora-hf --suite ..." in done.stdout
    ran = halbench("run", "--model", "lora-hf", *asked, "--out", "run")
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(row) for row in (tmp_path / "run" / "responses.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["ok", "ok"]


def test_a_tokenizer_model_asks_for_the_packages_that_read_it(halbench, tmp_path, monkeypatch):
    source = Originals(tmp_path).full("model")
    (source / "tokenizer.json").rename(source / "tokenizer.model")
    monkeypatch.setattr("halbench.converting.prompts.installed", lambda module: module != "sentencepiece")
    done = halbench("convert", "model", "--out", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'halbench[convert]' (no module 'sentencepiece')" in done.stderr

"""The training forward on a model whose weights are sharded as by FSDP, over two processes.

accelerate turns FSDP on for GPUs alone, so the sharding itself is done here, by the function that accelerate calls.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import small_training

RANK = """
import os
import sys
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from accelerate import Accelerator
from baselines.encoding.collation import collate
from baselines.encoding.encoder import Encoder
from baselines.encoding.packed_forward import as_scoring_model
from baselines.pairs.preferences import read_pairs
from baselines.training.adaptation import with_lora
from baselines.types import Variant
from halbench.models.checkpoints import open_checkpoint
from halbench.types import BackendOptions

folder, pairs, checkpointing = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
dist.init_process_group("gloo")
assert dist.get_world_size() == 2
pair = read_pairs(pairs).pairs[0]
checkpoint = open_checkpoint(folder, BackendOptions(device="cpu", dtype="float32"))
answers = {"chosen": Variant(pair.prompt, pair.chosen), "rejected": Variant(pair.prompt, pair.rejected)}
batch = collate(Encoder(checkpoint, packed=True).example(pair, answers).sequences, 0, True)

def outcome(sharded):
    torch.manual_seed(0)
    opened = open_checkpoint(folder, BackendOptions(device="cpu", dtype="float32")).model
    model = with_lora(as_scoring_model(opened), 4, 8, folder)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if sharded:
        kinds = set(model._no_split_modules or opened._no_split_modules)
        for module in list(model.modules()):
            if type(module).__name__ in kinds:
                fully_shard(module)
        fully_shard(model)
        assert all(isinstance(weight, DTensor) for weight in model.parameters())
    model.train()
    logp = model(**batch).logp
    logp.sum().backward()
    whole = lambda value: value.full_tensor() if isinstance(value, DTensor) else value
    gradients = {name: whole(weight.grad) for name, weight in model.named_parameters() if weight.grad is not None}
    return logp.detach(), gradients

plain, sharded = outcome(False), outcome(True)
torch.testing.assert_close(sharded[0], plain[0], atol=1e-5, rtol=0)
assert plain[1].keys() == sharded[1].keys() and len(plain[1]) > 4
for name, gradient in plain[1].items():
    torch.testing.assert_close(sharded[1][name], gradient, atol=1e-4, rtol=1e-3)
print("equal", len(plain[1]), flush=True)
dist.barrier()
os._exit(0)  # torch now and then aborts while Python takes its communication threads down, long after the part that is tested
"""


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_sharded_weights_give_the_same_log_probs_and_gradients(checkpointing: bool, tmp_path: Path):
    model = small_training.checkpoint(tmp_path / "model")
    pairs = small_training.write_pairs(tmp_path / "pairs")
    (tmp_path / "rank.py").write_text(RANK)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "rank.py"), str(model), str(pairs), str(checkpointing)],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("equal") == 2

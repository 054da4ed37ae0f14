"""Processors with a torchvision that works, is missing, or is built for another torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from families import FAMILIES

BROKEN = "raise RuntimeError('operator torchvision::nms does not exist')"
OPEN = """
import sys
{before}
import halbench
import transformers
transformers.utils.logging.set_verbosity_error()
from halbench.errors import InputError
from halbench.models.processors import load_processor, processor_identity
from PIL import Image
try:
    processor = load_processor(sys.argv[1], False)
    load_processor(sys.argv[1], False)
except InputError as error:
    sys.exit(str(error))
prompt = processor.apply_chat_template(
    [{{"role": "user", "content": [{{"type": "image"}}, {{"type": "text", "text": "?"}}]}}], add_generation_prompt=True
)
inputs = processor(text=[prompt], images=[[Image.new("RGB", (90, 60))]], return_tensors="pt")
processor.save_pretrained(sys.argv[2])
print(type(processor).__name__, processor_identity(processor)["pixels"], inputs["image_grid_thw"].tolist())
"""


@pytest.fixture(scope="module")
def qwen(tmp_path_factory) -> Path:
    """A Qwen2-VL checkpoint, whose processor has a part for videos."""
    return FAMILIES["qwen2_vl"](tmp_path_factory.mktemp("qwen") / "qwen2_vl", 0)


def opened(folder: Path, tmp_path: Path, torchvision: str | None) -> subprocess.CompletedProcess[str]:
    """A new process that opens a checkpoint's processor. torchvision: the code of a package of this name; None for none."""
    if torchvision is None:
        before = "sys.modules['torchvision'] = None"
    else:
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision/__init__.py").write_text(torchvision)
        before = f"sys.path.insert(0, {str(tmp_path)!r})"
    command = [sys.executable, "-c", OPEN.format(before=before), folder, tmp_path / "saved"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("torchvision", [None, BROKEN], ids=["missing", "broken"])
def test_without_torchvision_a_processor_is_loaded_without_its_video_part_and_says_so_once(qwen, tmp_path, torchvision):
    done = opened(qwen, tmp_path, torchvision)
    assert done.stdout == "Qwen2VLProcessor pil [[1, 4, 6]]\n", done.stderr
    assert (
        done.stderr.count("images are processed by Pillow, and Qwen2VLProcessor is loaded without its video part") == 1
    )
    assert ("::nms does not exist" in done.stderr) == (torchvision == BROKEN)


def test_what_is_saved_of_a_processor_without_its_video_part_can_be_loaded_again(qwen, tmp_path):
    saved = tmp_path / "saved"
    opened(qwen, tmp_path, None)
    (saved / "config.json").write_text((qwen / "config.json").read_text())
    (tmp_path / "again").mkdir()
    assert opened(saved, tmp_path / "again", None).stdout == "Qwen2VLProcessor pil [[1, 4, 6]]\n"


def test_importing_halbench_imports_neither_torch_nor_transformers():
    code = "import halbench, sys; sys.exit(bool({'torch', 'transformers', 'torchvision'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

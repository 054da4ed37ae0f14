"""Our suites as tasks of lmms-eval, in its own format; `halbench lmms-path` prints this folder.

    export HALBENCH_DATA=...
    lmms-eval --include_path $(halbench lmms-path) --tasks halbench_amber,halbench_scenes \\
        --model llava_hf --model_args pretrained=llava-hf/llava-1.5-7b-hf --log_samples --output_path logs

Each YAML file names a suite and its published decoding; everything else is suite_task.py, which asks the suite's items and
scores the answers by `halbench score`.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
SUITES = ("amber", "chair", "mmhal", "object_halbench", "scenes")

"""Our suites as tasks of lmms-eval, in its own format; `halbench lmms-path` writes them and prints their folder.

    export HALBENCH_DATA=...
    lmms-eval --include_path $(halbench lmms-path) --tasks halbench_amber,halbench_scenes \\
        --model llava_hf --model_args pretrained=llava-hf/llava-1.5-7b-hf --log_samples --output_path logs

Each YAML file is made from a suite: its name, its metrics and its published decoding. Everything else is in suite_task.py,
which lists the suite's items and scores the answers with `halbench score`.
"""

from pathlib import Path
from typing import Any

import yaml

from halbench import plugins
from halbench.evaluation.suites import load_suite
from halbench.files.records import content_hash, write_text
from halbench.files.user_cache import user_cache
from halbench.types import Decoding, Suite

MODULE = "halbench.lmms_tasks.suite_task"
METRICS = "metrics_of_"
"""suite_task.metrics_of_amber is the list of AMBER's metrics, as lmms-eval expects it."""


class Function(str):
    """A dotted name that YAML writes as lmms-eval's !function."""


class Dumper(yaml.SafeDumper):
    """Writes Function as a tagged scalar."""


Dumper.add_representer(Function, lambda dumper, name: dumper.represent_scalar("!function", str(name)))


def write_tasks() -> Path:
    """The folder with a task for each suite, in the user's cache. Its name changes with the content of the tasks."""
    suites = [load_suite(name) for name in plugins.names("halbench.suites")]
    folder = user_cache() / "lmms_tasks" / content_hash([task_text(suite, Path()) for suite in suites])
    placeholder = folder / "placeholder.json"  # lmms-eval insists on a data set; documents() replaces it by the items
    write_text(placeholder, '[{"placeholder": true}]\n')
    for suite in suites:
        write_text(folder / f"halbench_{suite.name}.yaml", task_text(suite, placeholder))
    return folder


def task_text(suite: Suite, placeholder: Path) -> str:
    """A task file: its questions, how answers are generated, its metrics. placeholder: the data set that it names."""
    task: dict[str, Any] = {
        "task": f"halbench_{suite.name}",
        "dataset_path": "json",
        "dataset_name": suite.name,
        "dataset_kwargs": {"data_files": {"test": str(placeholder)}},
        "test_split": "test",
        "output_type": "generate_until",
        "process_docs": Function(f"{MODULE}.documents"),
        "doc_to_visual": Function(f"{MODULE}.pictures"),
        "doc_to_text": "question",
        "doc_to_target": "",
        "process_results": Function(f"{MODULE}.answer"),
        "metric_list": Function(f"{MODULE}.{METRICS}{suite.name}"),
        "generation_kwargs": generation_arguments(suite.decoding),
        "metadata": {"version": int(suite.version)},
    }
    comment = f"# {suite.title}, written by halbench lmms-path. Decoding: the suite's published settings.\n"
    return comment + yaml.dump(task, Dumper=Dumper, sort_keys=False)


def generation_arguments(decoding: Decoding) -> dict[str, Any]:
    """A suite's decoding as lmms-eval's generation_kwargs."""
    sampling = decoding.temperature > 0
    return {
        "max_new_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "do_sample": sampling,
        "num_beams": decoding.num_beams,
        "until": [],  # by default lmms-eval ends an answer at its first empty line
        **({"top_p": decoding.top_p} if sampling else {}),
        **decoding.extra,
    }

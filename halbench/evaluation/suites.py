"""Opening a suite: by name, by file, or by the name in a run folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from halbench import plugins
from halbench.data.datasets import Data, file_states, read_sources
from halbench.errors import InputError, MissingData
from halbench.evaluation.empty_answers import check_empty_answers
from halbench.evaluation.suite_contract import check_suite, check_task
from halbench.files.records import file_hash
from halbench.folders.run import OLDEST_RESPONSES, RunFolder
from halbench.types import ResponseRow, Suite, Task


def load_suite(name: str) -> Suite:
    """The suite called `name`, or the one in a .py file, whose hash is then part of the version."""
    module = plugins.load("halbench.suites", name)
    suite = plugins.checked(plugins.required(module, "SUITE"), Suite, f"{name}: SUITE")
    check_suite(suite, name if name.endswith(".py") else f"suite {name}")
    return replace(suite, version=f"{suite.version}-{file_hash(Path(name), 8)}") if name.endswith(".py") else suite


def open_task(
    suite: Suite, data: Data, options: Any, rows: Sequence[ResponseRow] | None = None, limit: int | None = None
) -> Task:
    """A suite's items and scorer, with its options and data. rows: of a response file, None if a model will answer.
    limit: number of items to keep, which changes the signature."""
    with naming_damaged_data(suite, data):
        task = plugins.checked(suite.load(data, options, rows), Task, f"suite {suite.name}: load()")
        check_task(suite, task)
        check_empty_answers(suite, task)
    return task if limit is None else replace(task, items=task.items[:limit])


def suite_of_run(folder: RunFolder, file: str | None = None) -> Suite:
    """The suite of a run folder. file: see suite_by_name."""
    return suite_by_name(folder.manifest(OLDEST_RESPONSES).settings.suite.name, file)


def suite_by_name(name: str, file: str | None = None) -> Suite:
    """The suite that a run folder names: a built-in one, or the one in the user's `file`. A path in the folder itself is
    never executed."""
    suite = load_suite(file) if file else None
    if suite and suite.name == name:
        return suite
    if name not in plugins.names("halbench.suites"):
        hint = f"{file} defines '{suite.name}'" if suite else "name its file with --suite FILE (suite_file= in Python)"
        raise InputError(f"suite '{name}' is not built in: {hint}")
    return load_suite(name)


@contextmanager
def naming_damaged_data(suite: Suite, data: Data) -> Iterator[None]:
    """Turn an exception into one clear line if a data file of the suite is not what its authors published."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        sources = read_sources()
        if suite.name not in sources.suites():  # a user's own suite
            raise
        states = file_states(sources.of(suite.name), data)
        damaged = next((state for state in states if state.state == "differs"), None)
        if damaged is None:
            raise
        raise MissingData(
            f"{damaged.path} is not as its authors published it ({type(error).__name__}: {error}). "
            f"Remove it and run: halbench data fetch {suite.name}"
        ) from error

"""Property-based tests (hypothesis) of everything that reads a file: whatever the bytes, the content or the fields, a reader
returns what a strict reader sees, or refuses it in one line."""

import json
import shutil
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from halbench.data.datasets import Data
from halbench.evaluation.suites import load_suite, naming_damaged_data, open_task
from halbench.files.records import dumps, read_json, read_jsonl
from halbench.files.yaml_files import read_yaml
from halbench.folders.run import RunFolder
from halbench.judging.stored_replies import read_judgement_file
from halbench.responses.response_files import read_response_file
from halbench.types import Judgement, Response, Score
from tests.faults import strict
from tests.faults.fuzz_responses import EXCERPTS, quick_scoring, written
from tests.faults.limits import guarded
from tests.faults.table import Row

EXAMPLES = 1200
NAMES = st.sampled_from(
    ("id", "item", "text", "caption", "image_id", "question", "response", "answer", "state", "error", "extra", "doc", "finish",
     "format", "status", "settings", "suite", "files", "counts", "group", "cluster", "value", "metric", "key", "reply", "x")
)  # fmt: skip
PLAIN = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)
ROWS = st.lists(OBJECTS, max_size=4)
CELLS = st.text(alphabet=string.ascii_letters + string.digits + ' ,"\t\n\r;é🦄', max_size=12)
TABLES = st.lists(
    st.fixed_dictionaries({"image_id": st.integers(0, 99).map(str), "caption": CELLS}), min_size=1, max_size=5
)
DOCUMENTS = (
    st.binary(max_size=60)
    | OBJECTS.map(lambda one: json.dumps(one).encode())
    | VALUES.map(lambda one: json.dumps(one).encode())
)


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def campaign(seed: int, share: float = 1.0, work: Path | None = None) -> list[Row]:
    """share: of the examples of each reader."""
    root = Path(tempfile.mkdtemp(prefix="faults")) if work is None else work
    row = Row(
        "every reader returns what the file says, or refuses it in one line", "hypothesis: any bytes, rows and fields"
    )
    most = max(20, int(EXAMPLES * share))

    def hold(strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
        """Run a check on examples; a falsified one is a broken promise."""
        limits = settings(max_examples=most, database=None, deadline=None, suppress_health_check=list(HealthCheck))

        @seeded(seed)
        @limits
        @given(strategy)
        def test(value: Any) -> None:
            row.count += 1
            check(value)

        try:
            test()
        except AssertionError as error:
            row.broke("silent", f"{check.__name__}: {error}")

    def read(what: str, call: Callable[[], Any]) -> Any:
        broken = len(row.examples)
        found = guarded(row, what, call)
        assert len(row.examples) == broken, row.examples[-1]
        return found

    def a_json_file_is_its_value(value: Any) -> None:
        (root / "a.json").write_text(dumps(value))
        assert read("json", lambda: [read_json(root / "a.json")]) == [value]

    def a_jsonl_file_is_its_rows(rows: list[Any]) -> None:
        (root / "a.jsonl").write_bytes(as_lines(rows))
        assert read("jsonl", lambda: [one for _, one in read_jsonl(root / "a.jsonl")]) == rows

    def a_table_has_its_cells(rows: list[dict[str, str]]) -> None:
        for suffix in (".csv", ".tsv"):
            (root / f"a{suffix}").write_bytes(written(rows, suffix))
            found = read("table", lambda suffix=suffix: read_response_file(root / f"a{suffix}"))
            if found is not None:
                assert [one.text for one in found] == [one["caption"] for one in rows], rows

    def responses_are_refused_or_rows(rows: list[Any]) -> None:
        for suffix in (".jsonl", ".json"):
            (root / f"r{suffix}").write_bytes(written(rows, suffix))
            found = read("responses", lambda suffix=suffix: read_response_file(root / f"r{suffix}"))
            if found is not None:
                assert len(found) == len(rows)
                assert all(one.text in strict.texts(row) for one, row in zip(found, rows, strict=True)), rows

    def any_bytes_are_refused_or_read(content: bytes) -> None:
        for suffix in (".jsonl", ".json", ".csv", ".tsv"):
            (root / f"b{suffix}").write_bytes(content)
            read("bytes", lambda suffix=suffix: read_response_file(root / f"b{suffix}"))
        for name in ("y.yaml", "y.json"):
            (root / name).write_bytes(content)
            read("yaml", lambda name=name: read_yaml(root / name))

    def a_manifest_is_refused_or_read(content: bytes) -> None:
        for name in ("manifest.json", "results.json", "scores.jsonl", "responses.jsonl", "judgements.jsonl"):
            (root / name).write_bytes(content)
        folder = RunFolder(root)
        read("manifest", folder.manifest)
        read("results", folder.results)
        for kind, path in (
            (Score, folder.scores_path),
            (Response, folder.responses_path),
            (Judgement, folder.judgements_path),
        ):
            read("rows", lambda kind=kind, path=path: folder.read(kind, path))
        read("judgements", lambda: read_judgement_file(folder.judgements_path, ["1"]))
        read("replies", lambda: read_judgement_file(folder.results_path, ["1"]))

    def suite_data_is_refused_or_used(content: tuple[str, bytes]) -> None:
        path = root / "data" / content[0]
        before = path.read_bytes()
        path.write_bytes(content[1])
        data = Data(root / "data")

        def opened() -> int:
            name = content[0].split("/")[0]
            suite = load_suite(name)
            split = {"split": "adversarial"} if name == "pope" else {}
            with naming_damaged_data(suite, data):
                return len(open_task(suite, data, suite.options(**split), None).items)

        try:
            read("suite data", opened)
        finally:
            path.write_bytes(before)

    shutil.copytree(EXCERPTS, root / "data", dirs_exist_ok=True)
    names = [str(path.relative_to(root / "data")) for path in suite_files(root / "data")]
    damaged = st.tuples(
        st.sampled_from(names),
        DOCUMENTS | ROWS.map(as_lines) | st.lists(VALUES).map(lambda one: json.dumps(one).encode()),
    )
    with quick_scoring():
        hold(VALUES, a_json_file_is_its_value)
        hold(ROWS, a_jsonl_file_is_its_rows)
        hold(TABLES, a_table_has_its_cells)
        hold(ROWS, responses_are_refused_or_rows)
        hold(DOCUMENTS, any_bytes_are_refused_or_read)
        hold(DOCUMENTS, a_manifest_is_refused_or_read)
        hold(damaged, suite_data_is_refused_or_used)
    if work is None:
        shutil.rmtree(root)
    return [row]


def suite_files(data: Path) -> list[Path]:
    """The suites' own files, without answers and official numbers."""
    suites = ("amber", "chair", "mmhal", "object_halbench", "pope")
    return [path for suite in suites for path in sorted((data / suite).rglob("*")) if path.is_file()]


CAMPAIGNS = {"readers": campaign}

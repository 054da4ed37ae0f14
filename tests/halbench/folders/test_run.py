"""A run folder: rows survive a kill, settings are kept apart, and earlier formats can be scored again."""

import json
import signal
import subprocess
import sys

import pytest
from small_runs import compare, good, write_run
from stored import jsonl, score

from halbench.comparing.comparison import load_run
from halbench.errors import InputError
from halbench.folders.run import FORMAT, RunFolder
from halbench.types import Response

WRITE = """
import os, signal, sys
from pathlib import Path
from halbench.folders.run import RunFolder
from halbench.types import Response
folder = RunFolder(Path(sys.argv[1]))
with folder.appending(folder.responses_path) as writer:
    for number in range(100):
        writer.write(Response(str(number), "A dog."))
        if number == 41:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_every_row_that_was_written_survives_a_kill(tmp_path):
    killed = subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL
    folder = RunFolder(tmp_path)
    assert [row.item for row in folder.read(Response, folder.responses_path)] == [str(number) for number in range(42)]


def test_a_torn_last_line_is_cut_off_before_rows_are_appended(tmp_path):
    folder = RunFolder(tmp_path)
    folder.responses_path.write_text('{"item": "1", "text": "A"}\n{"item": "2", "te')
    assert [row.item for row in folder.read(Response, folder.responses_path)] == ["1"]
    with folder.appending(folder.responses_path) as writer:
        writer.write(Response("2", "B"))
    assert [row.text for row in folder.read(Response, folder.responses_path)] == ["A", "B"]


def test_a_folder_of_other_settings_is_refused_with_what_differs(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"decoding": {"num_beams": 3}})
    folder.begin({"decoding": {"num_beams": 1}})  # nothing was answered yet
    folder.responses_path.write_text('{"item": "1", "text": "A"}\n')
    folder.begin({"decoding": {"num_beams": 1}})
    with pytest.raises(InputError, match=r"other settings \(decoding\.num_beams: 1 \(recorded\), 5 \(requested\)\)"):
        folder.begin({"decoding": {"num_beams": 5}})


@pytest.mark.parametrize(("format", "line"), [(FORMAT + 1, "reads format"), (None, "format None")])
def test_a_manifest_of_an_unknown_format_is_refused(tmp_path, format, line):
    RunFolder(tmp_path).manifest_path.write_text(json.dumps({"format": format}))
    with pytest.raises(InputError, match=line):
        RunFolder(tmp_path).manifest()


def of_format_1(run):
    """The run folder as an earlier halbench wrote it: scores with an image in place of the cluster."""
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))
    rows = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    kept = ("item", "group", "counts", "evidence", "state", "error")
    jsonl(run / "scores.jsonl", [{**{name: row[name] for name in kept}, "image": row["cluster"]} for row in rows])
    return run


def test_a_folder_of_format_1_is_not_compared_and_the_error_says_how_to_score_it_again(tmp_path):
    old = of_format_1(write_run(tmp_path, "old", good()))
    with pytest.raises(InputError) as error:
        compare(old, write_run(tmp_path, "new", good()))
    assert f"halbench score --responses {old} --out DIR" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_of_format_1_is_scored_again_with_the_same_numbers(tmp_path, data):
    source = jsonl(tmp_path / "a.jsonl", [{"id": 1, "response": "A sky and a dog."}, {"id": 2, "response": "A tree."}])
    first = score("amber", source, data, out=tmp_path / "old")
    old = of_format_1(tmp_path / "old")
    again = score(None, old, data, out=tmp_path / "new")  # the folder knows its suite
    assert (again.signature, again.results) == (first.signature, first.results)
    assert not load_run(tmp_path / "new").coverage.complete  # readable; two of 1,004 answers are no complete run

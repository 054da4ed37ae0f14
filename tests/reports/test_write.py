"""Tables as files: rounded, escaped for each format, and read back."""

import io
import shutil
import subprocess

import pandas as pd
import pytest
from small_reports import FEW

from reports import write
from reports.kinds import ablation, breakdown, leaderboard
from reports.types import Column, Table

HOSTILE = r"""100% $x$ _a_ {b} #1 & \cmd ~ ^ <script>alert(1)</script> | "q" 'r' [z] `t` 中文 é 🙂 ↑"""


def table(text: str = HOSTILE) -> Table:
    frame = pd.DataFrame(
        {"name": [text, "b"], "value": [0.123456789012345, None], "low": [0.1, None], "high": [0.2, None]}
    )
    columns = [
        Column(text, "name"),
        Column("CHAIR ↓ (%)", "value", "value", "fraction", "lower", low="low", high="high"),
    ]
    return Table("hostile", text, text, frame, columns)


def test_values_are_rounded_with_their_interval_and_a_missing_value_is_a_dash():
    rows = write.rows_of(table())
    assert [write.cell(table().columns[1], row) for row in rows] == ["12.3 [10.0, 20.0]", "–"]


def test_csv_reads_back_to_the_same_frame(reading):
    tables = [*ablation.build(reading, FEW), *leaderboard.build(reading, FEW), *breakdown.build(reading, FEW), table()]
    for one in tables:
        back = pd.read_csv(io.StringIO(write.csv(one)), keep_default_na=True)
        assert list(back.columns) == list(one.frame.columns)
        for column in back:
            for value, original in zip(back[column], one.frame[column], strict=True):
                assert (pd.isna(value) and pd.isna(original)) or value == original, (one.name, column)


def test_html_shows_markup_as_text():
    text = write.html_table(table())
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_markdown_keeps_its_columns_whatever_a_name_contains():
    rows = [line for line in write.markdown(table()).splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {3}
    assert "<script>" not in write.markdown(table())


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles_whatever_a_name_contains(reading, tmp_path):
    tables = [table(), *ablation.build(reading, FEW), *leaderboard.build(reading, FEW), *breakdown.build(reading, FEW)]
    body = "\n\\clearpage\n".join(map(write.latex, tables))
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs,graphicx}\begin{document}"
    (tmp_path / "t.tex").write_text(head + body + r"\end{document}", "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-1500:]
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "t.pdf", "-"], cwd=tmp_path, capture_output=True, text=True).stdout
        assert "<script>alert(1)</script>" in text
        assert "U+4E2D" in text


def test_published_rows_are_in_italics():
    frame = pd.DataFrame({"name": ["ours", "theirs"], "published": [False, True]})
    rows = Table("t", "t", "", frame, [Column("model", "name")], italic="published", group="published")
    assert "| *theirs* |" in write.markdown(rows)
    assert r"\textit{theirs}" in write.latex(rows)
    assert '<tr class="group italic">' in write.html_table(rows)
    assert write.html_table(rows).count("italic") == 1

"""A table gives each of its rows, or an error with the line."""

import pytest

from halbench.errors import InputError
from halbench.files.tables import read_table


def rows(tmp_path, text, separator=","):
    (tmp_path / "t.csv").write_text(text)
    return list(read_table(tmp_path / "t.csv", separator, ("id", "index")))


def test_a_row_has_its_line_and_a_quoted_cell_keeps_marks_separators_and_line_breaks(tmp_path):
    text = 'id,text\n1,"He said ""no"",\nand left, 2 times"\n\n2,\n'
    assert rows(tmp_path, text) == [
        (2, {"id": "1", "text": 'He said "no",\nand left, 2 times'}),
        (5, {"id": "2", "text": ""}),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id,text\n1,A dog\n2\n", "t.csv:3: expected 2 cells (id, text), found 1"),
        ("id,text\n1,A dog, a cat\n", "t.csv:2: expected 2 cells (id, text), found 3"),
        ('id,text\n1,"A sign" says stop\n2,A\n', "t.csv:2: a quotation mark opens or closes a cell in the wrong place"),
        ('id,text\n1,"A sign\n2,A cat\n', "t.csv:2: a quotation mark opens or closes a cell in the wrong place"),
        (
            'id,text\n1,"A sign\n2,A cat\n3,B"\n',
            "t.csv:2: the cell that begins 'A sign\\n2,A cat\\n3,B' holds the row '2,A cat'",
        ),
        ("id,text,text\n1,A,B\n", "t.csv:1: two columns are called 'text'"),
    ],
)
def test_a_table_that_would_lose_rows_or_cells_is_refused_with_its_line(tmp_path, text, complaint):
    with pytest.raises(InputError) as error:
        rows(tmp_path, text)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_row_inside_a_cell_of_a_tab_separated_table_is_found(tmp_path):
    with pytest.raises(InputError, match="holds the row"):
        rows(tmp_path, 'index\tprediction\n1\t"A dog\n2\tA cat"\n', "\t")


def test_prose_with_commas_in_a_quoted_cell_is_not_taken_for_a_row(tmp_path):
    ((_, row),) = rows(tmp_path, 'id,text\n12,"A street.\nHowever, no car."\n')
    assert row["text"] == "A street.\nHowever, no car."


def test_a_cell_may_hold_a_whole_image(tmp_path):
    ((_, row),) = rows(tmp_path, "index,image\n1," + "A" * 200_000)
    assert len(row["image"]) == 200_000

"""Response files as people have them are read one way, or refused with line and field."""

import pytest
from written_responses import row_of, written

from halbench.errors import InputError
from halbench.responses.response_files import read_response_file, responses_of


@pytest.mark.parametrize(
    ("row", "text", "id", "image", "prompt"),
    [
        ({"id": 1, "response": "A dog."}, "A dog.", "1", None, None),
        ({"image_id": 226988, "caption": "A dog."}, "A dog.", None, "226988", None),
        ({"question_id": 7, "text": "Yes", "prompt": "Is it?"}, "Yes", "7", None, "Is it?"),
        (
            {"question_id": 0, "image": "COCO_val2014_000000310196.jpg", "text": "Is there a car?", "label": "no", "response": "no"},
            "no", "0", "COCO_val2014_000000310196.jpg", "Is there a car?",
        ),
        ({"image_id": "df62", "question": "What?", "gt_answer": "Red.", "model_answer": "Blue."}, "Blue.", None, "df62", "What?"),
        ({"index": "3", "question": "Q?", "answer": "Yes", "prediction": "No"}, "No", "3", None, "Q?"),
        (
            {"doc_id": 4, "doc": {"id": 1005, "image": "AMBER_1.jpg", "query": "Is it?"}, "target": "no", "resps": [["No"]], "filtered_resps": ["No"]},
            "No", "1005", "AMBER_1.jpg", "Is it?",
        ),
        (
            {"doc_id": 4, "target": "[]", "filtered_resps": ["A dog."], "coco_cap_chair_i": {"image_id": 42, "pred": []}, "input": "Describe."},
            "A dog.", None, "42", "Describe.",
        ),
        ({"id": 2, "response": None}, "", "2", None, None),
    ],
    ids=["amber", "chair", "llava", "pope log", "mmhal", "vlmevalkit", "lmms-eval", "lmms-eval without doc", "null text"],
)  # fmt: skip
def test_the_response_text_is_read_from_each_format(tmp_path, row, text, id, image, prompt):
    (read,) = read_response_file(written(tmp_path, [row]))
    assert (read.text, read.id, read.image, read.prompt) == (text, id, image, prompt)


def test_a_json_list_a_table_and_json_lines_read_alike(tmp_path):
    rows = [{"id": 1, "response": "A dog\nruns."}, {"id": 1005, "response": "No"}]
    (tmp_path / "t.tsv").write_text('id\tresponse\n1\t"A dog\nruns."\n1005\tNo\n')
    (tmp_path / "t.csv").write_text('id,response\n1,"A dog\nruns."\n1005,No\n')
    files = [written(tmp_path, rows), written(tmp_path, rows, "a.json"), tmp_path / "t.tsv", tmp_path / "t.csv"]
    (tmp_path / "lines.json").write_text(files[0].read_text())
    read = [[(row.id, row.text) for row in read_response_file(file)] for file in [*files, tmp_path / "lines.json"]]
    assert all(rows == read[0] for rows in read)


def test_a_vlmevalkit_workbook_is_read(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    pd.DataFrame({"index": [1005], "question": ["Is it?"], "prediction": ["No"]}).to_excel(
        tmp_path / "t.xlsx", index=False
    )
    (row,) = read_response_file(tmp_path / "t.xlsx")
    assert (row.id, row.text, row.prompt) == ("1005", "No", "Is it?")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", '{"id": 1, "response": "A"}\n{"id": 2, "resp', "a.jsonl:2: not valid JSON"),
        ("a.jsonl", '{"id": 1, "response": "A"}\n[1]', "a.jsonl:2: expected a JSON object, found list"),
        ("a.jsonl", '{"id": 1, "words": "A"}', "a.jsonl:1: no field with the response"),
        ("a.jsonl", '{"id": 1, "response": 5}', "a.jsonl:1: field 'response' should be text, found int 5"),
        ("a.jsonl", '{"id": [1], "response": "A"}', "a.jsonl:1: field 'id' should be an id, found [1]"),
        ("a.jsonl", "", "contains no responses"),
        ("a.json", '{"id": 1, "response"', "a.json:1: not valid JSON"),
        ("a.json", "[1, 2]", "expected a JSON list of objects"),
        ("a.txt", "hello", "cannot read '.txt' files"),
    ],
)
def test_a_malformed_file_is_named_with_line_and_field(tmp_path, name, content, complaint):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as error:
        read_response_file(tmp_path / name)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_an_answer_of_blanks_is_empty_and_a_failed_row_stays_an_error():
    rows = [row_of(id=1, response=" \n "), row_of(id=1005, response="", state="error", error="image not found")]
    empty, failed = responses_of(rows, ["1", "1005"])
    assert (empty.state, empty.text) == ("empty", " \n ")
    assert (failed.state, failed.error) == ("error", "image not found")


def test_half_a_surrogate_pair_does_not_stop_the_reading(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "response": "A \\ud83d dog"}')
    (row,) = read_response_file(tmp_path / "a.jsonl")
    row.text.encode()  # can be written again
    assert row.text.startswith("A ")

"""Response files as people have them are read one way, and rows find their items or say why not."""

import json
import tempfile
from pathlib import Path

import pytest

from halbench.errors import InputError
from halbench.response_files import image_key, match_by_id_or_question, read_response_file, responses_of
from halbench.suites.amber import read_items
from halbench.types import Item, ResponseRow

ITEMS = [
    Item("1", Path("images/AMBER_1.jpg"), "Describe this image.", {}, "generative"),
    Item("1005", Path("images/AMBER_1.jpg"), "Is the sky sunny in this image?", "no", "state"),
    Item("1006", Path("images/AMBER_1.jpg"), "Is the sky gloomy in this image?", "yes", "state"),
]


def written(path: Path, rows, name="answers.jsonl") -> Path:
    file = path / name
    file.write_text("\n".join(json.dumps(row) for row in rows) if name.endswith("jsonl") else json.dumps(rows))
    return file


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
        ({"id": 2, "response": None}, "", "2", None, None),
    ],
    ids=["amber", "chair", "llava", "pope log", "mmhal", "vlmevalkit", "lmms-eval", "null text"],
)  # fmt: skip
def test_the_model_s_words_are_found_in_each_format(tmp_path, row, text, id, image, prompt):
    (found,) = read_response_file(written(tmp_path, [row]))
    assert (found.text, found.id, found.image, found.prompt) == (text, id, image, prompt)


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
        ("a.jsonl", "", "holds no responses"),
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


def test_rows_are_matched_by_id():
    rows = [row_of(id=1005), row_of(id=1)]
    assert match_by_id_or_question(ITEMS, rows, "") == ["1005", "1"]


def test_an_id_that_another_question_speaks_against_is_not_believed():
    # A harness that numbers from 0 gives known ids to other questions; image and question tell the right ones.
    rows = [row_of(id=1006, image="AMBER_1.jpg", question="Is the sky sunny in this image? Answer yes or no.\n")]
    assert match_by_id_or_question(ITEMS, rows, "") == ["1005"]
    rows = [row_of(id=1006, image="AMBER_1.jpg", question="Is there a dog?")]
    with pytest.raises(InputError, match="asks 'Is the sky gloomy"):
        match_by_id_or_question(ITEMS, rows, "")


def test_an_unknown_id_names_its_line_and_what_ids_there_are():
    with pytest.raises(InputError, match=r"line 1: unknown item '1033'; amber has ids 1..1004. Wrong --suite\?"):
        match_by_id_or_question(ITEMS, [row_of(id=1033)], "amber has ids 1..1004")


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


@pytest.mark.parametrize("name", ["COCO_val2014_000000339761.jpg", "339761.jpg", "339761", "data/000000339761.png"])
def test_one_image_has_one_key_however_it_is_spelt(name):
    assert image_key(name) == "339761"


def row_of(response="x", **fields):
    with tempfile.TemporaryDirectory() as folder:
        (row,) = read_response_file(written(Path(folder), [{**fields, "response": response}]))
    return row


def test_real_amber_answers_are_found_by_image_and_question_under_another_harness_s_numbers(data):
    items = read_items(data, "discriminative", None)
    rows = [
        row_for(index, item.image.name, f"{item.prompt} Please answer yes or no.")
        for index, item in enumerate(items[:3000])
    ]
    assert match_by_id_or_question(items, rows, "") == [item.id for item in items[:3000]]


def row_for(index, image, prompt):
    return ResponseRow(index + 1, "Yes", str(index + 1005 + 7), image, prompt)


@pytest.mark.parametrize(
    "text",
    ["[LMMS_EVAL_REQUEST_FAILED after 5 retries] Connection error.", "Failed to obtain answer via API. "],
    ids=["lmms-eval", "VLMEvalKit"],
)
def test_what_another_harness_wrote_for_a_failure_is_no_answer(tmp_path, text):
    rows = read_response_file(
        written(tmp_path, [{"id": 1, "response": text}, {"id": 2, "response": f"It says: {text}"}])
    )
    failed, said = responses_of(rows, ["1", "2"])
    assert failed.state == "error"
    assert failed.error == text.strip(" [").replace("]", ":")
    assert said.state == "ok"

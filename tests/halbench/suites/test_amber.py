"""AMBER: hand-worked descriptions and questions, its parts, and the official script's numbers."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from stored import counts, printed, score
from written_responses import row_of

from halbench.errors import InputError
from halbench.scoring_tools import yes_no
from halbench.suites.amber import Lexicon, Slots, match, score_description, score_question
from halbench.types import Item

RELATIONS = {"sky": [], "person": ["man", "woman"], "man": [], "dog": ["puppy"], "cloud": [], "cat": []}
WORDS = frozenset({*RELATIONS, "woman", "puppy", "light", "kitten"})


def described(nouns, truth=("sky", "person"), hallu=("cloud", "dog"), similar=None, words=9):
    lexicon = Lexicon(WORDS, frozenset({"light"}), RELATIONS, similar or {})
    item = Item("1", (Path("AMBER_1.jpg"),), "Describe this image.", {}, "generative")
    return score_description(item, nouns, words, Slots.of(truth, RELATIONS), Slots.of(hallu, RELATIONS), lexicon).counts


def test_a_perfect_description():
    counts = described(["sky", "woman"])
    assert (counts["nouns"], counts["nouns_hallucinated"], counts["truth_covered"], counts["hallu_named"]) == (
        2,
        0,
        2,
        0,
    )
    assert not counts["descriptions_hallucinated"]


def test_a_repeated_hallucinated_noun_counts_twice_and_marks_its_slot_once():
    counts = described(["dog", "puppy", "dog"])
    assert (counts["nouns_hallucinated"], counts["hallu_named"]) == (3, 1)


def test_words_outside_the_vocabulary_do_not_count_at_all():
    assert described(["atmosphere", "moment"])["nouns"] == 0


def test_a_safe_word_is_never_wrong_but_stays_in_the_denominator():
    counts = described(["light"])
    assert (counts["nouns"], counts["nouns_hallucinated"]) == (1, 0)


def test_an_empty_description_does_not_hallucinate_and_covers_nothing():
    counts = described([])
    assert (counts["descriptions_hallucinated"], counts["truth_covered"], counts["truth_slots"]) == (False, 0, 2)


def test_a_word_marks_the_first_slot_whose_relations_list_it_even_before_its_own():
    # "man" stands for "person", listed first; the slot "man" itself stays unmarked, officially.
    counts = described(["man"], truth=("person", "man"))
    assert counts["truth_covered"] == 1
    assert Slots.of(("person", "man"), RELATIONS).markers["man"] == 0


def test_a_noun_similar_to_a_truth_word_is_right_and_may_mark_a_hallucination_as_well():
    similar = {"kitten": frozenset({"cat", "dog"})}
    counts = described(["kitten"], truth=("cat",), hallu=("dog",), similar=similar)
    assert (counts["nouns_hallucinated"], counts["truth_covered"], counts["hallu_named"]) == (0, 1, 1)


def test_without_similarity_the_same_noun_is_hallucinated():
    counts = described(["kitten"], truth=("cat",), hallu=("dog",))
    assert (counts["nouns_hallucinated"], counts["truth_covered"], counts["hallu_named"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("text", "truth", "correct", "positive"),
    [
        ("No", "no", True, True),
        ("Yes", "no", False, False),
        ("no", "no", False, False),
        ("Yes", "yes", True, False),
        ("No", "yes", False, True),
    ],
)
def test_only_exact_answers_count_and_no_is_the_positive_class(text, truth, correct, positive):
    item = Item("1005", (Path("AMBER_1.jpg"),), "Is it?", truth, "state")
    counts = score_question(item, text, yes_no.read_strict).counts
    assert (bool(counts["correct"]), bool(counts["answered_positive"])) == (correct, positive)


def test_the_share_that_neither_reading_understands_is_a_metric_of_its_own():
    item = Item("1005", (Path("AMBER_1.jpg"),), "Is it?", "no", "state")
    unread = {text: score_question(item, text, yes_no.read_strict).counts for text in ("no.", "Perhaps")}
    assert (unread["no."]["unread_by_authors"], unread["no."]["unread"]) == (True, False)
    assert (unread["Perhaps"]["unread_by_authors"], unread["Perhaps"]["unread"]) == (True, True)


def test_the_official_reading_is_counted_whatever_the_value_s_reading_is():
    item = Item("1005", (Path("AMBER_1.jpg"),), "Is it?", "no", "state")
    counts = score_question(item, "No.", yes_no.read_lenient).counts
    assert (counts["correct"], counts["official_correct"], counts["unread_by_authors"], counts["unread"]) == (
        1,
        0,
        1,
        0,
    )


def test_a_log_of_lmms_eval_without_ids_is_matched_by_order_and_truth():
    items = [Item(str(n), (Path(f"AMBER_{n}.jpg"),), "Describe this image.", {"truth": [word]}, "generative") for n, word in enumerate(("sky", "t-shirt"))]  # fmt: skip
    rows = [
        row_of(doc_id=n, input="Describe this image", target=str(item.truth["truth"])) for n, item in enumerate(items)
    ]
    assert match(items, rows) == ["0", "1"]
    with pytest.raises(InputError, match="no id"):
        match(items, [replace(row, extra={**row.extra, "doc_id": 1 - n}) for n, row in enumerate(rows)])


def test_the_amber_score_is_not_made_from_a_part(data, tmp_path):
    whole = json.loads((data.root / "responses/amber/all_model_c.json").read_text())
    types = {row["id"]: row["type"] for row in json.loads(data.file("amber/annotations.json").read_text())}
    part = [row for row in whole if types[row["id"]] in ("generative", "discriminative-hallucination")]
    (tmp_path / "part.json").write_text(json.dumps(part))
    evaluation = score("amber", tmp_path / "part.json", data)
    assert {row.group for row in evaluation.results} == {"generative", "existence"}


def test_the_length_of_descriptions_is_shown_next_to_what_silence_improves(data):
    file = data.root / "responses/amber/gen_precise_s1.json"
    rows = {row.metric: row for row in score("amber", file, data).results if row.group == "generative"}
    lengths = [len(row["response"].split()) for row in json.loads(file.read_text())]
    assert rows["length"].value == pytest.approx(sum(lengths) / len(lengths))
    assert rows["length"].low < rows["length"].value < rows["length"].high
    assert (rows["length"].unit, rows["length"].better, rows["length"].official) == ("words", "neither", None)
    for name in ("chair", "hal", "cog"):
        assert rows[name].companions == ("generative/cover", "generative/length")


# The official script's numbers


AMBER_NAMES = {
    "CHAIR": "chair",
    "Cover": "cover",
    "Hal": "hal",
    "Cog": "cog",
    "Accuracy": "accuracy",
    "Precision": "precision",
    "Recall": "recall",
    "F1": "f1",
}
AMBER_GROUPS = {"Generative Task": "generative", "Descriminative Task": "discriminative", "Exsitence": "existence", "Attribute": "attribute", "State": "state", "Number": "number", "Action": "action", "Relation": "relation"}  # fmt: skip
AMBER_COUNTS = {
    "chair_num": "nouns",
    "chair_score": "nouns_hallucinated",
    "safe_cover_num": "truth_slots",
    "safe_cover_score": "truth_covered",
    "hallu_cover_num": "hallu_slots",
    "hallu_cover_score": "hallu_named",
    "non_hallu_num": "descriptions",
}
QUESTION_COUNTS = {
    "qa_correct_num": "questions",
    "qa_correct_score": "official_correct",
    "qa_no_num": "truth_positive",
    "qa_no_score": "official_correct_positive",
    "qa_ans_no_num": "official_answered_positive",
}
QUESTION_GROUPS = {"as_": "state", "an_": "number", "aa_": "action", "asso_": "relation", "ha_": "existence"}


def amber_runs(data):
    lines = (data.root / "expected/amber/official_output.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("similarity", ["exact", pytest.param("wn", marks=pytest.mark.slow)])
def test_amber_prints_and_counts_what_the_official_script_does(data, similarity):
    table = "exact" if similarity == "exact" else data.root / "amber/similarity_standin_wordnet.json"
    files = sorted({row["file"] for row in amber_runs(data) if row["sim"] == similarity})
    assert len(files) == (8 if similarity == "exact" else 5)
    for file in files:
        evaluation = score("amber", data.root / "responses/amber" / file, data, f"similarity={table}")
        numbers_printed = printed(evaluation)
        for run in (row for row in amber_runs(data) if row["file"] == file and row["sim"] == similarity):
            for title, numbers in run["printed"].items():
                for name, number in numbers.items():
                    assert numbers_printed[AMBER_GROUPS[title], AMBER_NAMES[name]] == number, (file, title, name)
            sums = counts(evaluation, "generative")
            for official, ours in AMBER_COUNTS.items():
                assert sums.get(ours, 0) == int(run["accumulators"][official]), (file, official)
            for prefix, group in QUESTION_GROUPS.items():
                sums = counts(evaluation, group)
                for official, ours in QUESTION_COUNTS.items():
                    assert sums.get(ours, 0) == int(run["accumulators"][prefix + official]), (file, prefix + official)


@pytest.mark.parametrize("name", ["gen_edge", "gen_precise_s1", "real_llava15_7b"])
@pytest.mark.parametrize("similarity", ["exact", pytest.param("wn", marks=pytest.mark.slow)])
def test_every_amber_description_is_counted_as_officially(data, name, similarity):
    file = {"real_llava15_7b": "llava15_7b__amber_g"}.get(name, name)
    table = "exact" if similarity == "exact" else data.root / "amber/similarity_standin_wordnet.json"
    evaluation = score("amber", data.root / f"responses/amber/{file}.json", data, f"similarity={table}")
    official = json.loads(gzip.decompress((data.root / f"expected/amber/per_item/{name}.json.gz").read_bytes()))
    names = ("nouns_hallucinated", "nouns", "truth_covered", "truth_slots", "hallu_named", "hallu_slots")
    counted = sorted(
        (int(s.item), *(int(s.counts[n]) for n in names), int(not s.counts["descriptions_hallucinated"]))
        for s in evaluation.scores
        if s.state == "scored"
    )
    assert counted == sorted((row["id"], *row[similarity]) for row in official["rows"])

"""Every stored response file gives the official scorers' own outputs, number by number and response by response."""

import gzip
import json

import pytest

from halbench.coco_objects import caption_words, mentions, merge_two_words, open_vocabulary
from halbench.evaluation import score_stored
from halbench.language import open_language

MODES = {"opera": "wordnet", "maxlinn": "pattern", "gtP": "pattern", "gtW": "wordnet"}
CAPTION_FILES = ("llava-1.5_beam5", "llava-1.5_greedy", "minigpt4_greedy", "minigpt4_ours")


def printed(evaluation):
    """(group, metric) -> the number as the official script prints it."""
    return {(row.group, row.metric): row.official for row in evaluation.results}


def values(evaluation):
    return {(row.group, row.metric): row.value for row in evaluation.results}


def counts(evaluation, group=None):
    """Summed counts over scored responses."""
    sums = {}
    for score in evaluation.scores:
        if score.state == "scored" and group in (None, score.group):
            for name, count in score.counts.items():
                sums[name] = sums.get(name, 0) + count
    return sums


@pytest.mark.parametrize("variant", ["opera", pytest.param("maxlinn", marks=pytest.mark.slow)])
@pytest.mark.parametrize("truth", ["gtP", pytest.param("gtW", marks=pytest.mark.slow)])
def test_chair_equals_the_official_script_in_all_four_modes(data, variant, truth):
    expected = {
        (row["model"], row["decoding"]): row
        for row in json.loads((data.root / "expected/chair/chair.json").read_text())
        if row["variant"] == variant and row["gt"] == truth
    }
    assert len(expected) == 4
    for (model, decoding), row in expected.items():
        file = data.root / f"responses/chair/{model}_{decoding}.jsonl"
        evaluation = score_stored("chair", [f"captions={MODES[variant]}", f"truth={MODES[truth]}"], data, file)
        found = counts(evaluation)
        assert found["captions"] == row["n"]
        assert found["captions_hallucinated"] == row["num_hallucinated_caps"]
        assert found["mentions_hallucinated"] == row["hallucinated_word_count"]
        assert found["mentions"] == row["coco_word_count"]
        assert found["truth_objects"] == row["gt_object_count"]
        assert found["words"] == row["n_tokens_after_double_words"]
        assert values(evaluation)["all", "chair_s"] == row["CHAIRs"]
        assert values(evaluation)["all", "chair_i"] == row["CHAIRi"]
        assert values(evaluation)["all", "recall"] == row["Recall"]


@pytest.mark.parametrize("variant", ["opera_gtP", "opera_gtW", "maxlinn_gtP"])
@pytest.mark.parametrize("name", CAPTION_FILES)
def test_every_caption_names_the_objects_that_the_official_script_finds(data, name, variant):
    language, vocabulary = open_language(data), open_vocabulary(data.file("chair/synonyms.txt"))
    mode, truth_build = (MODES[part] for part in variant.split("_"))
    truth = json.loads(gzip.decompress(data.file(f"chair/coco2014_objects_{truth_build}.json.gz").read_bytes()))
    file = data.root / f"expected/chair/per_caption/{name}__{variant}.per_sentence.json.gz"
    rows = [json.loads(line) for line in (data.root / f"responses/chair/{name}.jsonl").read_text().splitlines()]
    for official, row in zip(json.loads(gzip.decompress(file.read_bytes())), rows, strict=True):
        words = caption_words(row["caption"], mode, language)
        found = mentions(words, vocabulary)
        wrong = [mention for mention in found if mention.category not in truth[str(row["image_id"])]]
        assert [mention.category for mention in found] == official["generated"], row["image_id"]
        assert [[mention.word, mention.category] for mention in wrong] == official["hallucinated"], row["image_id"]
        assert len(merge_two_words(words, vocabulary)) == official["n_words"]
        # After it drops "seat" beside "toilet", the official script's positions no longer point at the words.
        if not {"toilet", "seat"} <= {word for word, _ in merge_two_words(words, vocabulary)}:
            assert [mention.position for mention in wrong] == official["idxs"], row["image_id"]


def test_chair_equals_an_authors_own_published_metrics(data):
    (official,) = json.loads((data.root / "expected/object_halbench/chair_kchaosun_beam.json").read_text())
    evaluation = score_stored(
        "chair", [], data, data.root / "responses/object_halbench/real_responses__kchaosun_beam.jsonl"
    )
    found = values(evaluation)
    assert found["all", "chair_s"] == official["author_metrics"]["CHAIRs"]
    assert found["all", "chair_i"] == official["author_metrics"]["CHAIRi"]
    assert found["all", "recall"] == official["author_metrics"]["Recall"]
    assert found["all", "length"] == pytest.approx(100 * official["author_metrics"]["Len"])


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
    "qa_correct_score": "correct",
    "qa_no_num": "truth_positive",
    "qa_no_score": "correct_positive",
    "qa_ans_no_num": "answered_positive",
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
        evaluation = score_stored("amber", [f"similarity={table}"], data, data.root / "responses/amber" / file)
        found = printed(evaluation)
        for run in (row for row in amber_runs(data) if row["file"] == file and row["sim"] == similarity):
            for title, numbers in run["printed"].items():
                for name, number in numbers.items():
                    assert found[AMBER_GROUPS[title], AMBER_NAMES[name]] == number, (file, title, name)
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
    evaluation = score_stored("amber", [f"similarity={table}"], data, data.root / f"responses/amber/{file}.json")
    official = json.loads(gzip.decompress((data.root / f"expected/amber/per_item/{name}.json.gz").read_bytes()))
    names = ("nouns_hallucinated", "nouns", "truth_covered", "truth_slots", "hallu_named", "hallu_slots")
    found = sorted(
        (int(s.item), *(int(s.counts[n]) for n in names), int(not s.counts["descriptions_hallucinated"]))
        for s in evaluation.scores
        if s.state == "scored"
    )
    assert found == sorted((row["id"], *row[similarity]) for row in official["rows"])


@pytest.mark.parametrize("name", ["edge", "kchaosun_beam", "llava15_7b"])
@pytest.mark.parametrize("extraction", ["stored", "words"])
def test_object_halbench_equals_the_official_script_answer_by_answer(data, name, extraction):
    file = data.root / f"responses/object_halbench/{name}.answers_with_standin_extraction.jsonl"
    evaluation = score_stored("object_halbench", [f"extraction={extraction}"], data, file)
    expected = [
        row["metrics"]
        for row in json.loads((data.root / "expected/object_halbench/metrics.json").read_text())
        if row["name"] == name and row["extraction"].startswith("stand-in" if extraction == "stored" else "words")
    ]
    (metrics,) = expected
    found = values(evaluation)
    assert found["all", "response_hall"] == pytest.approx(metrics["CHAIRs_refine"], abs=1e-12)
    assert found["all", "chair_s"] == pytest.approx(metrics["CHAIRs"], abs=1e-12)
    assert found["all", "object_hall"] == pytest.approx(metrics["CHAIRi"], abs=1e-12)
    assert found["all", "recall"] == pytest.approx(metrics["obj_rec"], abs=1e-12)
    assert found["all", "length"] == pytest.approx(metrics["avg_word_len"], abs=1e-12)
    assert counts(evaluation)["answers_with_object"] == metrics["coco_sentence_num"]
    assert counts(evaluation)["truth_named"] == metrics["coco_word_count"]
    assert counts(evaluation)["truth_objects"] == metrics["gt_word_count"]
    assert printed(evaluation)["all", "response_hall"] == float(f"{metrics['CHAIRs_refine'] * 100:.2f}")
    review = (
        data.root / f"expected/object_halbench/review/{name}__{'gpt' if extraction == 'stored' else 'nogpt'}.json.gz"
    )
    scores = {score.item: score for score in evaluation.scores}
    for sentence in json.loads(gzip.decompress(review.read_bytes()))["sentences"]:
        evidence = scores[str(sentence["image_id"])].evidence
        assert sorted(evidence["truth"]) == sorted(sentence["mscoco_gt_words"])
        assert [[m.word, m.category] for m in evidence["mentions"]] == sentence["mscoco_generated_words"]
        assert [m.word for m in evidence["hallucinated"]] == [word for word, _ in sentence["mscoco_hallucinated_words"]]


def test_mmhal_prints_what_the_official_script_does_beside_our_own_reading(data):
    responses = data.root / "responses/mmhal/blip2_2.7b.json"
    judged = data.root / "responses/mmhal_judge/blip2_2.7b__gpt-4o-2024-08-06.json"
    evaluation = score_stored("mmhal", [], data, responses, judged)
    official = json.loads((data.root / "expected/mmhal/blip2_2.7b.json").read_text())
    found = printed(evaluation)
    assert found["all", "score"] == official["average_score"]
    assert found["all", "hallucination_rate"] == official["hallucination_rate"]
    assert found["all", "informativeness"] == round(official["informativeness"], 2)
    assert [found[group, "score"] for group in evaluation.suite.groups if group != "all"] == official["per_type"]
    by_item = {score.item: score.evidence["official_rating"] for score in evaluation.scores}
    assert list(by_item.values()) == official["scores"]
    # The judge gave no rating to one answer; officially that is a hallucination of rating 0, here it has no score.
    unscored = [index for index, score in enumerate(evaluation.scores) if score.state == "unscored"]
    assert unscored == official["unparsable_indices"]
    assert values(evaluation)["all", "score"] == sum(official["scores"]) / 95


@pytest.mark.parametrize("name", ["real_blip2_opt2.7b_random", "real_llava15_7b__pope_adv"])
def test_pope_equals_llavas_script(data, name):
    official = json.loads((data.root / "expected/pope/pope.json").read_text())[name]
    lines = official if isinstance(official, list) else official["llava_style"]
    evaluation = score_stored("pope", [], data, data.root / f"responses/pope/{name}.jsonl")
    found, sums = printed(evaluation), counts(evaluation)
    true_positive, false_positive, true_negative, false_negative = map(int, lines[1].split("\t"))
    assert sums["correct_positive"] == true_positive
    assert sums["answered_positive"] == true_positive + false_positive
    assert sums["correct"] == true_positive + true_negative
    assert sums["truth_positive"] == true_positive + false_negative
    numbers = [float(line.split(": ")[1]) for line in lines[2:7]]
    assert [found["all", metric] for metric in ("accuracy", "precision", "recall", "f1", "yes_ratio")] == numbers


def test_pope_equals_vcds_script(data):
    lines = json.loads((data.root / "expected/pope/pope.json").read_text())["real_blip2_opt2.7b_random"]["vcd_style"]
    evaluation = score_stored(
        "pope", ["answers=vcd"], data, data.root / "responses/pope/real_blip2_opt2.7b_random.jsonl"
    )
    official = dict(line.split(": ") for line in lines)
    found = values(evaluation)
    for name, metric in {
        "Precision": "precision",
        "Recall": "recall",
        "F1": "f1",
        "Accuracy": "accuracy",
        "yes": "yes_ratio",
    }.items():
        assert found["all", metric] == pytest.approx(float(official[name]), abs=1e-12)

"""Writes tests/data/parity: real responses with their official outputs and just the suite data that scoring them needs.

HALBENCH_DATA=... NLTK_DATA=... python tests/support/make_parity_excerpts.py
"""

import gzip
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from paths import ROOT
from recorded_language import RecordingLanguage

from halbench.data.datasets import Data, open_data
from halbench.evaluation.suites import load_suite, open_task
from halbench.responses.response_files import read_response_file, responses_of
from halbench.scoring_tools.language import open_language
from halbench.settings import parse_options
from halbench.suites import amber, chair, object_halbench

OUT = ROOT / "tests/data/parity"
COUNT = 20


def read(path: Path) -> Any:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def write(name: str, value: Any) -> None:
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in value))
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(json.dumps(value).encode(), mtime=0))
    else:
        path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def spread(rows: list[Any], count: int = COUNT) -> list[Any]:
    """Some rows, spread evenly over all."""
    return [rows[number * len(rows) // count] for number in range(count)]


def score(
    suite: str, settings: Iterable[str], responses: Path, data: Data, languages: list[RecordingLanguage]
) -> list[Any]:
    """Scores by the real data, with the text pipeline recorded."""
    loaded = load_suite(suite)
    for module in (amber, chair, object_halbench):
        module.open_language = lambda data: languages[0]  # type: ignore[attr-defined, assignment]
    rows = read_response_file(responses)
    task = open_task(loaded, data, parse_options(loaded.options, list(settings)), rows)
    items = {item.id: item for item in task.items}
    return [task.score(items[r.item], r, None) for r in responses_of(rows, loaded.match(task.items, rows))]


def amber_excerpt(data: Data, record: Callable[..., list[Any]]) -> None:
    rows = spread(read(data.root / "responses/amber/llava15_7b__amber_g.json"))
    ids = {row["id"] for row in rows}
    write("responses/amber.json", rows)
    annotations = [row for row in read(data.root / "amber/annotations.json") if row["id"] in ids]
    write("amber/annotations.json", annotations)
    write(
        "amber/query/query_all.json",
        [row for row in read(data.root / "amber/query/query_all.json") if row["id"] in ids],
    )
    recorded = record("amber", ())
    relations: dict[str, list[str]] = read(data.root / "amber/relation.json")
    words = {word for row in annotations for word in (*row["truth"], *row["hallu"])}
    nouns = {lemma for language in recorded for lemma in language}
    kept = {word: related for word, related in relations.items() if word in words or {word, *related} & nouns}
    write("amber/relation.json", kept)
    safe = (data.root / "amber/safe_words.txt").read_text().split("\n")
    (OUT / "amber/safe_words.txt").write_text("\n".join(word for word in safe if word in nouns))
    official = read(data.root / "expected/amber/per_item/real_llava15_7b.json.gz")
    write(
        "expected/amber.json",
        {"columns": official["columns"], "rows": [[r["id"], *r["exact"]] for r in official["rows"] if r["id"] in ids]},
    )


def main() -> None:
    data = open_data()
    shutil.rmtree(OUT, ignore_errors=True)
    languages = [RecordingLanguage(open_language(data))]

    def record(suite: str, settings: Iterable[str]) -> list[set[str]]:
        score(suite, settings, OUT / f"responses/{suite}{SUFFIX[suite]}", data, languages)
        language = languages[0]
        return [{*(w for ws in language.lemmas.values() for pair in ws.items() for w in pair)}]

    amber_excerpt(data, record)
    captions = spread(read(data.root / "responses/chair/llava-1.5_greedy.jsonl"))
    write("responses/chair.jsonl", captions)
    images = {str(row["image_id"]) for row in captions}
    for mode in ("wordnet", "pattern"):
        words = set().union(*record("chair", (f"captions={mode}",)))
    for build in ("wordnet", "pattern"):
        truth = read(data.root / f"chair/coco2014_objects_{build}.json.gz")
        write(f"chair/coco2014_objects_{build}.json.gz", {image: truth[image] for image in images})
    text = " ".join(row["caption"].lower() for row in captions)
    (OUT / "chair/synonyms.txt").write_text(lines_that_occur(data.root / "chair/synonyms.txt", text, words))
    for variant in ("opera_gtP", "opera_gtW", "maxlinn_gtP"):
        rows = read(data.root / f"expected/chair/per_caption/llava-1.5_greedy__{variant}.per_sentence.json.gz")
        keep = ("image_id", "generated", "hallucinated", "idxs", "n_words")
        write(
            f"expected/chair_{variant}.json",
            [{name: r[name] for name in keep} for r in rows if str(r["image_id"]) in images],
        )

    answers = spread(read(data.root / "responses/object_halbench/llava15_7b.answers_with_standin_extraction.jsonl"))
    write("responses/object_halbench.jsonl", answers)
    images = {str(row["image_id"]) for row in answers}
    for extraction in ("words", "stored"):
        words = set().union(*record("object_halbench", (f"extraction={extraction}",)))
    questions = [
        row for row in read(data.root / "object_halbench/questions_300.jsonl") if str(row["image_id"]) in images
    ]
    write("object_halbench/questions_300.jsonl", questions)
    text = " ".join(json.dumps(row).lower() for row in answers)
    (OUT / "object_halbench/synonyms_refine.txt").write_text(
        lines_that_occur(data.root / "object_halbench/synonyms_refine.txt", text, words)
    )
    merge_truth(data, images)
    for extraction, name in (("stored", "gpt"), ("words", "nogpt")):
        rows = read(data.root / f"expected/object_halbench/review/llava15_7b__{name}.json.gz")["sentences"]
        keep = ("image_id", "mscoco_gt_words", "mscoco_generated_words", "mscoco_hallucinated_words")
        write(
            f"expected/object_halbench_{extraction}.json",
            [{k: r[k] for k in keep} for r in rows if str(r["image_id"]) in images],
        )

    template = read(data.root / "mmhal/mmhal-bench_answer_template.json")[: 3 * 8]
    write("mmhal/mmhal-bench_answer_template.json", template)
    write("responses/mmhal.json", read(data.root / "responses/mmhal/blip2_2.7b.json")[: len(template)])
    replies = read(data.root / "responses/mmhal_judge/blip2_2.7b__gpt-4o-2024-08-06.json")[: len(template)]
    write("responses/mmhal_judge.json", [{"model": r["model"], "choices": r["choices"]} for r in replies])
    write("expected/mmhal.json", read(data.root / "expected/mmhal/blip2_2.7b.json")["scores"][: len(template)])

    polls = spread(
        read(data.root / "responses/pope/real_llava15_7b__pope_adv.jsonl"), 61
    )  # present and absent objects alternate
    write("responses/pope.jsonl", polls)
    asked = {int(row["id"]) for row in polls}
    questions = read(data.root / "pope/coco_pope_adversarial.jsonl")
    write("pope/coco_pope_adversarial.jsonl", [row for row in questions if row["question_id"] in asked])
    languages[0].save(OUT / "language.json")


SUFFIX = {"amber": ".json", "chair": ".jsonl", "object_halbench": ".jsonl"}


def lines_that_occur(path: Path, text: str, words: set[str]) -> str:
    """The classes of a synonym list of which any name occurs."""
    lines = path.read_text().splitlines()
    return "".join(
        f"{line}\n" for line in lines if any(name in words or f" {name}" in text for name in line.strip().split(", "))
    )


def merge_truth(data: Data, images: set[str]) -> None:
    """Add images to the truth that is there already."""
    name = "chair/coco2014_objects_wordnet.json.gz"
    write(
        name,
        read(OUT / name) | {image: objects for image, objects in read(data.root / name).items() if image in images},
    )


if __name__ == "__main__":
    main()

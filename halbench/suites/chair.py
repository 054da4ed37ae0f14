"""CHAIR: which COCO objects a caption names that are not in the image (Rohrbach et al., 2018, arXiv 1809.02156).

The truth of an image is the union of its instance categories and the objects in its five human captions. A hallucinated
object counts each time it is mentioned. Source: LisaAnne/Hallucination utils/chair.py; shikiw/OPERA chair.py.

    halbench score --suite chair --responses captions.jsonl      rows {"image_id": 226988, "caption": "..."}
    halbench run --suite chair --set images=FOLDER_OR_LIST ...   photographs whose names end in their COCO id
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from halbench.data.datasets import Data
from halbench.errors import InputError
from halbench.files.records import file_hash, read_json
from halbench.responses.matching import image_key
from halbench.scoring_tools.coco_objects import (
    Vocabulary,
    caption_words,
    categorised,
    merge_two_words,
    open_vocabulary,
)
from halbench.scoring_tools.coco_truth import read_coco_truth
from halbench.scoring_tools.language import open_language
from halbench.scoring_tools.ratios import (
    hallucinated_mentions,
    hallucinated_texts,
    length,
    named_share,
    percent_printed,
)
from halbench.types import Decoding, Extremes, Item, Judgement, Response, ResponseRow, Score, Suite, Task

# OPERA's prompt, used by later papers that report CHAIR on COCO.
PROMPT = "Please describe this image in detail."
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Options:
    """captions: how words get their base form. truth: which of the two public builds of the COCO objects is used.

    images: a folder of images or a text file of COCO ids or file names, instead of the default sample of 500. A response
    file's own images are the list if one of them is not in that sample; if all are, those without a caption are missing.
    """

    captions: Literal["wordnet", "pattern"] = "wordnet"
    truth: Literal["wordnet", "pattern"] = "wordnet"
    images: str = ""


def load(data: Data, options: Options, rows: Sequence[ResponseRow] | None) -> Task:
    language = open_language(data)
    synonyms = data.file("chair/synonyms.txt")
    vocabulary = open_vocabulary(synonyms)
    truth = read_coco_truth(data.file(f"chair/coco2014_objects_{options.truth}.json.gz"))
    note = ""
    if options.images:
        images = listed_images(Path(options.images), data)
    else:
        images = sample = default_sample(data)
        captioned = sample.keys() if rows is None else {_image_of(row) for row in rows}
        if not captioned <= sample.keys():
            images = {key: data.image_folder("chair") / coco_file(key) for key in captioned}
            if known := len(captioned & sample.keys()):
                note = f"{known} of these {len(captioned)} images are among the {len(sample)} of OPERA's sample, the others are not"
        elif len(captioned) < len(sample):
            note = (
                f"captions of {len(captioned)} of the {len(sample)} images of OPERA's sample; to score these alone, list them: "
                "--set images=FILE"
            )
    items = []
    for key, path in sorted(images.items(), key=lambda entry: entry[0].zfill(12)):  # the same order for any file
        if key not in truth:
            raise InputError(
                f"image '{key}' ({path}) is not among the {len(truth)} COCO 2014 images with known objects. Wrong --suite?"
            )
        items.append(Item(id=key, images=(path,), prompt=PROMPT, truth=truth[key], group="all"))

    def score(item: Item, response: Response, judgement: Judgement | None) -> Score:
        words = caption_words(response.text, options.captions, language)
        return score_caption(item, words, vocabulary)

    identity = {
        **language.identity(),
        "synonyms": file_hash(synonyms, 8),
        "captions": options.captions,
        "truth": options.truth,
    }
    if options.captions == "pattern":
        identity["pattern"] = "textblob"
    return Task(items, score, identity, note=note, extremes=extremes)


def score_caption(item: Item, words: Sequence[str], vocabulary: Vocabulary) -> Score:
    """Counts of one caption from the base forms of its words."""
    merged = merge_two_words(words, vocabulary)
    mentions = categorised(merged, vocabulary)
    hallucinated = [mention for mention in mentions if mention.category not in item.truth]
    named = {mention.category for mention in mentions} & set(item.truth)
    counts = {
        "captions": 1,
        "captions_hallucinated": bool(hallucinated),
        "mentions": len(mentions),
        "mentions_hallucinated": len(hallucinated),
        "truth_objects": len(item.truth),
        "truth_named": len(named),
        "words": len(merged),
    }
    evidence = {"mentions": mentions, "hallucinated": hallucinated, "truth": item.truth}
    return Score.of(item, counts, evidence, faults=len(hallucinated))


def extremes(item: Item) -> Extremes:
    """What a caption can count at best and at worst; the number of mentions has no limit."""
    captions = {"captions": 1, "truth_objects": len(item.truth)}
    return Extremes(
        {**captions, "captions_hallucinated": 0, "truth_named": len(item.truth)},
        {**captions, "captions_hallucinated": 1, "truth_named": 0},
    )


def default_sample(data: Data) -> dict[str, Path]:
    """Id -> file of the 500 val2014 images for which OPERA (arXiv 2311.17911) published captions."""
    listing = resources.files("halbench.suites").joinpath("chair_sample_500.txt").read_text("utf-8")
    ids = [line for line in listing.splitlines() if line and not line.startswith("#")]
    return {key: data.image_folder("chair") / coco_file(key) for key in ids}


def coco_file(key: str) -> str:
    """File name of a COCO val2014 image."""
    return f"COCO_val2014_{key.zfill(12)}.jpg"


def listed_images(source: Path, data: Data) -> dict[str, Path]:
    """COCO id -> image file, from a folder of images or a list of ids or file names (one per line, or a JSON list)."""
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise InputError(f"images={source}: no {', '.join(IMAGE_SUFFIXES)} files in this folder")
    elif source.is_file():
        names = listed_names(source)
        folder = data.image_folder("chair")
        files = [folder / (coco_file(name) if name.isdigit() else name) for name in names]
    else:
        raise InputError(f"images={source}: expected a folder of images or a file that lists COCO ids")
    keys = [image_key(path.name) for path in files]
    repeated = [key for key in keys if keys.count(key) > 1]
    if repeated:
        raise InputError(f"images={source}: image '{repeated[0]}' is listed twice")
    return dict(zip(keys, files, strict=True))


def listed_names(source: Path) -> list[str]:
    """Ids or file names in a list: a JSON list, or one per line."""
    try:
        names = read_json(source) if source.suffix == ".json" else source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"images={source}: not a text file (byte {error.start})") from error
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise InputError(f"images={source}: expected a list of COCO ids or file names")
    names = [str(name).strip() for name in names if str(name).strip()]
    if not names:
        raise InputError(f"images={source}: the list is empty")
    return names


def _image_of(row: ResponseRow) -> str:
    name = row.image or row.id
    if name is None:
        raise InputError(f"line {row.line}: no field image_id (or image, or id) that names the COCO image")
    return image_key(name)


def match(items: Sequence[Item], rows: Sequence[ResponseRow]) -> list[str]:
    """The item of each row's image."""
    known = {item.id for item in items}
    for row in rows:
        if _image_of(row) not in known:
            raise InputError(
                f"line {row.line}: image '{_image_of(row)}' is not in the image list of this suite ({len(known)} images)"
            )
    return [_image_of(row) for row in rows]


def _length_printed(counts: Mapping[str, float], group: str) -> float | None:
    # OPERA's script keeps 0.01 * tokens per caption and prints every value times 100 with one decimal.
    return float(f"{0.01 * counts['words'] / counts['captions'] * 100:.1f}") if counts["captions"] else None


SUITE = Suite(
    name="chair",
    version="1",
    title="CHAIR on COCO",
    options=Options,
    decoding=Decoding(max_new_tokens=512),  # OPERA's chair_eval.py
    metrics=(
        hallucinated_texts(
            "chair_s",
            "captions_hallucinated",
            "captions",
            official=percent_printed("captions_hallucinated", "captions", 1),
            label="CHAIRs",
            companions=("recall", "length"),
            margin=0.05,
        ),
        hallucinated_mentions(
            "chair_i",
            "mentions_hallucinated",
            "mentions",
            official=percent_printed("mentions_hallucinated", "mentions", 1),
            label="CHAIRi",
            companions=("recall", "length"),
        ),
        named_share(
            "recall", "truth_named", "truth_objects", official=percent_printed("truth_named", "truth_objects", 1)
        ),
        length("captions", official=_length_printed),
    ),
    groups={"all": ("all",)},
    load=load,
    match=match,
)

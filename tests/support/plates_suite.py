"""A suite of a user's own, in one file: what is on some plates, shown in two images, in one, or described in words only.

Its metrics, groups and truth have names that nothing else knows.
"""

from dataclasses import dataclass

from halbench.responses.matching import match_by_id_or_question
from halbench.scoring_tools.ratios import ratio_metric
from halbench.types import Decoding, Item, Score, Suite, Task

FOODS = ("apple", "bread", "cheese", "egg", "fig", "grape")
PLATES = 24


@dataclass(frozen=True)
class Options:
    """No options."""


def foods_on(plate):
    """Three of the foods."""
    return [FOODS[(plate + step) % len(FOODS)] for step in range(3)]


def load(data, options, rows):
    folder = data.root / "plates"
    images = [(folder / "left/plate.png", folder / "right/plate.png"), (folder / "one.png",), ()]
    items = []
    for plate in range(PLATES):
        truth = {"on_it": foods_on(plate), "near_it": ["knife"]}
        cluster = f"plate {plate}"
        items.append(Item(f"{plate}/list", images[plate % 3], f"List plate {plate}.", truth, "lists", cluster))
        items.append(
            Item(f"{plate}/pick", (), f"Which comes first on plate {plate}?", truth["on_it"][0], "picks", cluster)
        )
    return Task(items, score, {})


def score(item, response, judgement):
    named = [word for word in response.text.lower().replace(".", "").split() if word in FOODS]
    if item.group == "picks":
        answer = named[0] if named else None
        counts = {"picks": 1, "picks_right": answer == item.truth}
        return Score.of(item, counts, {"answer": answer, "truth": item.truth}, faults=answer != item.truth)
    invented = [food for food in named if food not in item.truth["on_it"]]
    counts = {
        "foods": len(named),
        "foods_invented": len(invented),
        "served": len(item.truth["on_it"]),
        "served_named": len(set(named) & set(item.truth["on_it"])),
    }
    correct = [food for food in named if food not in invented]
    return Score.of(item, counts, {"hallucinated": invented, "correct": correct}, faults=2 * len(invented))


SUITE = Suite(
    name="plates",
    version="1",
    title="Plates",
    options=Options,
    decoding=Decoding(max_new_tokens=16),
    metrics=(
        ratio_metric(
            "invented",
            "foods_invented",
            "foods",
            "lower",
            groups=("lists",),
            label="Invented food",
            main=("lists",),
            companions=("served",),
            margin=0.01,
            description="share of named foods that are on no plate",
        ),
        ratio_metric(
            "served",
            "served_named",
            "served",
            "higher",
            groups=("lists",),
            label="Served food",
            main=("lists",),
            description="share of the food on the plate that is named",
        ),
        ratio_metric("picked", "picks_right", "picks", "higher", groups=("picks",), label="Picked", main=("picks",)),
    ),
    groups={"lists": ("lists",), "picks": ("picks",)},
    load=load,
    match=lambda items, rows: match_by_id_or_question(items, rows, "plates has ids like 3/list"),
    truth_labels={"on_it": "served"},
)

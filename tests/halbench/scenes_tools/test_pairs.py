"""Preference pairs from the embedded world: ranked by truth, of similar length, the same for the same seed."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from PIL import Image

from halbench.scenes.mentions import mentions
from halbench.scenes.world import WORLD, sample_scene
from halbench.scenes_tools.pair_options import PairOptions
from halbench.scenes_tools.pairs import Ranked, best_pair, write_pairs


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def pair_folder(tmp_path_factory: pytest.TempPathFactory, base) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, base.model, base.processor, PairOptions(pairs=8), lambda: None)
    return folder


def test_pairs_are_better_by_truth_and_alike_in_length(pair_folder: Path):
    pairs = rows(pair_folder / "pairs.jsonl")
    assert len(pairs) == 8
    for row in pairs:
        chosen, rejected = row["meta"]["chosen"], row["meta"]["rejected"]
        assert chosen["mentions_hallucinated"] < rejected["mentions_hallucinated"]
        assert chosen["truth_covered"] >= rejected["truth_covered"]
        assert max(chosen["words"], rejected["words"]) <= 1.25 * min(chosen["words"], rejected["words"])
        assert (pair_folder / row["image"]).is_file()


def test_regions_of_a_pair_are_the_objects_that_the_chosen_text_names(pair_folder: Path):
    for row in rows(pair_folder / "pairs.jsonl"):
        present = sample_scene(WORLD, 0, "training", int(row["id"])).counts()
        named = {mention.name for mention in mentions(row["chosen"])}
        regions = [region["name"] for region in row["regions"]]
        assert set(regions) == named & set(present)
        assert all(regions.count(name) == present[name] for name in regions)
        with Image.open(pair_folder / row["image"]) as image:
            for left, top, right, bottom in (region["box"] for region in row["regions"]):
                assert 0 <= left < right <= image.width
                assert 0 <= top < bottom <= image.height


def test_fewer_pairs_with_the_same_seed_are_the_first_ones(pair_folder: Path, tmp_path: Path, base):
    write_pairs(tmp_path, base.model, base.processor, PairOptions(pairs=3), lambda: None)
    assert rows(tmp_path / "pairs.jsonl") == rows(pair_folder / "pairs.jsonl")[:3]


def ranked(hallucinated: int, covered: int, words: int) -> Ranked:
    counts = {"mentions_hallucinated": hallucinated, "truth_covered": covered, "words": words}
    return Ranked(f"{hallucinated} {covered} {words}", counts)


def test_the_pair_furthest_apart_in_hallucinations_wins_then_coverage():
    candidates = [ranked(2, 3, 20), ranked(0, 3, 20), ranked(0, 4, 20), ranked(1, 4, 20)]
    best = best_pair(candidates, length_ratio=1.25)
    assert best == (candidates[2], candidates[0])


@pytest.mark.parametrize(
    "candidates",
    [
        pytest.param([ranked(1, 4, 20), ranked(1, 3, 20)], id="as many hallucinations"),
        pytest.param([ranked(1, 4, 20), ranked(0, 3, 20)], id="it covers less"),
        pytest.param([ranked(1, 4, 30), ranked(0, 4, 20)], id="much shorter"),
        pytest.param([], id="nothing sampled"),
    ],
)
def test_no_pair_is_made_of_descriptions_that_are_no_better(candidates: list[Ranked]):
    assert best_pair(candidates, length_ratio=1.25) is None

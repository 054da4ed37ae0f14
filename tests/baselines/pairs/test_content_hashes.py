"""Hashes by content."""

from pathlib import Path

from PIL import Image

from baselines.pairs.content_hashes import image_hash, images_hash, pair_digest, variant_hash, view_hash
from baselines.types import Pair, Variant

RED, BLUE = Image.new("RGB", (8, 6), "red"), Image.new("RGB", (8, 6), "blue")


def test_images_are_known_by_their_pixels_size_and_order():
    assert image_hash(RED) == image_hash(RED.copy())
    assert len({image_hash(RED), image_hash(BLUE), image_hash(RED.resize((6, 8)))}) == 3
    assert images_hash([]) == ""
    assert images_hash([RED]) == image_hash(RED)
    assert len({images_hash([RED]), images_hash([RED, BLUE]), images_hash([BLUE, RED]), images_hash([RED, RED])}) == 4


def test_a_pair_is_known_by_its_content_and_not_by_where_its_images_lie():
    here, elsewhere = (Pair("1", (Path(folder, "a.png"),), "What?", "A dog.", "A cat.") for folder in ("x", "y"))
    assert pair_digest(here, ["aa"]) == pair_digest(elsewhere, ["aa"])
    assert pair_digest(here, ["aa"]) != pair_digest(here, ["bb"])
    both = Pair("1", here.images, "What?", "A dog.", "A cat.", rejected_images=(Path("b.png"),))
    two = Pair("1", (*here.images, Path("b.png")), "What?", "A dog.", "A cat.")
    assert len({pair_digest(both, ["aa", "bb"]), pair_digest(two, ["aa", "bb"]), pair_digest(here, ["aa"])}) == 3


def test_a_variant_without_images_of_its_own_shows_the_pairs(tmp_path: Path):
    RED.save(tmp_path / "red.png")
    pair = Pair("1", (tmp_path / "red.png",), "What?", "A dog.", "A cat.")
    own, same = Variant("What?", "A dog."), Variant("What?", "A dog.", (RED,))
    assert variant_hash(pair, own) == variant_hash(pair, same)
    others = (Variant("What?", "A dog.", (BLUE,)), Variant("What?", "A cat."), Variant("Why?", "A dog."))
    assert len({variant_hash(pair, variant) for variant in (own, *others)}) == 4


def test_a_view_s_hash_follows_ids_and_order():
    rows = [("1", "aa"), ("2", "bb")]
    assert view_hash(rows) == view_hash(iter(rows))
    assert (
        len({view_hash(rows), view_hash(rows[::-1]), view_hash(rows[:1]), view_hash([("1", "bb"), ("2", "aa")])}) == 4
    )

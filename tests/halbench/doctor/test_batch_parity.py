"""Whether answers one by one and in batches are the same."""

from pathlib import Path

from halbench.doctor.batch_parity import QUESTIONS, Difference, compare_answers, draw_shapes, make_items
from halbench.types import Item, Response

ITEMS = [Item(str(n), (Path(f"{n}.jpg"),), "What?", None, "all") for n in range(3)]


def responses(*texts: str, state: str = "ok") -> dict[str, Response]:
    return {str(n): Response(str(n), text, state=state) for n, text in enumerate(texts)}  # type: ignore[arg-type]


def test_answers_are_the_same_or_the_first_difference_is_shown():
    same = compare_answers("m", ITEMS, 8, responses("a", "b", "c"), responses("a", "b", "c"))
    assert (same.identical, same.first_difference) == (3, None)
    other = compare_answers("m", ITEMS, 8, responses("a", "b", "c"), responses("a", "x", "y"))
    assert other.identical == 1
    assert other.first_difference == Difference("1.jpg", "What?", "b", "x")


def test_answers_that_fail_alike_are_not_the_same():
    failed = responses("", "", "", state="error")
    assert compare_answers("m", ITEMS, 8, failed, failed).identical == 0


def test_drawn_pictures_are_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = draw_shapes(4, tmp_path / "a"), draw_shapes(4, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len({path.read_bytes() for path in first}) == 4


def test_questions_of_different_lengths_are_spread_over_the_pictures():
    items = make_items([Path("a.png"), Path("b.png")], 7)
    assert [item.images[0].name for item in items] == ["a.png", "b.png", "a.png", "b.png", "a.png", "b.png", "a.png"]
    assert {item.prompt for item in items} == set(QUESTIONS)

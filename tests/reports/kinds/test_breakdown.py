"""Values by group, and the most hallucinated objects."""

from small_reports import FEW

from halbench.types import Score
from reports.kinds import breakdown


def test_the_breakdown_finds_the_object_with_which_another_is_hallucinated():
    def score(item: int, truth: list[str], wrong: list[str]) -> Score:
        return Score(str(item), f"{item}.jpg", "all", {}, {"hallucinated": wrong, "truth": truth, "mentions": []})

    rows = [score(n, ["person", "car"], ["handbag"] if n < 6 else []) for n in range(10)]
    rows += [score(n, ["dog"], ["cat"] if n == 10 else []) for n in range(10, 30)]
    frame = breakdown.hallucinated_objects("run", rows).set_index("object")
    assert list(frame.index) == ["handbag", "cat"]
    bag = frame.loc["handbag"]
    assert (bag["responses"], bag["share"], bag["both"]) == (6, 6 / 30, 6)
    assert bag["partner"] in ("person", "car")
    assert (bag["rate with"], bag["rate without"]) == (0.6, 0.0)


def test_the_breakdown_has_a_row_for_each_group_and_run(reading):
    *tables, objects = breakdown.build(reading, FEW)
    assert [set(table.frame["group"]) > {"descriptions"} for table in tables] == [False, False]
    assert [len(table.frame) for table in tables] == [table.frame["group"].nunique() * 6 for table in tables]
    assert [table.title for table in tables] == ["scenes: descriptions", "scenes by group"]
    runs = list(tables[0].frame["run"])
    assert (runs[:2], runs[2][:3]) == (["base", "truncated"], "dpo"), "controls first, as in the other tables"
    sources = [{column.source for column in table.columns} for table in tables]
    assert [("chair" in names, "accuracy" in names) for names in sources] == [(True, False), (False, True)]
    assert objects.frame["share"].between(0, 1).all()


def test_evidence_of_another_shape_is_no_hallucinated_object():
    """A suite of a user's own may mean something else by the names."""
    odd = (
        {"hallucinated": 2},
        {"hallucinated": ["cat"], "truth": {"animal": "dog"}},
        {"hallucinated": [{"word": "cup"}]},
    )
    scores = [Score(str(n), f"{n}.jpg", "all", {}, evidence) for n, evidence in enumerate(odd)]
    assert set(breakdown.hallucinated_objects("run", scores)["object"]) == {"cat", "cup"}

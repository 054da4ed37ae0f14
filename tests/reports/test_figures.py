"""How figures look."""

from xml.etree import ElementTree

import pytest
from small_reports import FEW

pytest.importorskip("matplotlib")

from reports import figures
from reports.kinds import intervals, trade_off, training_curves


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", [intervals, trade_off, training_curves])
def test_figures_are_valid_svg_with_text_and_the_same_each_time(kind, theme, reading):
    for figure in kind.build(reading, FEW):
        document = figures.svg(figure.draw(theme))
        root = ElementTree.fromstring(document)
        words = " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
        assert "mdpo" in words
        assert figures.svg(figure.draw(theme)) == document


def test_up_to_24_runs_have_looks_of_their_own():
    looks = figures.looks([f"run {number}" for number in range(24)]).values()
    assert len({(look.colour, look.marker) for look in looks}) == 24


def test_a_legend_has_as_many_columns_as_fit():
    assert figures.legend_columns(["dpo", "mdpo"], 9.6) > 8
    assert figures.legend_columns(["mdpo, epochs 3, lr 0.0002", "dpo"], 6.4) == 3
    assert figures.legend_columns(["x" * 300], 6.4) == 1

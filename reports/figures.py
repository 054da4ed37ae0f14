"""How figures look: colours that colour-blind readers can distinguish, different markers and lines, a light and a dark theme.

No state of pyplot is touched, so figures can be drawn in any thread. Text stays text in SVG; the same figure gives the same
bytes.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from halbench.errors import MissingExtra
from reports.types import Theme

try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
except ModuleNotFoundError as error:
    raise MissingExtra(f"figures need: pip install 'halbench[reports]' (no module '{error.name}')") from error

# Okabe and Ito's colours, without the yellow, which is too light on paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
INK: Mapping[Theme, str] = {"light": "#1b1f24", "dark": "#e6e9ec"}
SOFT: Mapping[Theme, str] = {"light": "#5c6670", "dark": "#9aa4ae"}
RULE: Mapping[Theme, str] = {"light": "#d8dde2", "dark": "#343a41"}
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "halbench",
}


@dataclass(frozen=True)
class Look:
    """How one run or objective is drawn, the same in every figure."""

    colour: str
    marker: str
    line: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name, by its position."""
    return {
        name: Look(
            PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)], LINES[index // len(PALETTE) % len(LINES)]
        )
        for index, name in enumerate(names)
    }


def mark(look: Look) -> Line2D:
    """A look's entry in a legend, without a line."""
    size = 9 if look.marker == "*" else 6
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", markersize=size)


def legend_columns(labels: Iterable[str], width: float) -> int:
    """How many columns of a legend fit into this width in inches."""
    longest = max(map(len, labels), default=0)
    return max(1, int(width / (0.5 + 0.065 * longest)))


def add_legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    """One legend for the whole figure, below its plots. handles: by label."""
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=legend_columns(handles, figure.get_figwidth()),
        frameon=False,
        handletextpad=0.5,
        columnspacing=1.4,
    )


@contextmanager
def themed(theme: Theme) -> Iterator[None]:
    """Matplotlib's settings for a theme, while a figure is drawn."""
    ink, soft = INK[theme], SOFT[theme]
    colours: dict[Any, Any] = {
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": soft,
        "axes.titlecolor": ink,
        "xtick.color": soft,
        "ytick.color": soft,
        "grid.color": RULE[theme],
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.labelcolor": ink,
    }
    with matplotlib.rc_context({**STYLE, **colours}):
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure) -> str:
    """The figure as an SVG document."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return file.getvalue()


def png(figure: Figure, dpi: int) -> bytes:
    """The figure as a PNG on a white background."""
    file = io.BytesIO()
    figure.set_facecolor("white")
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return file.getvalue()

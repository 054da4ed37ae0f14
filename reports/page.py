"""Everything of a report in one HTML page that needs no network: tables, figures for light and dark, and the samples.

Figures are embedded twice, as SVG in data addresses; a page of samples is embedded as text and becomes a frame when it is opened.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import halbench
from halbench.errors import MissingExtra
from reports.types import Figure, Page, Reading, Table, Theme
from reports.write import html_table

Made = Sequence[Table | Figure | Page]


def page(title: str, reading: Reading, sections: Mapping[str, Made]) -> str:
    """The document. sections: title -> what it holds, in this order."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise MissingExtra(f"HTML reports need: pip install 'halbench[reports]' (no module '{error.name}')") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    parts = [
        {
            "id": f"section-{number}",
            "title": name,
            "parts": [part(one, f"page-{number}-{place}", Markup) for place, one in enumerate(made)],
        }
        for number, (name, made) in enumerate(sections.items(), 1)
    ]
    return environment.from_string(template("page.html.jinja")).render(
        title=title,
        style=Markup(template("page.css")),
        script=Markup(template("page.js")),
        runs=len(reading.runs),
        trainings=len(reading.trainings),
        suites=list(dict.fromkeys(run.suite for run in reading.runs)),
        version=halbench.__version__,
        apart=reading.apart,
        skipped=reading.skipped,
        sections=parts,
    )


def part(made: Table | Figure | Page, identity: str, markup: Any) -> dict[str, Any]:
    """What the template needs of a table, a figure or a page."""
    about = {"title": made.title, "note": made.note, "id": identity}
    if isinstance(made, Table):
        return {**about, "kind": "table", "html": markup(html_table(made))}
    if isinstance(made, Figure):
        return {**about, "kind": "drawing", "light": embedded(made, "light"), "dark": embedded(made, "dark")}
    return {**about, "kind": "page", "json": markup(script_json(made.html))}


def embedded(figure: Figure, theme: Theme) -> str:
    """A figure as the address of an image."""
    from reports import figures

    return "data:image/svg+xml;base64," + base64.b64encode(figures.svg(figure.draw(theme)).encode()).decode()


def script_json(value: Any) -> str:
    """JSON that may stand inside a <script>: nothing in it can end the element or a line of it."""
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def template(name: str) -> str:
    return (resources.files("reports") / "templates" / name).read_text("utf-8")

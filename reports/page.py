"""A whole report as one HTML page that needs no network: tables, figures, and the browser of samples.

Each figure is embedded twice, for light and dark, as SVG in data URLs. A page of samples is embedded as text and opens in a frame.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import halbench
from halbench.errors import MissingExtra
from reports.types import Figure, Page, ReportInput, Table, Theme
from reports.write import html_table

Parts = Sequence[Table | Figure | Page]


def page(title: str, reading: ReportInput, sections: Mapping[str, Parts]) -> str:
    """The document. sections: title -> tables, figures and pages, in this order."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise MissingExtra(f"HTML reports need: pip install 'halbench[reports]' (no module '{error.name}')") from error
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    contents = [
        {
            "id": f"section-{number}",
            "title": name,
            "parts": [template_part(part, f"page-{number}-{index}", Markup) for index, part in enumerate(parts)],
        }
        for number, (name, parts) in enumerate(sections.items(), 1)
    ]
    return environment.from_string(template("page.html.jinja")).render(
        title=title,
        style=Markup(template("page.css")),
        script=Markup(template("page.js")),
        runs=len(reading.runs),
        trainings=len(reading.trainings),
        suites=list(dict.fromkeys(run.suite for run in reading.runs)),
        version=halbench.__version__,
        incomplete=reading.incomplete,
        incomparable=reading.incomparable,
        skipped=reading.skipped,
        sections=contents,
    )


def template_part(part: Table | Figure | Page, identity: str, markup: Any) -> dict[str, Any]:
    """A table, figure or page as the template takes it."""
    about = {"title": part.title, "note": part.note, "id": identity}
    if isinstance(part, Table):
        return {**about, "kind": "table", "html": markup(html_table(part))}
    if isinstance(part, Figure):
        return {**about, "kind": "drawing", "light": data_url(part, "light"), "dark": data_url(part, "dark")}
    return {**about, "kind": "page", "json": markup(script_json(part.html))}


def data_url(figure: Figure, theme: Theme) -> str:
    """A figure as a data URL of its SVG."""
    from reports import figures

    return "data:image/svg+xml;base64," + base64.b64encode(figures.svg(figure.draw(theme)).encode()).decode()


def script_json(value: Any) -> str:
    """JSON that is safe inside a <script>: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def template(name: str) -> str:
    return (resources.files("reports") / "templates" / name).read_text("utf-8")

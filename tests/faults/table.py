"""What a campaign reports: a row per promise, and the table of all of them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

BAD = ("lost", "silent", "traces", "hangs", "unclear")


@dataclass
class Row:
    """A promise and how it was tested. count: faults set. lost: rows or files that were lost; silent: numbers that changed
    without a word or a reason; traces: tracebacks; hangs; unclear: messages of more than one line, or no message.
    tests: file of the tests for the same promise. notes: how the faults ended. examples: of what broke the promise. skipped: why nothing was tested."""

    promise: str
    fault: str
    campaign: str = ""
    tests: str = ""
    count: int = 0
    lost: int = 0
    silent: int = 0
    traces: int = 0
    hangs: int = 0
    unclear: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    skipped: str = ""

    def note(self, how: str) -> None:
        """Count one ending that is right."""
        self.notes[how] = self.notes.get(how, 0) + 1

    def broke(self, kind: str, example: object) -> None:
        """Count one broken promise, and keep the first examples."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < 20:
            self.examples.append(f"{kind}: {example}"[:1000])

    @property
    def kept(self) -> bool:
        return not any(getattr(self, kind) for kind in BAD)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def row_of(value: dict[str, Any]) -> Row:
    return Row(**{one.name: value[one.name] for one in fields(Row)})


def markdown(rows: Iterable[Row]) -> str:
    """The table of docs/reliability.md."""
    lines = [
        "| promise | fault | campaign | tests | faults | rows or files lost | silent changes | tracebacks | hangs | unclear | how they ended |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        ended = row.skipped or ", ".join(f"{number:,} {how}" for how, number in sorted(row.notes.items()))
        numbers = [f"{row.count:,}", *(str(getattr(row, kind)) for kind in BAD)]
        shown = ["skipped", *[""] * len(BAD)] if row.skipped else numbers
        cells = [row.promise, row.fault, f"`{row.campaign}`", f"`{row.tests}`", *shown, ended]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

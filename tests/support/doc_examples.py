"""The Python examples of a page of the docs."""

import re

from paths import ROOT


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def example(page: str, number: int = 0) -> str:
    return examples(page)[number]

"""Options that several verbs share, declared once. Types only: what they mean is in their help."""

from pathlib import Path
from typing import Annotated

import typer

SuiteName = Annotated[str, typer.Option("--suite", "-s", help="object_halbench, amber, mmhal, chair or pope; or a .py file.", metavar="NAME")]
DataFolder = Annotated[Path | None, typer.Option("--data", help="Folder with the suites' data. Default: HALBENCH_DATA, else the user cache.", metavar="DIR")]
Images = Annotated[Path | None, typer.Option("--images", help="Folder with the suite's images. Default: images/ in the suite's data folder.", metavar="DIR")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Option of the suite, e.g. captions=pattern. May be repeated.", metavar="NAME=VALUE")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N items; part of the signature.", metavar="N")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder to write.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
JudgeModel = Annotated[str | None, typer.Option("--judge", help="Judge model, behind any OpenAI-compatible server. Key: OPENAI_API_KEY.", metavar="MODEL")]
JudgeUrl = Annotated[str | None, typer.Option("--judge-base-url", help="Address of the judge's server, e.g. http://localhost:8000/v1.", metavar="URL")]
JudgePrompt = Annotated[Path | None, typer.Option("--judge-prompt", help="Prompt file for the judge, such as the authors' (halbench data fetch). Default: our own.", metavar="FILE")]
JudgeConcurrency = Annotated[int, typer.Option("--judge-concurrency", min=1, help="Requests under way at once.", metavar="N")]

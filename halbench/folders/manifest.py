"""manifest.json of a run folder, as it is read: every field that something depends on, each of its type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from halbench.reasoning import SPLIT, Reasoning
from halbench.types import Decoding


@dataclass(frozen=True)
class SuiteSettings:
    """The suite of a run, with its options."""

    name: str
    version: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class RunSettings:
    """What was run. items: their number and hash. decoding: None for responses from a file. reasoning: see Decoding."""

    suite: SuiteSettings
    items: str
    decoding: Decoding | None
    model: Mapping[str, Any]
    limit: int | None
    reasoning: Reasoning = SPLIT


@dataclass(frozen=True)
class Manifest:
    """What a run is and how far it has come. signature: None until it is scored. files: name -> SHA-256 of the files as they
    were scored; empty in folders of earlier versions. notes: what a reader should know before believing the numbers.
    judge_key: of the judge whose replies are scored (Judgement.judge). name: of the model in reports, if not its own."""

    format: int
    status: Literal["running", "generated", "complete", "incomplete"]
    settings: RunSettings
    signature: str | None = None
    signature_fields: Mapping[str, Any] = field(default_factory=dict)
    coverage: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    judge_key: str = ""
    name: str = ""

"""The file of a sweep: models x suites x decodings.

out: runs/sweep
models:
  base: scenes:base
  tuned: {model: runs/tuned, batch_size: 16}         # any option of the backend; backend: vllm
suites:
  scenes: {options: {scenes: 100}}
  mmhal: {judge: {model: gpt-4o-2024-08-06}}
  random: {suite: pope, options: {split: random}}    # a suite under another name
decodings:                                           # none: the suites' published ones
  greedy: {}
  beams: {num_beams: 5}
backend: {dtype: bfloat16}                           # for all models

OUT/MODEL/SUITE, or with decodings OUT/MODEL/DECODING/SUITE
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from halbench.errors import InputError, did_you_mean
from halbench.evaluation.choice import Acceptance, SuiteChoice
from halbench.files.yaml_files import read_yaml
from halbench.judging.options import JudgeOptions, Judging, judge_options
from halbench.reasoning import Reasoning
from halbench.running.plan import Plan
from halbench.running.several import FAILED, Cell
from halbench.settings import Rule, rules
from halbench.types import BackendOptions

FIELDS = ("out", "models", "suites", "decodings", "backend")
MODEL_RULES = rules(BackendOptions) | {"model": Rule(str), "backend": Rule(str)}
SUITE_FIELDS = ("suite", "options", "limit", "judge", "judgements", "judge_prompt", "allow", "data", "images")
REASONING = {field.name for field in fields(Reasoning)}


def read_sweep(path: Path) -> list[Cell]:
    """The cells of a sweep, model by model. Raises InputError, with the field, for what is unknown or of a wrong type."""
    values = mapping(str(path), read_yaml(path))
    known_only(str(path), values, FIELDS)
    for name in ("models", "suites"):
        if not values.get(name):
            raise InputError(f"{path}: '{name}' is needed: 'name: ...' lines")
    out = Path(Rule(str)(f"{path}: out", values.get("out", f"runs/{path.stem}")))
    common = checked(f"{path}: backend", mapping(f"{path}: backend", values.get("backend")), MODEL_RULES)
    models = named(f"{path}: models", values["models"])
    suites = {
        name: read_suite(f"{path}: suites: {name}", name, asked)
        for name, asked in mapping(f"{path}: suites", values["suites"]).items()
    }
    decodings = named(f"{path}: decodings", values.get("decodings")) or {"": {}}
    cells = []
    for model, given in models.items():
        where = f"{path}: models: {model}"
        own = {"model": given} if isinstance(given, str) else mapping(where, given)
        settings = {**common, **checked(where, own, MODEL_RULES)}
        if "model" not in settings:
            raise InputError(f"{where}: 'model' is needed: a checkpoint folder, adapter folder or hub name")
        checkpoint, backend = settings.pop("model"), settings.pop("backend", "hf")
        for decoding, arguments in decodings.items():
            generation, reasoning = read_decoding(f"{path}: decodings: {decoding}", arguments)
            title = ", ".join(filter(None, [model, decoding]))
            for suite in suites.values():
                folder = out / model / decoding / suite.folder
                plan = Plan(checkpoint, backend, generation, suite.limit, title, reasoning, folder)
                options = BackendOptions(**settings)
                cells.append(Cell(model, suite.name, plan, suite.choice, options, suite.judging, suite.acceptance))
    folders = [cell.name for cell in cells]
    if repeated := next((folder for folder in folders if folders.count(folder) > 1), None):
        raise InputError(
            f"{path}: suites: two of them would be written to {repeated}; give one another name: 'name: {{suite: FILE}}'"
        )
    return cells


@dataclass(frozen=True)
class SweptSuite:
    """A suite of a sweep. folder: its name in the folders of the models."""

    name: str
    folder: str
    choice: SuiteChoice
    limit: int | None
    judging: Judging
    acceptance: Acceptance


def read_suite(where: str, name: str, given: Any) -> SweptSuite:
    """A suite with its options, images and judge."""
    values = mapping(where, given)
    known_only(where, values, SUITE_FIELDS)
    suite = Rule(str)(f"{where}: suite", values.get("suite", name))
    return SweptSuite(
        name=name,
        folder=folder_name(where, Path(name).stem if name == suite else name),
        choice=suite_choice(where, suite, values),
        limit=rules(Plan)["limit"](f"{where}: limit", values.get("limit")),
        judging=judging(where, values),
        acceptance=Acceptance(rules(Acceptance)["allow"](f"{where}: allow", values.get("allow", []))),
    )


def read_decoding(where: str, arguments: Any) -> tuple[dict[str, Any], Reasoning]:
    """What a decoding changes in the suites' own, and how it treats thoughts."""
    given = mapping(where, arguments)
    thoughts = {name: given[name] for name in REASONING & given.keys()}
    others = {name: value for name, value in given.items() if name not in REASONING}
    return others, Reasoning(**checked(where, thoughts, rules(Reasoning)))


def suite_choice(where: str, suite: str, values: Mapping[str, Any]) -> SuiteChoice:
    """The suite of a cell with its options and folders."""
    data, images = (Rule(Path | None)(f"{where}: {name}", values.get(name)) for name in ("data", "images"))
    options = mapping(f"{where}: options", values.get("options"))
    return SuiteChoice(data, images, suite, tuple(f"{name}={value}" for name, value in options.items()))


def judging(where: str, values: Mapping[str, Any]) -> Judging:
    """Where a suite's verdicts come from. judge: a model's name, or fields of JudgeOptions."""
    given = values.get("judge") or {}
    judge = {"model": given} if isinstance(given, str) else mapping(f"{where}: judge", given)
    files = [Rule(Path | None)(f"{where}: {name}", values.get(name)) for name in ("judgements", "judge_prompt")]
    return Judging(judge_options(checked(f"{where}: judge", judge, rules(JudgeOptions))), *files)


def named(where: str, value: Any) -> dict[str, Any]:
    """'name: value' lines whose names become folders."""
    return {folder_name(where, name): given for name, given in mapping(where, value).items()}


def folder_name(where: str, name: str) -> str:
    """A name that can be a folder of its own."""
    if not name or name[0] in ".-" or not set(name).isdisjoint("/\\\0\n") or name.endswith(FAILED):
        raise InputError(
            f"{where}: the name {name!r} becomes a folder; expected one without slashes that does not begin with . or -"
        )
    return name


def mapping(where: str, value: Any) -> dict[str, Any]:
    """'name: value' lines; {} for nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected 'name: value' lines, found {value!r}")
    if wrong := next((name for name in value if not isinstance(name, str)), None):
        raise InputError(f"{where}: the name {wrong} is read as a {type(wrong).__name__}; put it in quotes")
    return value


def known_only(where: str, values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise InputError for a name that is not known."""
    for name in values:
        if name not in known:
            raise InputError(f"{where}: unknown field '{name}'{did_you_mean(str(name), known)}")


def checked(where: str, values: Mapping[str, Any], known: Mapping[str, Rule]) -> dict[str, Any]:
    """The values, each of the type of its field."""
    known_only(where, values, tuple(known))
    return {name: known[name](f"{where}: {name}", value) for name, value in values.items()}

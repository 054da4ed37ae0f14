"""Prompt texts for judges, ours or the authors', and how they are filled in."""

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from halbench.errors import InputError

PROMPTS = Path(__file__).with_name("prompts")


PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w*)\}")


TEMPLATE_VARIABLES = ("template", "prompt_template")
"""Variables to which the authors' scripts assign their prompt: eval_gpt_mmhal.py, eval_gpt_obj_halbench.py."""


def read_template(path: Path | None, name: str) -> str:
    """A prompt text: the one in the user's file `path`, else halbench's own one called `name`.

    A .py file is one of the authors' scripts: its prompt is the string assigned to one of TEMPLATE_VARIABLES. The script is
    parsed, never run.
    """
    path = path or PROMPTS / f"{name}.txt"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"judge prompt {path} cannot be read ({error})") from error
    if path.suffix != ".py":
        return text.removesuffix("\n")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InputError(f"judge prompt {path}:{error.lineno}: not valid Python ({error.msg})") from error
    prompts = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if any(isinstance(target, ast.Name) and target.id in TEMPLATE_VARIABLES for target in node.targets)
    ]
    if len(prompts) != 1:
        names = " or ".join(TEMPLATE_VARIABLES)
        raise InputError(f"judge prompt {path}: expected one string assigned to {names}, found {len(prompts)}")
    return prompts[0]


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its placeholders filled in: by name ({name}) or, as in the authors' files, in order ({}).

    {{ and }} stand for braces. This is not str.format, because values and templates may contain any braces. Raises
    InputError if the placeholders are not those of `values`.
    """
    placeholders = [match[1] for match in PLACEHOLDER.finditer(template) if match[1] is not None]
    positional = placeholders == [""] * len(values)
    if not positional and set(placeholders) != set(values):
        raise InputError(
            f"judge prompt: expected the placeholders {braced(values)} (or {{}} {len(values)} times, in that order), "
            f"found {braced(placeholders) or 'none'}. Write {{{{ and }}}} for literal braces"
        )
    remaining = iter(values.values())

    def replacement(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return next(remaining) if positional else values[match[1]]

    return PLACEHOLDER.sub(replacement, template)


def braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)

"""Prompts as a model expects them: a checkpoint's chat template, and the tokens that stand for images."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, meta

from halbench.errors import InputError, did_you_mean, first_sentence
from halbench.files.records import dumps
from halbench.types import Item

EXTENSIONS = ("jinja2.ext.loopcontrols", "jinja2.ext.do")  # as transformers reads templates


def chat_template(processor: Any, source: str, variables: Mapping[str, Any] | None = None) -> str:
    """The text of a checkpoint's chat template, with variables such as {"enable_thinking": False} set in its first lines.
    Raises InputError if it has none, none with a place for an image, or none that uses a variable."""
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
    if isinstance(template, Mapping):
        template = template.get("default")
    if not template:
        raise InputError(f"{source}: no chat template; copy chat_template.jinja from the base checkpoint")
    template = setting_variables(source, str(template), variables or {})
    try:
        prompt = render(processor, template, "?")
    except Exception as error:  # a template is foreign code and may raise anything
        raise InputError(
            f"{source}: its chat template fails on a question with an image: {first_sentence(error)}"
        ) from error
    tokens = image_tokens(processor)
    if tokens and not any(token in prompt for token in tokens):
        raise InputError(
            f"{source}: its chat template has no place for the image ({tokens[0]}); copy the base checkpoint's"
        )
    return template


def setting_variables(source: str, template: str, variables: Mapping[str, Any]) -> str:
    """The template with its variables set. Raises InputError for one that it does not use: it would change nothing."""
    known = (
        set() if not variables else meta.find_undeclared_variables(Environment(extensions=EXTENSIONS).parse(template))
    )
    known -= {"messages", "add_generation_prompt"}
    for name in variables:
        if name not in known:
            raise InputError(f"{source}: its chat template has no variable '{name}'{did_you_mean(name, sorted(known))}")
    return "".join(f"{{% set {name} = {literal(value)} %}}" for name, value in variables.items()) + template


def literal(value: Any) -> str:
    """A value as Jinja writes it."""
    return "none" if value is None else dumps(value)


def image_tokens(processor: Any) -> list[str]:
    """The tokens that mark an image in a prompt. Gemma's templates write boi_token (begin of image), not image_token."""
    return [token for name in ("image_token", "boi_token") if (token := getattr(processor, name, None))]


def starts_with_bos(tokenizer: Any, prompt: str) -> bool:
    """Whether the template already wrote the begin token, which the tokenizer would otherwise add a second time."""
    return tokenizer.bos_token is not None and prompt.startswith(tokenizer.bos_token)


def render(processor: Any, template: str, question: str, images: int = 1) -> str:
    """The prompt as text up to where the answer begins: one token for each image, then the question."""
    content = [{"type": "image"}] * images + [{"type": "text", "text": question}]
    message = {"role": "user", "content": content}
    return str(processor.apply_chat_template([message], chat_template=template, add_generation_prompt=True))


def check_image_counts(processor: Any, template: str, items: Sequence[Item]) -> None:
    """Raise InputError if the template does not place as many images as an item shows. One item of each count is tried."""
    for count, item in {len(item.images): item for item in reversed(items)}.items():
        if (problem := image_count_problem(processor, template, count)) is not None:
            raise InputError(
                f"item '{item.id}' shows {image_count(count)}, but the checkpoint's chat template {problem}. "
                "This checkpoint cannot answer such questions"
            )


def image_count_problem(processor: Any, template: str, count: int) -> str | None:
    """What is wrong with the template's prompt for a question with this many images; None if nothing is."""
    try:
        prompt = render(processor, template, "?", count)
    except Exception as error:  # a template is foreign code and may raise anything
        return f"fails with that many ({first_sentence(error)})"
    placed = max((prompt.count(token) for token in image_tokens(processor)), default=count)
    return None if placed == count else f"writes the prompt for {image_count(placed)}"


def image_count(count: int) -> str:
    """ "no image", "1 image", "2 images"."""
    return "no image" if count == 0 else f"{count} image{'s' if count > 1 else ''}"

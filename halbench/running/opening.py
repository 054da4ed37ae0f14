"""Opening the backend of a plan, and checking what it gives: mistakes in a user's own backend name its file and line."""

import gc
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from halbench import plugins
from halbench.errors import InputError
from halbench.running.plan import Plan
from halbench.types import Backend, BackendOptions

SECRET = re.compile(r"(^|_)(api_?key|secret|password)$|^((hf|auth|access|use_auth)_)?token$", re.IGNORECASE)


def open_backend(plan: Plan, chosen: BackendOptions) -> Backend:
    """The model of a plan, behind its backend."""
    name, _, engine = plan.backend.partition(":")
    module = plugins.load("halbench.backends", name)
    options = replace(chosen, engine=engine or None)
    check_options(name, getattr(module, "OPTIONS", ()), options)
    build = plugins.required(module, "open_backend")
    plugins.check_call(build, plan.model, options)
    backend: Backend = build(plan.model, options)
    for method in ("identity", "generate"):
        if not callable(getattr(backend, method, None)):
            raise InputError(
                f"{plugins.source_line(build)}: open_backend() returned a {type(backend).__name__} without {method}(); a backend has "
                "identity() and generate(items, decoding)"
            )
    plugins.check_call(backend.identity)
    plugins.check_call(backend.generate, [], None)
    return backend


class OneModel:
    """The backend of a plan, opened when it is first needed and kept for several suites. What keeps it from being opened is
    raised each time, and tried once."""

    def __init__(self, plan: Plan, options: BackendOptions) -> None:
        self.plan, self.options = plan, options
        self.problem: Exception | None = None

    @cached_property
    def backend(self) -> Backend:
        if self.problem is not None:
            raise self.problem
        try:
            return open_backend(self.plan, self.options)
        except Exception as error:
            self.problem = error
            raise

    def close(self) -> None:
        """Let the model go, and with it the memory of its device."""
        vars(self).pop("backend", None)
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


def model_identity(backend: Backend) -> dict[str, str]:
    """The fields by which a backend identifies its model. Raises InputError if they are not text by name."""
    identity = backend.identity()
    if not isinstance(identity, Mapping) or not all(isinstance(part, str) for row in identity.items() for part in row):
        raise InputError(
            f"{plugins.source_line(backend.identity)}: identity() returned {str(identity)[:100]}; expected names and values that are "
            'all text, such as {"model": "mine", "version": "1"}'
        )
    return dict(identity)


def check_options(backend: str, accepted: Sequence[str], options: BackendOptions) -> None:
    """Raise InputError for an option that the backend would ignore. accepted: its OPTIONS."""
    if options.engine and "engine" not in accepted:
        raise InputError(
            f"--backend {backend}:{options.engine}: backend '{backend}' takes nothing after its name; use --backend {backend}"
        )
    given = {name: getattr(options, name) for name in ("base_url", "model_args", "base", "template_kwargs")}
    for name, value in given.items():
        if value and name not in accepted:
            raise InputError(f"--backend {backend} does not take --{name.replace('_', '-')}")
    if secret := next((name for name in options.model_args if SECRET.search(name)), None):
        raise InputError(
            f"--model-args {secret}: would be written into the manifest; set it as an environment variable instead"
        )

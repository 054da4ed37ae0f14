"""Plugins: modules that are loaded by name. A path to a .py file works wherever a name does.

    load("halbench.suites", "amber").SUITE
    load("halbench.suites", "./my_suite.py").SUITE

Errors in a user's own file are reported with its line, see `users_mistake`.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from halbench.errors import InputError, MissingExtra, did_you_mean

T = TypeVar("T")
OURS = ("halbench", "baselines", "reports")
USERS_FILES: dict[str, str] = {}
"""Path of each user file that was loaded -> its kind of plugin ("suite")."""


def names(package: str) -> list[str]:
    """Names of the plugins in a package, without importing them."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(package)
    modules = (module.name for module in pkgutil.iter_modules(spec.submodule_search_locations))
    return sorted(name for name in modules if not name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """The plugin called `name`, or the module at the path `name`. Raises InputError for an unknown one."""
    kind = "report kind" if package == "reports.kinds" else package.rpartition(".")[2].removesuffix("s")
    if name.endswith(".py"):
        return load_file(Path(name), kind)
    known = names(package)
    if name not in known:
        raise InputError(f"unknown {kind} '{name}'{did_you_mean(name, known)}")
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        shared = importlib.import_module(package)
        extra = getattr(shared, "EXTRAS", {}).get(name, getattr(shared, "EXTRA", None))
        if extra is None or (error.name or "").split(".")[0] in OURS:
            raise
        raise MissingExtra(
            f"{kind} '{name}' needs: pip install 'halbench[{extra}]' (no module '{error.name}')"
        ) from error


def load_file(path: Path, kind: str) -> ModuleType:
    """The module in a user's file. Raises InputError with the line at which it fails."""
    if not path.is_file():
        raise InputError(f"{kind} file {path} does not exist")
    # The bare file name may be that of another module ("random.py").
    spec = importlib.util.spec_from_file_location(f"halbench_user_{kind}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look up annotations there
    USERS_FILES[str(path.resolve())] = kind
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: not valid Python ({error.msg})") from error
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        frame = user_frame(error)
        assert frame is not None
        raise InputError(
            f"{path} cannot be imported ({frame.filename}:{frame.lineno}: {type(error).__name__}: {error})"
        ) from error
    return module


def required(module: ModuleType, *attributes: str) -> Any:
    """The attributes that a plugin must define: the value of one, a tuple of several. Raises InputError naming its file."""
    missing = [name for name in attributes if not hasattr(module, name)]
    if missing:
        raise InputError(
            f"{module.__file__}: does not define {' or '.join(missing)}; a plugin of this kind defines {', '.join(attributes)}"
        )
    values = tuple(getattr(module, name) for name in attributes)
    return values if len(values) > 1 else values[0]


def checked(value: Any, kind: type[T], where: str) -> T:
    """What a plugin returned. Raises InputError if it has another type. where: for messages, "my_suite.py: load()"."""
    if not isinstance(value, kind):
        raise InputError(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def check_call(function: Any, *arguments: Any) -> None:
    """Raise InputError if a function of a plugin does not take these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        name = getattr(function, "__qualname__", str(function))
        raise InputError(f"{source_line(function)}: {name}() cannot be called as halbench does ({error})") from error


def source_line(code: Any) -> str:
    """ "my_backend.py:12" of a function or method; of a running generator, the line that it is at."""
    frame = getattr(code, "gi_frame", None)
    if frame is not None:
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    if compiled := getattr(inspect.unwrap(code), "__code__", None):  # not by its text: this is asked for every response
        return f"{compiled.co_filename}:{compiled.co_firstlineno}"
    try:
        return f"{inspect.getsourcefile(code)}:{inspect.getsourcelines(code)[1]}"
    except (OSError, TypeError):  # a partial, a class instance with __call__, a list
        return f"a {type(code).__name__}"


def location(module: ModuleType, function: str) -> str:
    """ "my_loss.py:12: loss()": where a plugin's function is defined, for messages about what it returned."""
    code = getattr(getattr(module, function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}: {function}()" if code else f"{module.__file__}: {function}()"


def users_mistake(error: BaseException) -> str | None:
    """One-line message for an exception in whose trace a user's own file is, with its line; None for any other."""
    frame = user_frame(error)
    if frame is None:
        return None
    kind, message = USERS_FILES[str(Path(frame.filename).resolve())], " ".join(str(error).split())
    return f"{frame.filename}:{frame.lineno}: {type(error).__name__}: {message} (in your {kind}, line: {frame.line})"


def user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost frame of an exception's trace that is in a user's own file; None if there is none."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame for frame in frames if str(Path(frame.filename).resolve()) in USERS_FILES), None)

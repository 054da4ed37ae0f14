"""A plugin is a module; its file name is its name. A path to a .py file works wherever a name does.

load("halbench.suites", "amber").SUITE
load("halbench.suites", "./my_suite.py").SUITE
"""

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType

from halbench.errors import InputError, MissingExtra, did_you_mean


def names(package: str) -> list[str]:
    """Names of the plugins that a package holds, without importing them."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(package)
    found = (module.name for module in pkgutil.iter_modules(spec.submodule_search_locations))
    return sorted(name for name in found if not name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """The plugin module called `name`, or the module at the path `name`. Raises InputError for an unknown one."""
    kind = package.rpartition(".")[2].removesuffix("s")
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"{kind} file {name} does not exist")
        # Not its bare name, which may be that of another module ("random.py").
        spec = importlib.util.spec_from_file_location(f"halbench_user_{kind}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module  # where dataclasses look up their annotations
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            raise InputError(f"{name}:{error.lineno}: not valid Python ({error.msg})") from error
        except InputError:
            raise
        except Exception as error:  # the user's code may raise anything
            line = traceback.extract_tb(error.__traceback__)[-1]
            raise InputError(
                f"{name} cannot be imported ({line.filename}:{line.lineno}: {type(error).__name__}: {error})"
            ) from error
        return module
    known = names(package)
    if name not in known:
        raise InputError(f"unknown {kind} '{name}'{did_you_mean(name, known)}")
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        extra = getattr(importlib.import_module(package), "EXTRAS", {}).get(name)
        if extra is None or (error.name or "").split(".")[0] in ("halbench", "baselines", "reports"):
            raise
        raise MissingExtra(
            f"{kind} '{name}' needs: pip install 'halbench[{extra}]' (no module '{error.name}')"
        ) from error

"""YAML files, read without running anything in them. A name that occurs twice is an error: YAML would keep the last."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from halbench.errors import InputError

MERGE = "tag:yaml.org,2002:merge"


class Loader(yaml.SafeLoader):
    """The safe loader, for mappings whose names differ."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for key in (key for key, _ in node.value if key.tag != MERGE):
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: '{name}' occurs twice")
            seen.append(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The content of a YAML or JSON file. Raises InputError."""
    try:
        return yaml.load(path.read_text("utf-8"), Loader)  # a subclass of SafeLoader
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error

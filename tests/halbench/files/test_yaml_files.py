"""YAML files: nothing is run, nothing is silently overwritten, and every mistake is one line."""

import pytest

from halbench.errors import InputError
from halbench.files.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cover: 0.01\nchair: 0.0\ncover: 0.9\n", r"line 3: 'cover' occurs twice"),
        ("amber:\n  cover: 0.01\n  cover: 0.9\n", r"line 3: 'cover' occurs twice"),
        ("a: [", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system ['touch ran']", "could not determine a constructor"),
        ("[" * 3000, "nested too deeply"),
        ("a: \xff", "cannot be read as YAML"),
    ],
    ids=["a name twice", "a name twice in a mapping", "not YAML", "an object", "deep", "not UTF-8"],
)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "margins.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_anchors_and_merged_mappings_are_read(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("base: &base {epochs: 1}\nown: {<<: *base, seed: 2}\n")
    assert read_yaml(path)["own"] == {"epochs": 1, "seed": 2}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml: cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "none.yaml")

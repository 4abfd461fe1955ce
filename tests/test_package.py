"""What the package brings along beside its code."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_type_checkers_of_others_are_told_that_the_package_is_typed() -> None:
    """PEP 561: without the marker its annotations are ignored."""
    assert resources.files("delineate").joinpath("py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["src/delineate"]
    assert not {"exclude", "include", "only-include"} & set(wheel)

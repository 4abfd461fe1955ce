"""The card of the packaged model: filled paragraphs, whole tables, and an end of line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from delineate.model import load
from delineate.uncertainty import Reference, decide, within_risk

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "training" / "package_nuclei.py"
    spec = importlib.util.spec_from_file_location("package_nuclei", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(card: str) -> None:
    lines = card.splitlines()
    assert card.endswith("\n") and not card.endswith("\n\n")
    assert max(map(len, lines)) <= 120
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        filled = line and line[0] not in "|#" and not line.startswith("Command")
        if (
            filled and after and not after.startswith("- ")
        ):  # a line that its paragraph goes on after
            assert len(line) + len(after.split()[0]) + 1 > 120, line
        if line.startswith("  "):
            assert line[2] != " "


def test_a_card_is_filled_whatever_is_put_into_it(script: ModuleType) -> None:
    long = "word " * 60
    card = script.CARD.format(
        diameter=24, correlation=0.9, images=1, validation=44, objects=12345, history=long,
        misses=long, total=85, rows="| a | 1 | 0.5 [0.4, 0.6] | 0.5 |\n| b |" + " 1 |" * 40,
        bias="+0.038 [0.005, 0.071] in fluorescence",
    )  # fmt: skip
    lines = script.wrapped(card).splitlines()
    assert [line for line in lines if line.startswith("| b |")] == ["| b |" + " 1 |" * 40]
    check("\n".join(line for line in lines if not line.startswith("| b |")) + "\n")
    assert script.wrapped(script.wrapped(card)) == script.wrapped(card)
    assert " ".join(script.wrapped(card).split()) == " ".join(card.split())


def test_the_card_of_the_package_has_this_form_and_says_what_estimates_are_worth() -> None:
    card = load("nuclei").card
    check(card)
    assert "expected less true mAP is" in " ".join(card.split())


def test_the_verdicts_that_readme_and_card_name_tell_images_apart() -> None:
    known = load("nuclei").description.reference
    assert known is not None
    reference = Reference.from_dict(known)
    asked = "--required 0.5 --risk 0.2"
    assert f"delineate review out-sure {asked}" in (ROOT / "README.md").read_text("utf-8")
    assert asked in load("nuclei").card
    found = within_risk(reference, 0.5, 0.2)
    assert 0.25 * found.known < found.below < found.known
    assert decide(reference, 0.5, 0.2) == found

"""What the folder of a model says of its own files, and whether they are as they were saved."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from delineate.errors import ModelError

FILE = "model.yaml"
BACK = "back"
"""Folder, within that of a model, of the model of the way back."""
CHECKSUMS = "files"
"""Entry of `FILE`: the hash of each other file that decides results, by its name."""


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a model that decides results, its description apart, by name.

    Of the way back that is its description, which has the hashes of its own files.
    """
    patterns = ("member-*.safetensors", "scale.safetensors", "novelty-*.safetensors")
    files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    files += [file for file in (folder / BACK / FILE,) if file.is_file()]
    found = {}
    for file in files:
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        found[file.relative_to(folder).as_posix()] = digest
    return found


def check_files(folder: Path, listed: Any) -> None:
    """Whether the files of a model are those that were saved.

    Parameters
    ----------
    listed : what its description says of them; None: it is older, and says nothing.

    Raises
    ------
    ModelError : a file is missing, has changed, or is not one of the model.
    OSError : one cannot be read.
    """
    if listed is None:
        return
    if not isinstance(listed, Mapping):
        raise ModelError(f"{folder / FILE}: {CHECKSUMS}: expected hashes of files by their names")
    found = checksums(folder)
    again = "copy its whole folder again, or train it again"
    if missing := [str(name) for name in listed if name not in found]:
        raise ModelError(
            f"{folder}: the model is not complete: {', '.join(missing)} missing; {again}"
        )
    if strange := [name for name in found if name not in listed]:
        raise ModelError(
            f"{folder}: {', '.join(strange)} cannot be of this model, since {FILE} does not list "
            f"it; {again}"
        )
    if changed := [name for name in found if found[name] != listed[name]]:
        raise ModelError(
            f"{folder}: the model is damaged: {', '.join(changed)}: not what was saved (the "
            f"SHA-256 differs from that in {FILE}); {again}"
        )


def not_valid(folder: Path, values: Mapping[str, Any], lines: list[str]) -> ModelError:
    """The error of a description that this version does not understand.

    Parameters
    ----------
    values : the description, whose provenance may name a newer version.
    lines : what is wrong with it.
    """
    # The package itself imports upper floors: only its version is asked for.
    version = str(importlib.import_module("delineate").__version__)
    told = "\n  ".join(lines)
    provenance = values.get("provenance")
    wrote = str(provenance.get("delineate", "")) if isinstance(provenance, Mapping) else ""
    if _numbers(wrote) > _numbers(version):
        return ModelError(
            f"{folder}: written by delineate {wrote}, this is {version}: update delineate\n  {told}"
        )
    return ModelError(f"{folder / FILE} is not valid:\n  {told}")


def explain(error: ValidationError, known: Mapping[str, Any]) -> list[str]:
    """What is wrong with the entries of a description, a line each.

    Parameters
    ----------
    known : its entries, by name.
    """
    lines = []
    for found in error.errors():
        name = ".".join(map(str, found["loc"]))
        if found["type"] != "extra_forbidden":
            lines.append(f"{name}: {found['msg']}")
        elif len(found["loc"]) == 1:
            lines.append(f"{name}: there is no such entry; expected are {', '.join(known)}")
        else:
            lines.append(f"{name}: there is no such entry")
    return lines


def _numbers(version: str) -> list[int]:
    """``"0.10.2"`` → [0, 10, 2]: what versions are ordered by."""
    return [int(part) for part in re.findall(r"\d+", version)[:3]]

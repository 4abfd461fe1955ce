"""Images that earlier calls left in the folder of a run: which stay, and which stand in the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from delineate.errors import WriteError
from delineate.io import ImageFile
from delineate.io.find import natural_key
from delineate.runs.layout import ROOMS, STATE, read_json
from delineate.runs.tables import failed_row


def finished_images(folder: Path) -> set[str]:
    """Names of the images of which the folder has, or once had, a result."""
    state = folder / STATE / "images"
    known = {file.relative_to(state).as_posix()[:-5] for file in state.rglob("*.json")}
    return known | {e["name"] for e in _listed(folder) if e.get("status") == "done"}


def stays(folder: Path, given: Collection[str]) -> list[dict[str, Any]]:
    """Records of the images of earlier calls that are not among those of this one.

    An image stays as long as its labels or its image are there; one that failed, as long as its
    file is.

    Parameters
    ----------
    given : names of the images of this call.
    """
    found: dict[str, dict[str, Any]] = {}
    state = folder / STATE / "images"
    for file in state.rglob("*.json"):
        name = file.relative_to(state).as_posix()[:-5]
        record = read_json(file)
        if name in given or not isinstance(record, dict) or not _has_result(folder, name):
            continue
        if (state / f"{name}.objects.csv").exists():
            found[name] = record
    for entry in _listed(folder):
        name = entry["name"]
        if entry["status"] == "failed" and name not in given and Path(entry["path"]).exists():
            found[name] = {"input": entry, "row": failed_row(name, str(entry.get("error") or ""))}
    return list(found.values())


def in_order(
    records: Sequence[dict[str, Any]], earlier: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Records of this call and of earlier ones; where there are both, by name."""
    if not earlier:
        return list(records)
    return sorted([*records, *earlier], key=lambda r: natural_key(r["input"]["name"]))


def check_names(folder: Path, images: Sequence[ImageFile], sha256: Callable[[Path], str]) -> None:
    """Whether each result that the folder has under the name of an image is of that image.

    It is where the file is the same, whatever is in it now, or where its content is, wherever the
    file has been moved.

    Parameters
    ----------
    sha256 : tells the hash of a file.

    Raises
    ------
    WriteError : a result is of another image of the same name.
    """
    others = []
    for image in images:
        record = read_json(folder / STATE / "images" / f"{image.name}.json")
        if record is None or record["input"]["path"] == str(image.path.resolve()):
            continue
        try:
            moved = record["input"]["sha256"] == sha256(image.path)
        except OSError:
            moved = False
        if not moved or record["input"].get("scene") != image.scene:
            others.append(record["input"])
    if others:
        more = f" and of {len(others) - 1} more such images" if len(others) > 1 else ""
        raise WriteError(
            f"{folder} holds the result of another {others[0]['name']} ({others[0]['path']}){more}:"
            " choose another folder, or replace all that it holds by --overwrite"
        )


def _has_result(folder: Path, name: str) -> bool:
    return any(
        (folder / room / f"{name}{suffix}").exists()
        for room in ("labels", "results")
        for suffix in ROOMS[room]
    )


def _listed(folder: Path) -> list[dict[str, Any]]:
    """The images in the record of the last call that was finished."""
    run = read_json(folder / "run.json")
    return list(run.get("inputs", ())) if isinstance(run, dict) else []

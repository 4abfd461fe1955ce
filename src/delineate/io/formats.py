"""Which formats there are, by the suffixes of their files."""

from __future__ import annotations

from pathlib import Path

from delineate.errors import ReadError

FORMATS: dict[str, str] = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".btf": "tiff",
    ".tf8": "tiff",
    ".lsm": "tiff",
    ".svs": "tiff",
    ".ndpi": "tiff",
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".npy": "npy",
    ".zarr": "zarr",
    ".czi": "czi",
    ".nd2": "nd2",
    ".lif": "lif",
}
"""Format of each suffix (in small letters) that can be read."""

_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr (by its name or by what is in it)."""
    return path.is_dir() and (
        path.suffix.lower() == ".zarr" or any((path / name).is_file() for name in _ZARR_FILES)
    )


def kind_of(path: Path) -> str:
    """Format of a file by its suffix, or of a folder by what is in it; "" for a plain folder.

    Raises
    ------
    ReadError : a file of a suffix that is not known.
    """
    if path.is_dir():
        return "zarr" if is_zarr(path) else ""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        found = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise ReadError(
            f"{path}: has {found}; files that can be read end in {', '.join(sorted(FORMATS))}"
        )
    return kind


def without_suffix(name: str) -> str:
    """Name of a file without its suffix, both parts of ``.ome.tif`` and ``.ome.zarr`` removed."""
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem or f".{suffix.lower()}" not in FORMATS:
        return name
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem

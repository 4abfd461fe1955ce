"""The folder of a run: results of each image, its record, tables and report; resumable."""

from __future__ import annotations

import csv
import glob
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.errors import LabelError, WriteError
from delineate.io import ImageFile, atomic_path
from delineate.runs.layout import (
    REVIEW,
    ROOMS,
    SCORED,
    STATE,
    TABLES,
    file_sha256,
    file_stamp,
    make_folder,
    read_json,
    remove,
    write_json,
)
from delineate.runs.maps import uncertainty_image, write_maps
from delineate.runs.tables import image_row, most_uncertain_first
from delineate.runs.vectors import VECTORS, write_vectors

if TYPE_CHECKING:
    from delineate.inference.prediction import Prediction
    from delineate.labels import Table
    from delineate.runs.quality import Judge

log = logging.getLogger("delineate")

SCHEMA = 1


@dataclass(frozen=True)
class Outputs:
    """What is written beside labels, tables and report.

    Parameters
    ----------
    maps : maps of the network, to decode them again.
    uncertainty : maps of uncertainty.
    rois : ImageJ ROI zips.
    geojson : GeoJSON for QuPath.
    outlines : outlines as text.
    format : "tif" or "zarr", of the labels.
    """

    maps: bool = False
    uncertainty: bool = False
    rois: bool = False
    geojson: bool = False
    outlines: bool = False
    format: str = "tif"

    @property
    def suffix(self) -> str:
        """Ending of label files."""
        return ".ome.zarr" if self.format == "zarr" else ".tif"


class RunFolder:
    """A run in progress.

    Parameters
    ----------
    folder : where it is written.
    settings : what decides its results; a folder with other settings is refused.
    outputs : what is written.
    overwrite : do away with the results of an earlier run with other settings.

    Raises
    ------
    WriteError : the folder cannot be made, holds a run with other settings, or labels that no run
        wrote.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], outputs: Outputs, overwrite: bool = False
    ) -> None:
        self.folder = folder
        self.outputs = outputs
        self.settings = json.loads(json.dumps({**settings, "outputs": asdict(outputs)}))
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._hashes: dict[Path, tuple[str, str]] = {}
        state = folder / STATE
        record = state / "settings.json"
        earlier = read_json(record)
        if earlier is None and not (folder / "run.json").exists():
            for own in (folder / "labels", folder / "results"):
                if own.is_dir() and any(own.iterdir()):
                    raise WriteError(
                        f"{own} was not written by a run, and is not overwritten: choose another "
                        "folder for the results"
                    )
        elif earlier != self.settings:
            if not overwrite:
                changed = [k for k in self.settings if (earlier or {}).get(k) != self.settings[k]]
                what = (
                    f"with other settings ({', '.join(changed)})"
                    if earlier
                    else "whose settings are unknown"
                )
                raise WriteError(
                    f"{folder} holds a run {what}: choose another folder, or --overwrite"
                )
            self._clear()
        for room in (*ROOMS, STATE):
            for partial in [*(folder / room).rglob(".*.partial*")]:
                remove(partial)  # what a run that was killed was writing
        make_folder(folder)
        write_json(record, self.settings)

    def _clear(self) -> None:
        """Remove the results of the images that the earlier run knows, and its tables."""
        state = self.folder / STATE / "images"
        records = [str(f.relative_to(state).as_posix())[:-5] for f in state.rglob("*.json")]
        run = read_json(self.folder / "run.json") or {}
        names = {*records, *(entry["name"] for entry in run.get("inputs", ()))}
        for name in names:
            for room, suffixes in ROOMS.items():
                for suffix in suffixes:
                    path = self.folder / room / f"{name}{suffix}"
                    frames = f"{glob.escape(path.name.removesuffix(suffix))}-t[0-9]*{suffix}"
                    for file in (path, *path.parent.glob(frames)):
                        remove(file)
        for table in (*TABLES, *REVIEW, *SCORED):
            remove(self.folder / table)
        remove(self.folder / STATE)

    def _state(self, name: str, suffix: str) -> Path:
        return self.folder / STATE / "images" / f"{name}{suffix}"

    def label_file(self, name: str) -> Path:
        """Where the labels of an image are."""
        return self.folder / "labels" / f"{name}{self.outputs.suffix}"

    def _room(self, room: str, file: str) -> Path:
        return self.folder / room / file

    def maps_file(self, name: str) -> Path:
        """Where the maps of an image are."""
        return self.folder / "maps" / f"{name}.zarr"

    def sha256(self, path: Path) -> str:
        """Hash of an input; a file that holds several images is read for it once.

        Raises
        ------
        OSError : it cannot be read.
        """
        stamp = file_stamp(path)
        known = self._hashes.get(path)
        if known is None or known[0] != stamp:
            known = self._hashes[path] = (stamp, file_sha256(path))
        return known[1]

    def done(self, image: ImageFile) -> dict[str, Any] | None:
        """The record of an image that has been finished with these settings and this file."""
        record: dict[str, Any] | None = read_json(self._state(image.name, ".json"))
        if record is None or not image.path.exists():
            return None
        if "files" in record:
            there = all((self.folder / file).exists() for file in record["files"])
        else:  # of an earlier version
            own = f"{image.name}{self.outputs.suffix}"
            there = any((self.folder / room / own).exists() for room in ("labels", "results"))
        if not there or record["input"].get("scene") != image.scene:
            return None
        return record if record["input"]["sha256"] == self.sha256(image.path) else None

    def _written(self, name: str, axes: str) -> list[str]:
        """Results of an image that were asked for, pictures left aside, relative to the folder."""
        found = [
            self.folder / room / f"{name}{suffix}"
            for room, suffixes in ROOMS.items()
            for suffix in suffixes
            if suffix != ".jpg"
        ]
        if "T" in axes:
            for room, suffix in VECTORS.items():
                path = self.folder / room / f"{name}{suffix}"
                found += path.parent.glob(f"{glob.escape(path.stem)}-t[0-9]*{suffix}")
        return sorted(p.relative_to(self.folder).as_posix() for p in found if p.exists())

    def is_finished(self, records: Sequence[dict[str, Any]], judge: Judge | None) -> bool:
        """Whether tables and report of exactly these records, so judged, are there."""
        run = read_json(self.folder / "run.json")
        # A run of images has no table of objects.
        needed = set(TABLES) - (set() if (self.folder / "labels").is_dir() else {"objects.csv"})
        there = all((self.folder / table).exists() for table in needed)
        if not there or run is None or run.get("inputs") != [r["input"] for r in records]:
            return False
        if judge is None or judge.required is None:
            return True  # a score that a review required may stay
        return bool((run.get("quality") or {}).get("required") == judge.required)

    def write(self, image: ImageFile, prediction: Prediction, seconds: float) -> dict[str, Any]:
        """Write all results of an image; its record comes last, when all is in place.

        Raises
        ------
        WriteError : a file cannot be written.
        """
        from delineate.io import write_image, write_table

        name = image.name
        objects = prediction.measure()
        told: dict[str, Any] = {}
        if prediction.result is None:
            told = self._write_labels(name, prediction, objects)
        else:
            self._write_result(name, prediction)
        if self.outputs.uncertainty and (maps := uncertainty_image(prediction)) is not None:
            write_image(self._room("uncertainty", f"{name}.tif"), maps)
        write_table(self._state(name, ".objects.csv"), objects)
        record = {
            "input": {
                **_input(image),
                "sha256": self.sha256(image.path),
                "status": "done",
                "error": None,
                "seconds": round(seconds, 3),
                **told,
            },
            "row": plain(image_row(name, prediction, objects, seconds)),
            "files": self._written(name, prediction.axes),
        }
        write_json(self._state(name, ".json"), record)
        return record

    def _write_labels(self, name: str, prediction: Prediction, objects: Table) -> dict[str, Any]:
        """Labels and classes, their pictures, and what else was asked for of them.

        Returns
        -------
        told : what its record says, where there is something to say: "left_out", formats that
            cannot hold these labels, and why (the network has run, so that the others are written
            all the same); "simplified", by format how many objects it does not hold as they are.
        """
        from delineate.io import write_labels
        from delineate.review.heat import write_heat
        from delineate.review.overlay import write_overlay

        outputs, axes, labels = self.outputs, prediction.axes, prediction.labels
        assert labels is not None and prediction.predictive is not None
        write_labels(self.label_file(name), labels, prediction.image, axes)
        shown, unsure, still = labels, prediction.predictive, prediction.image
        if "T" in axes:
            shown, unsure, still = shown[0], unsure[0], still.select(T=0)
        write_overlay(self.folder / "overlays" / f"{name}.jpg", still, shown)
        write_heat(self.folder / "uncertainty" / f"{name}.jpg", still, shown, unsure)
        if prediction.classes is not None:
            write_labels(
                self._room("classes", f"{name}{outputs.suffix}"),
                prediction.classes,
                prediction.image,
                axes,
            )
        if outputs.maps:
            write_maps(self.maps_file(name), prediction)
        pages = 1 if prediction.image.is_rgb else prediction.image.n_channels
        left_out: dict[str, str] = {}
        simplified: dict[str, int] = {}
        for kind in (kind for kind in VECTORS if getattr(outputs, kind)):
            try:
                lost = write_vectors(
                    self.folder, name, labels, axes, [kind], objects, channels=pages
                )
                if lost:
                    simplified[kind] = lost
            except LabelError as error:
                left_out[kind] = str(error)
                log.warning("%s: without %s: %s", name, kind, error)
        told = {"left_out": left_out, "simplified": simplified}
        return {word: found for word, found in told.items() if found}

    def _write_result(self, name: str, prediction: Prediction) -> None:
        """The image that an image method gave, its pictures, and where it is not to be measured."""
        from delineate.io import write_image, write_labels
        from delineate.review.transformed import write_doubt, write_side_by_side

        result, still = prediction.result, prediction.image
        unsure, doubtful = prediction.predictive, prediction.doubtful
        assert result is not None
        write_image(self._room("results", f"{name}{self.outputs.suffix}"), result)
        if "T" in still.axes:
            result, still = result.select(T=0), still.select(T=0)
            unsure = None if unsure is None else unsure[0]
            doubtful = None if doubtful is None else doubtful[0]
        write_side_by_side(self.folder / "overlays" / f"{name}.jpg", still, result)
        if unsure is not None:
            write_doubt(self.folder / "uncertainty" / f"{name}.jpg", result, unsure, doubtful)
        if prediction.doubtful is not None:
            write_labels(
                self._room("doubtful", f"{name}{self.outputs.suffix}"),
                prediction.doubtful.astype(np.uint8),
                prediction.image,
                prediction.axes,
            )

    def finish(
        self,
        records: Sequence[dict[str, Any]],
        seconds: float,
        facts: dict[str, Any],
        judge: Judge | None = None,
    ) -> None:
        """Write run.json, images.csv, objects.csv and the report from the records of all images."""
        from delineate import __version__
        from delineate.review.report import write_report

        rows = most_uncertain_first([r["row"] for r in records])
        if judge is not None:
            facts = {**facts, "quality": judge.facts(rows)}
            rows = [plain(row) for row in judge.rows(rows)]
        write_json(
            self.folder / "run.json",
            {
                "schema": SCHEMA,
                "delineate": __version__,
                "command": sys.argv,
                "started": self.started,
                "seconds": round(seconds, 2),
                **facts,
                "settings": self.settings,
                "inputs": [r["input"] for r in records],
            },
        )
        write_images(self.folder, rows)
        for table in (
            *REVIEW,
            *SCORED,
        ):  # what was held against truth need not be what is there now
            remove(self.folder / table)
        self._join_objects([r["input"]["name"] for r in records if r["input"]["status"] == "done"])
        write_report(self.folder)

    def _join_objects(self, names: Sequence[str]) -> None:
        """One table of all objects; images whose tables have other columns leave cells empty."""
        columns: dict[str, None] = {"image": None}
        for name in names:
            with self._state(name, ".objects.csv").open(newline="", encoding="utf-8") as file:
                columns.update(dict.fromkeys(next(csv.reader(file), [])))
        if names and not set(columns) - {"image", ""}:  # of images there are no objects, not even 0
            remove(self.folder / "objects.csv")
            return
        with (
            atomic_path(self.folder / "objects.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as out,
        ):
            writer = csv.DictWriter(out, list(columns), restval="")
            writer.writeheader()
            for name in names:
                with self._state(name, ".objects.csv").open(newline="", encoding="utf-8") as file:
                    writer.writerows({"image": name, **row} for row in csv.DictReader(file))

    def failed(self, image: ImageFile, error: str) -> dict[str, Any]:
        """The record of an image that could not be predicted; it is tried again next time."""
        from delineate.runs.tables import failed_row

        return {
            "input": {
                **_input(image),
                "sha256": None,
                "status": "failed",
                "error": error,
                "seconds": 0.0,
            },
            "row": failed_row(image.name, error),
        }


def _input(image: ImageFile) -> dict[str, Any]:
    """What run.json says of where an image is; of files of one image there is no scene."""
    facts: dict[str, Any] = {"name": image.name, "path": str(image.path.resolve())}
    return facts if image.scene is None else {**facts, "scene": image.scene}


def write_images(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write images.csv; cells that a row lacks are empty.

    Raises
    ------
    WriteError : it cannot be written.
    """
    fullest_first = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(k for row in fullest_first for k in row))
    with (
        atomic_path(folder / "images.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people and JSON: six digits of a number, NaN becomes an empty cell."""
    return {
        k: v if not isinstance(v, float) else float(f"{v:.6g}") if v == v else ""
        for k, v in row.items()
    }

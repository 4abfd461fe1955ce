"""The folder of a run: the record of each image, tables and report; resumable."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delineate.errors import WriteError
from delineate.io import ImageFile
from delineate.runs.earlier import check_names, finished_images, stays
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
from delineate.runs.outputs import Outputs, write_outputs
from delineate.runs.tables import (
    failed_row,
    image_row,
    join_objects,
    most_uncertain_first,
    plain,
    write_images,
)
from delineate.runs.vectors import VECTORS

if TYPE_CHECKING:
    from delineate.inference.prediction import Prediction
    from delineate.runs.quality import Judge

SCHEMA = 1


class RunFolder:
    """A run in progress.

    Its caller keeps other processes from writing there meanwhile (`delineate.runs.lock.writing`);
    so the half files that it finds are of processes that were killed.

    Parameters
    ----------
    folder : where it is written.
    settings : what decides its results; a folder with results of other settings is refused.
    outputs : what is written.
    overwrite : do away with the results of an earlier run with other settings, or of other images
        of the same names.

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
        self.overwrite = overwrite
        self.settings = json.loads(json.dumps({**settings, "outputs": asdict(outputs)}))
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._hashes: dict[Path, tuple[str, str]] = {}
        state = folder / STATE
        record = state / "settings.json"
        earlier = read_json(record)
        if earlier is None and not (folder / "run.json").exists():
            self._refuse_foreign()
        elif earlier != self.settings and not finished_images(folder):
            self._refuse_foreign()
            for table in (*TABLES, *REVIEW, *SCORED, STATE):
                remove(folder / table)
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

    def _refuse_foreign(self) -> None:
        """Raise where there are labels or images that no run wrote."""
        for own in (self.folder / "labels", self.folder / "results"):
            if own.is_dir() and any(own.iterdir()):
                raise WriteError(
                    f"{own} was not written by a run, and is not overwritten: choose another "
                    "folder for the results"
                )

    def take(self, images: Sequence[ImageFile]) -> list[dict[str, Any]]:
        """Records of the images of earlier calls that stay beside those of this one.

        Raises
        ------
        WriteError : the folder holds the result of another image of the same name.
        """
        try:
            check_names(self.folder, images, self.sha256)
        except WriteError:
            if not self.overwrite:
                raise
            self._clear()
            write_json(self.folder / STATE / "settings.json", self.settings)
        return stays(self.folder, {image.name for image in images})

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
        """The record of an image that has been finished with these settings and this file.

        Of a file that was moved since, the record says from now on where it is.
        """
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
        if record["input"]["sha256"] != self.sha256(image.path):
            return None
        if record["input"]["path"] != (path := str(image.path.resolve())):
            record["input"]["path"] = path
            write_json(self._state(image.name, ".json"), record)
        return record

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
        return judge is None or judge.judged_so(run.get("quality"))

    def write(self, image: ImageFile, prediction: Prediction, seconds: float) -> dict[str, Any]:
        """Write all results of an image; its record comes last, when all is in place.

        Raises
        ------
        WriteError : a file cannot be written.
        """
        from delineate.io import write_table

        name = image.name
        objects = prediction.measure()
        told = write_outputs(self.folder, name, prediction, self.outputs, objects)
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
        # What was held against truth need not be what is there now.
        for table in (*REVIEW, *SCORED):
            remove(self.folder / table)
        names = [r["input"]["name"] for r in records if r["input"]["status"] == "done"]
        parts = [(name, self._state(name, ".objects.csv")) for name in names]
        join_objects(self.folder / "objects.csv", parts)
        write_report(self.folder)

    def failed(self, image: ImageFile, error: str) -> dict[str, Any]:
        """The record of an image that could not be predicted; it is tried again next time."""
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

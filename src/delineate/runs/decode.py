"""Decode the maps of an earlier run again, with other parameters."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from delineate.errors import ModelError, ReadError, WriteError
from delineate.inference.decode import decode_posterior
from delineate.inference.prediction import Prediction
from delineate.inference.runner import Progress
from delineate.inference.seen import at_times, seen_part
from delineate.io import ImageFile, read
from delineate.methods.base import Method
from delineate.recipe import Recipe
from delineate.runs.folder import RunFolder
from delineate.runs.lock import writing
from delineate.runs.maps import read_maps
from delineate.runs.outputs import Outputs
from delineate.runs.predict import Listener, Summary, run_all
from delineate.runs.quality import NO_REFERENCE, Judge, decoded_otherwise

log = logging.getLogger("delineate")


def decode_folder(
    run: str | Path,
    out: str | Path,
    decoding: dict[str, Any],
    outputs: Outputs | None = None,
    *,
    overwrite: bool = False,
    allow_imports: bool = False,
    listener: Listener | None = None,
) -> Summary:
    """Decode the maps of a run with other parameters and write a run folder of its own.

    Parameters
    ----------
    run : folder that `predict` with kept maps wrote.
    decoding : parameters of the method, such as ``{"threshold": 0.7}``; the others stay.
    allow_imports : whether a method from outside the package may be imported.

    Raises
    ------
    ReadError : the run has no maps. An image whose maps are missing, or that has changed since, is
        recorded with its error, and the others are decoded.
    ModelError : a parameter is unknown or invalid.
    WriteError : `out` holds a run with other settings, or another process is writing there.
    """
    run, outputs = Path(run), outputs or Outputs()
    if Path(out).resolve() == run.resolve():
        raise WriteError(f"{run}: the run itself cannot receive the new results; choose another -o")
    record_file = run / "run.json"
    if not record_file.exists() or not (run / "maps").is_dir():
        raise ReadError(f"{run}: no maps of a run here; predict again with --keep-maps")
    record = json.loads(record_file.read_text(encoding="utf-8"))
    recipe = Recipe.build(record["recipe"], allow_imports=allow_imports)
    method: Method = recipe.method
    before = record["settings"].get("decoding", {})
    if "temperature" in decoding:
        raise ModelError("temperature: it is in the maps already; predict again to change it")
    try:
        method = type(method).model_validate({**method.model_dump(), **before, **decoding})
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{first['loc'][0]}: {first['msg']}") from error
    done = {i["name"]: i for i in record["inputs"] if i["status"] == "done"}
    files = [ImageFile(Path(i["path"]), name, i.get("scene")) for name, i in done.items()]
    settings = record["settings"]
    asked = {k: settings[k] for k in ("channels", "planes") if settings.get(k) is not None}
    chosen = {k: tuple(v) for k, v in asked.items()}
    decisive = {**settings, "decoding": {**before, **decoding}}

    def predict(image: ImageFile, _: Progress | None) -> Prediction:
        kept = read_maps(run / "maps" / f"{image.name}.zarr", method)
        whole = read(image.path, axes=settings.get("axes"), scene=image.scene)
        pixels = at_times(whole, settings.get("times"))
        if folder.sha256(image.path) != done[image.name]["sha256"]:
            raise ReadError(
                f"{image.path}: has changed since it was predicted, its maps are of other pixels; "
                "run the same `delineate predict … --keep-maps` again"
            )
        # A 2D model leaves no Z of a single plane.
        ndim = kept.posterior.maps.ndim - 1 - ("T" in pixels.axes)
        data = recipe.data.model_copy(update={"ndim": ndim, **chosen})
        prediction = decode_posterior(
            kept.posterior, seen_part(pixels, data), method, keep_spread=outputs.uncertainty
        )
        return replace(prediction, diameter=kept.diameter, novelty=kept.novelty)

    facts = {k: record[k] for k in ("model", "recipe", "seed")} | {"truth": method.truth}
    with writing(Path(out)):
        folder = RunFolder(Path(out), decisive, outputs, overwrite)
        changed = decoded_otherwise(recipe.method, folder.settings["decoding"])
        return run_all(folder, files, predict, facts, listener, _judge(record, changed))


def _judge(record: dict[str, Any], changed: str) -> Judge | None:
    """Judges as the run that kept the maps was judged; None where its model had no reference, or
    one whose images were decoded otherwise."""
    quality = record.get("quality")
    if not quality:
        return None
    if changed:
        log.warning("%s", NO_REFERENCE.format(changed))
        return None
    return Judge.of_run(quality, int(record["seed"]))

"""Decode the maps of an earlier run again, with other parameters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from delineate.errors import ModelError, ReadError, WriteError
from delineate.inference.decode import decode_posterior
from delineate.inference.posterior import Posterior
from delineate.inference.prediction import Prediction
from delineate.inference.runner import Progress
from delineate.io import ImageFile, read
from delineate.methods.base import Method
from delineate.recipe import Recipe
from delineate.runs.outputs import Outputs, RunFolder
from delineate.runs.predict import Listener, Summary, run_all
from delineate.runs.quality import Judge
from delineate.uncertainty import Reference


def decode_folder(
    run: str | Path,
    out: str | Path,
    decoding: dict[str, Any],
    outputs: Outputs | None = None,
    *,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Summary:
    """Decode the maps of a run with other parameters and write a run folder of its own.

    Parameters
    ----------
    run : folder that `predict` with kept maps wrote.
    decoding : parameters of the method, such as ``{"threshold": 0.7}``; the others stay.

    Raises
    ------
    ReadError : the run has no maps.
    ModelError : a parameter is unknown or invalid.
    WriteError : `out` holds a run with other settings.
    """
    run, outputs = Path(run), outputs or Outputs()
    if Path(out).resolve() == run.resolve():
        raise WriteError(f"{run}: the run itself cannot receive the new results; choose another -o")
    record_file = run / "run.json"
    if not record_file.exists() or not (run / "maps").is_dir():
        raise ReadError(f"{run}: no maps of a run here; predict again with --keep-maps")
    record = json.loads(record_file.read_text(encoding="utf-8"))
    method: Method = Recipe.build(record["recipe"]).method
    before = record["settings"].get("decoding", {})
    if "temperature" in decoding:
        raise ModelError("temperature: it is in the maps already; predict again to change it")
    try:
        method = type(method).model_validate({**method.model_dump(), **before, **decoding})
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{first['loc'][0]}: {first['msg']}") from error
    files = [
        ImageFile(Path(i["path"]), i["name"]) for i in record["inputs"] if i["status"] == "done"
    ]
    folder = RunFolder(
        Path(out),
        {**record["settings"], "decoding": {**before, **decoding}},
        outputs,
        overwrite,
    )

    def predict(image: ImageFile, _: Progress | None) -> Prediction:
        import zarr

        stored = zarr.open_array(str(run / "maps" / f"{image.name}.zarr"), mode="r")
        kept = np.asarray(stored[...])
        draws = int(stored.attrs.get("draws", 1))
        maps, spread = (kept[:-2], kept[-2:]) if draws > 1 else (kept, None)
        axes = record["settings"].get("axes")
        # Maps of earlier versions do not say it; of flows the number of channels does.
        by_plane = stored.attrs.get("by_plane")
        if by_plane is None:
            by_plane = "Z" in str(stored.attrs["axes"]) and len(maps) == method.out_channels(2)
        posterior = Posterior(maps, spread, draws, by_plane=bool(by_plane))
        prediction = decode_posterior(
            posterior, read(image.path, axes=axes), method, keep_spread=outputs.uncertainty
        )
        used, novelty = stored.attrs.get("diameter"), stored.attrs.get("novelty")
        return replace(
            prediction,
            diameter=float(used) if isinstance(used, int | float) else None,
            novelty=float(novelty) if isinstance(novelty, int | float) else np.nan,
        )

    facts = {k: record[k] for k in ("model", "recipe", "seed")}
    return run_all(folder, files, predict, facts, listener, _judge(record))


def _judge(record: dict[str, Any]) -> Judge | None:
    """Judges as the run that kept the maps was judged; None where its model had no reference."""
    quality = record.get("quality")
    if not quality:
        return None
    return Judge(Reference.from_dict(quality), quality.get("required"), int(record["seed"]))

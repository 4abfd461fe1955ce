"""`delineate decode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from delineate.cli.predict import conclude
from delineate.cli.progress import RunProgress


def decode(
    run: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    threshold: float | None = None,
    flow_threshold: float | None = None,
    min_size: int | None = None,
    rois: bool = False,
    geojson: bool = False,
    outlines: bool = False,
    overwrite: bool = False,
    allow_imports: bool = False,
) -> int:
    """Decode the maps that `predict --keep-maps` kept, with other thresholds, without the network.

        delineate predict images -o out --keep-maps
        delineate decode out -o stricter --threshold 0.7

    Parameters
    ----------
    run
        Folder of a run with maps.
    out
        Folder for the new results.
    threshold
        Probability above which a pixel is inside an object.
    flow_threshold
        Objects whose flow error is larger are dropped; higher keeps more.
    min_size
        Objects of fewer pixels are dropped.
    rois
        Also write an ImageJ ROI zip for each image.
    geojson
        Also write GeoJSON for QuPath.
    outlines
        Also write outlines as text.
    overwrite
        Replace the results of an earlier run with other settings.
    allow_imports
        Import the method that the run's model names, from outside the package.
    """
    from delineate.runs.decode import decode_folder
    from delineate.runs.outputs import Outputs

    values: dict[str, Any] = {
        "threshold": threshold,
        "flow_threshold": flow_threshold,
        "min_size": min_size,
    }
    decoding = {k: v for k, v in values.items() if v is not None}
    with RunProgress("decoding") as progress:
        summary = decode_folder(
            run,
            out,
            decoding,
            Outputs(rois=rois, geojson=geojson, outlines=outlines),
            overwrite=overwrite,
            allow_imports=allow_imports,
            listener=progress,
        )
    return conclude(summary, out)

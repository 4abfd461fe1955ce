"""Maps that a run keeps: those of the network, to decode them again, and of the uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.image import Image
from delineate.inference.posterior import Posterior
from delineate.io import atomic_path
from delineate.methods.base import Method

if TYPE_CHECKING:
    from delineate.inference.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Kept:
    """What was kept of an image: its posterior, the diameter used and the novelty found."""

    posterior: Posterior
    diameter: float | None
    novelty: float


def write_maps(path: Path, prediction: Prediction) -> None:
    """Write the maps of a prediction that kept its posterior, and their spread after them.

    Raises
    ------
    WriteError : they cannot be written.
    """
    import zarr

    posterior = prediction.posterior
    assert posterior is not None
    n, shape = len(posterior.maps), posterior.maps.shape[1:]
    with atomic_path(path) as temporary:
        array = zarr.create_array(
            str(temporary),
            shape=(n + (0 if posterior.spread is None else len(posterior.spread)), *shape),
            dtype="float32",
            chunks=tuple(min(k, 512) for k in (n, *shape)),
        )
        array[:n] = posterior.maps
        if posterior.spread is not None:
            array[n:] = posterior.spread
        array.attrs.update(
            {
                "axes": "C" + prediction.axes,
                "diameter": prediction.diameter,
                "draws": posterior.draws,
                "by_plane": posterior.by_plane,
                "novelty": None if np.isnan(prediction.novelty) else prediction.novelty,
            }
        )


def read_maps(path: Path, method: Method) -> Kept:
    """Read what `write_maps` wrote.

    Parameters
    ----------
    path : ``RUN/maps/NAME.zarr``.
    method : of the model, whose number of maps tells how those of earlier versions were made.

    Raises
    ------
    ReadError : the maps are missing or damaged.
    """
    import zarr

    again = "run the same `delineate predict … --keep-maps` again, it makes what is missing"
    if not path.exists():
        raise ReadError(f"{path}: the maps of this image are missing; {again}")
    try:
        stored = zarr.open_array(str(path), mode="r")
        kept = np.asarray(stored[...])
    except MemoryError:
        raise
    except Exception as error:
        raise ReadError(
            f"{path}: these maps are damaged ({type(error).__name__}: {error}); remove them and "
            f"{again}"
        ) from error
    draws = stored.attrs.get("draws", 1)
    draws = int(draws) if isinstance(draws, int | float) else 1
    moments = method.n_moments if draws > 1 else 0
    maps, spread = (kept[:-moments], kept[-moments:]) if moments else (kept, None)
    # Maps of earlier versions do not say it; of flows the number of channels does.
    by_plane = stored.attrs.get("by_plane")
    if by_plane is None:
        by_plane = "Z" in str(stored.attrs["axes"]) and len(maps) == method.out_channels(2)
    used, novelty = stored.attrs.get("diameter"), stored.attrs.get("novelty")
    return Kept(
        Posterior(maps, spread, draws, by_plane=bool(by_plane)),
        float(used) if isinstance(used, int | float) else None,
        float(novelty) if isinstance(novelty, int | float) else np.nan,
    )


def uncertainty_image(prediction: Prediction) -> Image | None:
    """The maps of uncertainty as channels, float32 variances; None where none is known.

    Those of classes are in 0…0.25 and never rescaled, with entropy and mutual information in nats
    after them. Those of an image are in its units squared, three for each of its channels.
    """
    channels: dict[str, NDArray[np.float32]] = {}
    spreads = prediction.channel_spread
    if prediction.spread is not None:
        spreads = (prediction.spread,)
    for number, spread in enumerate(spreads):
        end = f" {number}" if len(spreads) > 1 else ""
        maps = {"predictive": spread.predictive, **spread.fields()}
        channels |= {f"{name.replace('_', ' ')}{end}": values for name, values in maps.items()}
    if not channels:
        return None
    axis = 1 if "T" in prediction.axes else 0
    axes = prediction.axes[:axis] + "C" + prediction.axes[axis:]
    return Image(
        np.stack(list(channels.values()), axis=axis),
        axes,
        channels=tuple(channels),
        pixel_size=prediction.image.pixel_size,
        unit=prediction.image.unit,
        frame_interval=prediction.image.frame_interval,
    )


def cycle_image(prediction: Prediction) -> Image | None:
    """How far the way back misses each pixel, in normalised intensities; None if there is none."""
    if prediction.cycle is None:
        return None
    image = prediction.image
    sizes = {a: size for a, size in image.pixel_size.items() if a in prediction.axes}
    interval = image.frame_interval if "T" in prediction.axes else None
    return Image(prediction.cycle, prediction.axes, sizes, image.unit, frame_interval=interval)

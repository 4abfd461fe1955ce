"""`delineate info`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from delineate.cli.axes import axes_help
from delineate.errors import DelineateError, to_install
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.data.normalise import Normalise
    from delineate.model import Description, Model, Target


def info(
    what: str | None = None,
    /,
    *,
    axes: Annotated[str | None, Parameter(help=axes_help())] = None,
    allow_imports: bool = False,
) -> int:
    """Tell what is in an image, a label file or a model; without an argument, this installation.

        delineate info
        delineate info cells.ome.tif
        delineate info nuclei
        delineate info runs/mine/model
        delineate info out

    Parameters
    ----------
    what
        A file, a zarr, the folder of a model or of a run, or the name of a model of the package.
    allow_imports
        Import what a model names (network, method, regime) from outside the package.
    """
    from delineate.model import FILE, packaged_models

    if what is None:
        _installation()
    elif what in packaged_models() or (Path(what) / FILE).exists():
        _model(what, allow_imports)
    elif (Path(what) / "run.json").exists():
        _run(Path(what))
    elif not Path(what).exists():
        raise DelineateError(
            f"{what}: no such file or folder, nor a model of the package "
            f"({', '.join(packaged_models()) or 'none'})"
        )
    else:
        _image(Path(what), axes)
    return 0


def _row(name: str, value: object) -> None:
    print(f"{name:<22}{value}")


def _installation() -> None:
    import platform

    import torch

    from delineate import __version__
    from delineate.inference.device import has_fast_bf16, resolve_device
    from delineate.model import packaged_models
    from delineate.recipe import packaged_recipes

    device = resolve_device("auto")
    _row("delineate", __version__)
    _row("python", f"{platform.python_version()} on {platform.platform()}")
    _row("torch", torch.__version__)
    _row("device", device)
    if device.type == "cuda":
        _row("gpu", torch.cuda.get_device_name(device))
    _row("threads", torch.get_num_threads())
    _row("precision", "bf16" if has_fast_bf16(device) else "fp32")
    _row("models", ", ".join(packaged_models()) or "none")
    _row("recipes", ", ".join(packaged_recipes()) or "none")
    for module, suffix in (("pylibCZIrw", "CZI"), ("nd2", "ND2"), ("liffile", "LIF")):
        from importlib.util import find_spec

        known = "read" if find_spec(module) else f"not read: {to_install('formats')}"
        _row(f"{suffix} files", known)


def _model(name: str, allow_imports: bool) -> None:
    from delineate.model import load

    model = load(name, allow_imports=allow_imports)
    about = model.description
    _row("model", model.name)
    _row("for", model.recipe.description)
    _row("method", model.recipe.method.title)
    channels = plural(about.in_channels, "channel")
    _row("network", f"{model.recipe.network.name}, {about.ndim}D, {channels}")
    if (planes := model.recipe.data.planes) is not None:
        as_channels = ", which are its channels" if model.recipe.data.z_channels else ""
        _row("planes of stacks", f"{', '.join(map(str, planes))} (from 0){as_channels}")
    _row("members", len(model.members))
    if about.diameter:
        _row("diameter", f"{about.diameter:g} pixels at the scale of the network")
    if model.scale is not None:
        _row("knows the scale", f"yes (correlation {model.scale.correlation:.3f})")
    for name, value in (*_of_images(model), *_of_validation(about)):
        _row(name, value)
    of_images = model.recipe.method.truth == "image"
    for key, value in about.provenance.items():
        if value is not None and not (of_images and key in _OF_OBJECTS):
            _row(key.replace("_", " "), value)
    _row("sha256", model.sha256())
    print()
    print(model.card)


_OF_OBJECTS = ("training_objects", "median_diameter")


def _of_images(model: Model) -> Iterator[tuple[str, str]]:
    """What to know of a model that makes images, and of the way back where there is one."""
    recipe, target = model.recipe, model.description.target
    yield "images normalised by", _rule(recipe.normalise)
    if target is not None:
        rule = recipe.normalise_target
        yield "targets normalised by", "the map of their image" if rule is None else _rule(rule)
        named = f": {', '.join(target.channels)}" if target.channels else ""
        yield "results", f"{plural(getattr(recipe.method, 'channels', 1), 'channel')}{named}"
        own = target.intensity() is not None
        yield "units of results", f"those of {'the training targets' if own else 'the image'}"
        if target.dtype:
            yield "type of targets", target.dtype
        if target.doubt is not None:
            yield "doubtful pixels", _doubt(target)
    if model.back is not None:
        channels = getattr(model.back.recipe.method, "channels", model.description.in_channels)
        yield "way back", f"yes, to the {plural(channels, 'channel')} of the image"


def _rule(rule: Normalise) -> str:
    """A normalisation in words."""
    if rule.kind in ("percentile", "range"):
        values = f"{rule.kind} {rule.low:g} to {rule.high:g}"
        onto = f" onto {rule.onto[0]:g} to {rule.onto[1]:g}" if rule.onto != (0, 1) else ""
        return f"{values}{onto}{', clipped' if rule.clip else ''}"
    return f"{rule.kind} (to the scale of their image)" if rule.relative else rule.kind


def _doubt(target: Target) -> str:
    """From which standard deviation on pixels are marked, where units allow in these."""
    deviation = target.doubt**0.5 if target.doubt is not None else 0.0
    told = f"above ± {deviation:.3g} of the normalised intensity"
    if target.scale is None:
        return told
    units = ", ".join(f"{abs(scale) * deviation:.3g}" for scale in target.scale)
    return f"{told} (± {units} in the units of results)"


def _of_validation(about: Description) -> Iterator[tuple[str, str]]:
    """The scores of the images that were left out; means over the members."""
    from delineate.review.run_trust import metric_name

    told = []
    for key in dict.fromkeys(key for scores in about.scores for key in scores):
        values = [scores[key] for scores in about.scores if key in scores]
        start, _, name = key.partition("_")
        if start == "val":
            unit = " dB" if name.endswith("psnr") else ""
            told.append(f"{metric_name(name)} {sum(values) / len(values):.4g}{unit}")
    if told:
        several = f" (means of {len(about.scores)} members)" if len(about.scores) > 1 else ""
        yield "validation", ", ".join(told) + several


def _run(folder: Path) -> None:
    from delineate.review.run_folder import read_run

    run = read_run(folder)
    _row("run", folder)
    _row("model", run.model)
    _row("images", f"{len(run.done)} done, {len(run.failed)} failed")
    if any(image.objects >= 0 for image in run.done):
        _row("objects", run.objects)
    for image in run.failed:
        _row("failed", f"{image.name}: {image.error}")
    _row("report", folder / "report.html")


def _image(path: Path, axes: str | None) -> None:
    import numpy as np

    from delineate.io import read, scenes

    image = read(path, axes=axes)
    _row("file", path)
    _row("axes", ", ".join(f"{a} {n}" for a, n in image.sizes.items()))
    _row("type", image.dtype)
    if image.channels:
        _row("channels", ", ".join(image.channels))
    for axis, size in image.pixel_size.items():
        _row(f"pixel size {axis}", f"{size:g} {image.unit}")
    if image.frame_interval is not None:
        _row("time between frames", f"{image.frame_interval:g} s")
    names = scenes(path)
    if len(names) > 1:
        _row("scenes", ", ".join(map(str, names)))
    if image.dtype.kind == "f" or np.prod(image.shape, dtype=float) <= 4e8:
        pixels = image.numpy()
        if not pixels.size:
            raise DelineateError(f"{path}: there are no pixels")
        _row("intensities", f"{pixels.min()} … {pixels.max()}, mean {pixels.mean():.4g}")
        if pixels.dtype.kind in "ui" and image.n_channels == 1:
            _row("if it holds labels", plural(int(np.count_nonzero(np.unique(pixels))), "object"))

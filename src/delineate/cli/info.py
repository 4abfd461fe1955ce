"""`delineate info`."""

from __future__ import annotations

from pathlib import Path

from delineate.errors import DelineateError, to_install


def info(what: str | None = None, /, *, axes: str | None = None) -> int:
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
    axes
        Axes of a file that does not say.
    """
    from delineate.model import FILE, packaged_models

    if what is None:
        _installation()
    elif what in packaged_models() or (Path(what) / FILE).exists():
        _model(what)
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
    from delineate.inference.runner import has_fast_bf16, resolve_device
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


def _model(name: str) -> None:
    from delineate.model import load

    model = load(name)
    about = model.description
    _row("model", model.name)
    _row("for", model.recipe.description)
    _row("method", model.recipe.method.name)
    _row("network", f"{model.recipe.network.name}, {about.ndim}D, {about.in_channels} channels")
    _row("members", len(model.members))
    if about.diameter:
        _row("diameter", f"{about.diameter:g} pixels at the scale of the network")
    if model.scale is not None:
        _row("knows the scale", f"yes (correlation {model.scale.correlation:.3f})")
    for key, value in about.provenance.items():
        _row(key.replace("_", " "), value)
    _row("sha256", model.sha256())
    print()
    print(model.card)


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
            _row("if it holds labels", f"{np.count_nonzero(np.unique(pixels))} objects")

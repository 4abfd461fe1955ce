"""The learning-rate finder: how the loss answers to a rate that grows from step to step."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from delineate.data.augment import Augment
from delineate.data.patches import Patches
from delineate.data.samples import Sample
from delineate.inference.device import channels_last, resolve_device, resolve_precision
from delineate.methods.base import Method
from delineate.training.callbacks import Progress
from delineate.training.fit import check_options
from delineate.training.options import TrainOptions
from delineate.training.precision import sound_precision
from delineate.training.work import Loader

LOWEST, HIGHEST = 1e-6, 1.0
WORSE = 4.0
"""The search ends where the loss is so many times its best: higher rates only do worse."""


class Rates(NamedTuple):
    """Loss against learning rate.

    Parameters
    ----------
    rates, losses : float64 (steps,), the rate of each step and the loss before it was taken.
    smooth : float64 (steps,), the losses smoothed.
    suggested : a largest rate for the training; None where none can be told.
    why : why there is none; "" where there is one.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smooth: NDArray[np.float64]
    suggested: float | None
    why: str = ""

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``rates.csv`` and ``rates.png``; returns their paths."""
        from matplotlib.figure import Figure

        from delineate.io import atomic_path

        table, picture = folder / "rates.csv", folder / "rates.png"
        with atomic_path(table) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "learning_rate", "loss", "smoothed"])
            writer.writerows(zip(range(1, len(self.rates) + 1), *self[:3], strict=True))
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color="#b9c4d0", linewidth=1, label="loss")
        axes.plot(self.rates, self.smooth, color="#1766b5", linewidth=2, label="smoothed")
        if self.suggested is None:
            axes.set_title(f"no rate is suggested: {self.why}", fontsize=8, loc="left")
        else:
            text = f"suggested {self.suggested:.2g}"
            axes.axvline(self.suggested, color="#d55e00", linewidth=1.5, label=text)
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        if len(self.smooth):
            low = float(self.smooth.min())
            high = float(self.smooth[: max(1, len(self.smooth) // 3)].max())
            room = 0.1 * (high - low) + 1e-6
            axes.set_ylim(low - room, high + 5 * room)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        with atomic_path(picture) as temporary:
            figure.savefig(temporary, dpi=130, format="png")
        return table, picture


def find_rate(
    network: nn.Module,
    method: Method,
    train: Sequence[Sample],
    options: TrainOptions,
    augment: Augment,
    *,
    ndim: int,
    seed: int,
    steps: int = 100,
    tell: Callable[[Progress], None] | None = None,
) -> Rates:
    """Train a copy of a network with a rate that grows geometrically, and note the losses.

    The learning-rate range test of Smith 2017 ("Cyclical learning rates", §3.3). The suggestion is
    the rate at which the smoothed loss falls most steeply before its minimum. Neither the network
    nor the random numbers that a training draws afterwards are touched.

    Parameters
    ----------
    network : with the weights that training is to start from.
    train, options, augment, ndim, seed : as for `fit`.
    steps : from `LOWEST` to `HIGHEST`; fewer are taken where the loss explodes before.
    tell : called after every step.

    Raises
    ------
    ModelError : the device is not usable here.
    """
    check_options(options)
    options = sound_precision(options, network, ndim)
    device = resolve_device(options.device)
    dtype = resolve_precision(options.precision, device)
    placing = options.placing(method.truth)
    patches = Patches(
        train,
        method,
        augment,
        options.patch_shape(ndim),
        steps * options.batch,
        seed,
        placing.share,
        placing.centres,
    )
    memory = channels_last(ndim)
    trial = copy.deepcopy(network).to(device, memory_format=memory).train()  # type: ignore[call-overload]
    optimiser = options.optimiser(trial.parameters(), steps)["optimizer"]
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    losses: list[float] = []
    started = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for rate, batch in zip(rates, Loader(patches, options.batch), strict=True):
            image, targets, valid, _ = (t.to(device) for t in batch)
            for group in optimiser.param_groups:
                group["lr"] = float(rate)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                output = trial(image.contiguous(memory_format=memory))
                loss: Any = method.loss(output, targets, valid)
            value = float(loss.detach())
            if not math.isfinite(value) or value > WORSE * min([*losses, math.inf]):
                break
            losses.append(value)
            optimiser.zero_grad()
            loss.backward()
            if options.clip is not None:
                nn.utils.clip_grad_norm_(trial.parameters(), options.clip)
            optimiser.step()
            if tell:
                speed = len(losses) * options.batch / (time.perf_counter() - started)
                tell(Progress(len(losses), steps, value, speed, {}))
    return read_rates(rates[: len(losses)], np.array(losses))


def read_rates(rates: NDArray[np.float64], losses: NDArray[np.float64]) -> Rates:
    """Smooth the losses, by a Gaussian over steps, and find where they fall most steeply.

    Nothing is suggested where that is at the lowest rates, within two widths of the Gaussian:
    there a loss falls by chance, or by the statistics of norms, and no rate made it fall.
    """
    from scipy.ndimage import gaussian_filter1d

    if len(losses) < 4:
        return Rates(rates, losses, losses, None, "the loss exploded within four steps")
    width = max(1.0, len(losses) / 30)
    smooth = gaussian_filter1d(losses, width, mode="nearest")
    best = int(smooth.argmin())
    if best < 2 or smooth[best] > 0.98 * smooth[:3].mean():
        return Rates(rates, losses, smooth, None, "the loss fell at no rate")
    steepest = int(np.gradient(smooth, np.log(rates))[: best + 1].argmin())
    if steepest <= 2 * width:
        why = "the loss fell most steeply at the lowest rates, before any could make it fall"
        return Rates(rates, losses, smooth, None, why)
    return Rates(rates, losses, smooth, float(rates[steepest]))

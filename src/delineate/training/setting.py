"""What a regime is given to train with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import nn

    from delineate.data.samples import Sample
    from delineate.methods.base import Method
    from delineate.networks import NetworkOptions
    from delineate.training.options import TrainOptions


class Setting(NamedTuple):
    """Network, method and images of a training.

    Parameters
    ----------
    network : from images to the output that `method` takes, with its first weights.
    method : loss, maps and scores.
    options : optimiser and schedule.
    total : optimiser steps of the whole training.
    samples : images to validate on.
    ndim : spatial axes.
    in_channels : channels of the images that the network takes.
    build : further networks with fresh weights, from their options, channels in and channels out;
        None for the options: those of `network`.
    start_back : gives the network of a way back its first weights; None: it keeps its fresh ones.
    """

    network: nn.Module
    method: Method
    options: TrainOptions
    total: int
    samples: Sequence[Sample]
    ndim: int
    in_channels: int
    build: Callable[[NetworkOptions | None, int, int], nn.Module]
    start_back: Callable[[nn.Module], None] | None = None

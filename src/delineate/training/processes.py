"""Several processes that train one model: who does what, and which share of the work is whose."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import chain, zip_longest
from typing import Any, NamedTuple, TypeVar

import torch
from torch import distributed
from torch.utils.data import Sampler

from delineate.errors import DelineateError, ModelError, RecipeError
from delineate.training.options import TrainOptions

T = TypeVar("T")
Work = Callable[[Callable[[Any], None]], None]
"""What each process does; it is given a function that takes what is to be told."""

PATIENCE = timedelta(hours=24)
"""So long processes wait for each other: the first prepares images, and saves, alone."""


class Place(NamedTuple):
    """This process among those that train together: the `rank`-th of `size`."""

    rank: int
    size: int


def place() -> Place:
    """Where this process stands; it is the only one before they have found each other."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Place(0, 1)
    return Place(distributed.get_rank(), distributed.get_world_size())


def started_outside() -> bool:
    """Whether torchrun or SLURM's srun started this process as one of several."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return True
    return "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1


@contextlib.contextmanager
def together(options: TrainOptions) -> Iterator[bool]:
    """Let the first process that runs a command do it, while the others help it to train.

    Yields
    ------
    Whether this is the first; elsewhere, once the first is done, False. A process that was started
    alone is the first.

    Raises
    ------
    RecipeError : there are more or fewer processes than the recipe says, or there should be some on
        several machines and nothing started them there.
    DelineateError : the first one ended before its work was done.
    """
    _meet(options)
    rank, size = place()
    if rank:
        while (work := _told(None)) is not None:
            work(_silent)
        yield False
        return
    yield True
    if size > 1:
        _told(None)


def share(work: Work) -> None:
    """Hand work to the processes that help, each of which begins it now."""
    if place().size > 1:
        _told(work)


def _told(work: Work | None) -> Work | None:
    """What the first process gives the others to do; None: nothing more."""
    said: list[Work | None] = [work]
    try:
        distributed.broadcast_object_list(said, 0)
    except RuntimeError as error:
        raise DelineateError(
            "another process of this training has ended; what it printed says why"
        ) from error
    return said[0]


def _silent(message: Any) -> None:
    """The first process alone tells how it goes."""


def _meet(options: TrainOptions) -> None:
    wanted = options.processes * options.nodes
    if not started_outside():
        if options.nodes > 1:
            raise RecipeError(
                f"train.nodes is {options.nodes}: start the command on every machine, by torchrun "
                "or srun"
            )
        return
    environment = _environment()
    found = environment.world_size()
    if found != wanted:
        raise RecipeError(
            f"{found} processes were started, the recipe wants {wanted}: set train.processes to "
            "those of one machine and train.nodes to the machines"
        )
    if found == 1 or distributed.is_initialized():
        return
    os.environ["MASTER_ADDR"] = environment.main_address
    os.environ["MASTER_PORT"] = str(environment.main_port)
    backend = "gloo"
    if torch.cuda.is_available():
        # Gloo for what processes tell each other, NCCL for gradients on GPUs.
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(environment.local_rank())
    rank = environment.global_rank()
    distributed.init_process_group(backend, rank=rank, world_size=found, timeout=PATIENCE)
    atexit.register(leave)


def leave() -> None:
    """Leave the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def check_processes(options: TrainOptions, device: torch.device) -> None:
    """Whether this machine has what several processes ask for.

    Raises
    ------
    ModelError : fewer GPUs than processes, or a device on which processes cannot work together.
    RecipeError : one GPU is named for several processes, or what only GPUs can do is asked for.
    """
    if options.sync_batch_norm and device.type != "cuda":
        raise RecipeError("train.sync_batch_norm works on GPUs alone: set it to false")
    if options.processes == 1:
        return
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"train.processes works on cpu and cuda, not on {device.type}")
    if device.index is not None:
        raise RecipeError(
            f"train.device {options.device} names one GPU for {options.processes} processes: set "
            "it to cuda"
        )
    if device.type == "cuda" and torch.cuda.device_count() < options.processes:
        raise ModelError(
            f"train.processes is {options.processes}, this machine has "
            f"{torch.cuda.device_count()} GPUs"
        )


def strategy(options: TrainOptions) -> Any:
    """The strategy of Lightning by which the processes of a training share gradients.

    Each has the whole network and takes the mean of all gradients after each step (Li et al. 2020,
    "PyTorch Distributed").
    """
    if options.processes * options.nodes == 1:
        return "auto"
    from lightning.pytorch.strategies import DDPStrategy

    return DDPStrategy(
        cluster_environment=_environment(),
        find_unused_parameters=options.strategy == "auto",
        timeout=PATIENCE,
    )


def _environment() -> Any:
    from lightning.fabric.plugins.environments import (
        LightningEnvironment,
        SLURMEnvironment,
        TorchElasticEnvironment,
    )

    if "TORCHELASTIC_RUN_ID" in os.environ:
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False) if started_outside() else LightningEnvironment()


class Share(Sampler[int]):
    """The numbers out of 0 … count − 1 that are this process's: every `size`-th from its rank on.

    So the patches that processes with batch B take at a step are together those that one process
    with a batch `size` times as large takes. All have equally many numbers: where they do not come
    out even, the last ones begin anew.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return -(-self.count // place().size)

    def __iter__(self) -> Iterator[int]:
        rank, size = place()
        return (number % self.count for number in range(rank, len(self) * size, size))


def gathered(own: Sequence[T], count: int) -> list[T]:
    """What all processes found for the numbers of their `Share`, each number once, in order.

    Parameters
    ----------
    own : picklable, of this process, in the order of its share.
    count : of all numbers.
    """
    return list(chain.from_iterable(zip_longest(*every(list(own)))))[:count]


def every(own: T) -> list[T]:
    """What each of the processes has, in the order of their ranks; all of them must call this.

    Parameters
    ----------
    own : picklable, of this process.
    """
    found: list[Any] = [own] * place().size
    if len(found) > 1:
        distributed.all_gather_object(found, own)
    return found

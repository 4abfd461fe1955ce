"""What the package asks of a network, given to networks of other libraries.

Beside ``forward`` that is: `divisor`, of which sizes are multiples; `encoder_parts`, the modules
that a frozen stage keeps still and that pretrained weights are for; `feature_layer`, the module
that puts out the deepest map; `features`, its average, a vector of what an image looks like to
the network; and `style_vector`, the same at unit length, by which the size of objects is known.
`ResidualUNet` has the same. A network whose `keeps_intensities` is true is one whose images lose
no digits under bfloat16, as its layers at full resolution do without; others make images in single
precision unless another is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F

from delineate.errors import ModelError
from delineate.networks.layers import padded


class _ReachedError(Exception):
    """Carries the deepest map out of a network whose way up is not needed."""

    def __init__(self, deepest: Tensor) -> None:
        super().__init__()
        self.deepest = deepest


class Adapted(nn.Module):
    """A network of another library.

    Parameters
    ----------
    inner : the network; of several outputs the last is taken.
    divisor : sizes are padded to multiples of it, by repeating the edge.
    deepest : module whose output is the deepest map, or a list of maps of which it is the last.
    encoder : modules from the image down to the deepest map, in the order of their use.
    """

    def __init__(
        self, inner: nn.Module, divisor: int, deepest: nn.Module, encoder: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.inner = inner
        self.divisor = divisor
        # The deepest map passes through a layer of its own, whatever else the module puts out.
        self.feature_layer = nn.Identity()
        deepest.register_forward_hook(self._pass_on)
        # Names, not modules, which would be registered a second time.
        names = {id(module): name for name, module in inner.named_modules()}
        self.encoder_names = tuple(names[id(module)] for module in encoder)

    def encoder_parts(self) -> list[nn.Module]:
        """Modules from the image down to the deepest map."""
        return [self.inner.get_submodule(name) for name in self.encoder_names]

    def _pass_on(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.feature_layer(output[-1] if isinstance(output, list | tuple) else output)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, [Z,] Y, X) → (B, out_channels, [Z,] Y, X), of any size."""
        output = self.inner(padded(x, self.divisor))
        if isinstance(output, list | tuple):
            output = output[-1]
        return cast(Tensor, output[(..., *(slice(0, n) for n in x.shape[2:]))])

    def features(self, x: Tensor) -> Tensor:
        """Global average of the deepest map, (B, F), of (B, in_channels, …), without the way up."""

        def stop(module: nn.Module, inputs: Any, output: Tensor) -> None:
            raise _ReachedError(output)

        handle = self.feature_layer.register_forward_hook(stop)
        try:
            self.inner(padded(x, self.divisor))
        except _ReachedError as reached:
            return reached.deepest.float().mean(dim=tuple(range(2, x.ndim)))
        finally:
            handle.remove()
        raise ModelError(f"{type(self.inner).__name__} never computed its deepest map")

    def style_vector(self, x: Tensor) -> Tensor:
        """`features` at unit length, (B, F)."""
        return F.normalize(self.features(x), dim=1)


def encoder_of(network: nn.Module) -> list[nn.Module]:
    """The modules of a network's encoder: what its `encoder_parts` says, or its `encoder`.

    Raises
    ------
    ModelError : it has neither.
    """
    parts = getattr(network, "encoder_parts", None)
    if callable(parts):
        return list(parts())
    encoder = getattr(network, "encoder", None)
    if isinstance(encoder, nn.Module):
        return [encoder]
    raise ModelError(
        f"{type(network).__name__} does not say what its encoder is: give it an attribute "
        "'encoder' or a method 'encoder_parts', or leave out train.frozen_steps and network.weights"
    )

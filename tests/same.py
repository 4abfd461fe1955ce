"""A model of images whose network gives back what it sees: its result is the image."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from delineate.inference.runner import RunOptions
from delineate.model import Description, Model, Target
from delineate.recipe import Recipe

EXACT = RunOptions(device="cpu", precision="fp32")


class Same(nn.Module):
    """Gives back what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def same_model(
    n: int = 1, target: Target | None = None, normalise: dict[str, Any] | None = None, **data: Any
) -> Model:
    """The model, of `n` channels; `data` are settings of the recipe's data."""
    settings = {"method": {"name": "regression", "channels": n}, "data": data}
    made = Recipe.build({**settings, **({"normalise": normalise} if normalise else {})})
    target = target or Target()
    model = Model(Description(schema=1, recipe=made, in_channels=n, ndim=2, target=target), ({},))
    model._built.append(Same())
    return model

"""Where bfloat16 would give wrong gradients, training is in float32."""

import pytest
import torch
from torch import nn

from delineate.errors import RecipeError
from delineate.training import precision
from delineate.training.options import TrainOptions
from delineate.training.precision import sound_precision


def network(divisor: int) -> nn.Module:
    module = nn.Identity()
    module.divisor = divisor  # type: ignore[assignment]
    return module


@pytest.fixture(autouse=True)
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that computes bfloat16 in hardware."""
    monkeypatch.setattr(
        precision,
        "resolve_precision",
        lambda name, device: torch.float32 if name == "fp32" else torch.bfloat16,
    )


@pytest.mark.parametrize(
    ("patch", "divisor", "ndim", "kept"),
    [
        ((16, 64, 64), 8, 3, False),  # two planes deep at the coarsest scale
        ((8, 64, 64), 8, 3, False),  # one there, two at the scale above
        ((24, 64, 64), 8, 3, True),
        ((64, 64, 64), 8, 3, True),
        (16, 8, 2, True),
    ],
)
def test_thin_maps_train_in_full_precision(
    patch: tuple[int, ...] | int, divisor: int, ndim: int, kept: bool
) -> None:
    options = TrainOptions(patch=patch, device="cpu")
    found = sound_precision(options, network(divisor), ndim)
    assert found.precision == ("auto" if kept else "fp32")


def test_bf16_by_name_is_refused_and_fp32_left_alone() -> None:
    thin = TrainOptions(patch=(16, 64, 64), device="cpu", precision="bf16")
    with pytest.raises(RecipeError, match="16 × 64 × 64 become 2 pixels thin"):
        sound_precision(thin, network(8), 3)
    whole = thin.model_copy(update={"precision": "fp32"})
    assert sound_precision(whole, network(8), 3) == whole

"""Flow of the parts that heat from their centre does not fill: winding ones and very large ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from delineate.methods.flows.coarse import coarse_mask, coarse_shape, refined_flow
from delineate.methods.flows.components import Components, find_components
from delineate.methods.flows.heat import (
    NOTHING,
    Floats,
    Part,
    flow_of_heat,
    lay_out,
    neighbour_steps,
    part_flows,
    spread_heat,
)
from delineate.methods.flows.winding import find_levels, spread_beyond

Single = NDArray[np.float32]

WARM = 1e-200  # heat of the first spreading that is kept
WINDING = 1.25  # parts are not coarsened if that shortens their way to the end by this factor


def winding_flow(
    parts: Components, number: int, near: int, predicted: Single, out: Single, errors: Floats
) -> int:
    """Write or compare the flow of a part from heat that is carried on along it.

    Parameters
    ----------
    parts : all parts.
    number : number of the part.
    near : rounds of heat from the centre before it is carried on; 0 for none.
    predicted, out, errors : as `delineate.methods.flows.heat.part_flows`.

    Returns
    -------
    Number of updates of a pixel that carrying on took.
    """
    part = lay_out(parts, number)
    steps = neighbour_steps(part.strides)
    heat, exponent = _heated(part)
    levels = find_levels(part.size, steps, part.begins, part.ends, exponent)
    if near:
        heat = spread_heat(part, near)
        warm = (heat >= WARM) & (levels.level <= near // 2)
        heat[~warm] = 0.0
        exponent[warm] = 0
        levels = find_levels(part.size, steps, part.begins, part.ends, exponent)
    updates = spread_beyond(steps, levels, heat, exponent)
    flow_of_heat(parts, number, part, heat, exponent, predicted, out, errors)
    return int(updates)


def large_flow(
    parts: Components, number: int, factor: int, predicted: Single, out: Single, errors: Floats
) -> None:
    """Write or compare the flow of a very large part, from a coarser copy of it.

    A winding part whose turns would grow together in the copy is left as it is: its flow is that of
    `winding_flow`.

    Parameters
    ----------
    parts, number, predicted, out, errors : as `winding_flow`.
    factor : side of a cell of the copy in pixels.
    """
    axes = parts.shape.size
    cells = coarse_shape(parts, number, factor)
    mask = np.zeros(int(np.prod(cells)), np.uint8)
    coarse_mask(parts, number, factor, mask)
    copy = find_components(mask.reshape(cells))
    if _reach(parts, number) > WINDING * factor * (_reach(copy, 0) + 1):
        winding_flow(parts, number, 0, predicted, out, errors)
        return
    flow = np.zeros((axes, mask.size), np.float32)
    far = np.zeros(1, np.bool_)
    part_flows(np.zeros(1, np.int64), copy, flow, flow, np.zeros(0), far)
    if far[0]:
        near = 2 * int((copy.high[0] - copy.low[0]).sum())
        winding_flow(copy, 0, near, flow, flow, np.zeros(0))
    refined_flow(parts, number, factor, flow, predicted, out, errors)


def _reach(parts: Components, number: int) -> int:
    """Steps from the centre of a part to its farthest pixel, within it."""
    part = lay_out(parts, number)
    steps = neighbour_steps(part.strides)
    levels = find_levels(part.size, steps, part.begins, part.ends, _heated(part)[1])
    return levels.first.size - 1


def _heated(part: Part) -> tuple[Floats, NDArray[np.int32]]:
    """Heat of one at the centre and none elsewhere, and its exponents."""
    heat, exponent = np.zeros(part.size), np.full(part.size, NOTHING, np.int32)
    heat[part.sources], exponent[part.sources] = 1.0, 0
    return heat, exponent

"""Sinks of a flow: peaks in the density of the places where pixels end."""

from __future__ import annotations

from math import gamma, pi
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from delineate.methods.flows.components import spread
from delineate.methods.flows.walk import Flow, Index, climbs

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEIGHBOUR = 2  # pixels; places this near (in every axis) adjoin
SADDLE = 0.2  # peaks are one if the density between them is more than this share of the lower
BARRIER = 0.7  # pixels of walking against unit flow; sinks with less between them may be one
NEAR = 1.0  # ... if they are nearer than this, in radii of the disk or ball of their pixels
CROWDED = 2.0  # pixels per place that a sink must have, unless it has few
FEW = 9  # pixels; sinks of no more may have as many places as pixels


class Sinks(NamedTuple):
    """Groups of places where pixels end."""

    number: Ints  # (ends,) number of the sink of each end
    peaks: Floats  # (sinks, 3) z, y, x of the end where most pixels end; z is 0 in a plane
    pixels: Floats  # (sinks,) number of pixels that end there
    places: Ints  # (sinks,) number of pixels on which they end


def find_sinks(ends: Floats, pixels: Ints, shape: tuple[int, ...]) -> Sinks:
    """Group the places where pixels end into sinks.

    The density of a place is the number of pixels that end on it or, with weights 1/2 per axis, on
    the pixels around it. Places are taken up from the densest to the thinnest; each joins the
    sinks of the places within two pixels of it that were taken up before, or founds one. A place
    that adjoins several sinks unites them if the lower one's peak rises little above it
    (persistence), so a sink is as wide as it must be: there is no window.

    Parameters
    ----------
    ends
        (n, ndim) positions in pixels.
    pixels
        (n,) number of pixels that end at each.
    shape
        Shape of the image, of two or three axes.

    References
    ----------
    Chazal, Guibas, Oudot, Skraba: Persistence-based clustering in Riemannian manifolds. Journal of
    the ACM 60 (2013), section 3.
    """
    if pixels.size == 0:
        none = np.zeros(0, np.int64)
        return Sinks(none, np.zeros((0, 3)), np.zeros(0), none)
    missing = 3 - len(shape)
    grid = np.array((1,) * missing + tuple(shape), dtype=np.int64)
    positions = np.pad(ends, ((0, 0), (missing, 0)))
    nearest = np.floor(positions + 0.5).astype(np.int64)
    flat = (nearest[:, 0] * grid[1] + nearest[:, 1]) * grid[2] + nearest[:, 2]
    places, place = np.unique(flat, return_inverse=True)
    weight = np.bincount(place, weights=pixels, minlength=places.size)
    row_first = np.searchsorted(places, np.arange(grid[0] * grid[1] + 1) * grid[2])
    density = _density(places, weight, row_first, grid)
    order = np.argsort(-density, kind="stable")
    peak = _climb(places, density, order, row_first, grid)
    founders, sink = np.unique(peak, return_inverse=True)
    number = sink[place]
    peaks = np.empty((founders.size, 3))
    rising = np.argsort(pixels, kind="stable")
    peaks[number[rising]] = positions[rising]  # the end of most pixels is written last
    return Sinks(
        number,
        peaks,
        np.bincount(number, weights=pixels, minlength=founders.size).astype(np.float64),
        np.bincount(sink, minlength=founders.size),
    )


def unite_sinks(sinks: Sinks, number: Index, flow: Flow, *, threads: int = 1) -> Ints:
    """Unite sinks of neighbouring basins that no barrier separates, and drop those that are none.

    Noise makes several sinks of one. Between objects the flow points apart, so on the straight way
    from one sink to the other one must walk against it for about the radius of an object; between
    the sinks of one object for a fraction of a pixel. Each sink joins the neighbour of more pixels
    than its own to which the barrier is lowest, if it is under 0.7 pixels of unit flow and the
    two are nearer than the radius of the disk (ball) that has as many pixels as both. A sink joins
    one other only, so one on the border of two objects does not unite them.

    A sink whose pixels hardly move (as many places as pixels, nearly) is none: there is no flow.

    Parameters
    ----------
    sinks
        The sinks.
    number
        (shape) number of the sink in which each pixel ends, -1 for none.
    flow
        (ndim, *shape) in units of the unit vector.
    threads
        Number of threads.

    Returns
    -------
    int64 array (sinks,): number of the united sink, -1 for none.
    """
    count = sinks.pixels.size
    if count == 0:
        return np.zeros(0, np.int64)
    axes = number.ndim
    grid = np.array((1,) * (3 - axes) + number.shape, dtype=np.int64)
    rows = int(grid[0] * grid[1])
    blocks = 8 * threads
    found: list[Ints] = [np.zeros(0, np.int64)] * blocks

    def look(chunk: Ints) -> None:
        for block in chunk:
            begin, end = block * rows // blocks, (block + 1) * rows // blocks
            contacts = _contacts(number.reshape(-1), grid, begin, end, count)
            found[block] = np.unique(contacts)

    spread(look, np.ones(blocks), threads)
    pairs = np.unique(np.concatenate(found))
    one, two = pairs // count, pairs % count
    apart = np.sqrt(((sinks.peaks[one] - sinks.peaks[two]) ** 2).sum(axis=1))
    unit_ball = pi ** (axes / 2) / gamma(axes / 2 + 1)
    radius = ((sinks.pixels[one] + sinks.pixels[two]) / unit_ball) ** (1 / axes)
    near = apart < NEAR * radius
    one, two = one[near], two[near]
    heights = climbs(np.ascontiguousarray(flow).reshape(axes, -1), grid, sinks.peaks, one, two)
    low = heights < BARRIER
    one, two, heights = one[low], two[low], heights[low]
    smaller = sinks.pixels[one] < sinks.pixels[two]
    weak, strong = np.where(smaller, one, two), np.where(smaller, two, one)
    order = np.argsort(-heights, kind="stable")
    parent = np.arange(count)
    parent[weak[order]] = strong[order]  # the lowest barrier is written last
    while np.any(parent[parent] != parent):
        parent = parent[parent]
    pixels = np.bincount(parent, weights=sinks.pixels, minlength=count)
    places = np.bincount(parent, weights=sinks.places, minlength=count)
    moving = (pixels >= CROWDED * places) | (pixels <= FEW)
    return np.where(moving[parent], parent, -1)


@njit(cache=True, nogil=True)
def _density(places: Ints, weight: Floats, row_first: Ints, grid: Ints) -> Floats:
    """Number of pixels that end at each place, and around it with weights of 1/2 per axis."""
    density = np.zeros(places.size)
    for i in range(places.size):
        row, column = places[i] // grid[2], places[i] % grid[2]
        z, y = row // grid[1], row % grid[1]
        for nz in range(max(z - 1, 0), min(z + 2, grid[0])):
            for ny in range(max(y - 1, 0), min(y + 2, grid[1])):
                other = nz * grid[1] + ny
                share = 1.0 / (1 + abs(nz - z)) / (1 + abs(ny - y))
                begin = other * grid[2] + column
                j = row_first[other] + np.searchsorted(
                    places[row_first[other] : row_first[other + 1]], begin - 1
                )
                while j < row_first[other + 1] and places[j] <= begin + 1:
                    density[i] += weight[j] * share / (1 + abs(places[j] - begin))
                    j += 1
    return density


@njit(cache=True, nogil=True)
def _climb(places: Ints, density: Floats, order: Ints, row_first: Ints, grid: Ints) -> Ints:
    """Persistence clustering of the places: for each the place of its sink's peak."""
    parent = np.full(places.size, -1, np.int64)  # of the tree of sinks; roots are peaks
    for k in range(order.size):
        i = order[k]
        row, column = places[i] // grid[2], places[i] % grid[2]
        z, y = row // grid[1], row % grid[1]
        best = np.int64(-1)
        for turn in range(2):  # first the highest peak around, then the peaks to unite with it
            for nz in range(max(z - NEIGHBOUR, 0), min(z + NEIGHBOUR + 1, grid[0])):
                for ny in range(max(y - NEIGHBOUR, 0), min(y + NEIGHBOUR + 1, grid[1])):
                    other = nz * grid[1] + ny
                    begin = other * grid[2] + column
                    j = row_first[other] + np.searchsorted(
                        places[row_first[other] : row_first[other + 1]], begin - NEIGHBOUR
                    )
                    while j < row_first[other + 1] and places[j] <= begin + NEIGHBOUR:
                        if parent[j] >= 0 and j != i:
                            peak = _peak(parent, j)
                            if turn == 0:
                                if best < 0 or density[peak] > density[best]:
                                    best = peak
                            elif peak != best and density[i] > SADDLE * density[peak]:
                                parent[peak] = best
                        j += 1
            if turn == 0:
                if best < 0:
                    parent[i] = i
                    break
                parent[i] = best
    sink = np.empty(places.size, np.int64)
    for i in range(places.size):
        sink[i] = _peak(parent, i)
    return sink


@njit(cache=True, nogil=True)
def _peak(parent: Ints, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _contacts(number: Index, grid: Ints, first_row: int, last_row: int, count: int) -> Ints:
    """Pairs of sinks whose pixels touch by faces, as smaller * count + larger, with repetitions."""
    height, width = grid[1], grid[2]
    found = np.empty(1024, np.int64)
    size = 0
    for row in range(first_row, last_row):
        behind = (row >= height, row % height > 0, True)
        for p in range(row * width, (row + 1) * width):
            here = number[p]
            if here < 0:
                continue
            for axis in range(3):
                if not behind[axis] or (axis == 2 and p == row * width):
                    continue
                back = 1 if axis == 2 else (width if axis == 1 else width * height)
                there = number[p - back]
                if there < 0 or here == there:
                    continue
                if size == found.size:
                    more = np.empty(2 * size, np.int64)
                    for i in range(size):
                        more[i] = found[i]
                    found = more
                found[size] = np.int64(min(here, there)) * count + max(here, there)
                size += 1
    contacts = np.empty(size, np.int64)
    for i in range(size):
        contacts[i] = found[i]
    return contacts

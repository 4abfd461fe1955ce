"""What prepared images are shared by: all that they depend on, and nothing else of the method."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tifffile

from delineate.data.normalise import Normalise
from delineate.data.pairs import Pair
from delineate.data.samples import Preparation, prepare
from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic

OTHER: dict[type[Method], dict[str, Any]] = {
    Flows: {
        "temperature": 2.0,
        "threshold": 0.3,
        "flow_threshold": None,
        "min_size": 40,
        "fill_holes": False,
        "classes": 2,
    },
    Semantic: {
        "temperature": 2.0,
        "focal_gamma": 1.0,
        "tversky_alpha": 0.6,
        "tversky_beta": 0.4,
        "class_weights": (1.0, 3.0),
        "threshold": 0.3,
        "connectivity": "faces",
        "min_size": 3,
        "classes": 3,
        "ignore": 7,
        "soft": False,
        "criterion": "lovasz",
    },
    Regression: {
        "l1": 2.0,
        "l2": 1.0,
        "huber": 1.0,
        "huber_delta": 0.5,
        "ssim": 1.0,
        "noise": True,
        "channels": 2,
    },
}
"""Another value for every field of every method but its name."""

MATTER = {
    Flows: {"classes"},
    Semantic: {"classes", "ignore", "soft", "criterion"},
    Regression: {"channels"},
}

EVERY = [(kind, field) for kind, fields in OTHER.items() for field in fields]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    paths = {}
    for number, role in enumerate(("image", "labels", "target")):
        paths[role] = tmp_path / f"{role}.tif"
        pixels = np.zeros((40, 40), np.uint8)
        pixels[4:20, 4:20] = 1
        tifffile.imwrite(paths[role], pixels * (1 + number // 2))
    return Pair("a", **paths)


def how(method: Method) -> Preparation:
    return Preparation(method, Normalise(), None, 1, None, 2, None)


def targets(method: Method) -> list[np.ndarray]:
    """Targets of objects, or classes with and without soft labels, or an image."""
    labels = np.zeros((30, 32), np.int32)
    labels[3:12, 4:16] = 1
    labels[20:26, 4:9] = 1 if method.truth == "classes" else 2
    if method.truth == "image":
        return [method.encode(labels[None].astype(np.float32) / 3)]
    if method.truth == "objects":
        return [method.encode(labels)]
    soft = np.clip(labels * 0.8, 0, 1)[None].astype(np.float32)
    return [method.encode(labels), method.encode(labels, soft)]


def test_every_field_has_another_value_here() -> None:
    for kind, fields in OTHER.items():
        assert set(fields) == set(kind.model_fields) - {"name"}
        assert kind.unencoded == set(fields) - MATTER[kind]


@pytest.mark.parametrize(("kind", "field"), EVERY)
def test_keys_differ_by_what_targets_depend_on(kind: Any, field: str, pair: Pair) -> None:
    plain, other = kind(), kind(**{field: OTHER[kind][field]})
    same = how(plain).key(pair) == how(other).key(pair)
    assert same is (field not in MATTER[kind])
    if same:
        for a, b in zip(targets(plain), targets(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_methods_of_one_encoding_share_prepared_images(pair: Pair, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = prepare([pair], how(Regression()), cache)[0]
    files = {f: f.stat().st_mtime_ns for f in cache.iterdir()}
    again = prepare([pair], how(Regression(l2=0.5, noise=True)), cache)[0]
    assert {f: f.stat().st_mtime_ns for f in cache.iterdir()} == files
    np.testing.assert_array_equal(first.targets, again.targets)
    prepare([pair], how(Flows()), cache)
    assert len(list(cache.iterdir())) == 2


class Wider(Flows):
    """Another method of the same fields."""


class Filled(Flows):
    """A method whose targets do depend on a field that those of its parent do not depend on."""

    unencoded: ClassVar[frozenset[str]] = Flows.unencoded - {"fill_holes"}


def test_a_method_of_ones_own_shares_nothing_by_accident(pair: Pair) -> None:
    keys = {how(kind()).key(pair) for kind in (Flows, Wider, Filled)}
    assert len(keys) == 3
    assert how(Filled()).key(pair) != how(Filled(fill_holes=False)).key(pair)
    assert how(Filled()).key(pair) == how(Filled(min_size=3)).key(pair)


@pytest.mark.parametrize(
    "change",
    [
        {"normalise": Normalise(kind="mean-std")},
        {"normalise_target": Normalise(kind="match")},
        {"diameter": 9.0},
        {"channels": 2},
        {"select": (0,)},
        {"target_channels": (0,)},
        {"planes": (0,)},
        {"z_channels": True},
        {"ndim": 3},
        {"axes": "YX"},
        {"needs_truth": False},
    ],
)
def test_all_else_matters(change: dict[str, Any], pair: Pair) -> None:
    from dataclasses import replace

    plain = how(Flows())
    assert replace(plain, **change).key(pair) != plain.key(pair)

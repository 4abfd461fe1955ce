"""Several experts, one ground truth: STAPLE, majority votes, fused objects, and agreement."""

from delineate.consensus.agreement import (
    Agreement,
    Annotation,
    Comparison,
    agreement,
    annotation,
    compare,
)
from delineate.consensus.estimate import Consensus
from delineate.consensus.fuse import FusedObjects, fuse_objects
from delineate.consensus.majority import majority
from delineate.consensus.staple import staple

__all__ = [
    "Agreement",
    "Annotation",
    "Comparison",
    "Consensus",
    "FusedObjects",
    "agreement",
    "annotation",
    "compare",
    "fuse_objects",
    "majority",
    "staple",
]

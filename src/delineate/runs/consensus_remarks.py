"""What a person should know of a whole consensus, in sentences, beside the notes of its images."""

from __future__ import annotations

from collections.abc import Sequence

from delineate.consensus.tables import ImageConsensus


def remarks(images: Sequence[ImageConsensus], experts: Sequence[str]) -> tuple[str, ...]:
    """Remarks for command, record and report.

    Parameters
    ----------
    images : those with a result.
    experts : in the order of the remarks.
    """
    found = []
    for expert in experts:
        drew = [i for i in images if expert in i.experts]
        n = sum(expert in i.inverted for i in drew)
        if n:
            found.append(
                f"masks of {expert} look inverted in {n} of {len(drew)} images; mend them before "
                "you use the result"
            )
    return tuple(found)

"""How many members an ensemble has, and on which images each trains."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class EnsembleOptions(BaseModel):
    """Cross validation: each member leaves out another part of the images (Griebel et al. 2023)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: int | None = Field(
        None, ge=2, description="parts of the images, each left out by one member; null: no folds"
    )
    members: int | None = Field(
        None,
        ge=1,
        description="members in all; null: one for each fold. It may be raised later: a training "
        "goes on with the members that lack",
    )

    @model_validator(mode="after")
    def _fits(self) -> EnsembleOptions:
        if self.members is not None and self.folds is None:
            raise ValueError("members without folds: set folds too, for instance to 5")
        return self

    @property
    def size(self) -> int:
        """Number of members."""
        return self.members or self.folds or 1

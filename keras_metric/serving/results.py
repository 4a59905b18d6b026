"""What the client gives."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SimilarityResult:
    """How near the rows of two batches are.

    Attributes:
        distance: (B,) float32, small = close.
        similarity: (B,) float32, large = close.
        same: (B,) bool by the threshold of the export, or None if it has none.
    """

    distance: np.ndarray
    similarity: np.ndarray
    same: np.ndarray | None = None

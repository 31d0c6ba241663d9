"""Computes cosines after subtracting the mean vector of an index from question and passage, called centring.

The vectors of one embedder over one index lie close together: any two of multilingual-e5 have a cosine of about 0.8.
Some passages are near to every question because their text is general. Subtracting the mean removes that advantage.
Each chunk's product with the mean, its common component, is stored as one number, so the vectors stay unchanged.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cervella.errors import IndexDamagedError

if TYPE_CHECKING:
    import numpy as np

_SAMPLE = 600
"""The approximate number of vectors from which the standard deviation of the cosines is estimated."""
_QUESTION_RATIO = 0.75
"""The standard deviation of the cosines between questions and passages, divided by that between passages.

It was 0.68 and 0.87 on two knowledge bases. An index has no questions, so it multiplies the second by this ratio.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Centring:
    """The mean of an index's vectors, and the standard deviation of centred cosines."""

    mean: np.ndarray
    """Shape (dimensions,), float32; not of unit length."""
    standard_deviation: float
    """The standard deviation of the cosine of a question with a passage, after centring. It is an estimate."""

    @classmethod
    def of(cls, vectors: np.ndarray) -> Centring | None:
        """Compute mean and standard deviation from the vectors of an index, of unit length, shape (n, dimensions).

        None if there are fewer than two, or if they are almost equal.
        """
        import numpy as np

        if len(vectors) < 2:
            return None
        mean = vectors.mean(axis=0).astype(np.float32)
        sample = vectors[:: max(1, len(vectors) // _SAMPLE)] - mean
        lengths = np.linalg.norm(sample, axis=1, keepdims=True)
        sample = sample / np.where(lengths > 0, lengths, 1)
        pairs = (sample @ sample.T)[~np.eye(len(sample), dtype=bool)]
        deviation = float(pairs.std()) * _QUESTION_RATIO
        return cls(mean=mean, standard_deviation=deviation) if deviation > 1e-6 else None

    def common_components(self, vectors: np.ndarray) -> np.ndarray:
        """The product of each vector with the mean, shape (n,): the number that is stored for each chunk."""
        products: np.ndarray = vectors @ self.mean
        return products

    def centred(self, query: np.ndarray, cosines: np.ndarray, common_components: np.ndarray) -> np.ndarray:
        """Cosines between the centred query and the centred chunks, divided by the standard deviation.

        `query` has unit length. `cosines` are those of the query with each chunk before centring, `common_components`
        the stored numbers of the same chunks.
        """
        import numpy as np

        if query.shape != self.mean.shape:
            raise IndexDamagedError(
                f"The index has a mean of {len(self.mean)} dimensions, the embedder makes {len(query)}.",
                remedy="Build the index again with `cervella index --rebuild`.",
            )
        own, common = float(query @ self.mean), float(self.mean @ self.mean)
        squared = np.maximum(1 - 2 * common_components + common, 1e-6) * max(1 - 2 * own + common, 1e-6)
        out: np.ndarray = (cosines - own - common_components + common) / np.sqrt(squared) / self.standard_deviation
        return out

    def to_json(self) -> str:
        import numpy as np

        mean = base64.b64encode(np.asarray(self.mean, dtype="<f4").tobytes()).decode()
        return json.dumps({"mean": mean, "standard_deviation": self.standard_deviation})

    @classmethod
    def from_json(cls, text: str | None) -> Centring | None:
        """The inverse of `to_json`; None for an empty text. Raises ValueError, TypeError, KeyError, RecursionError."""
        import numpy as np

        if not text:
            return None
        facts = json.loads(text)
        mean = np.frombuffer(base64.b64decode(facts["mean"], validate=True), dtype="<f4")
        deviation = float(facts["standard_deviation"])
        if not (len(mean) and np.isfinite(mean).all() and 0 < deviation < math.inf):
            raise ValueError("the mean is no vector of numbers")
        return cls(mean=mean, standard_deviation=deviation)

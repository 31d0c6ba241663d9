"""Estimates, from 0 to 1, whether the index can answer a question, from the cosines of its chunks.

Cosines differ between embedders and between indexes, so each index is calibrated: by the best cosines of off-topic
questions, and by the best cosines of the index's own headings with chunks of other files. Where there is no such
calibration, there is no estimate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, pstdev

from cervella.text.language import Language

_FEW = 8  # minimum number of headings for a high median
_AS_HEADINGS = 0.75
"""Confidence of a question whose best cosine with a chunk equals the median of the headings.

At the median of the off-topic questions the confidence is 0; between and above the two it grows linearly with the
cosine, up to 1.
"""
_OLD_DEVIATION = 0.5
"""The standard deviation of off-topic questions over the distance of the two medians, for an index that lacks it. It
was 0.4 to 0.6 on six of seven bases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What cosines mean in one index."""

    off_topic: float
    """The median of the best cosines of off-topic questions with a chunk."""
    deviation: float
    """The standard deviation of the same cosines, above 0."""
    headings: float | None
    """The median of the best cosines of the index's headings, each with the chunks of other files. None if the index
    has too few, or if it is not higher than that of the off-topic questions."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> Calibration | None:
        """The inverse of `to_json`; None for an empty text. Raises ValueError, TypeError, KeyError, RecursionError."""
        values = json.loads(text) if text else None
        if not values:
            return None
        if isinstance(values, list):  # the two medians, which an older version stored
            low, high = float(values[0]), float(values[1])
            return cls(off_topic=low, deviation=_OLD_DEVIATION * (high - low), headings=high) if high > low else None
        headings = values["headings"]
        found = cls(
            off_topic=float(values["off_topic"]),
            deviation=float(values["deviation"]),
            headings=None if headings is None else float(headings),
        )
        if not found.deviation > 0:
            raise ValueError("the calibration has no standard deviation")
        return found


def calibrated(
    lang: Language, headings: Sequence[tuple[str, str]], nearest: Callable[[str], Sequence[tuple[str, float]]]
) -> Calibration | None:
    """Calibrate an index. None if it has no vectors, or all off-topic questions are equally near to it.

    `headings` are pairs of heading and path. `nearest` takes a question and returns path and cosine of the chunks
    nearest to it, best first. `lang` has the list of off-topic questions.
    """
    others = [found[0][1] for question in lang.off_topic if (found := nearest(question))]
    deviation = pstdev(others) if others else 0.0
    if deviation < 1e-6:
        return None
    own = [
        cosine
        for heading, path in headings
        if (cosine := next((near for other, near in nearest(heading) if other != path), None)) is not None
    ]
    low, high = median(others), median(own) if len(own) >= _FEW else None
    return Calibration(off_topic=low, deviation=deviation, headings=high if high is not None and high > low else None)


def confidence(calibration: Calibration | None, cosines: Mapping[int, float]) -> float | None:
    """The confidence, 0 to 1, that one of the chunks with these cosines answers the query, by position.

    It follows from the highest cosine. None if there are no cosines, or if the index was too small for a calibration by
    its headings.
    """
    if not cosines or calibration is None or calibration.headings is None:
        return None
    near = (max(cosines.values()) - calibration.off_topic) / (calibration.headings - calibration.off_topic)
    return min(max(_AS_HEADINGS * near, 0.0), 1.0)

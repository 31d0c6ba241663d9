"""Defines the verdict of a review, its issues and the second opinion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

UNEXPECTED_ERROR = "unexpected"
"""The `error` of a verdict or a second opinion after an error of the program itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewIssue:
    """One problem of an answer."""

    kind: str
    """One of `cervella.review.verdict.ISSUE_KINDS` or `SOUL_KINDS`."""
    claim: str
    """The sentence of the answer, without its citation marks."""
    text: str
    """The words of the claim that are wrong."""
    problem: str
    """One sentence that describes the problem."""
    marks: tuple[str, ...] = ()
    """The citation marks of the claim."""
    lines: tuple[str, ...] = ()
    """The cited lines as `path:start-end`, one for each mark that belongs to a passage."""
    nearest: str = ""
    """The cited line that is most similar to the claim, verbatim. Empty if there is none."""
    elsewhere: tuple[str, ...] = ()
    """The citation marks of other passages that contain the claim."""
    by: str = "checks"
    """`checks` for the checks without a model, else the name of the brain that found the problem."""
    serious: bool = True
    """Whether this issue prevents approval of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOpinion:
    """Another brain's opinion of an answer. It is given in addition to the checks."""

    brain: str
    model: str = ""
    score: float | None = None
    """The mean of the brain's grades, 0 to 10; without grades, the total that it states. None if it gives neither."""
    grades: Mapping[str, float] = field(default_factory=dict)
    """The brain's grades, 0 to 10, by criterion: `facts`, `sources`, `soul` and `form`. `as_dict` calls them
    `marks`."""
    approved: bool | None = None
    """Whether the brain approves the answer. None if it gave no opinion. False together with an `error` means that the
    brain refused an earlier version of the answer and gave no opinion on this one."""
    error: str | None = None
    """The reason why there is no opinion: the code of an error, `withheld` (this brain may not see the answer),
    `refusal` (its model declined), `same_brain` (no other brain than the one that answered), `unreadable` or
    `unexpected` (an error of the program: the log has it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewVerdict:
    """The result of a review: whether the answer is approved, its score and its issues."""

    approved: bool
    """True if there is no serious issue, the second brain does not reject the answer, and neither brain nor checks
    score it below `threshold`."""
    score: float
    """The weighted mean of `criteria`, 0 to 10. The second opinion is not included."""
    criteria: Mapping[str, float] = field(default_factory=dict)
    """Scores, 0 to 10, of `facts`, `sources`, `soul` and `form`. A criterion that was not checked is missing."""
    issues: tuple[ReviewIssue, ...] = ()
    """The issues of the final text."""
    threshold: float = 9.0
    claims: int = 0
    """Number of sentences of the answer that were compared with the passages."""
    second: SecondOpinion | None = None
    """None if no second brain was asked. It is not asked about an answer that only abstains."""
    rounds: int = 0
    """Number of revisions that were requested."""
    revised: bool = False
    """True if the final text is a revision."""
    draft: str | None = None
    """The first text of the answer, if a revision replaced it."""
    draft_score: float | None = None
    """The score of `draft`."""
    error: str | None = None
    """The reason why the checks or a revision failed: the code of an error, `refusal`, or `unexpected` (an error of the
    program: the log has it). None if none failed."""

    def headline(self) -> str:
        """The verdict in one line, for example "Review: 8.5/10, not approved, 1 issue, claude: 7/10".

        8.5 is the score of the review; 7 is what a second brain, if one was asked, gave the same answer.
        """
        serious = sum(issue.serious for issue in self.issues)
        parts = [f"{self.score:g}/10", "approved" if self.approved else "not approved"]
        parts += [f"{serious} issue{'s' if serious > 1 else ''}"] if serious else []
        parts += ["revised"] if self.revised else []
        second = self.second
        if second is not None:
            score = "no opinion" if second.score is None else f"{second.score:g}/10"
            parts.append(f"{second.brain}: {f'{score} ({second.error})' if second.error else score}")
        return f"Review: {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """The verdict as dicts and lists, for JSON."""
        data = asdict(self)
        if data["second"] is not None:
            data["second"]["marks"] = data["second"].pop("grades")
        return data

"""The verdict of a review: frozen values, for replies, JSON and pickles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewIssue:
    """One thing that is wrong with an answer."""

    kind: str
    """From a closed list: `cervella.review.verdict.ISSUE_KINDS`."""
    claim: str
    """What the answer says, without its marks."""
    text: str
    """The words of the claim that it is about."""
    problem: str
    """What is wrong, in one sentence."""
    marks: tuple[str, ...] = ()
    """The marks that the claim carries."""
    lines: tuple[str, ...] = ()
    """Where they lead: `path:start-end`, one for each mark that stands for a passage."""
    nearest: str = ""
    """The cited line that comes nearest, verbatim; empty where none does."""
    elsewhere: tuple[str, ...] = ()
    """The marks of other passages in which it stands."""
    by: str = "checks"
    """`checks`, which ask no model, or the name of the brain that says so."""
    serious: bool = True
    """Whether it keeps an answer from being approved; what does not is a remark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOpinion:
    """Another brain's opinion of an answer: beside the checks, never in their place."""

    brain: str
    model: str = ""
    score: float | None = None
    """0 to 10: the mean of its grades; None where it gave none that can be read."""
    grades: Mapping[str, float] = field(default_factory=dict)
    """0 to 10, by criterion, as it gave them. In JSON they are called `marks`."""
    approved: bool | None = None
    """Whether it lets the answer pass; None where it did not say. With an `error`: what it refused stays refused."""
    error: str | None = None
    """Why it said nothing that counts: an error's code, `withheld` (it may not see this answer), `refusal` (its model
    would not answer) or `unreadable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewVerdict:
    """Whether an answer stands, and what is wrong with it where it does not."""

    approved: bool
    """No serious issue, and no score below the threshold: neither that of the checks nor the second opinion's."""
    score: float
    """0 to 10, of the deterministic checks alone: the weighted mean of `criteria`."""
    criteria: Mapping[str, float] = field(default_factory=dict)
    """0 to 10 each: `facts`, `sources`, `soul`, `form`; one that was not looked at is left out."""
    issues: tuple[ReviewIssue, ...] = ()
    """Of the text that was kept."""
    threshold: float = 9.0
    claims: int = 0
    """How many claims of the answer were held against lines."""
    second: SecondOpinion | None = None
    """None where no second brain was asked; an honest "I don't know" needs none."""
    rounds: int = 0
    """How many revisions were asked for."""
    revised: bool = False
    """The text that was kept is a revision."""
    draft: str | None = None
    """The first text, where a revision took its place."""
    draft_score: float | None = None
    error: str | None = None
    """Why there is no revision where one was wanted: an error's code, or `refusal`."""

    def headline(self) -> str:
        """The verdict in one line: "Review: 8.5/10, not approved, 1 issue; claude: 7/10"."""
        serious = sum(issue.serious for issue in self.issues)
        parts = [f"{self.score:g}/10", "approved" if self.approved else "not approved"]
        parts += [f"{serious} issue{'s' if serious > 1 else ''}"] if serious else []
        parts += ["revised"] if self.revised else []
        second = self.second
        if second is not None:
            said = "no opinion" if second.score is None else f"{second.score:g}/10"
            parts.append(f"{second.brain}: {f'{said} ({second.error})' if second.error else said}")
        return f"Review: {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        data = asdict(self)
        if data["second"] is not None:
            data["second"]["marks"] = data["second"].pop("grades")
        return data

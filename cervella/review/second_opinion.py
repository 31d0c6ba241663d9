"""The prompts for a second opinion and for a revision, and the parser of a second opinion.

The system prompt is the unchanged soul; everything about the review is in the last user message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from cervella.prompt.layout import find_marks
from cervella.review.verdict import ISSUE_KINDS
from cervella.text.language import Language, fold, known_languages, language
from cervella.text.markdown import fence_for
from cervella.text.quotations import quotations
from cervella.types import Prompt
from cervella.types.verdict import ReviewIssue

_REVIEW_TOKENS = 700
_LONGEST_ISSUE, _MOST_ISSUES = 400, 12
_LONGEST_OPINION, _MOST_OBJECTS = 20_000, 50
"""Maximum characters of an opinion that are parsed, and maximum number of `{` in it at which a JSON object is tried."""
_CRITERIA = ("facts", "sources", "soul", "form")
_GRADE = r"[*_ \t]*+(?:[:=\-–—][*_ \t]*+)?(?P<grade>\d{1,3}(?:[.,]\d+)?)(?:\s*(?:/|%s)\s*(?P<highest>\d{1,3}))?"
_KEPT_HINTS = ("language", "confidence", "batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """The values parsed from the text of a second opinion."""

    grades: Mapping[str, float] = field(default_factory=dict)
    """Grades by criterion, 0 to 10."""
    score: float | None = None
    """The mean of the grades, else the total that the text states. None if there is neither."""
    approved: bool | None = None
    """Whether the text says that the answer is approved (True) or rejected (False). None if it says neither."""
    problems: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        return self.score is not None or self.approved is not None


def review_prompt(prompt: Prompt, answer: str, lang: Language, *, tainted: bool, reason: str) -> Prompt:
    """The prompt for a second opinion: soul, passages, question and the answer to check, without the history.

    `tainted` is true if the answer may contain local-only text: the prompt is then not sent to a cloud brain. `reason`
    is stored with the call and says why it was made.
    """
    texts = lang.review
    question = "\n\n".join((prompt.question, f"{texts['answer']}\n{_fenced(answer)}", str(texts["form"]).strip()))
    return replace(
        prompt,
        history=(),
        images=(),
        question=question,
        instructions=str(texts["instructions"]).strip(),
        max_output_tokens=_REVIEW_TOKENS,
        confidential=tainted,
        hints={
            **_kept(prompt, *_KEPT_HINTS),
            "instructions_without_passages": str(texts["without_passages"]).strip(),
            "route": "review",
            "reason": reason,
        },
    )


def revision_prompt(
    prompt: Prompt, answer: str, issues: Sequence[ReviewIssue], lang: Language, *, tainted: bool
) -> Prompt:
    """The prompt that asks for a revision: the prompt of the answer with the answer and its issues after the question.

    `tainted` is true if the answer may contain local-only text: the prompt is then not sent to a cloud brain.
    """
    texts = lang.review
    listed = "\n".join(f"- {_worded(issue, lang)}" for issue in issues[:_MOST_ISSUES])
    revise = str(texts["revise"]).strip().replace("{issues}", listed)
    return replace(
        prompt,
        question="\n\n".join((prompt.question, f"{texts['draft']}\n{_fenced(answer)}", revise)),
        confidential=tainted,
        hints={
            **_kept(prompt, *_KEPT_HINTS, "instructions_without_passages"),
            "route": "revision",
            "reason": f"{len(issues)} issues in the first answer",
        },
    )


def _kept(prompt: Prompt, *names: str) -> dict[str, Any]:
    return {name: prompt.hints[name] for name in names if name in prompt.hints}


def _worded(issue: ReviewIssue, lang: Language) -> str:
    """An issue as text of the revision prompt, in the language `lang`.

    It also names the cited line that is most similar to the claim and the other passages that contain the claim.
    """
    texts: Mapping[str, str] = lang.review["issues"]
    kind = issue.kind if issue.kind in texts and issue.kind in ISSUE_KINDS else "soul"
    words = texts[kind].replace("{kind}", issue.kind).replace("{text}", _short(issue.text))
    if issue.nearest and kind not in ("cut", "empty", "opinion", "soul"):
        words += texts["nearest"].replace("{line}", _short(issue.nearest))
    if issue.elsewhere:
        words += texts["elsewhere"].replace("{marks}", ", ".join(f"[{mark}]" for mark in issue.elsewhere))
    return words


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_ISSUE else f"{text[:_LONGEST_ISSUE].rstrip()}…"


def _fenced(text: str) -> str:
    fence = fence_for(text)
    return f"{fence}\n{text.strip()}\n{fence}"


def read_opinion(text: str, lang: Language) -> Opinion:
    """Parse a second opinion: its grade for each criterion, its verdict and its list of problems.

    The opinion may be JSON or lines in any order, in any known language. A grade written with "/100" is divided by 10.
    Any other grade above 10 is ignored. The example is an Italian opinion: facts 4, sources 9, and one problem.

    >>> opinion = read_opinion("FATTI: 4\\nFONTI: 9/10\\nPROBLEMI:\\n- «3 ore»: la fonte dice 3 giorni", language("it"))
    >>> opinion.score, opinion.problems
    (6.5, ('«3 ore»: la fonte dice 3 giorni',))
    """
    text = text[:_LONGEST_OPINION]
    languages = (lang, *(language(code) for code in known_languages() if code != lang.code))
    for data in _objects(text):
        opinion = _from_json(data, languages)
        return opinion if opinion.readable else _from_lines(text, languages)
    return _from_lines(text, languages)


def _objects(text: str) -> Iterator[dict[Any, Any]]:
    """The JSON objects in a text."""
    for match in islice(re.finditer(r"\{", text), _MOST_OBJECTS):
        try:
            data, _ = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            yield data


def _from_json(data: dict[Any, Any], languages: Sequence[Language]) -> Opinion:
    """Convert a JSON object to `key: value` lines and parse those. The items of its lists are problems."""
    flat = {**data, **{k: v for value in data.values() if isinstance(value, dict) for k, v in value.items()}}
    lines: list[str] = []
    problems: list[str] = []
    approved: bool | None = None
    for key, value in flat.items():
        if isinstance(value, bool):
            named = fold(str(key)).replace("_", " ")
            rejects, approves = (
                any(re.search(lang.review[name], named) for lang in languages) for name in ("rejected", "approved")
            )
            approved = value is not rejects if rejects or approves else approved
        elif isinstance(value, (int, float, str)):
            lines.append(f"{key}: {value}")
        elif isinstance(value, list):
            texts = (" ".join(map(str, one.values())) if isinstance(one, dict) else str(one) for one in value)
            problems += (_short(one) for one in texts if one.strip())
    opinion = _from_lines("\n".join(lines), languages)
    approved = opinion.approved if approved is None else approved
    return replace(opinion, approved=approved, problems=(*opinion.problems, *problems)[:_MOST_ISSUES])


def _from_lines(text: str, languages: Sequence[Language]) -> Opinion:
    grades: dict[str, float] = {}
    overall: float | None = None
    approved: bool | None = None
    figure = _GRADE % "|".join(lang.review["out_of"] for lang in languages if lang.review["out_of"])
    for texts in (lang.review for lang in languages):
        for line in map(_bare, text.splitlines()):
            for name in _CRITERIA:
                if name not in grades and (grade := _grade(texts["marks"][name], figure, line)) is not None:
                    grades[name] = grade
            if overall is None:
                overall = _grade(texts["score"], figure, line)
            outcome = re.match(rf"(?:{texts['outcome']})\b[*_\s]*[:=\-]?(?P<verdict>.*)", line)
            if approved is None and outcome:
                rejected, passed = (re.search(texts[name], outcome["verdict"]) for name in ("rejected", "approved"))
                approved = False if rejected else True if passed else None
    score = sum(grades.values()) / len(grades) if grades else overall
    return Opinion(
        grades=grades,
        score=None if score is None else round(score, 2),
        approved=approved,
        problems=_problems(text, languages),
    )


def _bare(line: str) -> str:
    """A line in lower case and without accents, without the list or table symbols at its start."""
    return re.sub(r"^[\s\-*•#>_|]+", "", fold(line))


def _grade(name: str, figure: str, line: str) -> float | None:
    match = re.match(rf"(?:{name})\b{figure}", line)
    if match is None:
        return None
    value = float(match["grade"].replace(",", "."))
    if match["highest"] == "100":
        value /= 10
    return value if 0 <= value <= 10 else None


def _problems(text: str, languages: Sequence[Language]) -> tuple[str, ...]:
    def either(*names: str) -> str:
        return "|".join(str(lang.review[name]) for lang in languages for name in names)

    head, ends, none = either("problems"), either("outcome", "score"), either("none")
    found, inside = [], False
    for line in text.splitlines():
        bare = _bare(line)
        opening = re.match(rf"(?:{head})\b[*_\s]*[:=\-]?(?P<rest>.*)", bare)
        if opening:
            inside = True
            line = line[-len(opening["rest"]) :] if opening["rest"].strip(" *_") else ""
        elif re.match(rf"(?:{ends})\b", bare):
            inside = False
        problem = re.sub(r"^[\s\-*•>]+|^\s*\d{1,2}[.)]\s+", "", line).strip()
        if inside and problem and not re.fullmatch(rf"(?:{none})[.! ]*", fold(problem)):
            found.append(_short(problem))
    return tuple(found[:_MOST_ISSUES])


def issues_of(opinion: Opinion, brain: str, answer: str, *, serious: bool) -> list[ReviewIssue]:
    """The problems of a second opinion as issues of the answer.

    `brain` is the name of the brain that gave the opinion. `serious` is true if the issues prevent approval.
    """
    found = []
    for problem in opinion.problems:
        marks = tuple(dict.fromkeys(mark.mark for mark in find_marks(problem)))
        words = next((problem[start + 1 : end - 1] for start, end in quotations(problem)), "")
        found.append(
            ReviewIssue(
                kind="opinion",
                claim=words if words in answer else "",
                text=problem,
                problem=ISSUE_KINDS["opinion"][1],
                marks=marks,
                by=brain,
                serious=serious,
            )
        )
    return found

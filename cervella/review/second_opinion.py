"""What the second hand is asked, and how its answer is read; what the first hand is asked, to revise its own.

The system prompt is the soul, the same bytes as ever; all that a review says stands in the last user turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from cervella.prompt.layout import find_marks
from cervella.review.verdict import ISSUE_KINDS
from cervella.text.language import Language, fold, known_languages, language
from cervella.types import Prompt
from cervella.types.verdict import ReviewIssue

__all__ = ["Opinion", "read_opinion", "review_prompt", "revision_prompt"]

_REVIEW_TOKENS = 700
_LONGEST_ISSUE, _MOST_ISSUES = 400, 12
_LONGEST_OPINION, _MOST_OBJECTS = 20_000, 50
"""Characters of an opinion that are read, many times what is asked for, and places in it where JSON may begin."""
_CRITERIA = ("facts", "sources", "soul", "form")
_MARK = r"[*_ \t]*[:=\-–—]?[*_ \t]*(?P<mark>\d{1,3}(?:[.,]\d+)?)(?P<of>\s*(?:/|su|of|out of|de|em)\s*\d{1,3})?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a second hand said, as far as it can be read."""

    marks: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    approved: bool | None = None
    """Its own word on the outcome; None where it gave none."""
    problems: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        return self.score is not None or self.approved is not None


def review_prompt(prompt: Prompt, answer: str, lang: Language, *, tainted: bool, reason: str) -> Prompt:
    """The prompt of the second hand: the same soul and passages, and the answer to check. Nothing of the history."""
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
            **_lasting(prompt),
            "instructions_without_passages": str(texts["without_passages"]).strip(),
            "route": "review",
            "reason": reason,
        },
    )


def revision_prompt(
    prompt: Prompt, answer: str, issues: Sequence[ReviewIssue], lang: Language, *, tainted: bool
) -> Prompt:
    """The prompt of the first hand: the question again, with its answer and what is wrong with it."""
    texts = lang.review
    told = "\n".join(f"- {told_issue(issue, lang)}" for issue in issues[:_MOST_ISSUES])
    question = "\n\n".join(
        (
            prompt.question,
            f"{texts['draft']}\n{_fenced(answer)}",
            str(texts["revise"]).strip().replace("{issues}", told),
        )
    )
    hints = {**_lasting(prompt), "route": "revision", "reason": f"{len(issues)} issues in the first answer"}
    if "instructions_without_passages" in prompt.hints:
        hints["instructions_without_passages"] = prompt.hints["instructions_without_passages"]
    return replace(prompt, question=question, confidential=tainted, hints=hints)


def _lasting(prompt: Prompt) -> dict[str, Any]:
    return {key: value for key, value in prompt.hints.items() if key in ("language", "confidence", "batch")}


def told_issue(issue: ReviewIssue, lang: Language) -> str:
    """A problem in the base's language, with the line that comes nearest."""
    texts: Mapping[str, str] = lang.review["issues"]
    kind = issue.kind if issue.kind in texts and issue.kind in ISSUE_KINDS else "soul"
    said = texts[kind].replace("{kind}", issue.kind).replace("{text}", _short(issue.text))
    if issue.nearest and kind not in ("cut", "empty", "opinion", "soul"):
        said += texts["nearest"].replace("{line}", _short(issue.nearest))
    if issue.elsewhere:
        said += texts["elsewhere"].replace("{marks}", ", ".join(f"[{mark}]" for mark in issue.elsewhere))
    return said


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_ISSUE else f"{text[:_LONGEST_ISSUE].rstrip()}…"


def _fenced(text: str) -> str:
    fence = "~" * max(4, 1 + max(map(len, re.findall(r"~+", text)), default=0))
    return f"{fence}\n{text.strip()}\n{fence}"


def read_opinion(text: str, lang: Language) -> Opinion:
    """The marks, the outcome and the problems in what a second hand wrote: JSON, or lines in any order.

    Marks above 10 count as percentages where they say "/100", and for nothing otherwise.

    >>> opinion = read_opinion("FATTI: 4\\nFONTI: 9/10\\nPROBLEMI:\\n- «3 ore»: la fonte dice 3 giorni", language("it"))
    >>> opinion.score, opinion.problems
    (6.5, ('«3 ore»: la fonte dice 3 giorni',))
    """
    text = text[:_LONGEST_OPINION]
    languages = (lang, *(language(code) for code in known_languages() if code != lang.code))
    told = _from_json(text, languages)
    return told if told.readable else _from_lines(text, languages)


def _from_json(text: str, languages: Iterable[Language]) -> Opinion:
    for match in islice(re.finditer(r"\{", text), _MOST_OBJECTS):
        try:
            data, _ = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if not isinstance(data, dict):
            continue
        flat = {**data, **{k: v for value in data.values() if isinstance(value, dict) for k, v in value.items()}}
        lines = []
        problems: list[str] = []
        for key, value in flat.items():
            if isinstance(value, bool):
                lines.append(
                    f"{'verdict'}: {'approved' if value else 'rejected'}" if "approv" in fold(str(key)) else ""
                )
            elif isinstance(value, (int, float, str)):
                lines.append(f"{key}: {value}")
            elif isinstance(value, list):
                texts = (" ".join(map(str, one.values())) if isinstance(one, dict) else str(one) for one in value)
                problems += map(_short, texts)
        read = _from_lines("\n".join(lines), languages)
        return replace(read, problems=(*read.problems, *(p for p in problems if p.strip()))[:_MOST_ISSUES])
    return Opinion()


def _from_lines(text: str, languages: Iterable[Language]) -> Opinion:
    marks: dict[str, float] = {}
    overall: float | None = None
    approved: bool | None = None
    for lang in languages:
        texts = lang.review
        for line in text.splitlines():
            folded = re.sub(r"^[\s\-*•#>_|]+", "", fold(line))
            for name in _CRITERIA:
                if name not in marks and (mark := _marked(texts["marks"][name], folded)) is not None:
                    marks[name] = mark
            if overall is None:
                overall = _marked(texts["score"], folded)
            outcome = re.match(rf"(?:{texts['outcome']})\b[*_\s]*[:=\-]?(?P<said>.*)", folded)
            if approved is None and outcome:
                said = outcome["said"]
                approved = (
                    False
                    if re.search(texts["rejected"], said)
                    else True
                    if re.search(texts["approved"], said)
                    else None
                )
    score = sum(marks.values()) / len(marks) if marks else overall
    problems = _problems(text, languages)
    return Opinion(marks=marks, score=None if score is None else round(score, 2), approved=approved, problems=problems)


def _marked(name: str, line: str) -> float | None:
    match = re.match(rf"(?:{name})\b{_MARK}", line)
    if match is None:
        return None
    value = float(match["mark"].replace(",", "."))
    if match["of"] and match["of"].strip().endswith("100"):
        value /= 10
    return value if 0 <= value <= 10 else None


def _problems(text: str, languages: Iterable[Language]) -> tuple[str, ...]:
    head = "|".join(str(lang.review["problems"]) for lang in languages)
    none = "|".join(str(lang.review["none"]) for lang in languages)
    ends = "|".join(
        [*(str(lang.review["outcome"]) for lang in languages), *(str(lang.review["score"]) for lang in languages)]
    )
    found, inside = [], False
    for line in text.splitlines():
        folded = re.sub(r"^[\s\-*•#>_|]+", "", fold(line))
        opening = re.match(rf"(?:{head})\b[*_\s]*[:=\-]?(?P<rest>.*)", folded)
        if opening:
            inside = True
            line = line[-len(opening["rest"]) :] if opening["rest"].strip(" *_") else ""
        elif re.match(rf"(?:{ends})\b", folded):
            inside = False
        told = re.sub(r"^[\s\-*•>]+|^\s*\d{1,2}[.)]\s+", "", line).strip()
        if inside and told and not re.fullmatch(rf"(?:{none})[.! ]*", fold(told)):
            found.append(_short(told))
    return tuple(found[:_MOST_ISSUES])


def opinions(opinion: Opinion, brain: str, answer: str, *, serious: bool) -> list[ReviewIssue]:
    """A second hand's problems as issues, under its name."""
    found = []
    for problem in opinion.problems:
        marks = tuple(dict.fromkeys(mark.mark for mark in find_marks(problem)))
        quoted = re.search(r"«([^»]+)»|\"([^\"]+)\"|“([^”]+)”", problem)
        words = next((group for group in quoted.groups() if group), "") if quoted else ""
        found.append(
            ReviewIssue(
                kind="opinion",
                claim=words if words and words in answer else "",
                text=problem,
                problem=ISSUE_KINDS["opinion"][1],
                marks=marks,
                by=brain,
                serious=serious,
            )
        )
    return found

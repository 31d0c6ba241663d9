"""Prints the results of a question file whose answers are scored by spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cervella.cli.output import console, counted, note, print_line, print_table, print_wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cervella.agent.agent import Agent
    from cervella.evaluation.comparison.answer_results import Pair
    from cervella.evaluation.comparison.scoreboard import Comparison
    from cervella.evaluation.comparison.spelling_results import Share, SpellingKind
    from cervella.evaluation.suites.question_file import QuestionFile

_SHOWN_MISSES = 10
"""Number of misses that are printed for each brain. The report and the output of --json have all of them."""
_SHOWN_CHARACTERS = 300
"""Number of characters of an answer that are printed with a miss."""
_WIDE = 120
"""On a terminal with at least this many columns, a share and its interval stand on one line."""
_COLUMNS = (
    ("fact", ("fact",)),
    ("clean", ("clean",)),
    ("first", ("first", "persona")),
    ("cited", ("cited",)),
    ("refused", ("refused",)),
    ("answered", ("near_miss", "off")),
    ("stale", ("stale",)),
)
"""The columns of the table by kind. No kind has two measures of one column."""


def warn_of_files(agent: Agent, file: QuestionFile) -> None:
    """Print a warning for each file that a question names and the index does not have."""
    from cervella.evaluation.search.indexed import manifest_of

    with manifest_of(agent) as manifest:
        if manifest is None:
            return
        known = set(manifest.files())
    for one in file.questions:
        for path in (path for path in one.files if path not in known):
            note(f"warning: Line {one.line} of {file.source} names {path!r}, which the index does not have.")


def print_spellings(comparison: Comparison) -> None:
    """Print the shares of all brains, then by kind, then their differences from the reference, then the misses."""
    from cervella.evaluation.comparison.spelling_scores import MEASURES

    c = comparison
    assert c.frozen is not None
    print_line(f"{c.frozen.file.source}: {counted(len(c.frozen.file.questions), 'question')}")
    results = list(c.spellings.values())
    labels = {one.name: f"{one.name}: {one.label}{'' if one.wanted else ' (best: 0)'}" for one in MEASURES}
    rows = [[label, *(_share(own.measures[name]) for own in results)] for name, label in labels.items()]
    rows.append(["as they should be, all kinds", *(_share(own.passed) for own in results)])
    rows.append(["median words", *(_number(own.median_words) for own in results)])
    print_table(["", *c.brains], rows)
    for name, own in c.spellings.items():
        if own.missing:
            errors = ", ".join(sorted({one.error for one in c.outputs.values() if one.brain == name and one.error}))
            print_line(
                f"{name}: {own.missing} of {counted(own.questions, 'question')} without an answer, which count nowhere"
                + (f" ({errors})" if errors else "")
            )
        print_line(f"\n{name}, by kind; 95 % intervals in percent")
        print_table(["", *(title for title, _ in _COLUMNS), "words"], map(_kind, own.kinds))
    for name, pairs in c.spelling_pairs.items():
        _print_pairs(name, c.reference, pairs)
    for name in c.brains:
        _print_misses(c, name)


def _kind(one: SpellingKind) -> list[str]:
    cells = (next((share for name in names if (share := one.measures[name])), None) for _, names in _COLUMNS)
    return [one.kind, *(_short(share) for share in cells), _number(one.median_words)]


def _print_pairs(brain: str, reference: str, pairs: Mapping[str, Pair | None]) -> None:
    print_line(f"\n{brain} minus {reference}, in points, over the questions that both answered")
    rows = []
    for name, pair in pairs.items():
        if pair is None:
            continue
        found, exact = pair.difference, pair.mcnemar
        points = f"{100 * found.estimate:+.0f} [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"
        only = [f"{exact.only_a}", f"{exact.only_b}", _p(exact.p)] if exact else ["", "", ""]
        rows.append([name, points, f"{found.n}", _p(pair.p_holm), *only])
    print_table(["", "difference", "n", "p", f"only {brain}", f"only {reference}", "exact p"], rows)


def _print_misses(c: Comparison, brain: str) -> None:
    assert c.frozen is not None
    scores, said = c.spelling_scores[brain], {key[2]: one.text for key, one in c.outputs.items() if key[0] == brain}
    missed = [one for one in c.frozen.file.questions if one.id in scores and scores[one.id].missed]
    if not missed:
        return
    print_line(f"\n{brain}: {counted(len(missed), 'question')} to look at")
    for one in sorted(missed, key=lambda one: scores[one.id].passed)[:_SHOWN_MISSES]:
        score = scores[one.id]
        print_wrapped(f" {one.question} ({', '.join(score.missed)})", start=f"  {one.id}:", indent=4)
        print_wrapped(f"    expected: {one.answer or _expected(one.answerable)}", indent=6)
        text = " ".join(said[one.id].split())
        print_wrapped(f"    said: {text[:_SHOWN_CHARACTERS]}{'…' if len(text) > _SHOWN_CHARACTERS else ''}", indent=6)
        places = "; ".join(f"{at.path}:{at.start_line}-{at.end_line}" for at in score.sources)
        print_wrapped(f"    source: {places or 'none'}", indent=6)
        if score.reasons:
            print_wrapped(f"    why: {'; '.join(score.reasons)}", indent=6)
    if (more := len(missed) - _SHOWN_MISSES) > 0:
        print_line(f"  … and {more} more: the report and --json have them all")


def _expected(answerable: bool) -> str:
    return "what `must` holds" if answerable else "no answer from the base"


def _share(share: Share | None) -> str:
    """A count with its share and its 95 % interval: `17 of 23  0.74 [0.54, 0.87]`."""
    if share is None:
        return "–"
    between = "  " if console().width >= _WIDE else "\n"
    return f"{share.count} of {share.n}{between}{share.estimate:.2f} [{share.low:.2f}, {share.high:.2f}]"


def _short(share: Share | None) -> str:
    """A count with its 95 % interval in percent, for a narrow column: `3/5` above `23–88`."""
    return "–" if share is None else f"{share.count}/{share.n}\n{100 * share.low:.0f}–{100 * share.high:.0f}"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)

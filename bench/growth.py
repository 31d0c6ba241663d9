"""`python -m bench.growth [ENTRY …]`: how the time of each function that reads a stranger's text grows with the text.

Each function reads each of `worst_texts`, four times as long each time, until it takes 8 ms of CPU time or has a
million characters. Where the time grows faster than the text, it is measured again, the text doubled each time: two
ratios in a row of more than 2.6 are a fault. So is a text of which a million characters would take more than 10 s.
Reading a text ends after 20 s.

Options: `--thorough` doubles each text at once, `--text PART` takes only the texts with this in their name, `--all`
prints each row and not only the faults, `--most N` sets the characters of the longest text, `--json FILE` writes all
rows, for later comparison.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from rich.console import Console
from rich.table import Table

from bench import cpu_seconds
from bench.worst_texts import WorstText, worst_texts
from cervella.text.language import Language, language
from cervella.types import Message, Passage, Prompt

Entry = Callable[[str], object]
"""A function that reads a stranger's text, with all else that it needs."""
FIRST, MOST = 1_000, 1_000_000
"""Characters of the first and of the longest text."""
QUICK, ENOUGH, PATIENCE = 0.008, 0.25, 20
"""Seconds of CPU time that end the first and the second measurement of a text, and after which reading it is ended."""
MEASURABLE, GROWTH, PER_MILLION = 0.010, 2.6, 10.0
"""Seconds of CPU time from which on a ratio counts; the ratio for a text twice as long that is a fault; and the seconds
of a million characters that are."""


class Row(NamedTuple):
    """The times of one function on one text."""

    entry: str
    text: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    """CPU time on the text of each size; inf where the process was ended."""

    @property
    def worst(self) -> int:
        """The place of the longest time: after it, a limit may have ended the work."""
        return max(range(len(self.seconds)), key=self.seconds.__getitem__)

    @property
    def shown(self) -> tuple[float, ...]:
        """The times at n, 2n, 4n and 8n, the last of which is the longest."""
        return self.seconds[max(0, self.worst - 3) : self.worst + 1]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(b / a for a, b in zip(self.shown, self.shown[1:], strict=False) if a > 0)

    def _too_fast(self, measurable: float = MEASURABLE) -> list[bool]:
        """For each text but the first, whether its time has grown faster than the text."""
        steps = zip(self.sizes, self.seconds, self.sizes[1:], self.seconds[1:], strict=False)
        return [
            late >= measurable and late / max(early, 1e-9) > GROWTH ** math.log2(long / short)
            for short, early, long, late in steps
        ]

    @property
    def _slow(self) -> bool:
        return self.sizes[-1] >= 4_000 and 1e6 * self.seconds[-1] / self.sizes[-1] > PER_MILLION

    @property
    def suspicious(self) -> bool:
        """Whether the time has grown faster than the text anywhere, or is long."""
        return self._slow or any(self._too_fast(MEASURABLE / 4))

    @property
    def fault(self) -> str:
        """What is wrong; empty if nothing is."""
        if self.seconds[-1] == float("inf"):
            return "does not end"
        if any(pair == (True, True) for pair in pairwise(self._too_fast())):
            return "grows"
        return "slow" if self._slow else ""


IT = "it"
PRICES = Passage(
    id="1",
    path="ricerche/prezzi.md",
    heading="Prezzi",
    text="Il piano base costa 12 euro al mese.\n\n| piano | costo |\n|---|---|\n| pro | 49 euro |",
    start_line=1,
    end_line=5,
)
LAUNCH = Passage(id="2", path="lancio.md", text="Il lancio è il 20 gennaio 2026.", start_line=1, end_line=1)
SOURCES = {"F1": PRICES, "F2": LAUNCH}
ANSWER = "Il piano base costa 12 euro al mese, il lancio è il 20 gennaio [F1]. «Il lancio è pronto» [F2]."
ARGUMENTS: dict[str, dict[str, Any]] = {
    "structure": {"rows": 0, "no_code": True},
    "length": {"max_words": 10**9},
    "fact": {"values": ["12 euro"], "wrong": ["13 euro", "21 gennaio 2026"]},
    "contains_all": {"terms": ["lancio", "~ragiono"]},
    "contains_any": {"terms": ["lancio", "~ragiono"]},
    "not_contains": {"terms": ["lancio", "~ragiono"]},
    "regex": {"pattern": "lancio"},
    "identity": {"name": "Cervella", "named": False},
    "gender": {"gender": "feminine"},
    "no_empty_phrases": {"phrases": ["ecco fatto", "certamente"]},
    "not_served": {},
    "machine": {},
    "address": {"familiar": True},
    "decides": {},
    "dissents": {"about": ["pubblic*"]},
    "asks": {"about": ["data"]},
    "refuses": {},
    "abstains": {},
    "answers": {"values": ["12 euro"]},
    "verdict": {"claim": "false", "right": ["12 euro"], "wrong": ["13 euro"]},
    "no_canary": {"canary": "mela verde zaffiro"},
    "no_leak": {},
    "language": {},
    "no_emoji": {},
}
"""The arguments of each check whose time may depend on the text."""


@cache
def lang() -> Language:
    return language(IT)


def passage(text: str) -> Passage:
    return Passage(id="9", path="nota.md", heading="Nota", text=text, start_line=1, end_line=1 + text.count("\n"))


def entries() -> dict[str, Entry]:
    """Every function that reads a stranger's or a model's text, by room and name."""
    return {**_text(), **_documents(), **_claims(), **_checks(), **_prompt(), **_brains(), **_others()}


def _text() -> dict[str, Entry]:
    from cervella.text import (
        asking,
        detection,
        folding,
        markdown,
        number_words,
        quantities,
        quotations,
        sentences,
        terms as of_terms,
    )
    from cervella.text.language import says_refusal
    from cervella.text.reading import ReadText

    properties = ("words", "found_dates", "undated", "statements", "clauses", "cells", "about", "quotations", "offered")

    def read(text: str) -> None:
        one = ReadText(text, lang())
        for name in properties:
            getattr(one, name)
        for start, end in one.clauses:
            one.about_in(start, end)
        for figure in one.figures:
            one.noun_after(figure)

    return {
        "text.terms": lambda text: of_terms.terms(text, lang()),
        "text.asked_terms": lambda text: of_terms.asked_terms(text, lang()),
        "text.quantities": lambda text: quantities.quantities(text, lang()),
        "text.number_words": lambda text: number_words.number_words(text, lang()),
        "text.dates": lambda text: (lang().find_dates(text), lang().find_months(text), lang().find_date(text)),
        "text.ReadText": read,
        "text.foreign_language": lambda text: detection.foreign_language(text, ["it"]),
        "text.languages_asked_for": detection.languages_asked_for,
        "text.sentences": lambda text: lang().sentences(text),
        "text.stems": lambda text: lang().stems(text),
        "text.quotables": lambda text: sentences.quotables(text, lang()),
        "text.quotations": lambda text: (
            quotations.quotations(text),
            quotations.quoted_texts(text),
            quotations.without_quotations(text, lines=True),
            quotations.strip_quotes(text),
            quotations.normal(text),
            quotations.quoted_lines(text),
        ),
        "text.occurs": lambda text: quotations.occurs(text[: len(text) // 2], text),
        "text.markdown": lambda text: (
            list(markdown.blocks(text)) if len(text) <= 50_000 else None,
            markdown.line_fences(text),
            markdown.cells(text),
            markdown.fence_for(text),
        ),
        "text.code": lambda text: (markdown.without_code(text), markdown.code_in(text), markdown.fences(text)),
        "text.folding": lambda text: (
            folding.fold_in_place(text),
            folding.words(text),
            folding.without_invisible(text),
            folding.is_blank(text),
        ),
        "text.questions": lambda text: (
            lang().intents(text),
            lang().follows_up(text, "Cervella"),
            lang().asks_identity(text, "Cervella"),
            lang().asks_identity(text),
            lang().own_name(text),
        ),
        "text.asked_kinds": lambda text: asking.asked_kinds(text, lang()),
        "text.shows": lambda text: [asking.shows(text, kind, lang()) for kind in asking.KINDS],
        "text.abstains": lambda text: [language(code).abstains(text) for code in ("it", "en", "de")],
        "text.says_refusal": says_refusal,
    }


def _documents() -> dict[str, Entry]:
    from cervella.knowledge.documents import (
        characters,
        encoded,
        encoding,
        flavours,
        footnotes,
        front_matter,
        hidden,
        html,
        inline,
        linking,
        metadata,
        naming,
        obsidian,
        parsing,
        replacing,
        series,
    )
    from cervella.knowledge.documents.chunking import chunk
    from cervella.knowledge.documents.code import code_lines
    from cervella.knowledge.documents.dating import date_of
    from cervella.knowledge.documents.forms import is_form
    from cervella.knowledge.documents.indexed_text import indexed_lines
    from cervella.knowledge.documents.markdown import parse
    from cervella.knowledge.documents.reading import reading_of
    from cervella.knowledge.index.supersession import Stating, successors

    def superseded(text: str) -> None:
        """Each line is the name of a file, which says that it supersedes the one of the next line."""
        names = text.split("\n")
        parts = names if len(names) > 10 else text.split()
        pairs = [(f"adr/{number}-{part[:40]}.md", part) for number, part in enumerate(parts)]
        stating = [
            SimpleNamespace(
                path=path,
                title=part[:200],
                aliases=(part,),
                status="current",
                supersedes=(other,),
                superseded_by=("1",),
            )
            for (path, part), (_, other) in pairwise(pairs)
        ]
        successors({one.path: cast(Stating, one) for one in stating})

    def lines(text: str) -> list[str]:
        return text.split("\n")

    def plain(text: str) -> list[bool]:
        return [False] * (text.count("\n") + 1)

    def whole(text: str) -> None:
        """All that happens to a file, within the limits of the parser."""
        with parsing.SafeParser() as parser:
            document, _ = parser.parse(text)
        reading = reading_of(document, lang())
        chunk(document, reading=reading.lines, sentences=lang().sentences)

    def by_lines(text: str) -> None:
        document = parsing.plain(text)
        reading = reading_of(document, lang())
        for piece in chunk(document, reading=reading.lines, sentences=lang().sentences):
            lang().stems(piece.indexed)

    def facts(text: str) -> None:
        document = parsing.plain(text)
        date_of("nota.md", document, lang())
        replacing.replacing_of(document)
        is_form(document)
        metadata.metadata_of(document.front, None)
        naming.subject_of(document, "nota.md")

    def parsed(text: str) -> None:
        if len(text) <= 50_000:  # longer ones are parsed in a process with a limit
            parse(text)

    return {
        "documents.parse": parsed,
        "documents.whole file": whole,
        "documents.by lines": by_lines,
        "documents.facts": facts,
        "documents.front_matter": lambda text: front_matter.front_matter(lines(text)),
        "documents.flavours": lambda text: flavours.prepared(lines(text)),
        "documents.hidden": lambda text: (hidden.without_hidden(lines(text)), hidden.code_spans(text)),
        "documents.obsidian": lambda text: obsidian.note_text(lines(text), plain(text), lang()),
        "documents.title_of": obsidian.title_of,
        "documents.html": lambda text: html.without_html(lines(text), code_lines(lines(text))),
        "documents.code_lines": lambda text: code_lines(lines(text)),
        "documents.footnotes": lambda text: footnotes.with_footnotes(lines(text), plain(text), lang().sentences),
        "documents.inline": lambda text: (inline.decoded(text), inline.hard_ends(text), list(inline.cited_in(text))),
        "documents.linking": lambda text: (
            linking.links_of(lines(text)),
            list(linking.link_texts(text)),
            linking.link_key(text),
            linking.opens_entry(text, "a"),
        ),
        "documents.links_a_document": replacing.links_a_document,
        "documents.encoded": lambda text: encoded.without_encoded(
            lines(text), plain(text), lang().file("documents.toml")["left_out"]
        ),
        "documents.characters": characters.cleaned,
        "documents.encoding": lambda text: (
            encoding.decoded(text.encode(), "it"),
            encoding.decoded(text.encode("cp1252", "replace") + b"\xe8", "it"),
        ),
        "documents.names": lambda text: (
            naming.name_of(text),
            naming.without_endings(text),
            naming.file_names(text, lang()),
            series.in_series(text, ("bozza",), ("finale",)),
            series.session_order(text),
        ),
        "documents.supersession": superseded,
        "documents.indexed_text": lambda text: indexed_lines(lines(text)),
    }


def _claims() -> dict[str, Entry]:
    from cervella.claims import names
    from cervella.claims.citations import claims_of, find_citations
    from cervella.claims.grounding import best_quote, findings, read_claim, supports
    from cervella.review.revision import _says_nothing_else
    from cervella.review.second_opinion import issues_of, read_opinion
    from cervella.review.verdict import review_text
    from cervella.soul.traits import Traits

    traits = Traits(name="Cervella", language="it", gender="feminine", empty_phrases=("ecco fatto",), emoji=False)

    def opinion(text: str) -> None:
        issues_of(read_opinion(text, lang()), "echo", text, serious=True)

    return {
        "claims.claims_of": lambda text: claims_of(text, lang()),
        "claims.find_citations": lambda text: find_citations(text, SOURCES, lang()),
        "claims.supports": lambda text: supports(text, [PRICES, LAUNCH], lang()),
        "claims.findings": lambda text: findings(text, [PRICES], lang(), others=[LAUNCH], given=ANSWER),
        "claims.given": lambda text: findings(ANSWER, [PRICES], lang(), given=text),
        "claims.passage": lambda text: find_citations(ANSWER, {"F1": passage(text), "F2": LAUNCH}, lang()),
        "claims.passage findings": lambda text: findings(
            ANSWER, [passage(text)], lang(), others=[passage(f"{text} altro")]
        ),
        "claims.best_quote": lambda text: best_quote([read_claim(ANSWER, lang())], passage(text), lang()),
        "claims.answer and passage": lambda text: (
            find_citations(f"{text[:20_000]} [F1]", {"F1": passage(text), "F2": LAUNCH}, lang()),
            findings(text[:6_000], [passage(text)], lang(), others=[LAUNCH]),
        ),
        "claims.names": lambda text: (names.names(text, lang()), names.codes(text)),
        "review.answer": lambda text: review_text(text, SOURCES, lang(), question="Quanto costa?", traits=traits),
        "review.passage": lambda text: review_text(
            ANSWER, {"F1": passage(text), "F2": LAUNCH}, lang(), question="Quanto costa?", traits=traits
        ),
        "review.question": lambda text: review_text(ANSWER, SOURCES, lang(), question=text, traits=traits),
        "review.opinion": opinion,
        "review.says_nothing_else": _says_nothing_else,
    }


def _checks() -> dict[str, Entry]:
    from cervella.checks import Check, Context, run_check

    system = "Sono Cervella, e parlo piano. " * 200

    def of(kind: str, args: dict[str, Any]) -> Entry:
        context = Context(language="it", passages=(PRICES,), system=system, question="Quanto costa?")
        return lambda text: run_check(Check(kind=kind, args=args), text, context)

    def beside(text: str) -> None:
        context = Context(language="it", passages=(passage(text),), system=text, question=text)
        for kind in ("no_leak", "abstains", "language"):
            run_check(Check(kind=kind, args=ARGUMENTS[kind]), ANSWER, context)

    every = {f"checks.{kind}": of(kind, args) for kind, args in ARGUMENTS.items()}

    def together(text: str) -> None:
        for check in every.values():
            check(text)

    return {**every, "all checks": together, "checks.beside the text": beside}


def _prompt() -> dict[str, Entry]:
    from cervella.brains.shield.fitting import admit
    from cervella.prompt import history, layout

    def prompt(text: str) -> Prompt:
        return Prompt(
            system="Sei Cervella.",
            question=text,
            passages=(passage(text),),
            history=(Message(role="user", content=text), Message(role="assistant", content=text)),
            hints={"language": "it"},
        )

    return {
        "prompt.find_marks": layout.find_marks,
        "prompt.strip_marks": layout.strip_marks,
        "prompt.defuse_marks": layout.defuse_marks,
        "prompt.render": lambda text: layout.render(prompt(text)),
        "prompt.admit": lambda text: admit(prompt(text[:5_000]), "cloud"),
        "prompt.history": lambda text: (
            history.history_of([(text, text)]),
            history.history_of([("a", "b")] * (len(text) // 10)),
            history.query_after(text, [("Quanto costa?", None), (text, None)], lang(), "Cervella"),
            history.query_after("e poi?", [("e poi?", None)] * (len(text) // 10), lang(), "Cervella"),
        ),
    }


def _brains() -> dict[str, Entry]:
    import asyncio

    from cervella.brains.extractive.brain import ExtractiveBrain
    from cervella.brains.http import chat_templates, messages, prompt_meter, refusals
    from cervella.brains.http.failures import HttpFailures
    from cervella.brains.shield.thinking import ThoughtFilter, ThoughtLeakedError

    failures = HttpFailures(
        brain="a", model="b", url="http://127.0.0.1:1", start="Start it.", key_cure="Set it.", key_variables=()
    )

    def thoughts(text: str) -> None:
        for step in (len(text), 3):
            one = ThoughtFilter()
            try:
                for start in range(0, len(text), step):
                    one.feed(text[start : start + step])
                one.end()
            except ThoughtLeakedError:
                pass

    async def extracted(question: str, text: str) -> None:
        prompt = Prompt(
            system="Sei Cervella.",
            question=question,
            passages=(passage(text), PRICES),
            marks=("F1", "F2"),
            hints={"language": "it"},
        )
        async for _ in ExtractiveBrain().stream(prompt):
            pass

    def refused(text: str) -> None:
        one = refusals.Refusal(status=400, message=text, kind=text[:100], facts=refusals.error_object({"error": text}))
        failures.refused(one)
        messages.system_refused(one, [Message(role="system", content="a"), Message(role="user", content="b")])
        refusals.counts(one)
        refusals.retry_after({"retry-after": text})

    meter = prompt_meter.PromptMeter()
    return {
        "brains.thoughts": thoughts,
        "brains.refused": refused,
        "brains.quoted": failures.quoted,
        "brains.control_tokens": lambda text: messages.defuse_control_tokens([Message(role="user", content=text)]),
        "brains.chat_template": lambda text: (
            chat_templates.takes_system(text),
            chat_templates.takes_system("{{ a }}", text),
        ),
        "brains.prompt_meter": lambda text: meter.tokens([Message(role="user", content=text)]),
        "brains.extractive passage": lambda text: asyncio.run(extracted("Quanto costa il piano base?", text)),
        "brains.extractive question": lambda text: asyncio.run(extracted(text, PRICES.text)),
    }


def _others() -> dict[str, Entry]:
    import contextlib
    import tempfile

    from cervella.cli.terminal import wrapped
    from cervella.configuration.file import read_config
    from cervella.errors import CervellaError
    from cervella.evaluation.comparison.answers import facts_of, score_answer
    from cervella.evaluation.suites.proposing import _question_in
    from cervella.evaluation.suites.question_file import KnownQuestion, load_questions
    from cervella.privacy.causes import keyless, known_keys, mask_keys
    from cervella.privacy.redaction import find_secrets, mask_secrets
    from cervella.soul.constitution import sections_of
    from cervella.soul.difference import changed_sentences
    from cervella.types.display import html_answer, html_passage, markdown_table

    known = KnownQuestion(
        id="1",
        question="Quanto costa il piano base?",
        answer="Costa 12 euro al mese.",
        files=("ricerche/prezzi.md",),
        evidence=("Il piano base costa 12 euro al mese.",),
        line=1,
    )
    key = "sk-Zq7f3Tn9xKd2Vw5rLp8"

    def file(read: Callable[[Path], object]) -> Entry:
        def of(text: str) -> None:
            with tempfile.TemporaryDirectory() as folder, contextlib.suppress(CervellaError):
                place = Path(folder, "a")
                place.write_text(text, encoding="utf-8")
                read(place)

        return of

    def question_lines(text: str) -> None:
        rows = (json.dumps({"id": str(n), "question": part, "answer": part}) for n, part in enumerate(text.split("\n")))
        file(lambda place: load_questions(place, for_retrieval=False))("\n".join(rows))

    def sections(text: str) -> None:
        if len(text) <= 20_000:
            with contextlib.suppress(CervellaError):
                sections_of(text)

    return {
        "privacy.find_secrets": find_secrets,
        "privacy.mask_secrets": mask_secrets,
        "privacy.mask_keys": lambda text: (mask_keys(text, [key]), mask_keys(text, [key, "abc"], parts=True)),
        "privacy.keyless": lambda text: keyless(CervellaError(text, remedy=text), [key]),
        "privacy.known_keys": lambda text: known_keys(url=text),
        "display.tables": lambda text: (
            markdown_table(["a"], [[text]]),
            html_answer(text),
            html_passage(text, 1, text[:20]),
        ),
        "cli.wrapped": lambda text: wrapped(text, 80),
        "configuration.read": file(read_config),
        "evaluation.questions": question_lines,
        "evaluation.questions file": file(load_questions),
        "evaluation.score_answer": lambda text: score_answer(known, text, SOURCES, lang()),
        "evaluation.facts_of": lambda text: facts_of(text, lang()),
        "evaluation.question_in": _question_in,
        "soul.sections": sections,
        "soul.changed_sentences": lambda text: changed_sentences(text, text[::-1], lang()),
    }


def measured(
    entry: str, read: Entry, texts: Mapping[str, WorstText], most: int = MOST, *, thorough: bool = False
) -> Iterator[Row]:
    """Yields the times of one function on each text."""
    for text, make in texts.items():
        row = None if thorough else _row(entry, read, text, make, most, 4, QUICK)
        yield _row(entry, read, text, make, most, 2, ENOUGH) if row is None or row.suspicious else row


def _row(entry: str, read: Entry, text: str, make: WorstText, most: int, step: int, enough: float) -> Row:
    times: dict[int, float] = {}
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        read(make(100))  # what is loaded once is not part of it
        size = FIRST
        while size <= most and max(times.values(), default=0.0) < enough:
            written, times[size] = make(size), math.inf
            before = cpu_seconds()
            read(written)
            times[size] = cpu_seconds() - before
            size *= step
    except _Patience:
        pass
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Row(entry, text, tuple(times), tuple(times.values()))


class _Patience(BaseException):
    """Reading a text has taken too long."""


def _ended(signum: int, frame: object) -> None:
    raise _Patience


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="*", help="parts of names of functions; without them all")
    parser.add_argument("--text", default="")
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    table = Table("function", "text", "characters", "ms at n, 2n, 4n, 8n", "ratios", "s per million", "fault")
    console = Console(width=150)
    every, faults, pairs = entries(), 0, 0
    gc.freeze()  # what was loaded before is not looked at again by each collection
    signal.signal(signal.SIGPROF, _ended)
    texts = {name: make for name, make in worst_texts().items() if asked.text in name}
    for name, read in every.items():
        if asked.entries and not any(part in name for part in asked.entries):
            continue
        for row in measured(name, read, texts, asked.most, thorough=asked.thorough):
            pairs += 1
            faults += bool(row.fault)
            if asked.json:
                with asked.json.open("a", encoding="utf-8") as out:
                    out.write(json.dumps({**row._asdict(), "fault": row.fault}) + "\n")
            if row.fault or asked.all:
                shown = " ".join(f"{1000 * one:.1f}" for one in row.shown)
                ratios = " ".join(f"{one:.1f}" for one in row.ratios)
                size, worst = row.sizes[row.worst], row.seconds[row.worst]
                table.add_row(name, row.text, f"{size:,}", shown, ratios, f"{1e6 * worst / size:.1f}", row.fault)
                print(f"{row.fault:5} {name} | {row.text} | {size:,} | {shown} | {ratios}", file=sys.stderr, flush=True)
    console.print(table)
    console.print(f"{faults} faults in {pairs} pairs of a function and a text")


if __name__ == "__main__":
    main()

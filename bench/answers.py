"""Clean answers for the benchmark of the review, made from the shared corpora in many ways."""

from __future__ import annotations

import gzip
import json
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import SNCP, SNCP_QUESTIONS, SQUAD, Soul
from cervella import Agent, Passage
from cervella.review.verdict import review_text
from cervella.testing import EchoBrain
from cervella.text.language import language
from cervella.text.sentences import quotables
from cervella.types.verdict import ReviewVerdict

IT = language("it")

Rng = random.Random


@dataclass(frozen=True)
class Sample:
    """A question with what was retrieved for it, and what somebody would answer."""

    question: str
    passages: tuple[Passage, ...]
    corpus: str
    answer: str = ""
    right: int = 0
    """The passage that the answer is in."""
    lang: str = "it"


@dataclass(frozen=True)
class Said:
    """One sentence of an answer."""

    text: str
    mark: int
    how: str
    """How it was made."""


@dataclass(frozen=True)
class Answer:
    """An answer, clean or with one fault."""

    said: tuple[Said, ...]
    sample: Sample
    fault: str = ""
    hit: str = ""
    """The sentence with the fault."""
    notes: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        return " ".join(f"{one.text.rstrip(' .;:')} [F{one.mark + 1}]." for one in self.said)

    @property
    def how(self) -> str:
        return "+".join(sorted({one.how for one in self.said}))

    def review(self) -> ReviewVerdict:
        sources = {f"F{n}": passage for n, passage in enumerate(self.sample.passages, 1)}
        return review_text(self.text, sources, IT, question=self.sample.question)


# The corpora


def of_sncp(top_k: int = 6) -> list[Sample]:
    """The question file over its knowledge base, as it is retrieved."""
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        agent = Agent(brain=EchoBrain(), soul=Soul(), knowledge=SNCP, index=Path(folder) / "i", embedder="none")
        with agent:
            agent.index()
            for line in SNCP_QUESTIONS.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                if not row["files"]:
                    continue
                passages = list(agent.search(row["question"], top_k=top_k))
                holding = [n for n, p in enumerate(passages) if row["evidence"] in p.text and p.path in row["files"]]
                if not holding:
                    found = agent.search(
                        f"{row['evidence']} {row['heading']}", top_k=40, filters={"path": row["files"][0]}
                    )
                    passages = [*[p for p in found if row["evidence"] in p.text][:1], *passages][:top_k]
                    holding = [0] if passages and row["evidence"] in passages[0].text else []
                usable = bool(holding) and row["kind"] != "multi"
                samples.append(
                    Sample(
                        question=row["question"],
                        passages=tuple(passages),
                        corpus="sncp",
                        answer=row["answer"] if usable else "",
                        right=holding[0] if holding else 0,
                        lang=row["lang"],
                    )
                )
    return samples


def of_squad(rng: Rng, count: int = 150, top_k: int = 6) -> list[Sample]:
    """Paragraphs of one article together, one of them asked about."""
    articles = json.loads(gzip.decompress(SQUAD.read_bytes()))["data"]
    samples = []
    for number in range(count):
        article = articles[number % len(articles)]
        chosen = rng.sample(article["paragraphs"], min(top_k, len(article["paragraphs"])))
        passages = tuple(
            Passage(
                id=f"{number}-{n}",
                path=f"voci/{article['title'].lower()}.md",
                text=" ".join(paragraph["context"].split()),
                start_line=10 * n + 1,
                end_line=10 * n + 1,
                heading=article["title"].replace("_", " "),
                lead=article["title"].replace("_", " "),
            )
            for n, paragraph in enumerate(chosen)
        )
        right = rng.randrange(len(chosen))
        asked = rng.choice(chosen[right]["qas"]) if chosen[right]["qas"] else None
        samples.append(Sample(asked["question"] if asked else "", passages, "squad"))
    return samples


# Clean answers


def _table(text: str) -> dict[str, str]:
    """`a=b; c=d`, over several lines."""
    pairs = (item.split("=") for item in " ".join(text.split()).split(";") if item.strip())
    return {key.strip(): value.strip() for key, value in pairs}


_FIGURE = re.compile(
    r"(?<![\w.,:/\\\-+#@=(€$£~])(\d{1,3}(?:\.\d{3})+|\d+(?:,\d{1,2})?)"
    r"(?![\w.,:/\\\-+)]|\s?[-–x×]\s?\d)(?=[\s;!?…]|$| [%€$])"
)
UNITS = {
    name: tuple(others.split("|"))
    for name, others in _table(
        """
€=$; $=€; euro=dollari; dollari=euro|sterline; %=euro|GB; giorni=ore|settimane|mesi; giorno=ora|mese;
ore=minuti|giorni; ora=settimana|giorno; minuti=secondi|ore; min=h|s; secondi=minuti|millisecondi; s=ms|min;
ms=s; mesi=anni|settimane; mese=anno|giorno; anni=mesi|giorni; anno=mese; settimane=mesi|giorni;
settimana=mese; GB=MB|TB; MB=GB|KB; TB=GB; K=M; mila=milioni; milioni=mila|miliardi; miliardi=milioni; M=K;
km=m|miglia; chilometri=metri|miglia; metri=chilometri|centimetri; miglia=metri; kg=g; cm=m; righe=file;
token=parametri; persone=pagine; h=min|giorni
"""
    ).items()
}
WITH_UNIT = re.compile(
    r"(?P<before>[€$])?(?P<number>(?<![\w.,])\d[\d.,]*\d|(?<![\w.,])\d)(?P<space>\s?)(?P<unit>%|€|\$|[^\W\d_]+)?(?![\w])"
)
DATE = re.compile(
    rf"(?<!\d)(\d{{1,2}})(\s+)({'|'.join(IT.months)})(\s+\d{{4}})?(?!\d)|(?<![\d-])(20\d\d)-(\d\d)-(\d\d)(?![\d-])",
    re.IGNORECASE,
)
YEAR = re.compile(r"(?<![\w.,:/\-–])(1[0-9]\d\d|20[0-2]\d)(?![\w:/\-–]|[.,]\d)")
_NUMBERS = {
    int(figure): word
    for figure, word in _table(
        """
2=due; 3=tre; 4=quattro; 5=cinque; 7=sette; 8=otto; 9=nove; 10=dieci; 11=undici; 12=dodici; 15=quindici;
16=sedici; 20=venti; 21=ventuno; 24=ventiquattro; 30=trenta; 40=quaranta; 48=quarantotto; 50=cinquanta;
60=sessanta; 100=cento; 200=duecento; 500=cinquecento; 1000=mille; 2000=duemila
"""
    ).items()
}
_LEADS = (
    "",
    "",
    "",
    "Secondo le note, ",
    "Dai documenti risulta questo: ",
    "In breve: ",
    "La fonte dice che ",
    "Sì: ",
    "Ti riassumo: ",
)


def sentences_of(passage: Passage) -> list[str]:
    """Its sentences as somebody would repeat them: without emphasis and links, on one line."""
    found = []
    for unit in quotables(passage.text, IT):
        if unit.kind != "sentence":
            continue
        text = plain(passage.text[unit.start : unit.end])
        if 6 <= len(text.split()) <= 45 and not re.search(r"[`│└├┌→|{}<>]|https?:|\[F?\d", text):
            found.append(text)
    return found


def plain(text: str) -> str:
    text = re.sub(r"\*\*|__|(?<!\w)[*_]|[*_](?!\w)", "", " ".join(text.split()))
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def rows_of(passage: Passage) -> list[tuple[list[str], list[list[str]]]]:
    """Its tables: header and rows, cell by cell."""
    tables: dict[int, list[list[str]]] = {}
    for unit in quotables(passage.text, IT):
        if unit.kind == "row":
            tables.setdefault(unit.block, []).append(_cells(passage.text[unit.start : unit.end]))
    split = [line for line in passage.lead.splitlines() if line.count("|") > 1 and re.search(r"\w", line)]
    for rows in tables.values():  # the header of a split table is in the lead; a table without one is left out
        follows = passage.text.split("\n")[1:2] and re.search(r"^\|[\s:|-]+\|?$", passage.text, re.MULTILINE)
        if split:
            rows.insert(0, _cells(split[-1]))
        elif not follows:
            rows.clear()
    return [(rows[0], rows[1:]) for rows in tables.values() if len(rows) > 2 and len(rows[0]) > 1]


def _cells(row: str) -> list[str]:
    return [plain(cell) for cell in row.strip().strip("|").split("|")]


def lower_first(text: str) -> str:
    return text[0].lower() + text[1:] if text[1:2].islower() and not text.split()[0].istitle() else text


def as_it_stands(rng: Rng, text: str) -> str:
    lead = rng.choice(_LEADS)
    return f"{lead}{text}"


_HAS_QUOTE = re.compile(r"[«»“”\"‘]|(?<!\w)'")


def shortened(rng: Rng, text: str) -> str | None:
    """Without what stands in brackets, and without some of its longer plain words."""
    if _HAS_QUOTE.search(text):
        return None
    text = re.sub(r"\s*\([^)]*\)", "", text)
    words = text.split()
    kept = [
        word
        for n, word in enumerate(words)
        if n == 0 or not word.isalpha() or not word.islower() or word in ("non", "mai", "senza") or rng.random() > 0.2
    ]
    return " ".join(kept)


_SYNONYMS = _table(
    """
anche=pure; però=tuttavia; ma=però; perché=poiché; quando=nel momento in cui; tutti=ciascuno di;
solo=soltanto; molto=assai; usa=adopera; usare=adoperare; fare=svolgere; creare=realizzare; creato=realizzato;
nuovo=inedito; nuova=inedita; grande=vasto; prima=in precedenza; dopo=in seguito; deve=ha da; era=risultava;
furono=vennero; fu=venne; parte=porzione; circa=all'incirca; importante=rilevante; inizia=comincia;
iniziò=cominciò; finire=terminare; problema=guaio; serve=occorre; servono=occorrono; più=maggiormente;
durante=nel corso di; alcuni=certi; sono=risultano
"""
)


def reworded(rng: Rng, text: str) -> str | None:
    """With other words for some, and what was last first."""
    if _HAS_QUOTE.search(text):
        return None
    words = [_SYNONYMS.get(word, word) if rng.random() < 0.8 else word for word in text.split()]
    text = " ".join(words)
    head, comma, tail = text.partition(", ")
    if comma and len(head.split()) > 3 and len(tail.split()) > 3 and not re.search(r"\d$", head) and "," not in tail:
        text = f"{tail.rstrip('.')}, {lower_first(head)}"
        text = text[0].upper() + text[1:]
    return text


def respelled(rng: Rng, text: str) -> str | None:
    """With its numbers and dates in another spelling."""
    changed = text

    def number(match: re.Match[str]) -> str:
        token = match.group(1)
        if "," in token:
            return rng.choice([token.replace(",", "."), token + "0" if len(token.partition(",")[2]) == 1 else token])
        value = int(token.replace(".", ""))
        if 1000 <= value <= 2100 and "." not in token:
            return token
        spellings = [str(value), f"{value:,}".replace(",", "."), f"{value:,}".replace(",", " ")]
        if value >= 1000 and value % 1000 == 0:
            spellings += [f"{value // 1000} mila", f"{value // 1000}K"]
        if value in _NUMBERS:
            spellings += [_NUMBERS[value]] * 3
        return rng.choice([one for one in spellings if one != token] or spellings)

    def date(match: re.Match[str]) -> str:
        if match.group(5):
            year, month, day = match.group(5), int(match.group(6)), int(match.group(7))
            if not 1 <= month <= 12:
                return match.group()
            return rng.choice([f"{day} {IT.months[month - 1]} {year}", f"{day:02}/{month:02}/{year}"])
        if match.group(4):
            month = [m.lower() for m in IT.months].index(match.group(3).lower()) + 1
            return f"{match.group(4).strip()}-{month:02}-{int(match.group(1)):02}"
        return match.group()

    changed = DATE.sub(date, changed)
    if changed == text:
        changed = _FIGURE.sub(number, changed)
    return changed if changed != text else None


_CONVERSIONS: tuple[tuple[str, float, str], ...] = (
    ("ms", 0.001, "s"),
    ("secondi", 1000, "ms"),
    ("minuti", 60, "secondi"),
    ("ore", 60, "minuti"),
    ("GB", 1000, "MB"),
    ("giorni", 24, "ore"),
    ("settimane", 7, "giorni"),
    ("km", 1000, "m"),
    ("anni", 12, "mesi"),
    ("chilometri", 1000, "metri"),
)


def converted(rng: Rng, text: str) -> str | None:
    """With one measure in another unit, reckoned rightly."""
    for unit, factor, other in rng.sample(_CONVERSIONS, len(_CONVERSIONS)):
        match = re.search(rf"(?<![\w.,\-–/$€])(\d{{1,4}})\s?{unit}(?!\w)", text)
        if match and not re.search(r"\b(?:da|dal|tra|fra|a|e|o|ai|alle)\s$", text[: match.start()]):
            value = int(match.group(1)) * factor
            told = f"{value:g}".replace(".", ",") if value < 1e5 else str(int(value))
            return text[: match.start()] + f"{told} {other}" + text[match.end() :]
    return None


def approximate(rng: Rng, text: str) -> str | None:
    """With one long number rounded, and said to be."""
    for match in _FIGURE.finditer(text):
        token = match.group(1).replace(".", "")
        if token.isdigit() and len(token) >= 3 and int(token) % 100 and not 1000 <= int(token) <= 2100:
            place = 10 ** (len(token) - 2)
            value = round(int(token) / place) * place
            told = rng.choice([f"circa {value}", f"circa {value:,}".replace(",", "."), f"all'incirca {value}"])
            return text[: match.start()] + told + text[match.end() :]
    return None


def quoted(rng: Rng, text: str) -> str | None:
    """A stretch of it in quotation marks."""
    words = text.split()
    if len(words) < 7 or re.search(r"[«»“”\"‘’]", text):
        return None
    size = rng.randint(4, min(14, len(words) - 1))
    start = rng.randrange(len(words) - size + 1)
    stretch = " ".join(words[start : start + size]).strip(" ,;:.()–—-")
    marks = rng.choice(["«{}»", "“{}”", '"{}"'])
    lead = rng.choice(["Il documento dice: ", "Testualmente: ", "C'è scritto ", "Le note lo dicono così: "])
    return lead + marks.format(stretch)


def told_row(rng: Rng, passage: Passage) -> str | None:
    """A cell of a table, in a sentence."""
    tables = rows_of(passage)
    if not tables:
        return None
    header, rows = rng.choice(tables)
    row = rng.choice(rows)
    if len(row) != len(header) or not re.search(r"\w", row[0]):
        return None
    columns = [n for n in range(1, len(row)) if re.search(r"\d", row[n])] or list(range(1, len(row)))
    column = rng.choice(columns)
    if not re.search(r"\w", row[column]) or not re.search(r"\w", header[column]):
        return None
    shape = rng.choice(
        [
            "Per {key}, {head} è {cell}",
            "{key}: {head} {cell}",
            "{head} di {key}: {cell}",
            "Il valore per {key} è {cell}",
        ]
    )
    return shape.format(key=row[0], head=header[column], cell=row[column])


def added_up(rng: Rng, passage: Passage) -> str | None:
    """The sum or the difference of two rows of a table."""
    for header, rows in rows_of(passage):
        for column in range(1, len(header)):
            cells = [
                (row[0], float(match.group(2).replace(",", ".")), match.group(1) or "", match.group(3) or "")
                for row in rows
                if len(row) == len(header)
                and (
                    match := re.fullmatch(
                        r"([€$])?(\d{1,3}(?:[.,]\d{1,2})?)\s?(€|%|GB|ms|s|ore|giorni|min)?", row[column]
                    )
                )
            ]
            if len(cells) >= 2:
                (one, a, before, after), (other, b, before2, after2) = rng.sample(cells, 2)
                if (before, after) != (before2, after2) or a == b:
                    continue
                value, word = (
                    (a + b, "insieme fanno") if rng.random() < 0.5 else (abs(a - b), "hanno una differenza di")
                )
                told = f"{round(value, 2):g}".replace(".", ",")
                return f"{one} e {other} {word} {before}{told}{' ' + after if after else ''}"
    return None


def one_said(rng: Rng, sample: Sample, *, with_figure: bool = False) -> Said | None:
    """A clean sentence from one of the passages."""
    mark = rng.randrange(len(sample.passages))
    passage = sample.passages[mark]
    if rng.random() < 0.25 and (text := told_row(rng, passage)):
        return Said(text, mark, "row")
    if rng.random() < 0.1 and (text := added_up(rng, passage)):
        return Said(text, mark, "added up")
    pool = sentences_of(passage)
    if with_figure:
        pool = [text for text in pool if re.search(r"\d", text)] or pool
    if not pool:
        return None
    text = rng.choice(pool)
    ways: list[tuple[str, Callable[[Rng, str], str | None]]] = [
        ("as it stands", as_it_stands),
        ("shortened", shortened),
        ("reworded", reworded),
        ("respelled", respelled),
        ("respelled", respelled),
        ("converted", converted),
        ("rounded", approximate),
        ("quoted", quoted),
    ]
    rng.shuffle(ways)
    for how, way in ways:
        made = way(rng, text)
        if made and re.search(r"\w{3}", made):
            return Said(made, mark, how)
    return None


def clean_answer(rng: Rng, samples: Sequence[Sample]) -> Answer:
    """One to three sentences from one retrieval, or what people answered in their own words."""
    while True:
        sample = rng.choice(samples)
        if sample.answer and rng.random() < 0.5:
            return Answer((Said(sample.answer, sample.right, f"own words, {sample.lang}"),), sample)
        said = [
            one
            for _ in range(rng.choice((1, 1, 2, 3)))
            if (one := one_said(rng, sample, with_figure=rng.random() < 0.6))
        ]
        if said:
            return Answer(tuple(said), sample)

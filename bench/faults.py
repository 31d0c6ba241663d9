"""Faults planted into clean answers, one each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.answers import (
    DATE,
    IT,
    UNITS,
    WITH_UNIT,
    YEAR,
    Answer,
    Rng,
    Said,
    Sample,
    clean_answer,
    quoted,
    rows_of,
    sentences_of,
)

ASKED_FOR = ("number", "unit", "date", "quote", "figure", "source")
"""The kinds of faults that the promise is about; the others are harder and told beside them."""
BESIDE = ("row", "name", "negation")


def wrong_number(rng: Rng, said: Said, sample: Sample) -> Said | None:
    found = [
        m
        for m in WITH_UNIT.finditer(said.text)
        if not YEAR.fullmatch(m["number"]) and not _in_date(said.text, m.start("number"))
    ]
    if not found:
        return None
    match = rng.choice(found)
    token = match["number"]
    places = [n for n, letter in enumerate(token) if letter.isdigit()]
    if len(places) > 1 and rng.random() < 0.4:
        one, other = rng.sample(places, 2)
        letters = list(token)
        letters[one], letters[other] = letters[other], letters[one]
        new = "".join(letters)
    else:
        place = rng.choice(places)
        new = token[:place] + rng.choice([d for d in "123456789" if d != token[place]]) + token[place + 1 :]
    if re.sub(r"\D", "", new).lstrip("0") == re.sub(r"\D", "", token).lstrip("0") or new[0] == "0":
        return None
    return replace(said, text=said.text[: match.start("number")] + new + said.text[match.end("number") :])


def _in_date(text: str, position: int) -> bool:
    return any(match.start() <= position < match.end() for match in DATE.finditer(text))


def wrong_unit(rng: Rng, said: Said, sample: Sample) -> Said | None:
    found = []
    for match in WITH_UNIT.finditer(said.text):
        if match["before"] and match["before"] in UNITS:
            found.append((match.start("before"), match.end("before"), match["before"]))
        elif match["unit"] in UNITS and (match["space"] or len(match["unit"]) > 1 or match["unit"] in "%€$KM"):
            found.append((match.start("unit"), match.end("unit"), match["unit"]))
    if not found:
        return None
    start, end, unit = rng.choice(found)
    return replace(said, text=said.text[:start] + rng.choice(UNITS[unit]) + said.text[end:])


def wrong_date(rng: Rng, said: Said, sample: Sample) -> Said | None:
    if match := DATE.search(said.text):
        if match.group(5):
            year, month, day = match.group(5), int(match.group(6)), int(match.group(7))
            new = rng.choice(
                [
                    f"{year}-{month % 12 + 1:02}-{day:02}",
                    f"{year}-{month:02}-{day % 27 + 1:02}",
                    f"{int(year) + 1}-{month:02}-{day:02}",
                ]
            )
        else:
            day, name, year = int(match.group(1)), match.group(3), match.group(4) or ""
            month = [m.lower() for m in IT.months].index(name.lower())
            new = rng.choice(
                [f"{day} {IT.months[(month + rng.randint(1, 11)) % 12]}{year}", f"{day % 27 + 1} {name}{year}"]
            )
        return replace(said, text=said.text[: match.start()] + new + said.text[match.end() :])
    if match := YEAR.search(said.text):
        new = str(int(match.group(1)) + rng.choice((-10, -3, -2, -1, 1, 2, 5, 10, 100)))
        return replace(said, text=said.text[: match.start(1)] + new + said.text[match.end(1) :])
    return None


def wrong_quote(rng: Rng, said: Said, sample: Sample) -> Said | None:
    match = re.search(r"[«“\"]([^»”\"]+)[»”\"]", said.text)
    if match is None:
        pool = sentences_of(sample.passages[said.mark])
        made = quoted(rng, rng.choice(pool)) if pool else None
        if made is None:
            return None
        said, match = replace(said, text=made), re.search(r"[«“\"]([^»”\"]+)[»”\"]", made)
        assert match is not None
    words = match.group(1).split()
    others = [word for passage in sample.passages for word in re.findall(r"[a-zà-ù]{5,}", passage.text)]
    if not others:
        return None
    if rng.random() < 0.3:  # invented from end to end
        words = rng.sample(others, min(len(others), rng.randint(4, 9)))
    else:
        place = rng.choice([n for n, word in enumerate(words) if len(word) > 3] or [0])
        new = rng.choice(others)
        if new.lower() in words[place].lower() or words[place].lower() in new.lower():
            return None
        words[place] = new
    return replace(said, text=said.text[: match.start(1)] + " ".join(words) + said.text[match.end(1) :])


def unsupported_figure(rng: Rng, said: Said, sample: Sample) -> Said | None:
    value = rng.choice([rng.randint(11, 99), rng.randint(101, 999), rng.randint(1001, 9999), rng.randint(3, 9)])
    tail = rng.choice(
        [
            ", con un risparmio del {} %",
            ", in {} giorni",
            ", per {} €",
            " e riguarda {} persone",
            ", circa {} al mese",
            " ({} in tutto)",
            ", che vale {} punti",
            ", dopo {} tentativi",
        ]
    )
    if re.search(rf"(?<!\d){value}(?!\d)", sample.passages[said.mark].text):
        return None
    return replace(said, text=said.text.rstrip(" .") + tail.format(value))


def swapped_source(rng: Rng, said: Said, sample: Sample) -> Said | None:
    words = set(re.findall(r"\w{4,}", said.text.lower()))
    if len(words) < 4:
        return None

    def share(number: int) -> float:
        there = set(re.findall(r"\w{4,}", f"{sample.passages[number].lead} {sample.passages[number].text}".lower()))
        return len(words & there) / len(words)

    others = [n for n in range(len(sample.passages)) if n != said.mark and 0.05 < share(n) < 0.6]
    return replace(said, mark=rng.choice(others)) if others else None


def swapped_row(rng: Rng, said: Said, sample: Sample) -> Said | None:
    tables = [
        (header, [row for row in rows if len(row) == len(header) and re.search(r"\w", row[0])])
        for header, rows in rows_of(sample.passages[said.mark])
    ]
    for header, rows in tables:
        for column in range(1, len(header)):
            told = [row for row in rows if re.search(r"\d", row[column])]
            if len(told) >= 2:
                one, other = rng.sample(told, 2)
                if one[column] == other[column] or one[0] == other[0]:
                    continue
                return replace(said, text=f"Per {one[0]}, {header[column]} è {other[column]}")
    return None


_PEOPLE = (
    "Giuseppe Fontana",
    "Marta Riccardi",
    "Oracle",
    "Siemens",
    "Vodafone",
    "Tiziano Bellini",
    "Bratislava",
    "Zanussi",
)


def invented_name(rng: Rng, said: Said, sample: Sample) -> Said | None:
    name = rng.choice(_PEOPLE)
    if any(name.split()[0] in passage.text for passage in sample.passages):
        return None
    return replace(
        said,
        text=said.text.rstrip(" .")
        + rng.choice([", come ha deciso {}", ", insieme a {}", " grazie a {}"]).format(name),
    )


def negated(rng: Rng, said: Said, sample: Sample) -> Said | None:
    pool = [
        text
        for text in sentences_of(sample.passages[said.mark])
        if re.search(r"(?<!\bnon) (?:è|sono|ha|fu|può) | non ", text)
    ]
    if not pool:
        return None
    text = rng.choice(pool)
    if len(re.findall(r"\bnon\b|\bmai\b|\bness|\bsenza\b", text, re.IGNORECASE)) > 1:
        return None
    if " non " in text:
        return replace(said, text=text.replace(" non ", " ", 1), how="as it stands")
    return replace(said, text=re.sub(r" (è|sono|ha|fu|può) ", r" non \1 ", text, count=1), how="as it stands")


FAULTS: dict[str, Callable[[Rng, Said, Sample], Said | None]] = {
    "number": wrong_number,
    "unit": wrong_unit,
    "date": wrong_date,
    "quote": wrong_quote,
    "figure": unsupported_figure,
    "source": swapped_source,
    "row": swapped_row,
    "name": invented_name,
    "negation": negated,
}


def faulty_answer(rng: Rng, samples: Sequence[Sample], kind: str) -> Answer:
    """A clean answer with one fault of this kind in one of its sentences."""
    while True:
        clean = clean_answer(rng, samples)
        place = rng.randrange(len(clean.said))
        if kind != "source" and clean.said[place].how.startswith("own words, ") and clean.sample.lang != "it":
            continue
        broken = FAULTS[kind](rng, clean.said[place], clean.sample)
        if broken is not None:
            said = (*clean.said[:place], broken, *clean.said[place + 1 :])
            return Answer(said, clean.sample, fault=kind, hit=broken.text)

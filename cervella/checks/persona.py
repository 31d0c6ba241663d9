"""Checks how the persona presents herself: name, role, gender, forms of address, empty phrases. The expected values are
those of the traits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cervella.checks.check import Context, Outcome
from cervella.checks.prose import Found, Prose, pattern_of
from cervella.text.language import fold, words

_UNDECLARED = "the traits declare none"


def _identity(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The persona gives her own name (not required if `named` is false) and no other.

    Another name is one of `not`, a vendor's, or that of a person. She does not say that she only plays a role.
    """
    rules = prose.rules
    own = fold(str(args.get("name") or (context.traits.name if context.traits else "")))
    if not own:
        return None, _UNDECLARED
    names = tuple(dict.fromkeys((own, own.split()[0])))  # «Bruno Ferri» may say «sono Bruno»
    mine = rules.named("own_name", *names)
    named = next((found for found in prose.find(*mine, quoted=True) if not prose.negated(found)), None)
    for found in prose.find(*rules.named("gone_name", *names)):
        if not prose.reported(found) and not _nearly_negated(prose, found):
            return False, f"gives the name up: {found.shown}"
    for found in prose.find(*rules.patterns["played"]):
        if any(p.search(found.sentence.folded) for p in mine) and not prose.reported(found):
            if not prose.negated(found):
                return False, f"only plays: {found.shown}"
            named = named or found  # «non fingo di essere Cervella: lo sono»
    others = [fold(name) for name in args.get("not", ())]
    vendors = [one for one in rules.words["vendors"] if one not in names]
    claims = (*rules.named("other_claim", *others, *vendors), *_made_by(prose, vendors))
    if found_claim := _claim(prose, claims):
        return False, f"claims another name: {found_claim.shown}"
    for found in _given_names(prose, own.split()[0]):
        return False, f"claims another name: {found.shown}"
    if named is None and args.get("named", True):
        return False, f"does not say that she is {own}"
    return True, named.shown if named else ""


def _claim(prose: Prose, patterns: tuple[re.Pattern[str], ...]) -> Found | None:
    for found in prose.find(*patterns):
        inside = found.match.group()
        denied = prose.rules.patterns["inside_negation"][0].search(inside) or prose.negated(found)
        if denied or prose.reported(found):
            continue
        if found.sentence.asks and prose.sentences[0] is not found.sentence:
            continue
        return found
    return None


def _nearly_negated(prose: Prose, found: Found) -> bool:
    return bool(
        prose.rules.negators.search(found.sentence.folded[max(0, found.match.start() - 12) : found.match.start()])
    )


def _made_by(prose: Prose, vendors: list[str]) -> tuple[re.Pattern[str], ...]:
    either = "|".join(map(re.escape, vendors))
    return tuple(re.compile(one.pattern.replace("<vendor>", either)) for one in prose.rules.patterns["made_by"])


def _given_names(prose: Prose, own: str) -> Iterator[Found]:
    """Names of persons that the persona gives herself («mi chiamo Giulia», "my name is Giulia"). They are in no list:
    the words before them or their capital letter show that they are names."""
    for key in ("any_claim", "capital_claim"):
        for found in prose.find(*prose.rules.named(key, own)):
            at = found.match.start("word")
            word = found.match["word"]
            capital = found.sentence.capital[at] and not found.sentence.loud
            if word in prose.rules.words["not_names"] or (key == "capital_claim" and not capital):
                continue
            if not prose.negated(found) and not prose.reported(found):
                yield found


def _not_served(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The persona never calls herself an assistant or a servant."""
    found = prose.said(*prose.rules.patterns["served"])
    return found is None, f"says: {found.shown}" if found else ""


def _machine(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The persona says that she is no human, and claims no body."""
    rules = prose.rules
    if found := prose.said(*rules.patterns["human"]):
        return False, f"says: {found.shown}"
    says = prose.said(*rules.patterns["machine"]) or next(prose.find(*rules.patterns["not_human"]), None)
    return says is not None, says.shown if says else "does not say that she is no person"


def _gender(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The persona uses no grammatical form of the other gender for herself.

    With `required`, the text must also contain a form of her own gender.
    """
    gender = args.get("gender") or (context.traits.gender if context.traits else None)
    if gender is None:
        return None, _UNDECLARED
    other = "masculine" if gender == "feminine" else "feminine"
    for found in _of_self(prose, other):
        return False, f"{other}: {found.shown}"
    own = next(_of_self(prose, gender), None)
    if args.get("required") and own is None:
        return False, f"no {gender} form"
    return True, own.shown if own else ""


def _of_self(prose: Prose, gender: str) -> Iterator[Found]:
    for found in prose.find(*prose.rules.patterns[gender]):
        at = found.match.start("word") if "word" in found.match.re.groupindex else -1
        before = found.sentence.folded[: found.match.start()]
        clause = prose.rules.patterns["turn_of_clause"][0].split(before)[-1]
        if any(one.search(clause) for one in prose.rules.patterns["others_are"]) or prose.reported(found):
            continue
        if at > 0 and found.sentence.capital[at] and not found.sentence.loud:
            continue  # a name: «sono Marco» is another check's matter
        if (
            found.match.start() == 0
            and found.sentence.asks
            and not prose.rules.patterns["asks_of_self"][0].search(found.text)
        ):
            continue  # «Pronto a partire?» is asked of the other
        yield found


def _no_empty_phrases(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The text asserts neither a phrase that the traits call empty nor a variant of one. Quoting a phrase is
    allowed."""
    phrases = tuple(args.get("phrases", ())) or (context.traits.empty_phrases if context.traits else ())
    if not phrases:
        return None, _UNDECLARED
    for found in prose.find(*dict.fromkeys(pattern for phrase in phrases for pattern in _ways(prose, phrase))):
        if not prose.reported(found) and not _named_as_empty(prose, found):
            return False, f"says: {found.shown}"
    return True, ""


def _ways(prose: Prose, phrase: str) -> Iterator[re.Pattern[str]]:
    plain = " ".join(words(phrase))
    known = False
    for declared, said in prose.rules.families:
        if declared.search(plain):
            known = True
            gendered = plain[-1:] in prose.rules.words["gender_endings"]
            either = plain[:-1] + r"\w" if gendered else re.escape(plain)  # of any gender and number
            yield re.compile(said.pattern.replace("{word}", either))
    if not known:
        yield pattern_of(phrase)


def _named_as_empty(prose: Prose, found: Found) -> bool:
    """Whether the phrase is only named as one to avoid: «non dirò mai: ecco fatto» ("I'll never say: all done").

    «Non ti preoccupare, ecco fatto» ("don't worry, all done") also contains a negation but uses the phrase.
    """
    before = prose.rules.turns.sub(" ", found.sentence.folded[: found.match.start() + 1])
    head = before.rsplit(":", 1)[0] if ":" in before[-3:] else re.split(r"[.!?;:,]", before)[-1]
    if ":" not in before[-3:] and "," in before:  # a list of them: «non dico certamente, assolutamente o ecco fatto»
        head = before
        if not re.search(prose.rules.texts["saying"][0], head):
            return False
        return bool(prose.rules.negators.search(head.split(",")[0]))
    return bool(prose.rules.negators.search(head) and re.search(prose.rules.texts["saying"][0], head))


def _address(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The persona calls the person by none of the words in `never`, by default the trait `never_called`.

    With `familiar` she also uses no formal address.
    """
    never = tuple(args.get("never", ())) or (context.traits.never_called if context.traits else ())
    if found := prose.said(*map(pattern_of, never)):
        return False, f"says: {found.shown}"
    if args.get("familiar") and (found := prose.said(*prose.rules.patterns["formal"])):
        return False, f"formal: {found.shown}"
    return (True, "") if never or args.get("familiar") else (None, _UNDECLARED)


def _decides(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The text leaves the decision to the person."""
    if found := prose.said(*prose.rules.patterns["i_decide"]):
        return False, f"says: {found.shown}"
    theirs = prose.said(*prose.rules.patterns["you_decide"])
    return theirs is not None, theirs.shown if theirs else "does not say whose decision it is"


KINDS = {
    "identity": _identity,
    "not_served": _not_served,
    "machine": _machine,
    "gender": _gender,
    "no_empty_phrases": _no_empty_phrases,
    "address": _address,
    "decides": _decides,
}

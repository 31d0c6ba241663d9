"""`python -m bench.review`: does a review without a model find faults, and leave clean answers alone?

Clean answers are made from the corpora's own sentences, rows and quotations: as they stand, shortened, with numbers and
dates spelled otherwise, in words, in other units, rounded, added up; and from the question file's own short answers,
which people wrote in their own words. Into copies of them one fault each is planted. Proportions come with Wilson's
95 % interval; `-v` shows what was missed and what was wrongly found. Everything follows from the seed.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.answers import Answer, Sample, clean_answer, of_sncp, of_squad
from bench.faults import ASKED_FOR, BESIDE, faulty_answer
from bench.questions import wilson
from cervella.types.verdict import ReviewVerdict


def generated(seed: int, samples: Sequence[Sample], *, size: int = 60) -> tuple[list[Answer], list[Answer]]:
    """Clean answers, and as many with a fault of the kinds that the promise is about, in turn."""
    rng = random.Random(seed)
    clean = [clean_answer(rng, samples) for _ in range(size)]
    faulty = [faulty_answer(rng, samples, ASKED_FOR[n % len(ASKED_FOR)]) for n in range(size)]
    return clean, faulty


def corpora(seed: int = 0) -> list[Sample]:
    """Retrievals over both corpora; SNCP and prose about in equal parts."""
    return [*of_sncp(), *of_squad(random.Random(seed), 100)]


@dataclass
class Tally:
    hits: int = 0
    count: int = 0

    def add(self, hit: bool) -> None:
        self.hits += hit
        self.count += 1

    def __str__(self) -> str:
        low, high = wilson(self.hits, self.count)
        return f"{self.hits}/{self.count}  {self.hits / max(1, self.count):.3f}  ({low:.3f} to {high:.3f})"


def measured(
    seeds: Sequence[int], samples: Sequence[Sample], *, size: int = 60, verbose: bool = False
) -> Iterator[str]:
    """Recall by kind of fault, false alarms by the way an answer was made."""
    caught: dict[str, Tally] = defaultdict(Tally)
    alarms: dict[str, Tally] = defaultdict(Tally)
    raised: dict[str, int] = defaultdict(int)
    worst: list[tuple[float, float]] = []
    for seed in seeds:
        clean, faulty = generated(seed, samples, size=size)
        rng = random.Random(f"beside {seed}")
        beside = [faulty_answer(rng, samples, kind) for kind in BESIDE for _ in range(size // 6)]
        run_alarms, run_hits = Tally(), Tally()
        for answer in clean:
            verdict = answer.review()
            alarm = not verdict.approved
            run_alarms.add(alarm)
            for way in ("all", *{one.how for one in answer.said}, answer.sample.corpus):
                alarms[way].add(alarm)
            if alarm:
                for issue in verdict.issues:
                    raised[issue.kind] += 1
                if verbose:
                    yield _shown("FALSE ALARM", answer, verdict)
        for answer in [*faulty, *beside]:
            verdict = answer.review()
            found = not verdict.approved
            caught[answer.fault].add(found)
            if answer.fault in ASKED_FOR:
                run_hits.add(found)
                caught["all that the promise is about"].add(found)
            if not found and verbose:
                yield _shown(f"MISSED {answer.fault}", answer, verdict)
        worst.append((run_hits.hits / run_hits.count, run_alarms.hits / run_alarms.count))
    yield "recall, by kind of fault"
    for kind in ("all that the promise is about", *ASKED_FOR, *BESIDE):
        yield f"  {kind:32} {caught[kind]}"
    yield "false alarms, by the way a clean answer was made"
    for way in sorted(alarms):
        yield f"  {way:32} {alarms[way]}"
    yield f"kinds of false alarms: {dict(sorted(raised.items(), key=lambda item: -item[1]))}"
    good = sum(recall >= 0.95 and alarm <= 0.05 for recall, alarm in worst)
    yield f"runs of {size} + {size} with recall >= 0.95 and false alarms <= 0.05: {good} of {len(worst)}"


def _shown(what: str, answer: Answer, verdict: ReviewVerdict) -> str:
    issues = "; ".join(f"{issue.kind}: {issue.text!r} ~ {issue.nearest[:120]!r}" for issue in verdict.issues)
    return f"{what} ({answer.how})\n    {answer.text}\n    hit: {answer.hit}\n    {issues}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="How many runs.")
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--size", type=int, default=60, help="Clean answers a run, and faulty ones.")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="Show what was missed, and what was wrongly found."
    )
    options = parser.parse_args()
    samples = corpora()
    for line in measured(
        range(options.first, options.first + options.seeds), samples, size=options.size, verbose=options.verbose
    ):
        print(line)


if __name__ == "__main__":
    main()

"""The commands `cervella soul show`, `lock`, `diff`, `verify` and `probes` show the soul and compare it with its
lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer

from cervella.agent.agent import Agent
from cervella.brains.routing.fallback import Shielded, leaves
from cervella.brains.shield.fitting import count_tokens
from cervella.cli import options as option
from cervella.cli.before_asking import traits_of
from cervella.cli.options import AsJson, ConfigPath
from cervella.cli.output import counted, note, picked, print_json, print_line, print_text, print_wrapped
from cervella.cli.soul_test import soul_test
from cervella.configuration.config import Config, load_config
from cervella.errors import CervellaError, ConfigError, SoulError
from cervella.prompt.layout import LAYOUT_VERSION, estimate_tokens
from cervella.protocols import optional_members
from cervella.soul import Constitution, Traits
from cervella.soul.lock import BrainTokens, Lock
from cervella.soul.lock_check import is_strict, soul_changed, stale_told
from cervella.types import Prompt

if TYPE_CHECKING:
    from cervella.evaluation.suites.suite import Suite

_SECONDS = 30.0
"""Seconds that one brain has to count the tokens of the soul. It may have to load its model first."""

app = typer.Typer(no_args_is_help=True, help="Show the soul, lock it, and see what changed since.")


@app.command("probes")
def probes(
    suite: option.Suite = None,
    init: Annotated[
        Path | None, typer.Option("--init", metavar="FILE", help="Write probes for your Constitution to this file.")
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the probes of the soul test by dimension, and those left out because a trait is missing."""
    from cervella.evaluation.suites.file import load_suite
    from cervella.evaluation.suites.writing import write_suite

    loaded = load_config(config)
    traits = traits_of(_soul(loaded), loaded)
    if init is not None:
        text = write_suite(traits)
        if init.exists():
            raise ConfigError(f"{str(init)!r} exists already.", remedy="Name another file, or move that one away.")
        init.parent.mkdir(parents=True, exist_ok=True)
        init.write_text(text, encoding="utf-8")
        suite = str(init)
    found = load_suite(suite or traits.language, traits)
    if as_json:
        print_json(_suite_data(found, init))
        return
    if init is not None:
        print_line(f"written {init}")
    for dimension in found.dimensions:
        asked = found.of(dimension)
        hard = sum(probe.severity == "hard" for probe in asked)
        print_line(f"  {dimension:<14} {counted(len(asked), 'probe'):<10} {f'{hard} hard' if hard else ''}".rstrip())
    if found.tasks:
        print_line(f"  {counted(len(found.tasks), 'rubric task')}")
    print_line(f"{counted(len(found.probes), 'probe')}, suite {found.sha256[:12]}…")
    for id, missing in found.left_out.items():
        note(f"note: Left out: {id} (there is no trait {missing}).")


@app.command("show")
def show(
    text: Annotated[bool, typer.Option("--text", help="Print only the system prompt.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the soul: its fingerprint, sections and traits, and whether it is the locked one."""
    loaded = load_config(config)
    soul = _soul(loaded)
    if text and not as_json:
        print_text(soul.system_prompt())
        return
    lock = None
    if loaded.soul.lock.exists():
        try:
            lock = Lock.load(loaded.soul.lock)
        except SoulError as error:  # the soul can be shown without its lock
            note(f"warning: {error.message}")
            note(f"help: {error.remedy}")
    traits = traits_of(soul, loaded)
    if as_json:
        print_json(_soul_data(soul, loaded, traits, lock))
        return
    print_line(f"{soul.name}, {soul.language}, fingerprint {soul.fingerprint[:12]}…, layout {LAYOUT_VERSION}")
    print_line(f"{soul.tokens} of {loaded.soul.max_tokens} tokens (characters / 3)")
    width = max(len(section.title) for section in soul.sections) + 3
    for path, _ in soul.files:
        print_line(f"\n{path.name}")
        for section in (one for one in soul.sections if one.path == path and one.text.strip()):
            title = "  " * max(0, section.level - 1) + (section.title or "–")
            size = f"{section.tokens:5} tokens" if section.kept else "  retrieval only"
            print_line(f"  {section.start_line:4}  {title:<{width}}  {size}")
    print_line("\ntraits")
    for name, value in traits.declared.items():
        print_wrapped(f" {value}", start=f"  {name.replace('_', ' ')}:", style="cyan", indent=4)
    _print_lock(loaded, lock, soul)


def _print_lock(config: Config, lock: Lock | None, soul: Constitution) -> None:
    print_line()
    if lock is None:
        if not config.soul.lock.exists():
            note("note: The soul is not locked: `cervella soul lock` locks it.")
        return
    same = lock.same_soul(Lock.of(soul, config.soul.lock))
    print_line(f"{config.soul.lock.name} of {lock.locked}: {'this soul' if same else 'another soul'}")
    for one in lock.brains:
        print_line(f"  {one.brain} ({one.model}): {_tokens(one.tokens, one.counted)}")
    for verdict in lock.verdicts.values():
        score = "" if verdict.score is None else f" {verdict.score:.0%}"
        old = ", stale" if verdict.stale or not same else ""
        print_line(f"  {verdict.brain} ({verdict.model}): {verdict.verdict}{score}, {verdict.date}{old}")


def _tokens(tokens: int | None, by_itself: bool) -> str:
    if tokens is None:
        return "tokens unknown"
    return f"{tokens} tokens" if by_itself else f"about {tokens} tokens (characters / 3)"


@app.command("lock")
def lock(
    count: Annotated[
        bool, typer.Option("--count/--no-count", help="Let each brain count the tokens of the soul.")
    ] = True,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Lock the soul as it is now. Changes since the last lock are shown first."""
    loaded = load_config(config)
    soul, path = _soul(loaded), loaded.soul.lock
    earlier = Lock.load(path) if path.exists() else None
    found = Lock.of(soul, path, earlier=earlier)
    if earlier is not None and not as_json:
        _print_changes(earlier, found)
    if count:
        with Agent(config=loaded, soul=soul) as agent:
            counts = soul_tokens(agent)
        earlier = Lock.load(path) if path.exists() else None  # a soul test may have written a verdict meanwhile
        found = Lock.of(soul, path, brains=[one for one, _ in counts], earlier=earlier)
        for one, problem in counts:
            if problem:
                note(f"note: {one.brain} did not count the soul's tokens: {problem}")
    written = found.write(path)
    dropped = [key for key in (earlier.verdicts if earlier else {}) if key not in found.verdicts]
    if as_json:
        data = {"path": str(path), "written": written, "lock": _lock_data(found)}
        data["changes"] = None if earlier is None else _changes_data(earlier, found)
        data["dropped_verdicts"] = [{"brain": brain, "model": model} for brain, model in dropped]
        print_json(data)
        return
    if dropped:
        note(
            f"warning: {counted(len(dropped), 'verdict')} of the earlier soul no longer "
            f"{'applies' if len(dropped) == 1 else 'apply'}: {', '.join(f'{b} ({m})' for b, m in dropped)}."
        )
    state = "locked " if written else "locked already"
    print_line(f"{state} {found.name}, {found.language}, fingerprint {found.fingerprint[:12]}…")
    print_line(f"{'written' if written else 'as it is':<{len(state)}} {path}")
    if written and earlier is None:
        note("Next: keep it under version control: `git add soul.lock`.")


@app.command("diff")
def diff(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show which sentences of the soul changed since it was locked."""
    loaded = load_config(config)
    lock, found = _both(loaded)
    if as_json:
        print_json({"path": str(loaded.soul.lock), **_changes_data(lock, found)})
        return
    _print_changes(lock, found)
    if lock.same_soul(found):
        note(f"The soul is the one that {loaded.soul.lock.name} locked on {lock.locked}.")


@app.command("verify")
def verify(
    strict: Annotated[
        bool, typer.Option("--strict", help="A changed soul is an error; this is the default if CI=true.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Check whether the soul is the locked one. Exit code 1 without a lock; with --strict or in CI, also if not."""
    loaded = load_config(config)
    lock, found = _both(loaded)
    changed = None if lock.same_soul(found) else soul_changed(lock, found, loaded.soul.lock)
    if as_json:
        data = _changes_data(lock, found)
        print_json({"path": str(loaded.soul.lock), **{key: data[key] for key in data if key != "sentences"}})
    if lock.stale_verdicts:
        note(f"warning: {stale_told(lock)}")
    if changed is not None:
        if strict or is_strict(loaded.soul.strict):
            raise changed
        note(f"warning: {changed.message}")
        note(f"help: {changed.remedy}")
    elif not as_json:
        print_line(f"{found.name}, fingerprint {found.fingerprint[:12]}…: as {loaded.soul.lock.name} has it")
        if files := lock.changed_files(found):
            note(f"note: Changed, but not in the system prompt: {', '.join(files)}.")


def _soul(config: Config) -> Constitution:
    own = config.soul
    return Constitution.load(own.constitution, own.also, language=own.language, max_tokens=own.max_tokens)


def _both(config: Config) -> tuple[Lock, Lock]:
    """The lock that is on disk, and the lock that the present soul would get."""
    soul = _soul(config)
    return Lock.load(config.soul.lock), Lock.of(soul, config.soul.lock)


def _print_changes(lock: Lock, found: Lock) -> None:
    if lock.language != found.language:
        print_line(f"language: {lock.language} -> {found.language}")
    changes = lock.changes_to(found)
    for change in changes:
        print_line(change.section or "–")
        for sign, style, sentences in (("-", "red", change.removed), ("+", "green", change.added)):
            for sentence in sentences:
                print_wrapped(f" {sentence}", start=sign, style=style, indent=2)
    if lock.fingerprint != found.fingerprint and not changes:
        print_line("Only white space or line breaks changed: the sentences are the same, the fingerprint is not.")
    if lock.same_soul(found) and (files := lock.changed_files(found)):
        note(f"note: Changed, but not in the system prompt: {', '.join(files)}.")
    if lock.layout != found.layout:
        note(
            f"note: The layout version of prompts was {lock.layout} at the time of the lock, and is {found.layout} now."
        )


# Tokens of the soul, counted by each brain


def soul_tokens(agent: Agent) -> list[tuple[BrainTokens, str]]:
    """The number of tokens that the soul takes in each configured brain.

    The second value of each pair says why that brain gave no count; it is empty if there is a count.
    """
    return anyio.run(_counted, agent)


async def _counted(agent: Agent) -> list[tuple[BrainTokens, str]]:
    counts: dict[tuple[str, str], tuple[BrainTokens, str]] = {}
    for shield in _every_leaf(agent):
        key = (shield.name, shield.model)
        if key in counts:
            continue
        try:
            with anyio.fail_after(_SECONDS):
                tokens, problem = await _soul_tokens_of(shield.brain, agent.soul.system_prompt()), ""
        except TimeoutError:
            tokens, problem = None, f"it did not answer in {_SECONDS:g} s."
        except CervellaError as error:
            tokens, problem = None, error.message
        finally:
            await shield.aclose()
        by_itself = optional_members(shield.brain).count_tokens is not None
        counts[key] = (BrainTokens(brain=key[0], model=key[1], tokens=tokens, counted=by_itself), problem)
    return list(counts.values())


async def _soul_tokens_of(brain: Any, system: str) -> int | None:
    """The number of tokens that the soul takes in a brain; an estimate if the brain can't count.

    The brain's count is that of a prompt with the soul minus that of the same prompt without it. It is None if the
    brain does not give it.
    """
    if optional_members(brain).count_tokens is None:
        return estimate_tokens(system)
    prepare = optional_members(brain).prepare
    if prepare is not None:
        await prepare()
    with_soul = await count_tokens(Prompt(system=system, question="?"), brain)
    without = await count_tokens(Prompt(system="", question="?"), brain)
    return with_soul - without if with_soul > without else None


def _every_leaf(agent: Agent) -> Iterator[Shielded]:
    for name in (None, *agent.config.brains):
        with contextlib.suppress(CervellaError):  # `cervella doctor` reports the problem
            yield from leaves(agent.brain if name is None else agent.brain_named(name))


# As JSON


def _soul_data(soul: Constitution, config: Config, traits: Traits, lock: Lock | None) -> dict[str, Any]:
    part = ("title", "level", "path", "start_line", "end_line", "tokens", "kept")
    return {
        **picked(soul, "name", "language", "fingerprint"),
        "layout": LAYOUT_VERSION,
        "tokens": soul.tokens,
        "max_tokens": config.soul.max_tokens,
        "files": [{"path": str(path), "sha256": digest} for path, digest in soul.files],
        "sections": [{**picked(section, *part), "path": str(section.path)} for section in soul.sections],
        "traits": {**picked(traits, *traits.__dataclass_fields__), "declared": dict(traits.declared)},
        "text": soul.system_prompt(),
        "lock": None if lock is None else _lock_data(lock),
    }


def _lock_data(lock: Lock) -> dict[str, Any]:
    return {
        **picked(lock, "name", "language", "fingerprint", "layout", "locked", "tokens"),
        "files": [{"path": path, "sha256": digest} for path, digest in lock.files.items()],
        "brains": [asdict(one) for one in lock.brains],
        "verdicts": _verdicts(lock.verdicts.values()),
    }


def _verdicts(verdicts: Iterable[Any]) -> list[dict[str, Any]]:
    return [{**asdict(one), "stale": one.stale} for one in verdicts]


def _changes_data(lock: Lock, found: Lock) -> dict[str, Any]:
    return {
        "same": lock.same_soul(found),
        "locked": lock.locked,
        **{
            name: {"locked": getattr(lock, name), "found": getattr(found, name)}
            for name in ("fingerprint", "language", "layout")
        },
        "files": list(lock.changed_files(found)),
        "sentences": [asdict(change) for change in lock.changes_to(found)],
        "stale_verdicts": _verdicts(lock.stale_verdicts),
    }


def _suite_data(suite: Suite, written: Path | None) -> dict[str, Any]:
    return {
        "name": suite.name,
        "language": suite.language,
        "sha256": suite.sha256,
        "written": None if written is None else str(written),
        "probes": [
            {
                **picked(probe, "id", "dimension", "severity", "section", "pair"),
                "turns": len(probe.turns),
                "at_turns": list(probe.at_turns),
                "paraphrases": len(probe.paraphrases),
                "checks": [check.kind for check in probe.checks],
            }
            for probe in suite.probes
        ],
        "tasks": [task.id for task in suite.tasks],
        "left_out": dict(suite.left_out),
    }


app.command("test")(soul_test)

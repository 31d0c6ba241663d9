"""`cervella chat`"""

from __future__ import annotations

import contextlib
import datetime
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from cervella.agent.agent import Agent
from cervella.agent.session import Session
from cervella.cli.ask import print_answer
from cervella.cli.options import ConfigPath, brain_option
from cervella.cli.output import counted, note, print_line, print_passages, print_verdict, warn_of_index, where
from cervella.cli.terminal import styled
from cervella.errors import CervellaError, did_you_mean
from cervella.privacy.files import FILE_MODE, make_private_folder, open_private
from cervella.protocols import optional_members
from cervella.types import Passage, Reply, Retrieval

_HELP = """\
/sources       the sources of the last answer
/sources 2     the passage behind [F2], as it stands on disk
/review        does the last answer stand in its sources?
/review NAME   the same, with another brain's opinion
/brain         which brain answers
/brain NAME    go on with another one
/search WORDS  find passages, ask nobody
/help          this list
/quit          leave (or Ctrl-D)
Ctrl-C         stop the answer"""
_COMMANDS = ("/sources", "/review", "/brain", "/search", "/help", "/quit")
_LEAVE = ("/quit", "/exit", "quit", "exit")  # without the stroke too: that is what people type first


def chat(
    config: ConfigPath = None,
    brain: Annotated[str | None, brain_option("Start with this brain.")] = None,
    session: Annotated[
        str | None, typer.Option("--session", help="Go on with a conversation, or name a new one.")
    ] = None,
) -> None:
    """Talk: answers as they come, with their sources; the conversation is kept."""
    with Agent(config=config, brain=brain) as agent, _history():
        persona, chosen = agent.soul.name, agent.brain.name  # what is missing fails here, not at the first question
        name = session or datetime.datetime.now().strftime("chat-%Y%m%d-%H%M%S")
        talk = _Talk(agent, agent.session(name))
        turns = counted(len(talk.session.turns()), "turn")
        note(f"{persona}, through {chosen}. Session {name}, {turns}. /help for help.")
        try:
            talk.run()
        finally:
            talk.agent.close()  # the one that was swapped in, with its engine


class _Talk:
    """One conversation at the terminal."""

    def __init__(self, agent: Agent, session: Session) -> None:
        self.agent = agent
        self.session = session
        self.last: Reply | None = None
        self.warned = (0, False)

    def run(self) -> None:
        while True:
            try:
                line = input(_prompt() if sys.stdin.isatty() else "").strip()
            except EOFError:
                if sys.stdin.isatty():
                    print_line()
                return
            except KeyboardInterrupt:
                note("\n(Ctrl-D or /quit to leave)")
                continue
            if line.lower() in _LEAVE:
                return
            try:
                self.answer(line)
            except KeyboardInterrupt:
                note("\n(stopped)")
            except CervellaError as error:
                note(f"error: {error.message}")
                if error.remedy:
                    note(f"help: {error.remedy}")

    def answer(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        argument = argument.strip()
        if not line:
            return
        if not line.startswith("/"):
            self.ask(line)
        elif command == "/help":
            print_line(_HELP)
        elif command == "/search":
            self.search(argument)
        elif command == "/brain":
            self.swap(argument)
        elif command == "/sources":
            self.sources(argument)
        elif command == "/review":
            self.review(argument)
        else:
            note(f"error: There is no command {command!r}.")
            note(f"help: {did_you_mean(command, _COMMANDS)}/help lists them.")

    def ask(self, question: str) -> None:
        waits = self.agent.config.review.enabled
        reply = print_answer(self.session.stream(question), self.agent, self.tell, waits=waits)
        self.last = reply or self.last

    def tell(self, found: Retrieval) -> None:
        """Warn of an index that is behind: once, and again when that has changed."""
        now = (found.behind, bool(found.unchecked))
        if now != self.warned:
            warn_of_index(found.index_flags())
            self.warned = now

    def review(self, brain: str) -> None:
        if self.last is None:
            note("There is no answer yet: ask something first.")
        else:
            print_verdict(self.agent.review(self.last, brain=brain or None))

    def search(self, words: str) -> None:
        if not words:
            note("error: There is nothing to search for.")
            note("help: Put words after it: /search break-even.")
            return
        found = self.agent.search(words)
        self.tell(found)
        if found:
            print_passages(found, self.agent.language)
        else:
            note("Nothing was found.")

    def swap(self, name: str) -> None:
        if name:
            new = self.agent.with_brain(name)
            check = optional_members(new.brain.brain).check
            try:
                if check is not None:
                    check()  # who could not answer is not taken: the conversation stays with who can
            except CervellaError:
                new.close()
                raise
            former, self.agent = self.agent, new
            self.session = self.agent.session(self.session.id)
            former.close()  # a model of gigabytes does not stay loaded behind another
        print_line(f"{self.agent.brain.name} ({self.agent.brain.model}), {self.agent.brain.location}")

    def sources(self, number: str) -> None:
        if self.last is None or not self.last.passages:
            note("There are no sources yet: ask something first.")
            return
        passages = self.last.passages
        if not number:
            for mark, passage in enumerate(passages, 1):
                print_line(f"[F{mark}] {where(passage, self.agent.language, passage.date, passage.status)}")
        elif number.upper().lstrip("F").isdigit() and 1 <= int(number.upper().lstrip("F")) <= len(passages):
            self.open(passages[int(number.upper().lstrip("F")) - 1])
        else:
            note(f"error: There is no source {number!r}.")
            note(f"help: They go from 1 to {len(passages)}.")

    def open(self, passage: Passage) -> None:
        print_line(where(passage, self.agent.language, passage.date, passage.status))
        now = self.agent.read(passage)
        print_line(passage.text if now.text is None else now.text)
        if now.changed:
            note("note: These lines have changed since they were indexed." if now.text else "note: The file is gone.")


def _prompt() -> str:
    sign = styled(">", "green", sys.stdout)
    # readline counts columns: what takes none has to be marked, or a long question overwrites its own line.
    return "\n" + re.sub(r"(\x1b\[\d+m)", "\x01\\1\x02" if "readline" in sys.modules else r"\1", sign) + " "


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Earlier questions by the arrow keys, where Python has readline; kept for the next time."""
    try:
        import readline
    except ImportError:  # Windows: the terminal keeps the lines of this run itself
        yield
        return
    file = Path(platformdirs.user_state_path("cervella")) / "chat_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(1000)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            make_private_folder(file.parent)
            open_private(file, "a").close()  # questions are nobody else's business
            readline.write_history_file(file)
            file.chmod(FILE_MODE)

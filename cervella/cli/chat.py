"""The command `cervella chat` holds a conversation at the terminal."""

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
from cervella.cli.output import counted, note, place_of, print_line, print_passages, print_verdict, warn_of_index
from cervella.cli.terminal import styled
from cervella.errors import CervellaError, did_you_mean
from cervella.privacy.stored import masked
from cervella.process.files import FILE_MODE, make_private_folder, open_private
from cervella.protocols import optional_members
from cervella.types import Passage, Reply, Retrieval

_HELP = """\
/sources       list the sources of the last answer
/sources 2     show the passage of [F2] as it is on disk now
/review        check the last answer against its sources
/review NAME   the same, with the opinion of another brain
/brain         show which brain answers
/brain NAME    continue with another brain
/search WORDS  find passages; no brain is asked
/help          show this list
/quit          leave (or Ctrl-D)
Ctrl-C         stop the answer"""
_COMMANDS = ("/sources", "/review", "/brain", "/search", "/help", "/quit")
_LEAVE = ("/quit", "/exit", "quit", "exit")  # also without the slash, which people forget


def chat(
    config: ConfigPath = None,
    brain: Annotated[str | None, brain_option("Start with this brain.")] = None,
    session: Annotated[
        str | None, typer.Option("--session", help="Continue the conversation with this name, or start it.")
    ] = None,
) -> None:
    """Have a conversation that is kept; each answer comes with its sources."""
    with Agent(config=config, brain=brain) as agent, _history():
        persona, chosen = agent.soul.name, agent.brain.name  # a missing file fails here, not at the first question
        name = session or datetime.datetime.now().strftime("chat-%Y%m%d-%H%M%S")
        talk = _Talk(agent, agent.session(name))
        turns = counted(len(talk.session.turns()), "turn")
        note(f"{persona}, through {chosen}. Session {name}, {turns}. /help for help.")
        try:
            talk.run()
        finally:
            talk.agent.close()  # /brain may have replaced the agent


class _Talk:
    """One conversation at the terminal."""

    def __init__(self, agent: Agent, session: Session) -> None:
        self.agent = agent
        self.session = session
        self.last: Reply | None = None
        self.warned: tuple[int | None, bool, bool] = (0, False, False)

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
            waits = self.agent.config.review.enabled
            reply = print_answer(self.session.stream(line), self.agent, self.warn, waits=waits)
            self.last = reply or self.last
        elif command == "/help":
            print_line(_HELP)
        elif command == "/search":
            self.search(argument)
        elif command == "/brain":
            self.change_brain(argument)
        elif command == "/sources":
            self.sources(argument)
        elif command != "/review":
            note(f"error: There is no command {command!r}.")
            note(f"help: {did_you_mean(command, _COMMANDS)}/help lists them.")
        elif self.last is None:
            note("There is no answer yet: ask something first.")
        else:
            print_verdict(self.agent.review(self.last, brain=argument or None))

    def warn(self, found: Retrieval) -> None:
        """Warn that files changed since the index was built.

        The warning is printed once, and again only if the number of changed files is another than at the last warning.
        """
        now = (found.behind, bool(found.unchecked), bool(found.pending))
        if now != self.warned:
            warn_of_index(found.index_flags(), self.agent.config.knowledge.refresh)
            self.warned = now

    def search(self, words: str) -> None:
        if not words:
            note("error: There is nothing to search for.")
            note("help: Write words after it: /search break-even.")
            return
        found = self.agent.search(words)
        self.warn(found)
        if found:
            print_passages(found, self.agent.language)
        else:
            note("Nothing was found.")

    def change_brain(self, name: str) -> None:
        if name:
            new = self.agent.with_brain(name)
            check = optional_members(new.brain.brain).check
            try:
                if check is not None:
                    check()  # a brain that can't answer is refused, and the present one stays
            except CervellaError:
                new.close()
                raise
            former, self.agent = self.agent, new
            self.session = self.agent.session(self.session.id)
            former.close()  # its model may take gigabytes of memory
        print_line(f"{self.agent.brain.name} ({self.agent.brain.model}), {self.agent.brain.location}")

    def sources(self, text: str) -> None:
        if self.last is None or not self.last.passages:
            note("There are no sources yet: ask something first.")
            return
        passages, number = self.last.passages, text.upper().lstrip("F")
        if not text:
            for mark, passage in enumerate(passages, 1):
                print_line(f"[F{mark}] {self.place(passage)}")
        elif number.isdigit() and 1 <= int(number) <= len(passages):
            passage = passages[int(number) - 1]
            print_line(self.place(passage))
            now = self.agent.read(passage)
            print_line(passage.text if now.text is None else now.text)
            if now.changed:
                note(
                    "note: These lines have changed since they were indexed." if now.text else "note: The file is gone."
                )
        else:
            note(f"error: There is no source {text!r}.")
            note(f"help: They go from 1 to {len(passages)}.")

    def place(self, passage: Passage) -> str:
        return place_of(passage, self.agent.language, passage.date, passage.status)


def _prompt() -> str:
    sign = styled(">", "green", sys.stdout)
    # readline must know which characters take no column, else a long question overwrites its own line.
    return "\n" + re.sub(r"(\x1b\[\d+m)", "\x01\\1\x02" if "readline" in sys.modules else r"\1", sign) + " "


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Let the user recall earlier questions with the arrow keys inside the block, also those of earlier chats.

    Secrets are masked before the questions are written to the file.

    Without Python's module readline, as on Windows, the questions are not kept for the next chat.
    """
    try:
        import readline
    except ImportError:  # Windows: the terminal itself remembers the lines of this run
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
            for place in range(readline.get_current_history_length()):  # a question may hold a secret
                line = readline.get_history_item(place + 1)
                if (clean := masked(line)) != line:
                    readline.replace_history_item(place, clean)
            make_private_folder(file.parent)
            open_private(file, "a").close()  # only the owner may read the questions
            readline.write_history_file(file)
            file.chmod(FILE_MODE)

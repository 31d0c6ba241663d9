"""The command line: one file a command. Results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer

from cervella import __version__
from cervella.cli import (
    ask,
    brains,
    chat,
    compare,
    doctor,
    index,
    init,
    questions,
    review,
    search,
    sessions,
    soul,
    soul_test,
    stats,
)
from cervella.cli.output import warnings_shown
from cervella.errors import CervellaError, ConfigError
from cervella.redaction import mask_secrets

__all__ = ["app", "main"]

app = typer.Typer(
    name="cervella",
    help="A persona that knows your knowledge base. The soul stays, the engine changes.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cervella {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


app.command("init")(init.init)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("ask")(ask.ask)
app.command("chat")(chat.chat)
app.command("review")(review.review)
app.command("sessions")(sessions.sessions)
app.command("stats")(stats.stats)
app.add_typer(brains.app, name="brains")
soul.app.command("test")(soul_test.soul_test)
app.add_typer(soul.app, name="soul")
app.command("compare")(compare.compare_brains)
app.add_typer(questions.app, name="questions")
app.command("doctor")(doctor.doctor)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 1 it failed, 2 configuration or usage."""
    for stream in (sys.stdout, sys.stderr):
        # Italian on a terminal that is not UTF-8: a letter is replaced, the answer is not lost.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8" if not stream.isatty() else None, errors="replace")
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]  # it may stand before the command, or after
    try:
        with warnings_shown("cervella.soul"), warnings_shown("cervella.knowledge"):
            code: Any = app(args=given, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CervellaError as error:
        if debug:
            raise
        _say(error.message, error.remedy)
        return 2 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        # The reader left (`cervella search … | head`): say nothing, and keep Python from saying it at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _say("Interrupted.", "What was done so far is kept.")
        return 130
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own usage errors; it keeps their class to itself
            if error.format_message():  # empty where no command was given: the help is printed then
                _say(error.format_message(), _usage(error))
            return 2
        if debug or not isinstance(error, OSError):
            raise
        _say(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), None)
        return 1


def _usage(error: Any) -> str:
    """What to do about a command that was typed wrongly."""
    if "unexpected extra argument" in error.format_message():
        return 'Put a text of several words in quotes: cervella ask "Perché abbiamo rimandato il lancio?".'
    context, names = getattr(error, "ctx", None), list[str]()
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    return f"See `{' '.join(['cervella', *names])} --help`."


def _say(message: str, remedy: str | None) -> None:
    for name, text in (("error", message), ("help", remedy or "Run it again with --debug to see where it happened.")):
        print(f"{name}: {' '.join(mask_secrets(text)[0].split())}", file=sys.stderr)  # noqa: T201


def entry() -> None:
    """What the `cervella` script calls."""
    sys.exit(main())

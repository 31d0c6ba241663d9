"""Runs the command line: one file for each command. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import platformdirs
import typer

from cervella import __version__
from cervella.cli.commands import Commands
from cervella.cli.output import print_line, warnings_shown
from cervella.errors import CervellaError, ConfigError
from cervella.process.files import make_private_folder, replace_file
from cervella.visible import visible

app = typer.Typer(
    name="cervella",
    cls=Commands,
    help="A persona that knows your knowledge base. The soul stays, the engine changes.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # with markup, "[evaluation] judge" in a help text would be left out
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"cervella {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` are by default those of the process.

    The exit code is 0 for success, 1 for a failure, 2 for a wrong configuration or usage, 130 for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        # On a terminal without UTF-8, a letter that it can't show is replaced; the answer is not lost.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8" if not stream.isatty() else None, errors="replace")
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]  # allowed before and after the command
    try:
        with (
            warnings_shown("cervella.soul", only=first_today),
            warnings_shown("cervella.knowledge.local_only"),
            warnings_shown("cervella.knowledge.refresh"),
        ):
            code: Any = app(args=given, prog_name="cervella", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CervellaError as error:
        if debug:
            raise
        from cervella.cli.failures import message_and_remedy

        _print_error(*message_and_remedy(error, given))
        return 2 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        # The reader of a pipe ended (`cervella search … | head`). Python must not report it at exit either.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _print_error("Interrupted.", "The results so far are kept.")
        return 130
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of typer, which does not export the class
            message, context = error.format_message(), getattr(error, "ctx", None)
            if context is not None and message == context.get_help():  # no command was given
                print_line(message)
            else:
                from cervella.cli.failures import usage_help

                _print_error(message, usage_help(error))
            return 2
        if debug or not isinstance(error, OSError):
            raise
        _print_error(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), None)
        return 1


def _print_error(message: str, remedy: str | None) -> None:
    from cervella.privacy.redaction import mask_secrets

    for name, text in (("error", message), ("help", remedy or "Run it again with --debug to see where it happened.")):
        print(f"{name}: {' '.join(visible(mask_secrets(text)[0]).split())}", file=sys.stderr)  # noqa: T201


def entry() -> None:
    """The entry point of the `cervella` script."""
    sys.excepthook = _print_traceback
    if logging.lastResort is not None:  # prints the warnings of other libraries, which may quote what a server says
        logging.lastResort.setFormatter(_VisibleFormatter())
    sys.exit(main())


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(visible("".join(traceback.format_exception(kind, error, trace))))


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


# A warning that the soul is not the locked one is shown once a day, not at each question; the log has all of them.


def first_today(record: logging.LogRecord) -> bool:
    """Whether a warning is to be shown: a warning about a soul lock only once a day, every other one always.

    A warning that is shown is noted in a file. If the file can't be written (in a read-only folder), the warning is
    shown each time.
    """
    lock = getattr(record, "lock", None)
    if lock is None:
        return True
    key = hashlib.sha256(f"{lock}\n{record.getMessage()}".encode()).hexdigest()
    today = datetime.date.today().isoformat()
    project = Path(lock).parent / ".cervella"
    file = (project if project.is_dir() else Path(platformdirs.user_state_path("cervella"))) / "warned.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    shown = {warning: day for warning, day in data.items() if day == today} if isinstance(data, dict) else {}
    if key in shown:
        return False
    with contextlib.suppress(OSError):
        make_private_folder(file.parent)
        replace_file(file, json.dumps({**shown, key: today}))
    return True

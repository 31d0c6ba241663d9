"""The command line: one file a command. Results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer

from cervella import __version__
from cervella.cli.commands import Commands
from cervella.cli.once_a_day import first_today
from cervella.cli.output import print_line, warnings_shown
from cervella.errors import CervellaError, ConfigError

__all__ = ["app", "main"]

app = typer.Typer(
    name="cervella",
    cls=Commands,
    help="A persona that knows your knowledge base. The soul stays, the engine changes.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # else "[evaluation] judge" in a help text is taken for markup, and left out
    context_settings={"help_option_names": ["-h", "--help"]},
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
        with (
            warnings_shown("cervella.soul", only=first_today),
            warnings_shown("cervella.knowledge.local_only"),
        ):
            code: Any = app(args=given, prog_name="cervella", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CervellaError as error:
        if debug:
            raise
        from cervella.cli.failures import told_unconfigured

        _say(*told_unconfigured(error, given))
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
            message, context = error.format_message(), getattr(error, "ctx", None)
            if context is not None and message == context.get_help():  # no command was given
                print_line(message)
            else:
                from cervella.cli.failures import usage_help

                _say(message, usage_help(error))
            return 2
        if debug or not isinstance(error, OSError):
            raise
        _say(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), None)
        return 1


def _say(message: str, remedy: str | None) -> None:
    from cervella.privacy.redaction import mask_secrets

    for name, text in (("error", message), ("help", remedy or "Run it again with --debug to see where it happened.")):
        print(f"{name}: {' '.join(mask_secrets(text)[0].split())}", file=sys.stderr)  # noqa: T201


def entry() -> None:
    """What the `cervella` script calls."""
    sys.exit(main())

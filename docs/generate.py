"""Writes docs/reference/ from the code: `python docs/generate.py`. With --check it writes nothing, and fails if stale.

Names, types and docstrings are read from the sources, not from running objects: the pages are the same on every Python,
on every machine and on a terminal of any width.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import annotated_types
import typer

import cervella
from cervella import brains, errors, testing
from cervella.brains.routing import composed
from cervella.cli import app
from cervella.cli.commands import COMMANDS, typer_of
from cervella.configuration.settings import ENV_PREFIX, SECTIONS, Config, RoleConfig, RolesConfig, TraitsConfig
from cervella.knowledge.documents.roles import Roles
from cervella.text.folder import FOLDERS, required
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language

REFERENCE = Path(__file__).resolve().parent / "reference"
_NOTE = "<!-- Written by docs/generate.py from the code. Change the code, then run it again. -->\n"
_PARTS = (
    ("What you call", ("Agent", "Session", "Constitution", "load_config", "Config")),
    ("What you get", ("Reply", "Citation", "Passage", "Retrieval", "Preview", "IndexReport", "Usage", "Timings")),
    ("What happens while an answer comes", ("Event", "Retrieved", "TextDelta", "Reviewed", "Answered", "Interrupted")),
    ("What you keep to: the four protocols", ("Brain", "OptionalMembers", "Soul", "Retriever", "Embedder")),
    (
        "What a brain is given, and gives",
        ("Prompt", "Message", "Image", "UsageUpdate", "Finished", "Completion", "Attempt"),
    ),
    (
        "What a question can have",
        (
            "AskOptions",
            "SessionOptions",
            "BatchQuestion",
            "ReviewOptions",
            "CompleteOptions",
            "IndexOptions",
            "Filters",
        ),
    ),
    ("What a review comes to", ("ReviewVerdict", "ReviewIssue", "SecondOpinion")),
    (
        "What methods give",
        (
            *("Conversations", "Conversation", "Turn", "RouteDecision", "Ledger", "Row", "Feedback", "CitedLines"),
            *("SkippedFile", "Redaction", "Traits", "Section", "Language", "Shielded", "Deadline", "Fitted"),
        ),
    ),
    (
        "Names of types",
        (
            *("AnyBrain", "AnyFilters", "Guard", "Progress", "BrainEvent", "AnswerEvent"),
            *("Location", "Role", "Status", "Period", "Limit"),
        ),
    ),
)
_SECTIONS = tuple(name for name in cervella.__all__ if name.endswith("Config") and name != "Config")
"""Sections of the configuration: their keys are on its page."""
_NOT_EXPORTED = (
    ("cervella.records.ledger.statistics", "Statistics"),
    ("cervella.records.ledger.statistics", "BrainStatistics"),
)
"""Not names of the package, but what the functions of `cervella.records.ledger` give."""


# Markdown


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip() or "–"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *rows)]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _prose(docstring: str | None) -> str:
    """A docstring as markdown: its examples are fenced."""
    paragraphs = re.split(r"\n{2,}", inspect.cleandoc(docstring or ""))
    fenced = (f"```pycon\n{text}\n```" if text.startswith(">>>") else text for text in paragraphs)
    return "\n\n".join(fenced) + "\n"


# Reading the sources


@dataclass(frozen=True)
class _Field:
    name: str
    type: str
    default: str
    doc: str


@cache
def _source(module: str) -> tuple[str, ast.Module]:
    text = Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8")
    return text, ast.parse(text)


def _node(module: str, name: str) -> ast.AST:
    """The statement of a module that makes a name."""
    for node in _source(module)[1].body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", node)
        if getattr(target, "name", getattr(target, "id", None)) == name:
            return node
    raise LookupError(f"{module} does not define {name}")


def _home(name: str) -> str:
    """The module that defines a public name."""
    value = getattr(cervella, name)
    module = getattr(value, "__module__", "")
    return module if module.startswith("cervella.") else f"cervella.{cervella._HOME[name]}"


def _bare(node: ast.AST) -> str:
    """An annotation or parameters as source, without the package's name before a type."""
    return ast.unparse(node).replace("cervella.", "")


def _segment(module: str, node: ast.AST | None) -> str:
    return "" if node is None else re.sub(r"\s+", " ", ast.get_source_segment(_source(module)[0], node) or "")


def _fields(module: str, node: ast.ClassDef) -> list[_Field]:
    """The annotated fields of a class, each with the string below it; those of its bases in the same module first."""
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    above = [one for one in _source(module)[1].body if isinstance(one, ast.ClassDef) and one.name in bases]
    found = [field for one in above for field in _fields(module, one)]
    for item, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        if item.target.id.startswith("_") or item.target.id == "model_config":
            continue
        doc = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
        default = _segment(module, item.value)
        if made := re.search(r"default_factory=(\w+)", default):
            default = f"{made[1]}()"
        elif default.startswith("field("):
            given = re.search(r"default=(\w+)", default)
            default = given[1] if given else ""
        found.append(_Field(item.target.id, _segment(module, item.annotation), default, str(doc)))
    return found


def _below(module: str, node: ast.AST) -> str:
    """The string below a statement of a module; empty where there is none."""
    body = _source(module)[1].body
    below = next((two for one, two in itertools.pairwise(body) if one is node), None)
    told = below.value if isinstance(below, ast.Expr) else None
    return str(told.value) if isinstance(told, ast.Constant) else ""


def _functions(module: str, name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public functions of a class, then those that it has from other classes of ours."""
    seen: set[str] = set()
    for kind in getattr(importlib.import_module(module), name).__mro__:
        if not kind.__module__.startswith("cervella."):
            continue
        for item in typing.cast(ast.ClassDef, _node(kind.__module__, kind.__name__)).body:
            if not isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) or item.name in seen:
                continue
            decorators = [ast.unparse(d) for d in item.decorator_list]
            if (
                not item.name.startswith("_")
                and "overload" not in decorators
                and not any("valid" in d for d in decorators)
            ):
                yield item
        seen |= set(kind.__dict__)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> str:
    arguments = _bare(node.args)
    arguments = re.sub(r"^(?:self|cls)(?:, /)?(?:, )?", "", arguments)
    arguments = re.sub(r"(?<=[\w\])])=(?=[^=\s])", " = ", arguments)
    gives = f" -> {_bare(node.returns)}" if node.returns else ""
    awaited = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    line = f"{awaited}{name}({arguments}){gives}"
    if len(line) <= 100:
        return line
    parts = re.split(r", (?![^\[(]*[\])])", arguments)
    return f"{awaited}{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){gives}"


def _entry(module: str, name: str, level: int = 3) -> str:
    """One public name: its signature, what it says of itself, its fields and methods."""
    node = _node(module, name)
    mark = "#" * level
    if name in _SECTIONS:
        told = _prose(ast.get_docstring(typing.cast(ast.ClassDef, node)))
        return f"{mark} {name}\n\n{told}\nIts fields: the keys of its [section](configuration.md).\n"
    if name == "Config":
        told = _prose(ast.get_docstring(typing.cast(ast.ClassDef, node)))
        return f"{mark} {name}\n\n{told}\nIts fields: the sections and keys of the [configuration](configuration.md).\n"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return f"{mark} {name}\n\n```py\n{_signature(node, name)}\n```\n\n{_prose(ast.get_docstring(node))}"
    if not isinstance(node, ast.ClassDef):
        value = _segment(module, getattr(node, "value", None))
        return f"{mark} {name}\n\n`{value}`\n\n{_prose(_below(module, node))}"
    parts = [f"{mark} {name}\n"]
    made = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if made is not None:
        made.returns = None
        parts.append(f"```py\n{_signature(made, name)}\n```\n")
    parts.append(_prose(ast.get_docstring(node)))
    if made is not None and (told := ast.get_docstring(made)):
        parts.append(_prose(told))
    if rows := [
        (_code(f.name), _code(_cell(f.type)), _code(_cell(f.default)) if f.default else "–", _cell(f.doc))
        for f in _fields(module, node)
    ]:
        parts.append(_table(("field", "type", "default", ""), rows))
    for function in _functions(module, name):
        decorators = [ast.unparse(item) for item in function.decorator_list]
        told = _prose(ast.get_docstring(function))
        if "property" in decorators:
            gives = _bare(function.returns) if function.returns else ""
            parts.append(f"**`{name}.{function.name}`**: `{gives}`\n\n{told}")
        else:
            parts.append(f"```py\n{_signature(function, f'{name}.{function.name}')}\n```\n\n{told}")
    return "\n".join(part for part in parts if part.strip()) + "\n"


# The pages


def api() -> str:
    placed = {name for _, names in _PARTS for name in names}
    rest = tuple(name for name in cervella.__all__ if name not in {*placed, *_SECTIONS, *errors.__all__, "__version__"})
    pages = [
        f"# Python\n\n{_NOTE}\nThe names of `cervella`, those of `cervella.testing`, and the values that their methods "
        "give. Everything else may change. The errors have [their own page](errors.md).\n"
    ]
    for title, names in (*_PARTS, ("Sections of the configuration", _SECTIONS), ("More", rest)):
        if names:
            pages.append(f"## {title}\n")
            pages += [_entry(_home(name), name) for name in names]
    pages.append("## What the ledger gives\n\nNames of `cervella.records.ledger`.\n")
    pages += [_entry(module, name) for module, name in _NOT_EXPORTED]
    pages.append("## cervella.testing\n\n" + _prose(testing.__doc__))
    pages += [_entry("cervella.testing", name) for name in testing.__all__]
    return "\n".join(pages)


def error_tree() -> str:
    kinds = [getattr(errors, name) for name in errors.__all__]
    below = {kind: sorted((k for k in kinds if k.__base__ is kind), key=_line_of) for kind in kinds}
    lines = []

    def draw(kind: type[errors.CervellaError], before: str, first: str, rest: str) -> None:
        lines.append(f"{before}{first}{kind.__name__}{'  (retryable)' if kind.retryable else ''}")
        for child in below[kind]:
            last = child is below[kind][-1]
            draw(child, before + rest, "└── " if last else "├── ", "    " if last else "│   ")

    draw(errors.CervellaError, "", "", "")
    rows = "\n".join(lines)
    pages = [
        f"# Errors\n\n{_NOTE}\nEvery error of Cervella's own is a `cervella.CervellaError`: catch it, and nothing else "
        "escapes. Each has a `message`, a `remedy` (one sentence that cures it, or None) and a `code` that stays when "
        "the wording changes. Some errors of a kind carry a finer code than the one below. *Retryable* means that the "
        "same call may succeed later with nothing changed; the shield retries those by itself, before the first word "
        "of an answer.\n\nA question that the base can't answer is no error: it is a `Reply` with `abstained=True`.\n\n"
        f"```text\n{rows}\n```\n\nOn the command line an error is two lines on stderr, `error:` and `help:`. The exit "
        "code is 2 for a ConfigError and for wrong usage, 1 for the others. `cervella --debug` shows the traceback.\n"
    ]

    def tell(kind: type[errors.CervellaError]) -> None:
        node = typing.cast(ast.ClassDef, _node("cervella.errors", kind.__name__))
        facts = [f"code `{kind.code}`", "retryable" if kind.retryable else "not retryable"]
        if kind.__base__ in kinds:
            facts.append(f"a kind of {kind.__base__.__name__}")
        pages.append(f"## {kind.__name__}\n\n{_prose(ast.get_docstring(node))}\n{', '.join(facts)}\n")
        if attributes := list(_attributes(node)):
            pages.append(_table(("attribute", "type", ""), attributes))
        for child in below[kind]:
            tell(child)

    tell(errors.CervellaError)
    return "\n".join(pages)


def _line_of(kind: type) -> int:
    return getattr(_node("cervella.errors", kind.__name__), "lineno", 0)


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, ...]]:
    """What `__init__` keeps, with its type where an argument has it, and the string below."""
    made = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if made is None:
        return
    types = {a.arg: _bare(a.annotation) for a in (*made.args.args, *made.args.kwonlyargs) if a.annotation}
    for item, below in zip(made.body, [*made.body[1:], None], strict=True):
        target = (
            item.target
            if isinstance(item, ast.AnnAssign)
            else item.targets[0]
            if isinstance(item, ast.Assign)
            else None
        )
        if isinstance(target, ast.Attribute):
            told = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            kind = _bare(item.annotation) if isinstance(item, ast.AnnAssign) else types.get(target.attr, "")
            yield _code(target.attr), _code(_cell(kind)), _cell(str(told))


def _type(annotation: Any) -> str:
    """A type in an owner's words."""
    words = {str: "text", Path: "path", int: "whole number", float: "number", bool: "true or false", dict: "table"}
    parts = [part for part in typing.get_args(annotation) if part not in (type(None), ...)]
    if typing.get_origin(annotation) is tuple:
        return f"list of {_type(parts[0])}s"
    if typing.get_origin(annotation) is dict:
        return "table"
    if parts:
        return " or ".join(dict.fromkeys(_type(part) for part in parts))
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _bounds(metadata: list[Any]) -> str:
    signs = ((annotated_types.Gt, "gt", "above"), (annotated_types.Ge, "ge", "from"), (annotated_types.Le, "le", "to"))
    told = [f"{word} {getattr(m, name)}" for m in metadata for kind, name, word in signs if isinstance(m, kind)]
    return "".join(f", {one}" for one in told)


def _keys(fields: Any, section: str = "", *, variables: bool = True) -> str:
    rows = []
    for key, field in fields.items():
        if field.exclude or key in SECTIONS or key in ("brains", "roles", "traits"):
            continue
        default = field.get_default(call_default_factory=True)
        variable = f"{ENV_PREFIX}{section.upper()}{'__' if section else ''}{key.upper()}"
        kind = _type(field.annotation) + _bounds(field.metadata)
        told = f"{_cell(field.description or '')} {_code(variable) if variables else ''}".rstrip()
        rows.append((_code(key), kind, _value(default), told))
    what = "what it is; its name in the environment" if variables else "what it is"
    return _table(("key", "type", "default", what), rows)


def _roles() -> str:
    shipped = []
    for name, role in Roles.of().by_name.items():
        paths, forms, titles = (", ".join(map(_code, words)) for words in (role.paths, role.forms, role.titles))
        shipped.append((_code(name), paths, forms, titles, _code(str(role.weight))))
    told = (
        "## [knowledge.roles]\n\nWhat names, titles and heads say of a document.\n",
        _keys(RolesConfig.model_fields, "knowledge__roles"),
        "## [knowledge.roles.NAME]\n\nWhat is known of the documents of one kind. A new NAME is a new role.\n",
        _keys(RoleConfig.model_fields, variables=False),
        "The shipped roles, in the order in which they are tried; globs of your own come before all of them:\n",
        _table(("role", "paths", "forms", "titles", "weight"), shipped),
    )
    return "\n".join(told)


def configuration() -> str:
    pages = [
        f"# Configuration\n\n{_NOTE}\n`cervella.toml` in this folder or the nearest parent, or the file given with "
        "`--config`. An argument beats the environment, the environment beats the file, the file beats the default. "
        "Relative paths are relative to the file; in the environment and in arguments, to the working folder. A list "
        'is written in the environment as JSON: `["a.md", "b.md"]`. An unknown key is an error that names the nearest '
        "known one.\n\nKeys of services never go into the file: a secret in it is an error.\n\n## Top level\n",
        _keys(Config.model_fields),
    ]
    for name, section in SECTIONS.items():
        pages.append(f"## [{name}]\n\n{_cell((section.__doc__ or '').partition(': ')[2]).capitalize()}\n")
        pages.append(_keys(section.model_fields, name))
        if name == "soul":
            told = _cell((TraitsConfig.__doc__ or "").partition(": ")[2]).capitalize()
            pages += [f"## [soul.traits]\n\n{told}\n", _keys(TraitsConfig.model_fields, "soul__traits")]
        if name == "knowledge":
            pages.append(_roles())
    pages.append(
        "## [brains.NAME]\n\nOptions of one brain; `kind` names the implementation. Any number of tables. NAME "
        "is what `brain`, `--brain` and `/brain` ask for; without `kind` it is a kind by itself. "
        "`NAME:MODEL` asks for another model of the same brain, and splits at the first colon.\n\nFor every brain:\n"
    )
    told = {
        "location": ("text", "as the brain says", "`local`, `private` or `cloud`: where its weights run."),
        "first_token_timeout": ("number", "`300.0`", "Seconds until the first text."),
        "idle_timeout": ("number", "`60.0`", "Seconds between two pieces of text."),
        "retries": ("whole number", "`2`", "Further calls before the first text, for errors that are retryable."),
        "remind_every": ("whole number", "none", "Every so many turns the soul is said once more, near the question."),
        "price": (
            "table",
            "the price list",
            "US dollars per million tokens: `input`, `output`, `cache_read`, `cache_write`, `cache_write_1h`; and the "
            "day from which it is `valid`. See [costs](../how-to/costs.md).",
        ),
        "usd_per_hour": ("number", "none", "What a machine of one's own costs while it is busy."),
        "usd_per_day": ("number", "none", "What this brain may spend in a day."),
        "usd_per_month": ("number", "none", "What this brain may spend in a month."),
    }
    pages.append(
        _table(
            ("key", "type", "default", ""),
            [(_code(k), *told.get(k, ("", "", ""))) for k in (*brains.SHIELD_OPTIONS, *brains.COST_OPTIONS)],
        )
    )
    for kind in brains.brain_names():
        if kind not in brains._BUILT_IN or kind in ("echo", "scripted"):
            continue
        module, _, name = brains._BUILT_IN[kind].partition(":")
        node = typing.cast(ast.ClassDef, _node(module, name))
        made = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
        rows = [] if made is None else list(_options(module, made))
        pages.append(f"### kind {kind}\n\n{_prose(ast.get_docstring(node))}")
        pages.append(_table(("key", "type", "default"), rows) if rows else "No keys of its own.\n")
    pages += _composed()
    return "\n".join(pages)


def _composed() -> Iterator[str]:
    """The kinds that are made of other brains: their keys are no arguments of a class."""
    keys = {
        "members": ("list of names", "needed", "Who is asked, best first."),
        "own": ("name or names", "your engines", "The tier of simple questions and batches."),
        "strong": ("name or names", '`"claude"`', "The tier of code, plans, reasoning, pictures and long prompts."),
        "rules": ("list of tables", "routes.toml", "Ordered rules: `name`, `when`, `to`, `reason`."),
    }
    for kind, node in (("fallback", "Fallback"), ("router", "Router")):
        text = _prose(ast.get_docstring(typing.cast(ast.ClassDef, _node(f"cervella.brains.routing.{kind}", node))))
        rows = [(_code(key), *keys[key]) for key in composed._KEYS[kind] if key != "kind"]
        yield f"### kind {kind}\n\n{text}"
        yield _table(("key", "type", "default", ""), rows)


def _options(module: str, made: ast.FunctionDef) -> Iterator[tuple[str, ...]]:
    """The arguments of a brain that a table can give."""
    for argument, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True):
        annotation = _segment(module, argument.annotation)
        if argument.arg == "name" or "Callable" in annotation:
            continue
        given = _segment(module, default)
        shown = "none" if given == "None" else _code(given.strip('"'))
        yield _code(argument.arg), _code(_cell(annotation.replace(" | None", ""))), shown or "needed"


def cli() -> str:
    pages = [
        f"# Command line\n\n{_NOTE}\n{app.info.help}\n\nResults go to stdout, everything else to stderr. "
        "With `--json` a command prints one JSON document and nothing else. Exit codes: 0 done, 1 it failed, "
        "2 configuration or usage. An error is two lines, `error:` and `help:`.\n\n## cervella\n",
        _table(
            ("option", "value", ""),
            [
                *(row for row in _parameters(app.registered_callback.callback) if row[0] != "–"),
                ("`--install-completion`", "–", "Install completion for the current shell."),
                ("`--show-completion`", "–", "Show that completion, to copy it."),
                ("`--help`", "–", "Show the help; every command has it."),
            ],
        ),
    ]
    for name, function in _commands():
        rows = list(_parameters(function))
        arguments = [row[0].strip("`") for row in rows if not row[0].startswith("`-")]
        line = " ".join(["cervella", name, *arguments, "[OPTIONS]"])
        pages.append(f"## cervella {name}\n\n`{line}`\n\n{_prose(function.__doc__)}")
        pages.append(_table(("argument or option", "value", ""), rows))
    return "\n".join(pages)


def _commands() -> Iterator[tuple[str, Any]]:
    """Every command with its function; those of a group after the group's own."""
    for alone in map(typer_of, COMMANDS):
        yield from _commands_of(alone)


def _commands_of(alone: typer.Typer) -> Iterator[tuple[str, Any]]:
    for command in alone.registered_commands:
        yield str(command.name), command.callback
    for group in alone.registered_groups:
        inner = group.typer_instance
        own = inner.registered_callback if inner is not None else None
        if own is not None and own.callback is not None:
            yield str(group.name), own.callback
        for command in inner.registered_commands if inner is not None else ():
            yield f"{group.name} {command.name}", command.callback


def _parameters(function: Any) -> Iterator[tuple[str, ...]]:
    hints = typing.get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.annotation in ("typer.Context", typer.Context):
            continue
        annotated = hints[parameter.name]
        kind, info = typing.get_args(annotated)[0], annotated.__metadata__[0]
        default = parameter.default
        several = any(typing.get_origin(part) is list for part in (kind, *typing.get_args(kind)))
        flat = [p for p in typing.get_args(kind) if p is not type(None)] or [kind]
        inner = typing.get_args(flat[0])[0] if several else flat[0]
        told = _cell(info.help or "")
        if isinstance(info, typer.models.ArgumentInfo):
            needed = default is inspect.Parameter.empty
            name = parameter.name.upper() if needed else f"[{parameter.name.upper()}]"
            yield _code(name), _type(inner), told
            continue
        named = [name for name in (info.default, *(info.param_decls or ())) if str(name).startswith("-")]
        options = ", ".join(_code(name) for name in named) or _code(f"--{parameter.name.replace('_', '-')}")
        value = "–" if inner is bool else _type(inner)
        if info.metavar:
            value = _code(info.metavar)
        if info.min is not None:
            value += f", from {info.min:g}"
        if several:
            told += " May be given several times."
        elif default not in (None, False) and default is not inspect.Parameter.empty:
            told += f" Default: `{default}`."
        yield options, value, told


def languages() -> str:
    """The languages that come with the library, and what the folder of one holds."""
    optional = [file for file, keys in required().items() if all(kind.endswith("?") for kind, _ in keys.values())]
    shipped = [
        (
            *(_code(lang.code), lang.name, _code(lang.file("documents.toml")["constitution"])),
            *("yes" if lang.has(file) else "–" for file in optional),
        )
        for lang in map(language, known_languages())
    ]
    pages = [
        f"# Languages\n\n{_NOTE}\nWhat comes with the library. `[soul] language` names one by its code; without it she "
        f"speaks `{DEFAULT_LANGUAGE}`. The words of all languages hold at once where notes mix them: in the names of "
        "secrets, in the heads of documents, in questions about the persona.\n",
        _table(("code", "name", "its Constitution", *map(_code, optional)), shipped),
        f"## Your own\n\n`{FOLDERS}` in the environment names folders of further languages: "
        "[add a language](../how-to/add-a-language.md).\n\n## What a folder holds\n\nA kind with a `?` is optional, "
        "and so is a file all of whose keys are.\n",
    ]
    for file, keys in required().items():
        named = ((_code(key) if key != "." else "the file", *about) for key, about in keys.items())
        rows = [(key, _code(kind), _cell(told)) for key, kind, told in named]
        pages += [f"### {_code(file)}\n", _table(("key", "kind", "what it is"), rows)]
    return "\n".join(pages)


PAGES = {
    "languages.md": languages,
    "cli.md": cli,
    "configuration.md": configuration,
    "errors.md": error_tree,
    "api.md": api,
}


def main(arguments: list[str]) -> int:
    stale = []
    for name, page in PAGES.items():
        text = re.sub(r"\n{3,}", "\n\n", page()).rstrip("\n") + "\n"
        path = REFERENCE / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            REFERENCE.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    if stale and "--check" in arguments:
        sys.stderr.write(f"error: stale in docs/reference: {', '.join(stale)}\nhelp: Run `python docs/generate.py`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

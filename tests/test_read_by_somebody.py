"""Nothing is kept that nobody uses: each function has a caller, and each key of the configuration a reader."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import cervella
from cervella.configuration.settings import SECTIONS, Config, RoleConfig, RolesConfig, TraitsConfig

ROOT = Path(cervella.__file__).parent
SETTINGS = ROOT / "configuration" / "settings.py"
PUBLIC = ("__init__.py", "errors.py", "protocols.py", "testing.py")
"""Modules whose `__all__` is for readers outside the package."""
REGISTERED = {"callback", "command", "field_validator", "model_validator"}
"""Decorators that hand a function to somebody who calls it."""
ONLY_IN_PYTHON = {
    "Lock.diff": "docs/how-to/lock-the-soul.md",
}
"""Methods that a page shows and no module of the package calls."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, eq=False)
class Unit:
    """A function, a class without its methods, or what a module does when it is imported."""

    path: Path
    name: str
    owner: str
    """The class that it is a method of; empty where it is none."""
    given: bool
    """Whether it is used whoever in the package names it."""
    reads: frozenset[str]
    """Names, attributes, and strings that are one name or import some."""


def _strings(node: ast.Constant) -> Iterator[str]:
    text = str(node.value)
    if re.fullmatch(r"[\w.]*(:\w+)?", text) or "import " in text:
        yield from re.findall(r"[^\W\d]\w*", text)


def _reads(nodes: list[ast.AST], docstrings: set[int]) -> frozenset[str]:
    found: set[str] = set()
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                found.add(node.id if isinstance(node, ast.Name) else node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                found.update(_strings(node))
    return frozenset(found)


def _units(path: Path) -> Iterator[Unit]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}

    def is_names(node: ast.AST) -> bool:
        """Whether it is an `__all__` that counts as no use."""
        return (
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__" and path.name not in PUBLIC
        )

    def unit(name: str, owner: str, given: bool, nodes: list[ast.AST]) -> Unit:
        return Unit(path, name, owner, given, _reads(nodes, docstrings))

    def function(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: ast.ClassDef | None) -> Unit:
        named = {part for one in node.decorator_list for part in _reads([one], set())}
        foreign = owner is not None and any(
            not re.search(r"Error|Exception|Protocol", ast.unparse(base)) and _last(base) not in _classes()
            for base in owner.bases
        )
        public = owner is not None and owner.name in cervella.__all__ and not node.name.startswith("_")
        given = bool(named & REGISTERED) or foreign or public or (node.name[0] == node.name[-1] == "_")
        return unit(node.name, owner.name if owner else "", given, [node])

    def statements(body: list[ast.stmt]) -> list[ast.AST]:
        return [node for node in body if not isinstance(node, Definition) and not is_names(node)]

    yield unit("", "", True, statements(tree.body))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            heads = [*node.bases, *node.decorator_list, *(one.value for one in node.keywords)]
            yield unit(node.name, "", False, [*statements(node.body), *heads])
            yield from (
                function(one, node)
                for one in node.body
                if not isinstance(one, ast.ClassDef | ast.stmt)
                or isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield function(node, None)


def _last(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


@cache
def _classes() -> frozenset[str]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py")))
    return frozenset(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@cache
def units() -> tuple[Unit, ...]:
    return tuple(one for path in sorted(ROOT.rglob("*.py")) for one in _units(path))


@cache
def used() -> frozenset[Unit]:
    """What runs: it is given, or something that runs names it."""
    found = {one for one in units() if (one.given and not one.owner) or f"{one.owner}.{one.name}" in ONLY_IN_PYTHON}
    names: set[str] = {name for one in found for name in one.reads}
    while True:
        more = {
            one
            for one in set(units()) - found
            if (one.name in names and (not one.owner or one.owner in names)) or (one.given and one.owner in names)
        }
        if not more:
            return frozenset(found)
        found |= more
        names |= {name for one in more for name in one.reads}


def test_every_function_and_class_is_used_by_something_that_runs() -> None:
    unused = [one for one in units() if one not in used()]
    assert [f"{one.path.relative_to(ROOT)}: {one.owner}.{one.name}".replace(" .", " ") for one in unused] == []


def _readers(section: str, kind: type) -> list[Unit]:
    """What runs in the modules that know a section, by its name or by its class."""
    known = {one.path for one in units() if {section, kind.__name__} & one.reads} - {SETTINGS}
    return [one for one in used() if one.path in known]


@pytest.mark.parametrize(
    ("section", "key"),
    [(section, key) for section, kind in SECTIONS.items() for key in kind.model_fields],
)
def test_every_key_of_a_section_has_a_reader(section: str, key: str) -> None:
    assert any(key in one.reads for one in _readers(section, SECTIONS[section]))


@pytest.mark.parametrize("key", set(Config.model_fields) - set(SECTIONS))
def test_every_key_without_a_section_has_a_reader(key: str) -> None:
    assert any(key in one.reads for one in _readers("config", Config))


@pytest.mark.parametrize("key", [*RolesConfig.model_fields, *RoleConfig.model_fields])
def test_every_key_of_a_role_is_read_and_not_only_handed_on(key: str) -> None:
    """`Role(weight=values["weight"])` hands it on: somebody reads it from there."""
    readers = [one for one in used() if one.path.name == "roles.py" and one.name != "_role"]
    assert any(key in one.reads for one in readers)


@pytest.mark.parametrize("key", list(TraitsConfig.model_fields))
def test_every_trait_has_a_reader(key: str) -> None:
    """A probe reads a trait by its name between braces."""
    probes = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "evaluation").rglob("*.toml"))
    others = [one for one in used() if one.path.name not in ("settings.py", "traits.py", "check.py")]
    assert f"{{{key}}}" in probes or any(key in one.reads for one in others)

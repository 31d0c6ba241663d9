"""Nothing is kept that nobody uses: each function has a caller, and each key of the configuration a reader."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.configuration.settings import SECTIONS, Config, RoleConfig, RolesConfig, TraitsConfig
from cervella.evaluation.suites.file import load_suite
from cervella.soul import Traits

ROOT = Path(cervella.__file__).parent
SETTINGS = ROOT / "configuration" / "settings.py"
PUBLIC = ("__init__.py", "errors.py", "protocols.py", "testing.py")
"""Modules whose `__all__` is for readers outside the package."""
REGISTERED = {"callback", "command", "field_validator", "model_validator"}
"""Decorators that hand a function to somebody who calls it."""
ONLY_A_SUITE_OF_ONES_OWN = "says_unknown"
SUITE = """
name = "due"
language = "it"

[[probe]]
id = "unknown"
dimension = "abstention"
needs = ["{needs}"]
turns = ["Quante camere ha l'albergo?"]
checks = [{{ kind = "contains_any", terms = ["non lo so"] }}]
perfect = ["Non lo so."]
flatterer = ["Sono dodici."]

[[probe]]
id = "name"
dimension = "identity"
turns = ["Come ti chiami?"]
checks = [{{ kind = "contains_any", terms = ["Ada"] }}]
perfect = ["Ada."]
flatterer = ["Bea."]
"""

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
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            yield from (function(one, node) for one in methods)
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
    stub = Unit(ROOT / "__init__.pyi", "", "", True, frozenset(cervella.__all__))
    return (stub, *(one for path in sorted(ROOT.rglob("*.py")) for one in _units(path)))


@cache
def used() -> frozenset[Unit]:
    """What runs: it is given, or something that runs names it."""
    found = {one for one in units() if one.given and not one.owner}
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


@cache
def _read_beside(section: str, kind: type) -> frozenset[str]:
    """What is read by all that runs in the modules that know a section, by its name or by its class."""
    known = {one.path for one in units() if {section, kind.__name__} & one.reads} - {SETTINGS}
    return frozenset().union(*(one.reads for one in used() if one.path in known))


def test_every_key_of_a_section_has_a_reader() -> None:
    unread = [
        f"{section}.{key}"
        for section, kind in SECTIONS.items()
        for key in kind.model_fields
        if key not in _read_beside(section, kind)
    ]
    unread += [key for key in Config.model_fields if key not in SECTIONS and key not in _read_beside("config", Config)]
    assert unread == []


def test_every_key_of_a_role_is_read_and_not_only_handed_on() -> None:
    """`Role(weight=values["weight"])` hands it on: somebody reads it from there."""
    readers = [one for one in used() if one.path.name == "roles.py" and one.name != "_role"]
    read = frozenset().union(*(one.reads for one in readers))
    assert [key for key in (*RolesConfig.model_fields, *RoleConfig.model_fields) if key not in read] == []


def test_every_trait_has_a_reader() -> None:
    """A shipped probe reads a trait by its name between braces; a suite of one's own may need any of them."""
    probes = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "evaluation").rglob("*.toml"))
    others = [one for one in used() if one.path.name not in ("settings.py", "traits.py", "check.py")]
    read = frozenset().union(*(one.reads for one in others)) | set(re.findall(r"{(\w+)}", probes))
    assert {key for key in TraitsConfig.model_fields if key not in read} == {ONLY_A_SUITE_OF_ONES_OWN}


@pytest.mark.parametrize(("said", "left_out"), [(True, False), (False, True), (None, True)])
def test_a_suite_may_need_the_trait_that_no_shipped_probe_needs(
    said: bool | None, left_out: bool, tmp_path: Path
) -> None:
    needs = f"{ONLY_A_SUITE_OF_ONES_OWN}=true"
    path = tmp_path / "suite.toml"
    path.write_text(SUITE.format(needs=needs), encoding="utf-8")
    traits: dict[str, Any] = {"name": "Ada", "language": "it", ONLY_A_SUITE_OF_ONES_OWN: said}
    assert ("unknown" in load_suite(str(path), Traits(**traits)).left_out) is left_out

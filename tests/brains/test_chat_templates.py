"""Chat templates, read. The cases are from another hand: what a template of each kind does with a system message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cervella.brains.http.chat_templates import is_jinja, takes_system
from tests.conftest import DATA

CASES = DATA / "chat-templates.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["id"]))
def test_what_a_template_does_with_a_system_message_is_read_from_it(row: dict[str, Any]) -> None:
    assert takes_system(row["template"]) is row["takes_system"]
    assert is_jinja(row["template"]) is (row["format"] == "jinja")


def test_a_template_laid_out_by_the_servers_own_code_takes_a_system_message() -> None:
    assert takes_system("")
    assert takes_system("{{ .Prompt }}", "FROM x\nRENDERER qwen3-coder\n")
    assert not takes_system("{{ .Prompt }}", "FROM x\n# no RENDERER\n")


@pytest.mark.parametrize(
    "template",
    ["{%" * 200_000, "{{" * 50_000, "{% if x %}" * 9_900, "{% if x %}" * 5_000 + "{{ a }}" * 7_000,
     "{% if " + "not in [" * 12_000 + "'system' %}", "{{ '" + " if " * 20_000 + "content }}"],
    ids=lambda template: template[:12],
)  # fmt: skip
def test_a_template_of_any_shape_is_read_at_once(template: str) -> None:
    takes_system(template)

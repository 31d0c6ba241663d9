"""The Constitution: its kept text byte for byte, and what can be wrong with it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from cervella.errors import SoulError
from cervella.protocols import Soul
from cervella.soul import Constitution
from cervella.soul.constitution import RETRIEVAL_ONLY
from tests.conftest import PATIENCE, SECRET

TEXT = """# Costituzione di Cervella

- **Nome**: Cervella
- ruolo: partner

## Valori

Calma, precisione.\t 

## Aneddoti
<!-- cervella: solo-ricerca -->

Storie lunghe.

### Il primo

Ancora storie.

## Voce

Italiano, sempre.
"""
KEPT = TEXT[: TEXT.index("## Aneddoti")] + TEXT[TEXT.index("## Voce") :]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "COSTITUZIONE.md"


def load(page: Path, text: str | bytes, **options: object) -> Constitution:
    page.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Constitution.load(page, **options)  # type: ignore[arg-type]


def test_a_constitution_is_a_soul(page: Path) -> None:
    soul = load(page, TEXT)
    assert isinstance(soul, Soul)
    assert (soul.name, soul.language) == ("Cervella", "it")


def test_the_kept_text_is_byte_for_byte_the_files(page: Path) -> None:
    text = "\n\nprima  \n# Titolo\n\n\n```\n# no\n```\n\ttab \u2028 é\n\x0c\n## Fine"
    assert load(page, text).system_prompt() == text


def test_a_marked_section_goes_with_its_subsections_and_nothing_else_changes(page: Path) -> None:
    soul = load(page, TEXT)
    assert soul.system_prompt() == KEPT
    assert [(s.title, s.kept) for s in soul.sections] == [
        ("Costituzione di Cervella", True),
        ("Valori", True),
        ("Aneddoti", False),
        ("Il primo", False),
        ("Voce", True),
    ]
    assert "".join(section.text for section in soul.sections) == TEXT
    lines = TEXT.split("\n")
    assert all(lines[s.start_line - 1].endswith(s.title) for s in soul.sections)


def test_a_subsection_alone_can_be_cut(page: Path) -> None:
    soul = load(page, f"# A\n\nuno\n\n## B\n{RETRIEVAL_ONLY}\n\ndue\n\n## C\n\ntre\n")
    assert soul.system_prompt() == "# A\n\nuno\n\n## C\n\ntre\n"


def test_a_cut_section_ends_at_the_next_heading_of_its_level_or_above(page: Path) -> None:
    soul = load(page, f"# A\n\n### B\n{RETRIEVAL_ONLY}\nno\n#### C\nno\n## D\nsì\n")
    assert soul.system_prompt() == "# A\n\n## D\nsì\n"


def test_an_underlined_heading_is_a_heading(page: Path) -> None:
    assert load(page, f"# A\nsì\n\nB\n---\n{RETRIEVAL_ONLY}\nno\n").system_prompt() == "# A\nsì\n\n"


@pytest.mark.parametrize(
    "fenced",
    [
        f"```\n{RETRIEVAL_ONLY}\n```",
        f"~~~\n## T\n{RETRIEVAL_ONLY}\n~~~",
        f"Si scrive `{RETRIEVAL_ONLY}`.",
        f"    {RETRIEVAL_ONLY}",
    ],
)
def test_a_marker_inside_code_is_text(page: Path, fenced: str) -> None:
    text = f"# A\n\n{fenced}\n\nfine\n"
    assert load(page, text).system_prompt() == text


@pytest.mark.parametrize(
    "text",
    [
        f"{RETRIEVAL_ONLY}\n# A\ntesto\n",
        f"# A\n\n{RETRIEVAL_ONLY}\n\ntesto\n",
        f"# A\ntesto\n\n{RETRIEVAL_ONLY}\n",
        f"# A\n\ntesto {RETRIEVAL_ONLY}\n",
        f"# A {RETRIEVAL_ONLY}\n\ntesto\n",
        f"# A\n\n- voce\n  {RETRIEVAL_ONLY}\n",
        f"# A\n\n> {RETRIEVAL_ONLY}\n",
        f"# A\n\n> ## B\n> {RETRIEVAL_ONLY}\n",
        f"# A\n<!-- nota -->\n{RETRIEVAL_ONLY}\ntesto\n",
        f"# A\ntesto\n{RETRIEVAL_ONLY}\n",
    ],
)
def test_a_marker_anywhere_else_is_an_error_that_names_its_line(page: Path, text: str) -> None:
    with pytest.raises(SoulError, match=r"line \d") as caught:
        load(page, text)
    assert "line right after the heading" in str(caught.value.remedy)


@pytest.mark.parametrize(
    "marker", ["<!--cervella:solo-ricerca-->", "<!--  cervella:  solo-ricerca  -->", "<!-- Cervella: Solo-Ricerca -->"]
)
def test_a_marker_may_be_spaced_and_written_as_one_likes(page: Path, marker: str) -> None:
    assert load(page, f"# A\nsì\n\n## B\n{marker}\nno\n").system_prompt() == "# A\nsì\n\n"


def test_the_fingerprint_is_the_sha256_of_the_prompts_bytes(page: Path) -> None:
    soul = load(page, TEXT)
    assert soul.fingerprint == hashlib.sha256(KEPT.encode()).hexdigest()
    changed = load(page, TEXT.replace("Storie lunghe", "Storie brevi"))
    assert changed.fingerprint == soul.fingerprint  # what is not her does not change her
    assert changed.files != soul.files
    assert load(page, TEXT.replace("Calma", "Fretta")).fingerprint != soul.fingerprint


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark_do_not_change_her(page: Path, end: str) -> None:
    soul = load(page, TEXT)
    other = load(page, b"\xef\xbb\xbf" + TEXT.replace("\n", end).encode())
    assert other.system_prompt() == soul.system_prompt()
    assert other.fingerprint == soul.fingerprint


def test_further_files_follow_in_their_order_parted_by_a_blank_line(page: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "uno.md", tmp_path / "due.md"
    one.write_text("Uno senza fine riga", encoding="utf-8")
    two.write_text(f"# Due\n\n## No\n{RETRIEVAL_ONLY}\nno\n", encoding="utf-8")
    soul = load(page, "# A\n", also=[two, one])
    assert soul.system_prompt() == "# A\n\n# Due\n\n\nUno senza fine riga"
    assert [path for path, _ in soul.files] == [page, two, one]
    with pytest.raises(SoulError, match="named twice"):
        load(page, "# A\n", also=[one, one])
    with pytest.raises(SoulError) as caught:
        load(page, "# A\n", also=[tmp_path / "manca.md"])
    assert caught.value.code == "soul_missing"


def test_over_budget_the_longest_sections_are_named(page: Path) -> None:
    text = "# A\n\nbreve\n\n## Lunga\n\n" + "x" * 900 + "\n\n## Media\n\n" + "y" * 300 + "\n"
    with pytest.raises(SoulError) as caught:
        load(page, text, max_tokens=100)
    assert caught.value.code == "soul_over_budget"
    message = str(caught.value)
    assert f"{-(-len(text) // 3)} tokens" in message
    assert message.index("'Lunga'") < message.index("'Media'") < message.index("'A'")
    assert RETRIEVAL_ONLY in str(caught.value.remedy)


def test_the_budget_counts_kept_characters_and_its_edge_is_inside(page: Path) -> None:
    assert load(page, "x" * 300, max_tokens=100).tokens == 100
    with pytest.raises(SoulError):
        load(page, "x" * 301, max_tokens=100)
    assert load(page, f"# A\n\n## B\n{RETRIEVAL_ONLY}\n" + "x" * 900, max_tokens=10).tokens == 2


@pytest.mark.parametrize("also", [False, True])
@pytest.mark.parametrize("where", ["# A\n\nchiave {}\n", f"# A\n\n## B\n{RETRIEVAL_ONLY}\n\n{{}}\n", "# A {}\n"])
def test_a_secret_is_refused_and_never_printed(page: Path, tmp_path: Path, where: str, also: bool) -> None:
    further = tmp_path / "altro.md"
    further.write_text(where.format(SECRET), encoding="utf-8")
    with pytest.raises(SoulError, match=r"contains a secret \(api key\) at line \d") as caught:
        load(page, "# A\n" if also else where.format(SECRET), also=[further] if also else [])
    assert caught.value.code == "secret_in_soul"
    assert SECRET not in f"{caught.value}{caught.value.remedy}{caught.value!r}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"caff\xe8", "not UTF-8: byte 4"),
        (b"\xff\xfeA\x00", "not UTF-8"),
        (b"# A\n\x00", "NUL"),
        (b"", "leaves no text"),
        (b" \n\n", "leaves no text"),
        (f"# A\n{RETRIEVAL_ONLY}\ntesto\n".encode(), "leaves no text"),
    ],
)
def test_a_file_that_can_not_be_a_soul_is_a_soul_error(page: Path, data: bytes, words: str) -> None:
    with pytest.raises(SoulError, match=words) as caught:
        load(page, data)
    assert caught.value.remedy


def test_a_missing_file_and_a_folder_are_soul_errors(tmp_path: Path) -> None:
    with pytest.raises(SoulError, match="There is no Constitution") as caught:
        Constitution.load(tmp_path / "manca.md")
    assert caught.value.code == "soul_missing"
    with pytest.raises(SoulError, match="can't be read"):
        Constitution.load(tmp_path)
    with pytest.raises(SoulError):
        Constitution.load(tmp_path / "x" / "y.md")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("# Titolo\n\n- nome: Cervella\n", "Cervella"),
        ("# Titolo\n\n* **Nome:** Cervella Baby  \n", "Cervella Baby"),
        ("# Titolo\n\nTesto.\n", "Titolo"),
        ("Testo.\n", "COSTITUZIONE"),
    ],
)
def test_her_name_is_a_trait_or_the_first_heading(page: Path, text: str, name: str) -> None:
    assert load(page, text).name == name
    assert load(page, text, name="Altra").name == "Altra"


@pytest.mark.parametrize(
    "text", ["\n" * 60000 + "x", "# a\n" * 3000, "[" * 3000, f"## B\n{RETRIEVAL_ONLY}\n" * 500 + "# Fine\n"]
)
def test_a_strange_page_is_read_in_linear_time(page: Path, text: str) -> None:
    started = time.perf_counter()
    load(page, text, max_tokens=10**6)
    assert time.perf_counter() - started < PATIENCE


blocks = st.lists(
    st.sampled_from(
        [
            "# A\n",
            "## B\n",
            "### C\n",
            "testo\n",
            "\n",
            "```\n",
            "> x\n",
            "- y\n",
            "D\n---\n",
            f"## E\n{RETRIEVAL_ONLY}\n",
            "\x0c\n",
            "è\u2028\n",
        ]
    ),
    max_size=20,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(blocks)
def test_the_sections_joined_are_the_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    page = tmp_path_factory.mktemp("anima") / "C.md"
    try:
        soul = load(page, "# Inizio\n" + text)
    except SoulError as error:
        assert error.code == "soul_marker"  # noqa: PT017 - an open fence above it, or a paragraph, makes a marker stand alone
        return
    assert "".join(section.text for section in soul.sections) == "# Inizio\n" + text
    assert soul.system_prompt() == "".join(section.text for section in soul.sections if section.kept)


@pytest.mark.parametrize("marker", ["<!-- cervella: solo ricerca -->", "<!-- cervella: ricerca -->"])
def test_a_mark_that_is_misspelt_is_an_error_and_does_not_send_the_section(tmp_path: Path, marker: str) -> None:
    path = tmp_path / "COSTITUZIONE.md"
    path.write_text(f"# Io\n\nSono io.\n\n## Storia\n{marker}\n\nPrivata.\n", encoding="utf-8")
    with pytest.raises(SoulError, match="line 6") as caught:
        Constitution.load(path)
    assert "solo-ricerca" in str(caught.value.remedy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "COSTITUZIONE.md")
    with pytest.raises(SoulError, match="not a regular file"):
        Constitution.load(tmp_path / "COSTITUZIONE.md")

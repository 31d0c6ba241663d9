"""How values look in a notebook: readable, escaped, the quoted words marked."""

from __future__ import annotations

import html
import re
import time

import pytest
from markdown_it import MarkdownIt

from cervella.types import (
    Citation,
    Completion,
    IndexReport,
    Message,
    Passage,
    Preview,
    Prompt,
    Reply,
    Retrieval,
    SkippedFile,
)
from cervella.types.display import inert_markdown
from tests.conftest import PATIENCE, make_passage

HOSTILE = "<script>alert(1)</script> | [x](javascript:alert(1))"


def reply(text: str = "Costa 248 [F1].") -> Reply:
    passage = make_passage(f"Prima.\nCosta $248 al mese.\n{HOSTILE}", path="idee/<b>.md")
    citation = Citation(
        mark="F1",
        path=passage.path,
        heading="",
        start_line=passage.start_line,
        end_line=passage.end_line,
        quote="Costa $248 al mese.",
        supported=False,
    )
    return Reply(text=text, citations=(citation,), passages=(passage,), brain="echo", model="echo")


def test_a_reply_unfolds_its_sources_with_the_quoted_words_marked() -> None:
    page = reply()._repr_html_()
    assert "<details><summary>[F1] idee/&lt;b&gt;.md:" in page
    assert "<mark>Costa $248 al mese.</mark>" in page
    assert "not supported by these lines" in page


def test_nothing_that_a_document_or_a_brain_writes_is_run() -> None:
    page = reply(HOSTILE)._repr_html_() + Retrieval(query="q", passages=reply().passages)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_reply_as_markdown_names_its_sources() -> None:
    assert "- **[F1]** `idee/<b>.md:" in reply()._repr_markdown_()


def test_a_retrieval_is_a_table_with_one_row_a_passage() -> None:
    found = Retrieval(query="q", passages=reply().passages * 2)
    assert found._repr_html_().count("<tr>") == 3
    assert len(found._repr_markdown_().split("\n")) == 4


def test_a_report_shows_its_counts_and_what_was_skipped() -> None:
    report = IndexReport(
        files_seen=2,
        files_indexed=1,
        files_skipped=(SkippedFile(path="a|b.bin", reason="not_markdown"),),
        added=1,
        changed=0,
        removed=0,
        unchanged=0,
        chunks_total=3,
        pending_embeddings=0,
        seconds=0.1,
    )
    assert "not_markdown" in report._repr_html_()
    assert "a\\|b.bin" in report._repr_markdown_()


PASSAGE = Passage(id="1", path="a.md", heading="Uno", text="parola " * 2_000, start_line=1, end_line=9)
REPLY = Reply(
    text="Costa 12 euro [F1] e 13 [F2].",
    citations=tuple(
        Citation(mark=mark, path="a.md", heading="", start_line=1, end_line=9, quote="q" * 500, supported=supported)
        for mark, supported in (("F1", True), ("F2", False), ("F3", None))
    ),
    passages=(PASSAGE,) * 6,
    brain="extractive",
)


def test_printing_a_reply_prints_the_answer_and_its_sources() -> None:
    assert str(REPLY).splitlines() == [
        "Costa 12 euro [F1] e 13 [F2].",
        "",
        "[F1] a.md:1-9",
        "[F2] a.md:1-9  (not supported by these lines)",
        "[F3] a.md:1-9  (not checked against these lines)",
    ]
    assert str(Reply(text="Ciao.")) == "Ciao."
    assert "not checked" in REPLY._repr_markdown_()
    assert "not checked" in REPLY._repr_html_()


def test_printing_passages_prints_where_they_stand() -> None:
    assert str(Retrieval(query="x", passages=(PASSAGE, PASSAGE))) == "1. a.md:1-9\n2. a.md:1-9"


def test_no_repr_is_a_page_long() -> None:
    prompt = Prompt(system="anima " * 2_000, question="parola " * 500, passages=(PASSAGE,) * 6)
    retrieval = Retrieval(query="parola " * 500, passages=(PASSAGE,) * 6)
    messages = tuple(Message(role="user", content="parola " * 500) for _ in range(9))
    report = IndexReport(
        files_seen=901, files_indexed=1, added=1, changed=0, removed=0, unchanged=0, chunks_total=3,
        pending_embeddings=0, seconds=0.1,
        files_skipped=tuple(SkippedFile(path=f"{n}.bin", reason="not_markdown") for n in range(900)),
    )  # fmt: skip
    preview = Preview(
        prompt=prompt, messages=messages, prompt_tokens=9, limit_tokens=None, brain="echo", retrieval=retrieval
    )
    completion = Completion(text="parola " * 500)
    for value in (PASSAGE, REPLY, prompt, retrieval, messages[0], report, preview, completion):
        assert len(repr(value)) < 500, type(value).__name__
        assert repr(value).startswith(type(value).__name__)
    assert len(str(report)) < 200
    assert report._repr_markdown_().count("\n") < 30
    assert "900" in report._repr_markdown_()


LIVE = [
    "[x](javascript:alert(1))",
    "[x](JaVa\tScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "<vbscript:x>",
    "[x](&#x6A&#x61&#x76;ascript:alert(1))",
    "[x](<java script:alert(1)>)",
    "[x]( data:text/html;base64,PHM+)",
    "[x][r]",
    "[r]",
    "![r]",
    "[F1]: javascript:alert(1)",
    "[F1](javascript:alert(1))",
    "![F1](http://evil.test)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "![x](http://evil.test/?q=1)",
    "![x][r]",
    "![](data:image/png,x)",
    "[[F1]](javascript:alert(1))",
    "\\[x](javascript:alert(1))",
    "\\\\[x](javascript:alert(1))",
    "\\`[x](javascript:1)`",
    "`a` [x](javascript:1) `",
    "`a [x](javascript:1)",
    "`` ` `` [x](javascript:1) `",
    "| `a | [x](javascript:1) | ` |",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<script>alert(1)</script>",
    "<!-- --><b>",
    "</div><p>",
    "![a\nb](http://evil.test)",
    "[a\n](javascript:alert(1))",
    "[^1]\n\n[^1]: <b>",
    "![[foto.png]]",
    "<a\nhref='x'>",
    "- ```\n[x](javascript:1)\n  ```",
    " ```\n[x](javascript:1)\n",
    "~~~\n```\n~~~\n[x](javascript:1)",
    "> ```\n[x](javascript:1)",
    "```\n    ```\n[x](javascript:1)\n```\n[x](javascript:1)",
    "``` `\n[x](javascript:1)",
    "~~~~\n~~~\n<b>\n~~~~~\n<b>",
]
# Sources: the OWASP cheat sheet on filter evasion, the examples of the CommonMark specification on precedence of code
# spans, links and fences, and the tests of markdown-it on links.


def rendered(markdown: str) -> str:
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    renderer.validateLink = lambda url: True  # type: ignore[method-assign]
    return str(renderer.render(markdown))


@pytest.mark.parametrize("text", LIVE)
def test_nothing_in_the_markdown_of_an_answer_is_live(text: str) -> None:
    live = re.compile(
        r"<(?!/?(?:p|h\d|ul|ol|li|em|strong|code|pre|table|thead|tbody|tr|t[hd]|blockquote|br|hr)\b)[^>]*>"
    )
    for other in ("", *LIVE):
        markdown = reply(f"[r]: javascript:alert(1)\n\n{text}\n{other}")._repr_markdown_()
        assert not live.findall(rendered(markdown)), markdown
        assert "Costa" not in rendered(markdown) or "<code>idee/&lt;b&gt;.md" in rendered(markdown)
    found = Retrieval(query="q", passages=(make_passage(text, path=text, heading=text),))
    assert not live.findall(rendered(found._repr_markdown_()))


def test_ordinary_markdown_of_an_answer_stays() -> None:
    text = "## Costi\n\n**Costa** *12 €* [F1], R&D e `a[0]`.\n\n- uno\n\n"
    text += "```python\nx = a[0] < 1\n```\n\n| a | b |\n|---|---|"
    assert inert_markdown(text) == text


@pytest.mark.parametrize(
    "text", ["`", "`a", "`a``b```c", "[", "`a|", "\\", "```\n", "` ", "~", "`a `` b ", "[F1](", "&#", "$\\a"]
)
def test_a_long_text_is_made_inert_in_linear_time(text: str) -> None:
    started = time.process_time()
    inert_markdown(text * (1_000_000 // len(text)))
    assert time.process_time() - started < PATIENCE


def test_a_notebook_reads_no_formula_with_a_link_to_a_script() -> None:
    text = "Costa $\\href{javascript:alert(1)}{12}$ [F1]."
    assert "$" not in reply(text)._repr_markdown_()
    assert "`\\`href" in reply(text)._repr_markdown_()
    assert reply(text)._repr_html_().startswith('<div class="tex2jax_ignore mathjax_ignore">')


@pytest.mark.parametrize("marks", ["```", "~~~", "`````"])
@pytest.mark.parametrize("rest", [" [g](javascript:1) [F1]", " Il costo è di 12 €.", "Nota bene: 12 €", " <img src=x>"])
def test_what_follows_the_marks_of_a_fence_can_be_read_and_is_not_live(marks: str, rest: str) -> None:
    shown = MarkdownIt("commonmark", {"html": True}).render(inert_markdown(f"Prima.\n\n{marks}{rest}\nDopo."))
    words = html.unescape(shown)
    assert rest.strip() in words
    assert "Dopo." in words
    assert "<a " not in shown
    assert "<img" not in shown
    assert inert_markdown(f"{marks}python\nx = 1\n{marks}").startswith("```python\n")

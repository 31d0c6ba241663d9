"""The report: one file that asks for nothing, whatever a brain said escaped; seen in a browser where there is one."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from cervella import Agent
from cervella.errors import BrainTimeoutError
from cervella.evaluation.comparison.comparison import compare
from cervella.evaluation.comparison.document import document
from cervella.evaluation.reports.report import report_html, templates
from cervella.evaluation.soul_test.actors import PerfectActor
from cervella.testing import FixedRetriever
from tests.conftest import PlainSoul, make_passage
from tests.evaluation.test_comparison import ROWS, Speaker, knows
from tests.fixtures.browser import Browser, find_browser
from tests.fixtures.probing import small_suite

HOSTILE = (
    "</div></details></main><script>document.title='taken'</script><img src='http://example.invalid/x.png' "
    "onerror=\"document.title='taken'\"><style>*{display:none}</style>\x00\x1b[31m\u202e‮ 20 dollari [F1] "
    + "parola" * 300
    + "\ud800"
)
MARKUP = {
    "id": "<i>", "question": "<i>Chi?</i>", "answer": '"><script>alert(1)</script>', "kind": "<i>k", "answerable": True,
    "must": [["<i>venti</i>"], ["<script>"]], "must_not": ["<i>trenta"], "files": ["<i>.md"],
}  # fmt: skip
VOID = {"meta", "link", "img", "br", "input", "rect", "line", "path"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("compared")
    (folder / "cervella.toml").write_text("[evaluation]\ndraws = 500\n")
    path = folder / "questions.jsonl"
    rows = [*ROWS, {"id": "<b>", "question": "<i>Chi?</i>", "answer": '"><script>alert(1)</script>'}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    suite = small_suite()
    brains = [
        PerfectActor(suite, name="knows"),
        Speaker('<img src=x onerror="alert(1)">', lambda prompt: HOSTILE[:-1]),
        Speaker("knows the base", knows),
    ]
    retriever = FixedRetriever([make_passage("Il piano Pro costa 20 dollari.", path="<script>.md")])
    with Agent(config=folder / "cervella.toml", brain="echo", soul=PlainSoul(), retriever=retriever) as agent:
        return document(compare(agent, brains, suite=suite, questions=path), suite)


class Elements(HTMLParser):
    """The elements of a page, and whether each is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_is_well_formed_and_asks_for_nothing(data):
    page = report_html(data)
    elements = Elements(page)
    assert elements.open == []
    assert elements.of("html") == [{"lang": "en"}]
    assert len(elements.of("script")) == 1
    assert len(elements.of("style")) == 1
    assert not elements.of("img")
    assert not elements.of("iframe")
    assert [link["href"] for link in elements.of("link")] == ["data:,"]
    for _, attributes in elements.found:
        assert not {"src", "onerror", "onclick", "style"} & attributes.keys()
    policy = next(one for one in elements.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_what_was_said_is_shown_as_it_was_said(data):
    page = report_html(data)
    assert "&lt;script&gt;document.title=&#x27;taken&#x27;" in page
    assert "\x00" not in page
    assert "\x1b" not in page
    page.encode("utf-8")


@pytest.fixture(scope="module")
def spelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A comparison whose answers are scored by spellings, with markup in whatever comes from outside."""
    folder = tmp_path_factory.mktemp("spelled")
    (folder / "cervella.toml").write_text("[evaluation]\ndraws = 500\n")
    path = folder / "questions.jsonl"
    path.write_text(json.dumps(MARKUP) + "\n" + json.dumps(ROWS[2] | {"kind": "near_miss", "answerable": False}) + "\n")
    brains = [
        Speaker('<img src=x onerror="alert(1)">', lambda prompt: HOSTILE[:-1]),
        Speaker("breaks", lambda prompt: BrainTimeoutError("<script>")),
        Speaker("knows", lambda prompt: f"{MARKUP['must'][0][0]} [F1]"),
    ]
    retriever = FixedRetriever([make_passage("Il piano Pro costa 20 dollari.", path="<script>.md")])
    with Agent(config=folder / "cervella.toml", brain="echo", soul=PlainSoul(), retriever=retriever) as agent:
        return document(compare(agent, brains, questions=path))


def test_answers_scored_by_spellings_are_a_well_formed_page(spelled):
    page = report_html(spelled)
    elements = Elements(page)
    assert elements.open == []
    assert len(elements.of("script")) == 1
    assert not elements.of("img")
    assert len(elements.of("table")) == len(elements.of("caption")) >= 6
    assert "<i>" not in page
    assert "To look at" in page
    assert "brain_timeout" in page
    assert report_html(json.loads(json.dumps(spelled))) == page


def test_a_lone_surrogate_is_replaced(data):
    odd = copy.deepcopy(data)
    odd["questions"][0]["answers"]["knows"]["text"] = HOSTILE
    report_html(odd).encode("utf-8")


def test_every_table_has_its_heads_and_a_caption(data):
    elements = Elements(report_html(data))
    tables = len(elements.of("table"))
    assert tables == len(elements.of("caption")) >= 4
    assert {one["scope"] for one in elements.of("th")} == {"col", "row"}


def test_every_plot_says_in_words_what_it_is(data):
    plots = [one for one in Elements(report_html(data)).of("svg") if one.get("class") == "plot"]
    assert len(plots) >= 3
    assert all(one["role"] == "img" and one["aria-label"] for one in plots)


def test_the_verdict_and_its_reasons_stand_first(data):
    page = report_html(data)
    head = page[page.index("<main>") : page.index("<h2>")]
    assert re.search(r"<h1>[^<]*GO", head)
    for one in data["verdicts"].values():
        assert one["verdict"] in head
        assert all(criterion["text"].split("&")[0][:20] in head for criterion in one["criteria"])


def test_the_same_document_gives_the_same_page(data):
    assert report_html(data) == report_html(json.loads(json.dumps(data)))


def test_each_part_alone_is_a_report(isolated, soul, tmp_path):
    suite = small_suite()
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(ROWS[2]) + "\n")
    with Agent(brain="echo", soul=soul, retriever=FixedRetriever()) as agent:
        for options in ({"suite": suite}, {"questions": path}):
            made = compare(agent, ["echo"], **options)
            page = report_html(document(made, options.get("suite")))
            assert Elements(page).open == []


def test_scales_hold_what_is_drawn():
    plots: Any = templates().get_template("plots.html").module
    nothing, scored = [None] * 7, {"estimate": 1.0, "low": 0.9, "high": 1.2}
    rows = [
        {"label": "<b>", "scores": [*nothing, scored], "controls": [*nothing, 0.5], "band": (0.9, 0.1)},
        {"label": "x", "scores": nothing, "controls": nothing, "band": None},
    ]
    drawn = plots.intervals_plot("title & more", rows)
    assert "title &amp; more" in drawn
    assert "&lt;b&gt;" in drawn
    assert "x: not scored" in drawn
    places = [float(place) for place in re.findall(r'(?:x|x1|x2)="([\d.]+)%"', drawn)]
    assert min(places) >= 0
    assert max(places) <= 100
    assert "2 s" in plots.latency_plot("t", [(0, "a", 0.5, 1.7)], limit=60)
    assert 'class="limit"' not in plots.latency_plot("t", [(0, "a", 0.5, 1.7)], limit=60)
    assert 'class="limit"' in plots.latency_plot("t", [(0, "a", 0.5, 1.7)], limit=1.0)
    assert plots.drift_plot("t", {}) == ""
    assert "turn 1" in plots.drift_plot("t", {0: [(1, 1.0)]})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed here")
    pytest.importorskip("websocket", reason="websocket-client, which chromadb brings, is not installed")
    try:
        opened = Browser(program, tmp_path_factory.mktemp("profile"))
    except RuntimeError as error:
        pytest.skip(f"{program} does not run here: {error}")
    with opened:
        yield opened


@pytest.mark.parametrize("kind", ["data", "spelled"])
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (1100, True), (390, False), (390, True)])
def test_a_browser_shows_it_without_an_error_a_request_or_a_sideways_scroll(
    browser, request, tmp_path, width, dark, kind
):
    page = tmp_path / "report.html"
    page.write_text(report_html(request.getfixturevalue(kind)), encoding="utf-8")
    browser.open(page, width=width, dark=dark)
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("document.title").startswith("Is she still herself?")
    assert browser.value("document.querySelectorAll('img, main script, main style').length") == 0
    assert browser.problems() == []
    assert browser.requests() == [page.as_uri()]
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(21, 22, 26)" if dark else "rgb(255, 255, 255)")
    low = browser.value(CONTRAST)
    assert low == [], "text too faint for its ground (WCAG AA: 4.5)"


def test_the_chooser_shows_what_was_chosen(browser, data, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(report_html(data), encoding="utf-8")
    browser.open(page)
    chosen = "const s = document.querySelector('[data-list=questions]'); s.value = 'failed-1'; "
    browser.value(chosen + "s.dispatchEvent(new Event('change'))")
    shown = browser.value("[...document.querySelectorAll('#questions > details')].filter(one => !one.hidden).length")
    failed = sum(not one["answers"][data["brains"][1]]["score"]["grounded"] for one in data["questions"])
    assert shown == failed
    assert (
        browser.value("document.getElementById('questions-count').textContent")
        == f"{shown} of {len(data['questions'])}"
    )


CONTRAST = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!colour.endsWith(', 0)') && colour !== 'transparent') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = new Set();
  for (const one of document.querySelectorAll('main *:not(title)')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const style = getComputedStyle(one), drawn = one instanceof SVGElement;
    const [a, b] = [light(drawn ? style.fill : style.color), light(ground(one))].sort((x, y) => y - x);
    const told = `${one.tagName}.${one.getAttribute('class')} ${one.textContent.slice(0, 30)}`;
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.add(told);
  }
  return [...faint];
})()"""

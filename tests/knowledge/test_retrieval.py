from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cervella.errors import ConfigError, IndexMissingError, KnowledgeError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.protocols import Retriever
from cervella.text.language import language
from cervella.text.sentences import quotables
from cervella.types import Filters

Write = Callable[[Path, str, str | bytes], Path]


@pytest.fixture(params=["none", "hash"])
def retriever(notes: Path, index_dir: Path, make_embedder: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    embedder = "none" if request.param == "none" else make_embedder()
    KnowledgeIndex(notes, index_dir, embedder=embedder).update()
    with HybridRetriever(index_dir, folder=notes, embedder=embedder) as retriever:
        yield retriever


def test_it_keeps_the_contract(retriever: HybridRetriever) -> None:
    assert isinstance(retriever, Retriever)
    found = retriever.retrieve("fatturazione a consumo", top_k=2)
    assert len(found) == 2
    assert found[0].score >= found[1].score
    assert found.confidence is None, "three notes are too few for a calibration"
    assert found.coverage == 1.0


def test_of_two_documents_on_one_topic_the_one_that_holds_comes_first(retriever: HybridRetriever) -> None:
    found = retriever.retrieve("Dove gira il servizio, con la fatturazione a consumo?")
    assert [(p.path, p.status) for p in found[:2]] == [
        ("decisioni/20260110_hosting.md", "current"),
        ("decisioni/20260109_hosting.md", "superseded"),
    ]


def test_accents_apostrophes_and_inflection_do_not_matter(
    retriever: HybridRetriever, notes: Path, write: Write
) -> None:
    assert retriever.retrieve("FATTURAZIONI")[0].role == "decision"


def test_filters_hold_before_the_cut(retriever: HybridRetriever) -> None:
    query = "fatturazione servizio Cloud Run"
    assert [p.path for p in retriever.retrieve(query, top_k=1, filters=Filters(status="superseded"))] == [
        "decisioni/20260109_hosting.md"
    ]
    assert [p.path for p in retriever.retrieve(query, filters=Filters(since="2026-01-10"))] == [
        "decisioni/20260110_hosting.md"
    ]
    assert retriever.retrieve(query, filters=Filters(project="nessuno")).passages == ()


def test_a_passage_carries_what_is_known_of_its_document(retriever: HybridRetriever) -> None:
    passage = retriever.retrieve("Cloud Run", top_k=1, filters=Filters(path="decisioni/20260109*"))[0]
    assert (passage.date, passage.role, passage.project) == ("2026-01-09", "decision", "cervella-baby")
    assert passage.heading == passage.lead == "Decisione: hosting su Cloud Run"
    assert passage.text == retriever.lines(passage.path, passage.start_line, passage.end_line)


def test_a_question_on_nothing_in_the_base_abstains_without_an_error(notes: Path, index_dir: Path) -> None:
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=notes) as retriever:
        nothing = retriever.retrieve("capitale Mongolia")
        assert (nothing.passages, nothing.abstain, nothing.confidence) == ((), True, 0.0)
        assert retriever.retrieve("perché?").abstain
        assert not retriever.retrieve("lievito madre").abstain


def test_confidence_does_not_depend_on_how_many_passages_are_asked_for(retriever: HybridRetriever) -> None:
    asked = [retriever.retrieve("farina e fatturazione", top_k=k).confidence for k in (1, 3, 10)]
    assert len(set(asked)) == 1


def test_an_empty_base_is_searched_in_vain(tmp_path: Path, index_dir: Path) -> None:
    (tmp_path / "vuota").mkdir()
    KnowledgeIndex(tmp_path / "vuota", index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=tmp_path / "vuota") as retriever:
        assert retriever.retrieve("qualcosa").abstain


def test_a_base_of_stop_words_is_searched_in_vain(tmp_path: Path, index_dir: Path, write: Write) -> None:
    write(tmp_path, "n/e.md", "e il la\n")
    KnowledgeIndex(tmp_path / "n", index_dir, embedder="none", exclude=()).update()
    with HybridRetriever(index_dir, folder=tmp_path / "n") as retriever:
        assert retriever.retrieve("perché").passages == ()


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_an_error_with_a_cure(retriever: HybridRetriever, query: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        retriever.retrieve(query)
    assert caught.value.remedy


@pytest.mark.parametrize("top_k", [0, -1, 2.5, True])
def test_top_k_is_a_whole_number_from_one_up(retriever: HybridRetriever, top_k: Any) -> None:
    with pytest.raises(ConfigError):
        retriever.retrieve("pane", top_k=top_k)


@pytest.mark.parametrize("query", ["🙂", "\ud800 pane", "x" * 100_000, "\x00", "'; DROP TABLE files; --"])
def test_no_query_whatever_breaks_it(retriever: HybridRetriever, query: str) -> None:
    assert retriever.retrieve(query).query == query


def test_without_an_index_the_cure_is_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError) as caught:
        HybridRetriever(tmp_path / "x", folder=tmp_path).retrieve("pane")
    assert "cervella index" in (caught.value.remedy or "")


def test_a_change_is_seen_by_a_retriever_that_is_open(notes: Path, index_dir: Path, write: Write) -> None:
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert not retriever.retrieve("tiramisù")
        write(notes, "dolce.md", "# Tiramisù\n\nMascarpone.\n")
        KnowledgeIndex(notes, index_dir, embedder="none").update()
        assert retriever.retrieve("TIRAMISU'")[0].path == "dolce.md"


def test_many_threads_get_the_same_answer(retriever: HybridRetriever) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: retriever.retrieve("fatturazione Cloud Run"), range(40)))
    assert all(answer == answers[0] for answer in answers)


def test_lines_are_those_on_disk_now_and_of_indexed_files_only(notes: Path, index_dir: Path, write: Write) -> None:
    outside = write(notes.parent, "fuori.md", "segreto\n")
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=notes) as retriever:
        write(notes, "ricette/pane.md", "# Pane\r\n\r\nUna riga nuova.\r\n")
        assert retriever.lines("ricette/pane.md", 1, 3) == "# Pane\n\nUna riga nuova."
        assert retriever.lines("ricette/pane.md", 3, 4) is None
        assert retriever.lines("../fuori.md", 1, 1) is None
        (notes / "ricette" / "pane.md").unlink()
        assert retriever.lines("ricette/pane.md", 1, 1) is None
        (notes / "ricette" / "pane.md").symlink_to(outside)
        assert retriever.lines("ricette/pane.md", 1, 1) is None


@pytest.mark.parametrize("question", ["Chi sei?", "chi sei tu", "Chi è Cervella?", "Come ti chiami?"])
def test_who_she_is_the_constitution_says_first_and_in_its_own_order(tmp_path: Path, question: str) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "COSTITUZIONE.md").write_text("# Costituzione di Cervella\n\nSono una partner.\n", encoding="utf-8")
    (folder / "note.md").write_text("# Note\n\nChi sei e chi è Cervella: Cervella, Cervella.\n", encoding="utf-8")
    KnowledgeIndex(folder, tmp_path / "index", embedder="none").update()
    with HybridRetriever(tmp_path / "index", folder=folder) as retriever:
        found = retriever.retrieve(question)
        assert [found[0].path, found.abstain] == ["COSTITUZIONE.md", False]
        filtered = retriever.retrieve(question, filters=Filters(path="note.md"))
        another = retriever.retrieve("Chi è Mistral?")
    assert {passage.path for passage in filtered} <= {"note.md"}
    assert not another, "Mistral is nobody in this base"


@pytest.mark.parametrize("query", ["consumazione fatturata", "fatturazzione a consummo"])
def test_other_endings_and_typos_are_found_by_their_letters(notes: Path, index_dir: Path, query: str) -> None:
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert retriever.retrieve(query)[0].path == "decisioni/20260110_hosting.md"


def test_of_equal_passages_only_that_which_holds_is_shown(tmp_path: Path, write: Write) -> None:
    folder = tmp_path / "base"
    for name in ("20260125_a_template.md", "20260105_b.md", "20260120_c.md", "archivio/20260121_d.md"):
        write(folder, name, "# Nota\n\nIl contenitore riparte da solo.\n")
    KnowledgeIndex(folder, tmp_path / "index", embedder="none", exclude=()).update()
    with HybridRetriever(tmp_path / "index", folder=folder) as retriever:
        assert [passage.path for passage in retriever.retrieve("contenitore riparte")] == ["20260120_c.md"]


def test_of_passages_about_as_good_the_newer_comes_first_and_a_template_last(tmp_path: Path, write: Write) -> None:
    folder = tmp_path / "base"
    for name in ("20260108_a_template.md", "20260105_b.md", "20260120_c.md"):
        write(folder, name, f"# Nota\n\nIl contenitore riparte da solo. {name[9]}\n")
    KnowledgeIndex(folder, tmp_path / "index", embedder="none", exclude=()).update()
    with HybridRetriever(tmp_path / "index", folder=folder) as retriever:
        found = retriever.retrieve("contenitore riparte")
    assert [passage.path for passage in found] == ["20260120_c.md", "20260105_b.md", "20260108_a_template.md"]


def test_words_alone_give_no_confidence_and_vote(notes: Path, index_dir: Path) -> None:
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=notes) as retriever:
        about = retriever.retrieve("La fatturazione a consumo del servizio serve?")
        beside = retriever.retrieve("Il consumo delle biciclette elettriche norvegesi pieghevoli?")
    assert (about.confidence, about.abstain) == (None, False)
    assert (beside.confidence, beside.abstain) == (None, True)


def test_a_foreign_question_is_judged_by_what_the_languages_share(notes: Path, index_dir: Path) -> None:
    KnowledgeIndex(notes, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=notes) as retriever:
        assert not retriever.retrieve("Where does the service run, is it on Cloud Run?").abstain
        assert retriever.retrieve("Who was the queen of Norway in the middle ages?").abstain


def test_a_passage_that_begins_inside_a_fence_opens_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "note"
    folder.mkdir()
    code = "\n".join(f"# comment {n}\ncommand --number {n} --and more words than that" for n in range(90))
    note = f"# Backup\n\nIntro.\n\n```bash\n{code}\n```\n\nThe zebra sleeps at night.\n"
    (folder / "backup.md").write_text(note, encoding="utf-8")
    KnowledgeIndex(folder, tmp_path / "index", embedder="none").update()
    with HybridRetriever(tmp_path / "index", folder=folder, embedder="none") as retriever:
        last = next(p for p in retriever.retrieve("Where does the zebra sleep?") if "zebra" in p.reading)
        first = next(p for p in retriever.retrieve("backup intro") if "Intro" in p.reading)
    assert last.start_line > 5
    assert last.reading.startswith("```bash\n")
    assert first.reading.endswith("\n```")
    parts = [one for one in quotables(last.reading, language("en")) if one.kind != "line"]
    assert [last.reading[one.start : one.end] for one in parts] == ["The zebra sleeps at night."]

"""Patterns of `local_only`: what is plainly meant holds, what names nothing is said, and no mark is lost meanwhile."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from cervella.errors import UnmatchedPatternError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents.local_only import local_only_of
from cervella.types import Retrieval

Write = Callable[[Path, str, str | bytes], Path]
PAGES = {
    "personale/diario.md": "# Diario\n\nUn segreto sulla mongolfiera.\n",
    "personale/città/a b.md": "# Città\n\nUn segreto sulla mongolfiera.\n",
    "lavoro/piano.md": "# Piano\n\nLa mongolfiera decolla lunedì.\n",
    "nota.md": "# Nota\n\nLa mongolfiera è rossa.\n",
}
PERSONAL = {"personale/diario.md", "personale/città/a b.md"}


@pytest.fixture
def base(tmp_path: Path, write: Write) -> Path:
    folder = tmp_path / "KB"
    for name, text in PAGES.items():
        write(folder, name, text)
    return folder


def updated(base: Path, index_dir: Path, *patterns: str, strict: bool = True, **options: bool) -> None:
    KnowledgeIndex(base, index_dir, embedder="none", local_only=patterns).update(strict=strict, **options)


def searched(base: Path, index_dir: Path, *patterns: str) -> Retrieval:
    with HybridRetriever(index_dir, folder=base, embedder="none", local_only=patterns) as retriever:
        return retriever.retrieve("mongolfiera", top_k=20)


def marked(base: Path, index_dir: Path, *patterns: str) -> set[str]:
    return {passage.path for passage in searched(base, index_dir, *patterns) if passage.local_only}


PLAIN = [
    "personale",
    "personale/",
    "personale/**",
    "./personale/**",
    "././personale",
    "/personale",
    "/personale/",
    "KB/personale/**",
    "./KB/personale",
    "personale//**",
    "personale\\**",
    "personale\\",
    ".\\personale\\**",
    "  personale/**\t",
    "Personale/**",
    "PERSONALE",
    "lavoro/../personale",
    "../KB/personale/**",
]


@pytest.mark.parametrize("pattern", PLAIN)
def test_a_pattern_that_is_plainly_meant_marks_what_it_names(base: Path, index_dir: Path, pattern: str) -> None:
    updated(base, index_dir, pattern)
    assert marked(base, index_dir) == PERSONAL


@pytest.mark.parametrize("pattern", PLAIN)
def test_a_pattern_that_is_plainly_meant_holds_at_once_without_a_new_index(
    base: Path, index_dir: Path, pattern: str
) -> None:
    updated(base, index_dir)
    found = searched(base, index_dir, pattern)
    assert {passage.path for passage in found if passage.local_only} == PERSONAL
    assert found.local_only_unmatched == 0


def test_an_absolute_path_inside_the_folder_is_the_path_from_the_folder(base: Path, index_dir: Path) -> None:
    updated(base, index_dir, str(base / "personale"))
    assert marked(base, index_dir) == PERSONAL


def test_an_absolute_path_holds_where_the_folder_is_reached_through_a_link(tmp_path: Path, base: Path) -> None:
    link = tmp_path / "legame"
    link.symlink_to(base, target_is_directory=True)
    for number, pattern in enumerate((f"{base}/personale/**", f"{link}/personale/**")):
        updated(link, tmp_path / f"index{number}", pattern)
        assert marked(link, tmp_path / f"index{number}") == PERSONAL


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("disk", ["NFC", "NFD"])
def test_a_letter_with_its_accent_is_one_letter_however_it_is_encoded(
    tmp_path: Path, index_dir: Path, write: Write, form: str, disk: str
) -> None:
    write(tmp_path / "KB", unicodedata.normalize(disk, "perché/città.md"), "# Città\n\nmongolfiera\n")  # type: ignore[arg-type]
    updated(tmp_path / "KB", index_dir, unicodedata.normalize(form, "perché/**"))  # type: ignore[arg-type]
    assert marked(tmp_path / "KB", index_dir) == {"perché/città.md"}


def test_a_name_without_a_slash_holds_at_any_depth_as_gitignore_reads_it(
    base: Path, index_dir: Path, write: Write
) -> None:
    write(base, "archivio/personale/vecchio.md", "# Vecchio\n\nmongolfiera\n")
    updated(base, index_dir, "personale")
    assert marked(base, index_dir) == {*PERSONAL, "archivio/personale/vecchio.md"}
    for anchored in ("/personale", "./personale/", "personale/**", "KB/personale"):
        updated(base, index_dir, anchored)
        assert marked(base, index_dir) == PERSONAL
    updated(base, index_dir, "*.md")
    assert marked(base, index_dir) == {*PAGES, "archivio/personale/vecchio.md"}


def test_a_note_is_named_without_its_ending_too(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "personale.md", "# Personale\n\nmongolfiera\n")
    write(base, "personale/diario-2025.md", "# Diario\n\nmongolfiera\n")
    updated(base, index_dir, "personale/diario")
    assert marked(base, index_dir) == {"personale/diario.md"}
    updated(base, index_dir, "/personale")
    assert marked(base, index_dir) == {*PERSONAL, "personale/diario-2025.md", "personale.md"}


@pytest.mark.parametrize(
    "pattern", ["{personale/diario,nota}.md", "[np]*/**/*ia*.md", "{personale,nota.md}", "'personale/**'"]
)
def test_what_a_shell_spells_out_is_spelled_out(base: Path, index_dir: Path, pattern: str) -> None:
    updated(base, index_dir, pattern)
    assert "personale/diario.md" in marked(base, index_dir)
    assert "lavoro/piano.md" not in marked(base, index_dir)


def test_a_class_of_what_is_not_meant_marks_more_and_never_less(base: Path, index_dir: Path) -> None:
    updated(base, index_dir, "[!l]*/**")
    assert marked(base, index_dir) >= PERSONAL


def test_a_file_with_brackets_in_its_name_is_itself(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "[bozza].md", "# Bozza\n\nmongolfiera\n")
    write(base, "b.md", "# B\n\nmongolfiera\n")
    updated(base, index_dir, "[bozza].md")
    assert marked(base, index_dir) == {"[bozza].md"}


def test_no_pattern_takes_long(base: Path, index_dir: Path) -> None:
    updated(base, index_dir / "all", "**/" * 500)
    for pattern in ("{a,b}" * 40, "[a-z]" * 40, "[\x00-\U0010ffff]", "{" * 5000, "[" * 5000, "../" * 5000):
        with pytest.raises(UnmatchedPatternError):
            updated(base, index_dir, pattern)


def test_a_file_named_with_everything_below_it_is_the_file(base: Path, index_dir: Path) -> None:
    updated(base, index_dir, "nota.md/**")
    assert marked(base, index_dir) == {"nota.md"}


@pytest.mark.parametrize("pattern", ["KB", "KB/", ".", "/", "./**"])
def test_the_folder_itself_means_all_in_it(base: Path, index_dir: Path, pattern: str) -> None:
    updated(base, index_dir, pattern)
    assert marked(base, index_dir) == set(PAGES)


def test_what_toml_made_of_a_backslash_is_a_folder_again(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "personale/bozze/uno.md", "# Uno\n\nmongolfiera\n")
    updated(base, index_dir, "personale\bozze")  # "personale\bozze" between double quotes, in TOML too
    assert marked(base, index_dir) == {"personale/bozze/uno.md"}


def test_the_folders_own_name_is_a_folder_in_it_where_there_is_one(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "KB/personale/x.md", "# X\n\nmongolfiera\n")
    updated(base, index_dir, "KB/personale/**")
    assert marked(base, index_dir) == {"KB/personale/x.md"}
    with pytest.raises(UnmatchedPatternError):
        updated(base, index_dir, "KB/lavoro/**")


def test_a_pattern_holds_in_every_case_at_once(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "Personale/altro.md", "# Altro\n\nmongolfiera\n")
    for pattern in ("Personale/**", "personale/**", "PERSONALE"):
        updated(base, index_dir / pattern[0], pattern)
        assert marked(base, index_dir / pattern[0]) == {*PERSONAL, "Personale/altro.md"}


def test_a_link_in_the_folder_stands_for_what_it_leads_to(base: Path, index_dir: Path) -> None:
    (base / "segreti").symlink_to(base / "personale", target_is_directory=True)
    updated(base, index_dir, "segreti/**")
    assert marked(base, index_dir) == PERSONAL
    assert marked(base, index_dir, "segreti/città") == PERSONAL


@pytest.mark.parametrize("made", ["vuota", "documenti"])
def test_a_folder_that_is_there_and_holds_no_markdown_is_no_fault(base: Path, index_dir: Path, made: str) -> None:
    (base / made).mkdir()
    if made == "documenti":
        (base / made / "contratto.pdf").write_bytes(b"%PDF")
    updated(base, index_dir, f"{made}/**")
    assert searched(base, index_dir, f"{made}/**").local_only_unmatched == 0


MEANT = {
    "persnale/**": "personale",
    "persnale": "personale",
    "lavoro/pano.md": "lavoro/piano.md",
    "./diario.md": "personale/diario.md",
    "{personale,persnale}/**": "personale",
    "citta/**": "personale/città",
    "personale/citta": "personale/città",
    "**/diaro.md": "personale/diario.md",
    "Notes/personale/**": "personale",
    "/home/nobody/KB2/personale": "personale",
}


@pytest.mark.parametrize("pattern", [*MEANT, "", "xyz/**", "../altrove/**", "[abc]", "!personale"])
def test_a_pattern_that_names_nothing_is_refused_before_anything_is_written(
    base: Path, index_dir: Path, pattern: str
) -> None:
    with pytest.raises(UnmatchedPatternError) as caught:
        updated(base, index_dir, "personale", pattern)
    assert list(caught.value.nearest) == [pattern]
    assert not index_dir.exists()
    if pattern in MEANT:
        assert MEANT[pattern] in caught.value.nearest[pattern]
        assert repr(MEANT[pattern]) in str(caught.value)


@pytest.mark.parametrize(
    "leads", ["..", "../", "../cervella.toml", "../altro/**", "{above}", "{above}/altro", "{root}"]
)
def test_what_is_there_outside_the_folder_is_not_named_by_a_pattern(
    base: Path, index_dir: Path, write: Write, leads: str
) -> None:
    write(base.parent, "cervella.toml", "")
    write(base.parent, "altro/nota.md", "# X\n")
    pattern = leads.format(above=base.parent, root=f"/{base.parts[1]}")
    with pytest.raises(UnmatchedPatternError):
        updated(base, index_dir, pattern)


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("stipendi", "riservato/premi e stipendi.md"),
        ("stipendi/**", "riservato/premi e stipendi.md"),
        ("*equipe*", "riservato/2026-05-06 équipe.md"),
        ("premi", "riservato/premi e stipendi.md"),
    ],
)
def test_a_name_that_has_the_patterns_name_in_it_is_near(
    base: Path, index_dir: Path, write: Write, pattern: str, nearest: str
) -> None:
    write(base, "riservato/premi e stipendi.md", "# X\n")
    write(base, "riservato/2026-05-06 équipe.md", "# X\n")
    with pytest.raises(UnmatchedPatternError) as caught:
        updated(base, index_dir, pattern)
    assert nearest in caught.value.nearest[pattern]


def test_what_is_named_as_nearest_is_never_hidden_or_secret(base: Path, index_dir: Path, write: Write) -> None:
    write(base, ".persnale/x.md", "# X\n")
    write(base, "secrets/persnal.md", "# X\n")
    with pytest.raises(UnmatchedPatternError) as caught:
        updated(base, index_dir, "./persnal.md")
    assert not any("secrets" in path or path.startswith(".") for path in caught.value.nearest["./persnal.md"])


def test_a_name_is_not_taken_for_one_in_a_hidden_folder(base: Path, index_dir: Path, write: Write) -> None:
    write(base, ".git/riservato", "x")
    with pytest.raises(UnmatchedPatternError):
        updated(base, index_dir, "riservato")
    updated(base, index_dir, ".git/**")


def test_the_name_of_a_folder_means_all_in_it_and_nothing_beside_it(base: Path) -> None:
    files = ["progetti/x/a/b.md", "progetti/xy/a.md"]
    for pattern in ("progetti/x", "progetti/x/", "progetti/x/**"):
        marks = local_only_of(files, base, [pattern])
        assert [marks.covers(file) for file in files] == [True, False]


# While a pattern names nothing


def test_an_index_that_is_not_strict_warns_and_keeps_what_was_marked(
    base: Path, index_dir: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    updated(base, index_dir, "personale/**")
    write(base, "personale/diario.md", "# Diario\n\nUn altro segreto sulla mongolfiera.\n")
    with caplog.at_level(logging.WARNING, "cervella"):
        report = KnowledgeIndex(base, index_dir, embedder="none", local_only=["persnale/**"]).update()
    assert any("persnale/**" in warning and "personale" in warning for warning in report.warnings)
    assert any("persnale/**" in record.getMessage() for record in caplog.records)
    assert marked(base, index_dir) == PERSONAL


@pytest.mark.parametrize("options", [{}, {"force": True}, {"rebuild": True}])
def test_a_folder_that_is_renamed_takes_its_marks_along(base: Path, index_dir: Path, options: dict[str, bool]) -> None:
    updated(base, index_dir, "personale/**")
    (base / "personale").rename(base / "privato")
    updated(base, index_dir, "personale/**", strict=False, **options)
    assert marked(base, index_dir) == {"privato/diario.md", "privato/città/a b.md"}
    updated(base, index_dir, "personale/**", strict=False)
    assert marked(base, index_dir) == {"privato/diario.md", "privato/città/a b.md"}
    updated(base, index_dir, "privato/diario.md")  # all patterns name something: the marks are theirs alone again
    assert marked(base, index_dir) == {"privato/diario.md"}


def test_a_search_counts_the_patterns_that_name_nothing_and_warns_once(
    base: Path, index_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    updated(base, index_dir, "personale/**")
    patterns = ["persnale/**", "lavoro", "niente"]
    retriever = HybridRetriever(index_dir, folder=base, embedder="none", local_only=patterns)
    with retriever, caplog.at_level(logging.WARNING, "cervella"):
        found = retriever.retrieve("mongolfiera", top_k=20)
        again = retriever.retrieve("mongolfiera")
    assert found.local_only_unmatched == again.local_only_unmatched == 2
    assert {passage.path for passage in found if passage.local_only} == {*PERSONAL, "lavoro/piano.md"}
    assert len([one for one in caplog.records if "persnale/**" in one.getMessage()]) == 1


def test_a_search_without_the_folder_still_knows_what_is_marked(base: Path, index_dir: Path) -> None:
    updated(base, index_dir, "personale/**")
    base.rename(base.with_name("altrove"))
    found = searched(base, index_dir, "/personale/diario.md", "niente")
    assert {passage.path for passage in found if passage.local_only} == PERSONAL
    assert found.local_only_unmatched == 1


# exclude


@pytest.mark.parametrize("pattern", PLAIN)
def test_exclude_is_understood_in_the_same_way(base: Path, index_dir: Path, pattern: str) -> None:
    KnowledgeIndex(base, index_dir, embedder="none", exclude=[pattern, "niente/**"]).update(strict=True)
    assert {passage.path for passage in searched(base, index_dir)} == set(PAGES) - PERSONAL


@pytest.mark.parametrize("pattern", ["KB", ".", "/", "KB/*"])
def test_exclude_never_takes_the_folder_itself_away(base: Path, index_dir: Path, pattern: str) -> None:
    report = KnowledgeIndex(base, index_dir, embedder="none", exclude=[pattern]).update()
    assert report.files_indexed == len(PAGES)


# Marks follow the text


def test_what_left_a_marked_folder_stays_marked_until_no_pattern_covers_where_it_was(
    base: Path, index_dir: Path, write: Write
) -> None:
    updated(base, index_dir, "personale/**")
    (base / "personale/diario.md").rename(base / "lavoro/appunti.md")
    updated(base, index_dir, "personale/**")
    write(base, "lavoro/appunti.md", "# Altro\n\nUn altro segreto sulla mongolfiera.\n")
    updated(base, index_dir, "./personale")
    assert marked(base, index_dir) == {"personale/città/a b.md", "lavoro/appunti.md"}
    updated(base, index_dir, "personale/città")
    assert marked(base, index_dir) == {"personale/città/a b.md"}
    updated(base, index_dir, "personale/**")  # its mark is not remembered any more
    assert marked(base, index_dir) == {"personale/città/a b.md"}


def test_a_copy_is_marked_by_a_new_pattern_before_the_next_index(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "copia.txt", PAGES["personale/diario.md"].replace("\n", "\r\n").encode("utf-16"))
    updated(base, index_dir)
    assert "copia.txt" in marked(base, index_dir, "personale/diario.md")  # of two alike, one is found


def test_a_copy_of_an_excluded_file_is_marked(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "copia.md", "\ufeff" + PAGES["personale/diario.md"])
    KnowledgeIndex(base, index_dir, embedder="none", exclude=["personale"], local_only=["personale"]).update()
    assert marked(base, index_dir) == {"copia.md"}


def test_texts_of_white_space_are_no_copies_of_one_another(base: Path, index_dir: Path, write: Write) -> None:
    write(base, "personale/vuota.md", " \n")
    write(base, "vuota.md", "\n\n")
    updated(base, index_dir, "personale/**")
    assert marked(base, index_dir) == PERSONAL


@pytest.mark.parametrize(
    "path",
    [
        *("personale/x.md", "PERSONALE/x.md", "./personale/x.md", "KB/personale/x.md", "{base}/personale/x.md"),
        *("lavoro/../personale/x.md", "personale\\x.md", "personale%2Fx.md", "file://{base}/personale/x.md#L3"),
    ],
)
def test_a_path_of_somebody_elses_is_covered_however_it_is_written(base: Path, path: str) -> None:
    marks = local_only_of((), base, ["personale/**"])
    assert marks.may_cover(path.format(base=base))
    assert not marks.may_cover("lavoro/piano.md")

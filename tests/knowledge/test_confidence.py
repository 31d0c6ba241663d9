from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.index import ingestion
from cervella.knowledge.index.confidence import Calibration, calibrated, confidence
from cervella.knowledge.index.manifest import Manifest
from cervella.knowledge.index.storage import IndexFolder
from cervella.text.language import known_languages, language
from tests.knowledge.conftest import HashEmbedder, write

HEADINGS = [(f"Titolo {number}", f"{number}.md") for number in range(10)]


def nearest(question: str) -> Sequence[tuple[str, float]]:
    """A heading finds its own file first, then others less near; any other question finds little."""
    if question.startswith("Titolo"):
        return [(f"{question.split()[1]}.md", 0.95), ("x.md", 0.87)]
    return [("x.md", 0.80 + 0.001 * (len(question) % 3))]


def test_a_base_is_calibrated_by_questions_on_other_matters_and_by_its_own_headings_in_other_files() -> None:
    found = calibrated(language("it"), HEADINGS, nearest)
    assert found is not None
    assert (found.headings, round(found.off_topic, 2)) == (0.87, 0.80)
    assert 0 < found.deviation < 0.002
    assert Calibration.from_json(found.to_json()) == found


def test_the_confidence_is_where_the_best_cosine_lies_between_the_two() -> None:
    found = Calibration(off_topic=0.8, deviation=0.02, headings=0.9)
    sure = [confidence(found, {0: cosine, 1: 0.1}) for cosine in (0.75, 0.8, 0.9, 0.99)]
    assert sure == [0.0, 0.0, pytest.approx(0.75), 1.0]


def test_there_is_no_confidence_without_vectors_or_without_a_calibration() -> None:
    young = Calibration(off_topic=0.8, deviation=0.02, headings=None)
    assert confidence(young, {0: 0.9}) is None
    assert confidence(None, {0: 0.9}) is None
    assert confidence(Calibration(off_topic=0.8, deviation=0.02, headings=0.9), {}) is None


def test_the_two_medians_that_an_older_version_stored_are_still_read() -> None:
    found = Calibration.from_json("[0.8, 0.86]")
    assert found is not None
    assert (found.off_topic, found.headings, round(found.deviation, 3)) == (0.8, 0.86, 0.03)
    assert Calibration.from_json('""') is None


@pytest.mark.parametrize("text", ['{"off_topic": 1}', '{"off_topic": 0.8, "deviation": 0, "headings": null}', '["x"]'])
def test_a_damaged_calibration_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, KeyError, LookupError)):
        Calibration.from_json(text)


def test_every_language_has_questions_on_other_matters() -> None:
    assert all(calibrated(language(code), HEADINGS, nearest) for code in known_languages())


def test_a_base_that_is_too_small_knows_only_how_near_other_matters_come() -> None:
    found = calibrated(language("it"), HEADINGS[:3], nearest)
    assert found is not None
    assert (found.headings, round(found.off_topic, 2)) == (None, 0.80)


def test_an_embedder_that_tells_nothing_apart_gives_no_calibration() -> None:
    assert calibrated(language("it"), HEADINGS, lambda question: [("x.md", 0.9), ("y.md", 0.9)]) is None
    assert calibrated(language("it"), HEADINGS, lambda question: []) is None


# While vectors are being made


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number, subject in enumerate(("il lievito madre", "la fatturazione", "il server", "i prezzi", "il lancio")):
        write(tmp_path, f"note/{number}.md", f"# Nota {number}\n\nQui si parla di {subject}, e di altro.\n")
    return tmp_path / "note"


def test_a_first_run_that_is_interrupted_has_a_calibration_of_the_vectors_that_it_has(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "_FIRST", 16)
    monkeypatch.setattr("cervella.knowledge.index.confidence._FEW", 2)
    for number in range(40):
        write(base, f"altre/{number:02}.md", f"# Titolo lungo {number}\n\nTesto di prova {number}, come gli altri.\n")
    with pytest.raises(KeyboardInterrupt):
        KnowledgeIndex(base, base.parent / "index", embedder=HashEmbedder(fail_after=36)).update()
    with Manifest.open(IndexFolder(base.parent / "index").current()) as manifest:
        assert 0 < manifest.count(embedded=True) < manifest.count()
        assert manifest.meta("calibration")

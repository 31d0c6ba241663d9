"""What every embedder promises, held over every embedder that a configuration can name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest

from cervella.knowledge import load_embedder
from cervella.knowledge.embedders.registry import known_embedders
from cervella.protocols import Embedder

TEXTS = ("Il lancio è rinviato al 20 gennaio.", "La colazione è dalle 7 alle 10.", "", "🙂 " * 100)


@pytest.fixture(scope="module", params=[name for name in known_embedders() if name != "none"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if find_spec(request.param.replace("-", "_")) is None:
        pytest.skip(f"{request.param} is not installed")
    try:
        found = load_embedder(request.param)
    except Exception as error:  # its model is not on this disk, and no test downloads one
        pytest.skip(str(error))
    assert found is not None
    return found


def test_passages_become_rows_of_unit_length(embedder: Embedder) -> None:
    vectors = embedder.embed_passages(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_a_query_becomes_one_vector_of_unit_length(embedder: Embedder) -> None:
    vector = embedder.embed_query(TEXTS[0])
    assert vector.shape == (embedder.dimensions,)
    assert vector.dtype == np.float32
    assert np.isclose(np.linalg.norm(vector), 1, atol=1e-3)


def test_no_texts_are_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_passages(()).shape == (0, embedder.dimensions)


def test_a_text_has_the_same_vector_alone_in_company_and_in_another_thread(embedder: Embedder) -> None:
    together = embedder.embed_passages(TEXTS)
    with ThreadPoolExecutor(2) as threads:
        alone = list(threads.map(lambda text: embedder.embed_passages([text])[0], TEXTS))
    assert np.allclose(together, np.stack(alone), atol=2e-2)


def test_its_name_and_fingerprint_say_which_vectors_they_are(embedder: Embedder) -> None:
    again = load_embedder(embedder.name)
    assert again is not None
    assert embedder.fingerprint
    assert (again.name, again.fingerprint, again.dimensions) == (
        embedder.name,
        embedder.fingerprint,
        embedder.dimensions,
    )

"""The examples run as they are: the script, the notebooks, the product."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.errors import BrainUnavailableError
from cervella.testing import ScriptedBrain
from tests.conftest import ROOT
from tests.fixtures.whole import whole

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words only, and nothing written into the checkout."""
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDER", "none")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))


@pytest.fixture
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__INDEX", str(tmp_path / "index"))


# The script


def test_the_quickstart_answers_with_its_sources(own_index: None) -> None:
    command = [sys.executable, str(EXAMPLES / "quickstart.py")]
    done = subprocess.run(command, capture_output=True, check=False, cwd=EXAMPLES, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "24 GB" in done.stdout
    assert "[F1] " in done.stdout


# The notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_its_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def executed(name: str) -> list[dict[str, Any]]:
    """The outputs of a notebook's cells, in order."""
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    book = nbformat.read(EXAMPLES / name, as_version=4)
    client.NotebookClient(
        book, timeout=100, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    ).execute()
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def words(outputs: list[dict[str, Any]]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def pages(outputs: list[dict[str, Any]]) -> list[str]:
    return [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]


def test_swap_brains_changes_the_engine_and_nothing_else(own_index: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # A real model takes from seconds to minutes here: test_same_soul.py asks one, the notebook does without.
    monkeypatch.setenv("CERVELLA_BRAINS__EMBEDDED__MODEL", "manca.gguf")
    outputs = executed("swap_brains.ipynb")
    assert "not here: The brain 'embedded' can't read its model" in words(outputs)
    lines = [line.split() for line in words(outputs).splitlines() if " soul " in line]
    assert [line[0] for line in lines][:2] == ["extractive", "echo"]
    assert len({line[line.index("soul") + 1] for line in lines}) == 1
    assert "files_indexed" in pages(outputs)[0]
    assert "<details" in pages(outputs)[1]


def test_my_own_folder_goes_from_nothing_to_a_sourced_answer() -> None:
    outputs = executed("my_own_folder.ipynb")
    assert "written" in words(outputs)
    shown = pages(outputs)
    assert "prezzi.md" in shown[1], "the search is a table"
    assert "test di carico" in shown[2]
    [streamed] = [output for output in outputs if output.output_type == "display_data"]
    assert "40 €" in streamed["data"]["text/html"], "the cell ends with the reply"
    assert "Quanto costa il piano piccolo? e quello grande?" in words(outputs)


# The product


@pytest.fixture
def product(tmp_path: Path) -> Any:
    """The module of a copy of the product, which keeps its index and its conversations beside itself."""
    pytest.importorskip("fastapi")
    folder = tmp_path / "product"
    shutil.copytree(EXAMPLES / "product", folder, ignore=shutil.ignore_patterns(".cervella", "__pycache__"))
    spec = importlib.util.spec_from_file_location("hotel", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hotel"] = module  # FastAPI looks annotations up by the module's name
    spec.loader.exec_module(module)
    yield module
    del sys.modules["hotel"]


@pytest.fixture
def client(product: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from starlette.testclient import TestClient

    monkeypatch.setenv("HOTEL_STAFF_KEY", "prova")
    with TestClient(product.create_app()) as client:
        yield client


STAFF = {"X-Staff-Key": "prova"}


def ask(client: Any, question: str, role: str = "guest", session: str = "camera-12", **options: Any) -> Any:
    body = {"session": session, "role": role, "question": question}
    return client.post("/ask", json=body, headers=STAFF if role == "staff" else {}, **options)


def test_a_guest_gets_a_sourced_answer(client: Any) -> None:
    reply = ask(client, "A che ora è servita la colazione?").json()
    assert "7:30" in reply["answer"]
    assert reply["knows"]
    [source] = [one for one in reply["sources"] if one["path"] == "ospiti/colazione.md"]
    assert source["holds"]


@pytest.mark.parametrize(
    "question", ["Chi apre la mattina?", "Qual è il margine sulle camere?", "Quali guasti aperti?"]
)
def test_a_guest_sees_nothing_of_the_staff(client: Any, question: str) -> None:
    reply = ask(client, question).json()
    assert all(one["path"].startswith("ospiti/") for one in reply["sources"])
    assert not {"Marta", "38", "caldaia"} & set(reply["answer"].split())


def test_the_staff_sees_all(client: Any) -> None:
    assert "Marta" in ask(client, "Chi apre la mattina alla reception?", "staff").json()["answer"]
    assert "38" in ask(client, "Qual è il margine sulle camere?", "staff").json()["answer"]


def test_a_guest_who_names_a_conversation_of_the_staff_opens_another(client: Any, product: Any) -> None:
    ask(client, "Qual è il margine sulle camere?", "staff", session="turno")
    reply = ask(client, "e quello sulla colazione?", session="turno").json()
    assert reply["searched"] == "e quello sulla colazione?"
    assert "61" not in reply["answer"]


@pytest.mark.parametrize("headers", [{}, {"X-Staff-Key": "sbagliata"}, {"X-Staff-Key": ""}])
def test_the_staff_needs_its_key(client: Any, headers: dict[str, str]) -> None:
    body = {"session": "turno", "role": "staff", "question": "Chi apre?"}
    assert client.post("/ask", json=body, headers=headers).status_code == 403


def test_without_a_key_nobody_is_staff(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOTEL_STAFF_KEY")
    body = {"session": "turno", "role": "staff", "question": "Chi apre?"}
    assert client.post("/ask", json=body, headers={"X-Staff-Key": ""}).status_code == 403


@pytest.mark.parametrize("change", [{"question": ""}, {"session": "../x"}, {"role": "owner"}, {"session": ""}])
def test_a_wrong_request_is_refused(client: Any, change: dict[str, str]) -> None:
    body = {"session": "a", "role": "guest", "question": "A che ora?", **change}
    assert client.post("/ask", json=body).status_code == 422


def told(client: Any, question: str) -> list[tuple[str, Any]]:
    """The server-sent events of an answer."""
    with client.stream("POST", "/ask/stream", json={"session": "camera-7", "question": question}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = list(response.iter_lines())
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    return list(zip(kinds, (json.loads(line[6:]) for line in lines if line.startswith("data: ")), strict=True))


def test_the_answer_comes_in_pieces_and_ends_with_its_sources(client: Any) -> None:
    events = told(client, "Quanto costa la camera Lago?")
    kinds = [kind for kind, _ in events]
    assert kinds == ["text"] * (len(kinds) - 1) + ["answer"]
    answer = events[-1][1]
    assert "".join(data for kind, data in events if kind == "text") == answer["answer"]
    assert "130" in answer["answer"]


def test_a_conversation_outlives_the_server(product: Any) -> None:
    from starlette.testclient import TestClient

    with TestClient(product.create_app()) as client:
        ask(client, "A che ora è servita la colazione?")
    with TestClient(product.create_app()) as client:
        reply = ask(client, "e la domenica?").json()
    assert reply["searched"] == "A che ora è servita la colazione? e la domenica?"
    assert "10:30" in reply["answer"]


def served(product: Any, brain: Any) -> Any:
    from starlette.testclient import TestClient

    agent = Agent(config=product.CONFIG, brain=brain)
    return TestClient(product.create_app(agent))


def test_a_cloud_brain_is_never_shown_the_margins(product: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTEL_STAFF_KEY", "prova")
    with served(product, ScriptedBrain(["Il margine sulle camere è del 38 per cento."])) as client:
        ask(client, "Qual è il margine sulle camere?", "staff")
    cloud = ScriptedBrain(["Non lo so."], location="cloud")
    with served(product, cloud) as client:
        ask(client, "Qual è il margine sulle camere?", "staff")
    [prompt] = cloud.prompts
    assert all(not passage.path.startswith("riservato/") for passage in prompt.passages)
    assert "38 per cento" not in whole(prompt), "nor the answer that was made from them"


def test_an_error_goes_out_as_a_code(product: Any) -> None:
    error = BrainUnavailableError("No answer at /segreto.", brain="x")
    error_brain = ScriptedBrain([error])
    with served(product, error_brain) as client:
        response = ask(client, "A che ora è la colazione?")
        assert (response.status_code, response.json()) == (503, {"error": "brain_unavailable"})
        assert told(client, "A che ora è la colazione?") == [("error", "brain_unavailable")]

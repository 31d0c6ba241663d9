"""A question about what is open or done is answered with the tasks in that state, in the words of their reading."""

from __future__ import annotations

import asyncio
import re

import pytest

from cervella.brains.extractive.brain import ExtractiveBrain
from cervella.text.language import fold, known_languages, language
from cervella.types import Finished, Passage, Prompt

ASKED = {
    "it": (
        "open: Che cosa resta da fare per il matrimonio?",
        "open: Quali lavori sono ancora aperti?",
        "open: Cosa non è ancora stato fatto?",
        "open: A chi è ancora da chiedere il preventivo?",
        "done: Che cosa è già stato fatto?",
        "done: Quali lavori sono stati completati?",
        ": Il collaudo è già stato fatto?",
        ": È ancora da fare il collaudo?",
        ": Che pezzo manca alla bici?",
    ),
    "en": (
        "open: What is still to do for flat 3?",
        "open: What's left to do?",
        "open: Which points are not done yet?",
        "done: Which tasks are done?",
        "done: What has been finished so far?",
        ": Has the oven been cleaned?",
    ),
    "pt": ("open: O que falta fazer na obra?", "done: O que já foi feito?", ": Os azulejos já foram encomendados?"),
    "es": ("open: ¿Qué queda por hacer?", "done: ¿Qué está hecho ya?", ": ¿Está hecho el pedido?"),
    "de": ("open: Was ist noch zu tun?", "done: Was ist schon erledigt?", ": Ist der Ofen schon erledigt?"),
}
"""Questions, each after the state that it asks for."""


@pytest.mark.parametrize("code", sorted(ASKED))
def test_a_question_for_the_tasks_of_one_state_is_told_from_one_about_a_task(code: str) -> None:
    patterns = {state: language(code).phrases[f"asks_{state}"] for state in ("open", "done")}
    for row in ASKED[code]:
        state, _, question = row.partition(": ")
        assert "".join(s for s, pattern in patterns.items() if re.search(pattern, fold(question))) == state, question


def test_every_language_tells_the_two_kinds_of_question() -> None:
    assert {*ASKED} == {*known_languages()}


TASKS = """\
# Matrimonio Tagliani

- fatto: prenotare la chiesa
- fatto: caparra al fiorista del matrimonio
- resta da fare: confermare il quartetto del matrimonio
- resta da fare, In corso: menu del matrimonio
- annullato: fuochi del matrimonio"""


def answer(question: str, text: str = TASKS) -> str:
    passage = Passage(id="1", path="nozze.md", text=text, start_line=1, end_line=text.count("\n") + 1)
    prompt = Prompt(system="Sono Cervella.", question=question, passages=[passage])

    async def collect() -> str:
        events = [event async for event in ExtractiveBrain().stream(prompt)]
        last = events[-1]
        assert isinstance(last, Finished)
        return last.completion.text

    return asyncio.run(collect())


def test_what_is_open_is_answered_without_what_is_done_and_the_other_way_round() -> None:
    left = answer("Che cosa resta da fare per il matrimonio?")
    assert all(word in left for word in ("quartetto", "menu", "resta da fare"))
    assert not any(word in left for word in ("chiesa", "caparra", "fuochi"))
    done = answer("Che cosa è già stato fatto per il matrimonio?")
    assert "caparra" in done
    assert not any(word in done for word in ("quartetto", "menu", "fuochi"))


def test_a_question_about_one_task_is_answered_with_its_state() -> None:
    assert "fatto: caparra" in answer("La caparra al fiorista del matrimonio è già stata data?")


def test_a_task_that_only_repeats_the_question_answers_it_by_its_state() -> None:
    text = (
        "## Scala A\n\n- fatto: collaudo dell'ascensore\n- resta da fare: tinteggiatura\n\n## Tetto\n\n- fatto: perizia"
    )
    said = answer("Il collaudo dell'ascensore della scala A è già stato fatto?", text)
    assert said.startswith("«Scala A» › «fatto: collaudo dell'ascensore»")


def test_where_no_task_is_in_that_state_all_of_them_answer() -> None:
    assert "fatto: prenotare la chiesa" in answer(
        "Che cosa resta da fare per la chiesa?", "- fatto: prenotare la chiesa"
    )

"""The ollama brain against a stub made from Ollama's documents: not verified against a real Ollama."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cervella.brains.http.ollama_server import chat_models, is_cloud_tag, model_facts, server_url
from cervella.brains.ollama.brain import OllamaBrain
from cervella.brains.shield.shield import Shield
from cervella.errors import (
    BrainError,
    BrainResponseError,
    BrainUnavailableError,
    PersonaTruncatedError,
    PromptTooLongError,
)
from cervella.types import Completion, Finished, Image, Prompt, TextDelta
from tests.conftest import make_passage
from tests.fixtures.fault_server import Connection, FaultServer, fault_server

SOUL = "Sono Cervella, la partner strategica. Rispondo con calma, in italiano, e cito le fonti che leggo. " * 40
CLOUD = {"template": "", "remote_host": "https://ollama.com:443", "remote_model": "x"}


class Stub:
    """An Ollama as its documents describe it, with one model."""

    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.show: dict[str, Any] = {
            "template": "{{ .System }}{{ .Prompt }}",
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
            "capabilities": ["completion"],
        }
        self.window: int | None = None
        """What the server gives whatever is asked; None: what is asked."""
        self.knows_truncate = True
        self.characters_a_token = 3.6
        self.words = ("Ecco", "mi", ".")
        self.layout: Callable[[list[Any]], Any] | None = None
        """What a server since 0.12 says that it would read; None: an older one, which knows no such request."""
        self.renderings: list[Any] = []
        server.scenes = [self.chat]
        server.beside = {"/api/show": self.shown, "/api/tags": self.tags, "/api/ps": self.running}
        self.tagged = [{"model": "prova:latest", "details": {"family": "qwen3"}}]

    async def shown(self, to: Connection) -> None:
        if not to.request.body["model"].lower().startswith("prova"):
            await to.status(404, {"error": f"model '{to.request.body['model']}' not found"})
        await to.status(200, self.show)

    async def tags(self, to: Connection) -> None:
        await to.status(200, {"models": self.tagged})

    async def running(self, to: Connection) -> None:
        given = self.window or self.asked["options"]["num_ctx"]
        await to.status(200, {"models": [{"model": "prova:latest", "context_length": given}]})

    async def chat(self, to: Connection) -> None:
        if to.request.body.get("_debug_render_only"):
            self.renderings.append(self.server.requests.pop().body)
            if self.layout is not None:
                said = self.layout(to.request.body["messages"])
                if isinstance(said, tuple):
                    await to.status(*said)
                    return
                await to.status(200, {"model": "prova", "_debug_info": {"rendered_template": said}})
                return
        given = self.window or to.request.body["options"]["num_ctx"]
        tokens = int(sum(len(m["content"]) for m in to.request.body["messages"]) / self.characters_a_token)
        if tokens > given:
            if self.knows_truncate and to.request.body["truncate"] is False:
                await to.status(400, {"error": "the input length exceeds the context length"})
                return
            tokens = given // 2 + 2  # the system prompt is among what was dropped
        await to.start("application/x-ndjson")
        for word in self.words:
            await to.send(json.dumps({"model": "prova", "message": {"role": "assistant", "content": word}}) + "\n")
        end = {"model": "prova", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
        told = {"prompt_eval_count": tokens, "eval_count": 3, "load_duration": 2_500_000_000, "total_duration": 3}
        await to.send(json.dumps({**end, **told}) + "\n")

    @property
    def asked(self) -> Any:
        return self.server.requests[-1].body


@pytest.fixture
def stub() -> Iterator[Stub]:
    with fault_server() as server:
        yield Stub(server)


def brain(stub: Stub, **options: Any) -> OllamaBrain:
    return OllamaBrain(**{"url": stub.server.url, "model": "prova", **options})


def asked(question: str = "Quando si parte?", **parts: Any) -> Prompt:
    return Prompt(**{"system": SOUL, "question": question, "max_output_tokens": 64, **parts})


def stream(subject: Any, prompt: Prompt) -> list[Any]:
    async def whole() -> list[Any]:
        return [event async for event in subject.stream(prompt)]

    return asyncio.run(asyncio.wait_for(whole(), 30))


def answer(subject: Any, prompt: Prompt) -> Completion:
    last = stream(subject, prompt)[-1]
    assert isinstance(last, Finished)
    return last.completion


# What is sent


def test_window_and_keep_alive_are_always_sent_and_nothing_may_be_cut(stub: Stub) -> None:
    answer(brain(stub, keep_alive=-1), asked(temperature=0.0))
    sent = stub.asked
    assert sent["options"] == {"num_ctx": sent["options"]["num_ctx"], "num_predict": 64, "temperature": 0.0}
    assert sent["options"]["num_ctx"] >= len(SOUL) / 3 + 64
    assert (sent["truncate"], sent["shift"], sent["keep_alive"], sent["stream"]) == (False, False, -1, True)
    assert "think" not in sent, "a model that can't think refuses to be told"


def test_a_seed_is_sent_where_one_is_asked_for(stub: Stub) -> None:
    answer(brain(stub), asked(hints={"seed": 7}))
    assert stub.asked["options"]["seed"] == 7
    answer(brain(stub), asked())
    assert "seed" not in stub.asked["options"]


def test_the_window_grows_with_the_prompt_and_never_shrinks(stub: Stub) -> None:
    subject = brain(stub)
    windows = []
    for question in ("Quando?", "perché " * 3000, "Quando?"):
        answer(subject, asked(question))
        windows.append(stub.asked["options"]["num_ctx"])
    assert windows[0] < windows[1] == windows[2]
    assert all(window % 2048 == 0 for window in windows)


@pytest.mark.parametrize(("most", "trained", "window"), [(8192, 40960, 8192), (100_000, 4096, 4096)])
def test_the_window_is_bounded_by_the_configuration_and_by_the_model(
    stub: Stub, most: int, trained: int, window: int
) -> None:
    stub.show["model_info"]["qwen3.context_length"] = trained
    subject = brain(stub, context_tokens=most)
    passages = tuple(make_passage("Il lancio è rinviato a gennaio. " * 60, id=str(n)) for n in range(30))
    completion = answer(Shield(subject), asked(passages=passages))
    assert subject.context_tokens == window
    assert stub.asked["options"]["num_ctx"] == window
    assert completion.flags["passages_dropped"] > 0
    assert stub.asked["messages"][0] == {"role": "system", "content": SOUL}


def test_thinking_is_told_to_a_model_that_can(stub: Stub) -> None:
    stub.show["capabilities"] = ["completion", "thinking", "vision"]
    subject = brain(stub)
    answer(subject, asked())
    assert stub.asked["think"] is False
    assert subject.capabilities == {"images"}
    answer(brain(stub, thinking="high", thinking_tokens=500), asked())
    assert (stub.asked["think"], stub.asked["options"]["num_predict"]) == ("high", 564)
    answer(subject, asked(images=(Image(media_type="image/png", data=b"x"),)))
    assert stub.asked["messages"][-1]["images"] == ["eA=="]


def test_load_time_is_told_apart(stub: Stub) -> None:
    completion = answer(Shield(brain(stub)), asked())
    assert completion.load_seconds == 2.5
    assert completion.attempts[0].load_seconds == 2.5


# Was it read whole?


def test_an_answer_streams_once_it_is_sure_that_prompts_are_read_whole(stub: Stub) -> None:
    subject = brain(stub)
    deltas = [[e.text for e in stream(subject, asked()) if isinstance(e, TextDelta)] for _ in range(2)]
    assert deltas == [["Eccomi."], ["Ecco", "mi", "."]]


@pytest.mark.parametrize("window", [1024, 2048])
def test_a_soul_that_was_cut_never_answers(stub: Stub, window: int) -> None:
    stub.window, stub.knows_truncate = window, False
    prompt = asked("perché " * 600)
    with pytest.raises(PersonaTruncatedError) as caught:
        stream(brain(stub), prompt)
    assert caught.value.seen_tokens == window // 2 + 2
    assert caught.value.prompt_tokens is not None
    assert caught.value.prompt_tokens > window
    with pytest.raises(PersonaTruncatedError):
        answer(Shield(brain(stub)), prompt)


def test_a_cut_is_seen_also_where_the_server_lists_no_windows(stub: Stub) -> None:
    async def nothing(to: Connection) -> None:
        await to.status(404, {"error": "page not found"})

    stub.server.beside["/api/ps"] = nothing
    stub.window, stub.knows_truncate = 2048, False
    subject = brain(stub)
    answer(subject, asked("Quando?"))
    with pytest.raises(PersonaTruncatedError):
        stream(subject, asked("perché " * 800))


def test_a_server_that_does_not_cut_says_that_the_prompt_is_too_long(stub: Stub) -> None:
    stub.window = 1024
    with pytest.raises(PromptTooLongError) as caught:
        stream(brain(stub), asked("perché " * 600))
    assert caught.value.prompt_tokens is not None


def test_a_prompt_beyond_the_window_is_not_sent(stub: Stub) -> None:
    with pytest.raises(PromptTooLongError):
        stream(brain(stub, context_tokens=1024), asked("perché " * 600))
    assert not stub.server.requests


def test_counts_get_better_with_what_the_server_read(stub: Stub) -> None:
    subject = brain(stub)
    before = asyncio.run(subject.count_tokens(asked()))
    seen = answer(subject, asked()).usage.input_tokens
    after = asyncio.run(subject.count_tokens(asked()))
    assert seen is not None
    assert seen <= after <= seen * 1.1 < before


# Models


def test_a_missing_model_names_the_command_and_what_is_there(stub: Stub) -> None:
    with pytest.raises(BrainResponseError, match="prova:latest") as caught:
        stream(brain(stub, model="qwen3:4b"), asked())
    assert "ollama pull qwen3:4b" in str(caught.value.remedy)
    assert caught.value.code == "model_missing"
    with pytest.raises(BrainResponseError, match="prova:latest"):
        brain(stub, model="qwen3:4b").check()
    brain(stub).check()


def test_without_a_model_it_takes_the_newest_that_can_talk_and_runs_there(stub: Stub) -> None:
    stub.tagged = [
        {"model": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
        {"model": "gpt-oss:120b-cloud", "details": {}},
        {"model": "prova:latest", "details": {}},
    ]
    subject = brain(stub, model=None)
    subject.check()
    answer(subject, asked())
    assert subject.model == "prova:latest"
    stub.tagged = []
    for ask in (lambda: stream(brain(stub, model=None), asked()), brain(stub, model=None).check):
        with pytest.raises(BrainResponseError, match="has no model") as caught:
            ask()
        assert "ollama pull" in str(caught.value.remedy)


def test_a_model_that_ollamas_service_runs_is_cloud_at_any_url(stub: Stub) -> None:
    secret = make_passage("Il margine è 41.", local_only=True)
    by_tag = Shield(brain(stub, model="prova:120b-cloud"), location="private")
    assert by_tag.location == "cloud"
    stub.show = CLOUD
    by_show = Shield(brain(stub), location="private")
    assert by_show.location == "private", "nothing is known yet"
    for shield in (by_tag, by_show):
        completion = answer(shield, asked(passages=(secret,)))
        assert shield.location == "cloud"
        assert completion.flags["passages_withheld"] == 1
        assert "41" not in json.dumps(stub.asked)
        assert completion.attempts[0].location == "cloud"


@pytest.mark.parametrize(
    "name", ["prova:120B-CLOUD", " prova:120b-cloud ", "prova:Cloud", "prova-cloud", "prova: 9b-Cloud\t", "PROVA:CLOUD"]
)
def test_a_cloud_model_is_cloud_in_any_spelling_before_anything_is_sent(stub: Stub, name: str) -> None:
    subject = brain(stub, model=name)
    assert Shield(subject, location="private").location == "cloud"
    assert subject.model == name.strip()
    assert chat_models([{"model": name}, {"model": "prova:latest"}]) == ["prova:latest"]
    secret = make_passage("Il margine è 41.", local_only=True)
    assert answer(Shield(subject, location="private"), asked(passages=(secret,))).flags["passages_withheld"] == 1
    assert stub.asked["model"] == name.strip()
    assert "41" not in json.dumps(stub.asked["messages"])


@pytest.mark.parametrize("name", ["cloudy:7b", "cloud-atlas:7b", "prova-cloud:7b", "nuvola", "prova:cloudless"])
def test_a_name_that_only_holds_the_word_is_of_no_cloud_model(name: str) -> None:
    assert not is_cloud_tag(name)


def test_a_remote_model_is_never_shown_what_is_local_only_without_a_shield_either(stub: Stub) -> None:
    stub.show = CLOUD
    with pytest.raises(BrainError, match="local only"):
        stream(brain(stub), asked(passages=(make_passage("Il margine è 41.", local_only=True),)))
    assert not stub.server.requests


@pytest.mark.parametrize(
    ("template", "modelfile", "folded"),
    [
        ("{{ .System }} {{ .Prompt }}", "", False),
        ("<start_of_turn>user\n{{ .Prompt }}", "", True),
        ("{{ .Prompt }}", "FROM x\nRENDERER qwen3-coder\n", False),
        ('{{ range .Messages }}{{ if eq .Role "user" }}{{ .Content }}{{ end }}{{ end }}', "", True),
        ("{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}{{ end }}", "", False),
        ("", "", False),
    ],
)
def test_a_template_that_leaves_the_system_text_out_gets_it_in_the_first_turn(
    stub: Stub, template: str, modelfile: str, folded: bool
) -> None:
    stub.show |= {"template": template, "modelfile": modelfile}
    completion = answer(brain(stub), asked())
    assert (completion.flags.get("soul_folded") == 1) is folded
    assert stub.asked["messages"][0]["role"] == ("user" if folded else "system")
    assert stub.asked["messages"][0]["content"].startswith(SOUL)


# A template as Qwen's are built: where nobody says who speaks, it says so itself.
QWEN = (
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>system\\nYou are Qwen.<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}{%- if message.role == 'user' or message.role == 'assistant' %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}"
)
SILENT = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
GO_SILENT = "{{ .Prompt }}"


def question_alone(messages: list[Any]) -> str:
    return str(messages[-1]["content"])


def every_message(messages: list[Any]) -> str:
    return "".join(f"<|{message['role']}|>{message['content']}" for message in messages)


def refusing(messages: list[Any]) -> tuple[int, Any]:
    return 500, {"error": "Jinja Exception: System role not supported"}


def test_the_soul_stands_in_the_system_role_of_a_jinja_template_that_names_it(stub: Stub) -> None:
    stub.show |= {"template": QWEN, "modelfile": "FROM /x\nTEMPLATE {{ .Prompt }}\n"}
    completion = answer(brain(stub), asked())
    assert stub.asked["messages"][0] == {"role": "system", "content": SOUL}
    assert "soul_folded" not in completion.flags
    assert not stub.renderings, "it is plain, so nobody is asked"


@pytest.mark.parametrize("template", [SILENT, GO_SILENT], ids=["jinja", "go"])
@pytest.mark.parametrize(("layout", "folded"), [(question_alone, True), (every_message, False), (refusing, True)])
def test_where_a_template_does_not_tell_the_servers_own_layout_does(
    stub: Stub, template: str, layout: Any, folded: bool
) -> None:
    stub.show["template"], stub.layout = template, layout
    subject = brain(stub)
    for _ in range(2):
        completion = answer(subject, asked())
        assert (completion.flags.get("soul_folded") == 1) is folded
        assert stub.asked["messages"][0]["role"] == ("user" if folded else "system")
        assert SOUL in stub.asked["messages"][0]["content"]
    [rendering] = stub.renderings
    assert "Quando" not in json.dumps(rendering)
    assert rendering["options"]["num_ctx"] == stub.asked["options"]["num_ctx"], "another would load the model twice"
    assert (rendering["options"]["num_predict"], rendering["stream"]) == (1, False), "an old server would answer it"


@pytest.mark.parametrize(("template", "folded"), [(SILENT, False), (GO_SILENT, True)], ids=["jinja", "go"])
def test_a_server_that_can_not_say_what_it_reads_is_known_by_its_own_language_alone(
    stub: Stub, template: str, folded: bool
) -> None:
    stub.show["template"] = template
    completion = answer(brain(stub), asked())
    assert (completion.flags.get("soul_folded") == 1) is folded
    assert stub.asked["messages"][0]["role"] == ("user" if folded else "system")


@pytest.mark.parametrize("status", [404, 400, 503])
def test_a_template_of_go_that_leaves_the_soul_out_gets_it_where_the_layout_can_not_be_asked(
    stub: Stub, status: int
) -> None:
    stub.show["template"], stub.layout = GO_SILENT, lambda _: (status, {"error": "no"})
    assert answer(brain(stub), asked()).flags["soul_folded"] == 1


def test_a_server_that_failed_to_say_what_it_reads_is_asked_again(stub: Stub) -> None:
    stub.show["template"], stub.layout = SILENT, lambda _: (503, {"error": "server busy"})
    subject = brain(stub)
    assert "soul_folded" not in answer(subject, asked()).flags
    stub.layout = question_alone
    for _ in range(2):
        assert answer(subject, asked()).flags["soul_folded"] == 1
    assert len(stub.renderings) == 2


def test_a_short_talk_streams_from_its_second_answer(stub: Stub) -> None:
    subject, short = brain(stub), asked(system="Sono Cervella, calma e precisa. " * 12)
    parts = [[e.text for e in stream(subject, short) if isinstance(e, TextDelta)] for _ in range(2)]
    assert parts == [["Eccomi."], ["Ecco", "mi", "."]]


def test_a_system_role_that_is_refused_after_all_is_folded(stub: Stub) -> None:
    async def refused(to: Connection) -> None:
        if to.request.body["messages"][0]["role"] == "system":
            await to.status(500, {"error": "Jinja Exception: System messages are not allowed in this template."})
        await stub.chat(to)

    stub.show["template"], stub.server.scenes = QWEN, [refused]
    assert answer(brain(stub), asked()).flags["soul_folded"] == 1


def test_a_model_that_runs_elsewhere_is_not_asked_what_it_reads(stub: Stub) -> None:
    stub.show, stub.layout = {**CLOUD, "template": GO_SILENT}, question_alone
    assert "soul_folded" not in answer(brain(stub), asked()).flags
    assert not stub.renderings


# Failures of its own


def test_an_error_line_amid_200_is_an_error(stub: Stub) -> None:
    async def failing(to: Connection) -> None:
        await to.start("application/x-ndjson")
        await to.send(json.dumps({"error": "model runner has unexpectedly stopped"}) + "\n")

    stub.server.scenes = [failing]
    with pytest.raises(BrainError, match="unexpectedly stopped"):
        stream(brain(stub), asked())


def test_a_full_queue_is_tried_again(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.shield.shield._FIRST_WAIT", 0.001)

    async def full(to: Connection) -> None:
        await to.status(503, {"error": "server busy, please try again. maximum pending requests exceeded"})

    stub.server.scenes = [full, stub.chat]
    completion = answer(Shield(brain(stub)), asked())
    assert [attempt.error for attempt in completion.attempts] == ["brain_unavailable", None]


def test_too_little_memory_is_told_with_its_cure(stub: Stub) -> None:
    async def full(to: Connection) -> None:
        await to.status(500, {"error": "model requires more system memory (9 GiB) than is available (4 GiB)"})

    stub.server.scenes = [full]
    with pytest.raises(BrainResponseError, match="9 GiB") as caught:
        stream(brain(stub), asked())
    assert caught.value.code == "model_not_loaded"
    assert not caught.value.retryable


def test_no_server_names_the_command_that_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for subject in (OllamaBrain(model="prova"), OllamaBrain(url="http://127.0.0.1:9")):
        for ask in (lambda subject=subject: stream(subject, asked()), subject.check):
            with pytest.raises(BrainUnavailableError, match=r"127\.0\.0\.1:9") as caught:
                ask()
            assert "ollama serve" in str(caught.value.remedy)


def test_a_server_without_show_still_answers(stub: Stub) -> None:
    async def nothing(to: Connection) -> None:
        await to.status(404, "404 page not found")

    stub.server.beside["/api/show"] = nothing
    assert answer(brain(stub), asked()).text == "Eccomi."


# Small things


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:8080", "http://gpu-box:8080"),
        ("https://ollama.example.com", "https://ollama.example.com"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("http://[::1]:11434/", "http://[::1]:11434"),
    ],
)
def test_the_address_is_read_as_ollama_reads_it(given: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_url(given) == url
    monkeypatch.setenv("OLLAMA_HOST", given)
    assert server_url(None) == url
    assert server_url("http://altro:1") == "http://altro:1"


def test_where_nothing_is_set_it_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_HOST")
    assert server_url(None) == "http://127.0.0.1:11434"


@pytest.mark.parametrize(
    "options", [{"thinking": "molto"}, {"context_tokens": 0}, {"url": "ftp://x"}, {"url": "http://"}]
)
def test_an_option_that_can_not_be_used_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OllamaBrain(**options)


def test_what_show_does_not_tell_is_unknown() -> None:
    facts = model_facts({})
    assert (facts.context_tokens, facts.remote, facts.takes_system) == (None, False, True)
    assert not is_cloud_tag("cloudy")
    assert chat_models([{"name": "a:b"}]) == ["a:b"]

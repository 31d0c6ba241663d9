"""From a completion to a Reply: its citations are read back, and its cost is asked of the books."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio.to_thread

from cervella.agent.assembly import Parts
from cervella.agent.bookkeeping import Recording
from cervella.brains.shield.deadline import Clock
from cervella.claims.citations import LinesReader, find_citations_within
from cervella.prompt.layout import find_marks, strip_marks
from cervella.text.language import known_languages, language
from cervella.types import CitedLines, Completion, Passage, Prompt, Reply, Retrieval

__all__ = ["Replies"]

_logger = logging.getLogger("cervella")


class Replies:
    """Makes the replies of an agent."""

    def __init__(self, parts: Parts, recording: Recording) -> None:
        self._parts = parts
        self._recording = recording

    async def reply(
        self,
        prompt: Prompt,
        retrieval: Retrieval,
        completion: Completion,
        clock: Clock,
        soul: str,
        *,
        looked: bool = True,
    ) -> Reply:
        """`looked` is false for passages that no retriever gave: their files are not looked at."""
        id = prompt.reply
        await self._recording.written(id, completion.text)
        last = completion.attempts[-1] if completion.attempts else None
        shown = prompt.sources if last is None else {m: p for m, p in prompt.sources.items() if m in last.shown}
        lang = self._parts.language
        answer = "" if completion.finish_reason == "refusal" else completion.text  # a refusal answers nothing
        cited = {item.mark: shown[item.mark] for item in find_marks(answer) if item.mark in shown}
        changed = await anyio.to_thread.run_sync(self._changed, cited) if looked and cited else {}
        read_back = await find_citations_within(clock.left(), answer, shown, lang, reader=self._reader, changed=changed)
        stale = {citation.path for citation in read_back.citations if citation.changed}  # since the last look, maybe
        behind = replace(retrieval, behind=max(retrieval.behind, len(stale)))
        said = strip_marks(answer)  # an engine may say it in another language than the base's
        abstains = any(language(code).abstains(said) for code in known_languages())
        return Reply(
            id=id,
            question=prompt.question,
            retrieval_query=retrieval.query,
            text=completion.text,
            citations=read_back.citations,
            invented_marks=read_back.invented_marks,
            passages=retrieval.passages,
            usage=completion.usage,
            cost_usd=self._recording.cost(id),
            brain=last.brain if last else "",
            model=completion.model,
            soul=soul,
            timings=clock.timings(),
            finish_reason=completion.finish_reason,
            abstained=abstains and not any(citation.supported for citation in read_back.citations),
            tainted=last.tainted if last else prompt.tainted,
            flags={
                **completion.flags,
                **behind.index_flags(),
                **({"citations_unread": read_back.unread} if read_back.unread else {}),
            },
            attempts=completion.attempts,
        )

    def _changed(self, cited: Mapping[str, Passage]) -> dict[str, bool | None]:
        """By mark whether the file behind it has changed since it was indexed; None where nobody can tell."""
        look: Callable[[Passage], bool | None] | None = getattr(self._parts.retriever, "changed", None)
        if look is None and hasattr(self._parts.retriever, "lines"):
            look = self._lines_changed
        if look is None:
            return {}
        try:
            return {mark: look(passage) for mark, passage in cited.items()}
        except Exception:  # the answer is there, and is not lost for this
            _logger.exception("whether the cited files have changed could not be looked at")
            return {}

    def _lines_changed(self, passage: Passage) -> bool:
        return self.read(passage).changed

    def read(self, passage: Passage) -> CitedLines:
        """A passage's lines as on disk now, and whether they changed since it was indexed."""
        lines: Callable[[str, int, int], str | None] | None = getattr(self._parts.retriever, "lines", None)
        text = passage.text if lines is None else lines(passage.path, passage.start_line, passage.end_line)
        return CitedLines(text=text, changed=text != passage.text)

    def _reader(self, passage: Passage) -> Callable[[], CitedLines]:
        return LinesReader(self.read, passage)

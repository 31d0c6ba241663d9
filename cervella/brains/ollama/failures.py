"""What goes wrong with an Ollama server only."""

from __future__ import annotations

from cervella.brains.http.failures import HttpFailures
from cervella.errors import BrainError, PromptTooLongError

__all__ = ["OllamaFailures"]

_SUGGESTED = "qwen3:4b"


class OllamaFailures(HttpFailures):
    """Makes the errors of one Ollama brain."""

    __slots__ = ()

    def too_long(self, tokens: int, limit: int) -> PromptTooLongError:
        return PromptTooLongError(
            f"The prompt has about {tokens} tokens, and the brain {self.brain!r} room for {max(0, limit)}.",
            brain=self.brain,
            model=self.model,
            prompt_tokens=tokens,
            limit_tokens=max(0, limit),
            remedy=f"Raise context_tokens in [brains.{self.brain}] if the model and the memory allow it, shorten the "
            "Constitution, or ask another brain.",
        )

    def missing(self, there: list[str]) -> BrainError:
        cure = f"Fetch it with `ollama pull {self.model}`, or set model in [brains.{self.brain}] to one that is there."
        return self.model_missing(there=there, cure=cure)

    def no_model(self) -> BrainError:
        return self.broken(
            "has no model", remedy=f"Fetch one, such as `ollama pull {_SUGGESTED}`.", code="model_missing"
        )

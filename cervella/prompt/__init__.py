"""The layout of a prompt, the citation marks in an answer, and the history of a conversation."""

from cervella.prompt.layout import (
    LAYOUT_VERSION as LAYOUT_VERSION,
)
from cervella.prompt.layout import (
    estimate_tokens as estimate_tokens,
)
from cervella.prompt.layout import (
    find_marks as find_marks,
)
from cervella.prompt.layout import (
    render as render,
)
from cervella.prompt.layout import (
    strip_marks as strip_marks,
)
from cervella.prompt.layout import (
    without as without,
)

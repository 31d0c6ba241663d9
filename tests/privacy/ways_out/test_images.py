"""Ways out for local-only text: images.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import contextlib

from cervella import (
    CervellaError,
    Image,
)
from tests.fixtures.ways_out import (
    Cloud,
    Q,
    World,
    near_brain,
    no_leak,
    saw,
)


def test_image_of_a_marked_folder_attached(world: World) -> None:
    """The person attaches a picture that lies in the marked folder. the documentation does not say."""
    data = b"\x89PNG\r\n\x1a\n zafferano-77 " + bytes(range(64))
    world.write("privato/contratto.png", data)
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    picture = Image(media_type="image/png", data=(world.notes / "privato/contratto.png").read_bytes())
    agent.ask("Che cosa mostra?", brain=near, images=[picture])
    with contextlib.suppress(CervellaError):
        agent.ask("Che cosa mostra?", brain=far, images=[picture])
    saw(near)
    no_leak(far, asked=False)


def test_image_asked_together_with_local_passages_stays_with_its_turn(world: World) -> None:
    """A picture of a turn that is tainted does not come back with the history."""
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    picture = Image(media_type="image/png", data=b"\x89PNG\r\n\x1a\n zafferano-77")
    session = agent.session("s")
    session.ask(Q, brain=near, images=[picture])
    session.ask("E quando è la firma?", brain=far)
    saw(near)
    no_leak(far)

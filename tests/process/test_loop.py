"""The background loop ends with its last reference, wherever that goes."""

from __future__ import annotations

import threading
import time

from cervella.process.loop import BackgroundLoop
from tests.conftest import PATIENCE


def test_an_agent_that_is_dropped_in_the_loops_own_thread_ends_quietly() -> None:
    loop = BackgroundLoop()
    portal = loop._portal()
    box = [loop]
    del loop
    [thread] = [one for one in threading.enumerate() if one.ident == portal.call(threading.get_ident)]

    async def drop() -> None:
        box.clear()  # what the garbage collector does when it happens to run there

    portal.start_task_soon(drop).result()
    until = time.monotonic() + PATIENCE
    while thread.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert not thread.is_alive()

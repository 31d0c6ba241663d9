"""Rest after a failure, and one probe at its end."""

from __future__ import annotations

import pytest

from cervella.brains.routing.cooldown import LONGEST_REST, Cooldown


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_brain_that_never_failed_may_always_be_tried(clock: Clock) -> None:
    cooldown = Cooldown(30, clock=clock)
    assert cooldown.may_try("a")
    assert cooldown.may_try("a")


def test_after_a_failure_it_rests_then_one_probe_goes_through(clock: Clock) -> None:
    cooldown = Cooldown(30, clock=clock)
    cooldown.failed("a")
    assert not cooldown.may_try("a")
    assert cooldown.left("a") == 30
    clock.now += 30
    assert cooldown.may_try("a")
    assert not cooldown.may_try("a"), "the probe is under way"
    cooldown.recovered("a")
    assert cooldown.may_try("a")
    assert cooldown.may_try("a")


def test_a_failed_probe_doubles_the_rest_up_to_a_limit(clock: Clock) -> None:
    cooldown = Cooldown(30, clock=clock)
    rests = []
    for _ in range(8):
        cooldown.failed("a")
        rests.append(cooldown.left("a"))
        clock.now += rests[-1]
    assert rests == [30, 60, 120, 240, 480, LONGEST_REST, LONGEST_REST, LONGEST_REST]


def test_a_probe_that_tells_nothing_leaves_the_door_half_open(clock: Clock) -> None:
    cooldown = Cooldown(30, clock=clock)
    cooldown.failed("a")
    clock.now += 30
    assert cooldown.may_try("a")
    cooldown.released("a")
    assert cooldown.may_try("a")


@pytest.mark.parametrize(("asked", "rests"), [(5.0, 30.0), (90.0, 90.0), (-3.0, 30.0), (1e9, LONGEST_REST)])
def test_what_the_engine_asks_for_is_kept_within_reason(clock: Clock, asked: float, rests: float) -> None:
    cooldown = Cooldown(30, clock=clock)
    cooldown.failed("a", seconds=asked)
    assert cooldown.left("a") == rests


def test_brains_rest_each_for_themselves(clock: Clock) -> None:
    cooldown = Cooldown(30, clock=clock)
    cooldown.failed("a")
    assert cooldown.may_try("b")

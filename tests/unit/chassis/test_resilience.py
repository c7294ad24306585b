from hypothesis import given
from hypothesis import strategies as st

from services.chassis.resilience import Breaker, BreakerState, RetryBudget


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock=clock)
    for _ in range(20):
        breaker.record(failed=True)
    assert breaker.state.name == "OPEN"
    return breaker


@given(st.lists(st.booleans(), max_size=300), st.floats(0, 1), st.integers(0, 20))
def test_retries_never_exceed_their_share_of_the_requests(
    retries_wanted: list[bool], ratio: float, burst: int
) -> None:
    budget, retries = RetryBudget(ratio, burst), 0
    for requests, wanted in enumerate(retries_wanted, start=1):
        budget.earn()
        retries += wanted and budget.spend()
        assert retries <= requests * ratio + burst + 1e-6


def test_a_few_failures_open_nothing() -> None:
    breaker = Breaker()
    for number in range(400):
        breaker.record(failed=number % 5 == 0)
    assert breaker.state.name == "CLOSED"


def test_thirty_percent_of_failures_open_it() -> None:
    breaker = Breaker()
    for number in range(40):
        breaker.record(failed=number % 10 < 3)
        if breaker.state is BreakerState.OPEN:
            break
    assert breaker.state.name == "OPEN"


def test_while_open_nothing_goes_through_and_then_one_call() -> None:
    clock = Clock()
    breaker = _opened(clock)
    clock.now = 4.9
    assert not breaker.allows()
    clock.now = 5.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    assert breaker.state.name == "HALF_OPEN"


def test_the_trial_decides() -> None:
    clock = Clock()
    breaker = _opened(clock)
    clock.now = 5.0
    assert breaker.allows()
    breaker.record(failed=True)
    assert breaker.state.name == "OPEN"
    assert not breaker.allows()
    clock.now = 10.0
    assert breaker.allows()
    breaker.record(failed=False)
    assert breaker.state.name == "CLOSED"
    assert breaker.allows()


def test_a_trial_that_never_ends_does_not_keep_it_shut() -> None:
    clock = Clock()
    breaker = _opened(clock)
    clock.now = 5.0
    assert breaker.allows()
    clock.now = 10.0
    assert breaker.allows()


def test_calls_from_before_it_opened_do_not_close_it() -> None:
    breaker = _opened(Clock())
    breaker.record(failed=False)
    assert breaker.state.name == "OPEN"

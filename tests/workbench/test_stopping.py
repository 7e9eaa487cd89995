import os
import signal

import pytest

from lean_agentic.workbench.stopping import StoppedError, StopRequest


@pytest.mark.parametrize(
    ("signum", "said", "status"), [(signal.SIGINT, "SIGINT", 130), (signal.SIGTERM, "SIGTERM", 143)]
)
def test_a_signal_is_remembered_and_raised_when_asked(signum, said, status):
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), signum)
        with pytest.raises(StoppedError, match=said) as caught:
            stop.check()
    assert caught.value.exit_code == status


def test_the_first_signal_counts():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signum == signal.SIGTERM


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), StopRequest():
        1 / 0  # noqa: B018
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before

import os
import signal
import threading

import pytest

from vtbench.train.interrupt import deferred_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_only_raises_the_flag(number):
    with deferred_stop() as stop:
        assert not stop.raised
        os.kill(os.getpid(), number)
        assert stop.raised
        os.kill(os.getpid(), number)  # impatience changes nothing


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_handlers_come_back_also_after_an_error(number):
    before = signal.getsignal(number)
    with deferred_stop():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before
    with pytest.raises(ZeroDivisionError), deferred_stop():
        1 / 0  # noqa: B018
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_it_does_nothing():
    seen = []

    def work():
        with deferred_stop() as stop:
            seen.append((stop.raised, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]

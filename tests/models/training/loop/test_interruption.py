from __future__ import annotations

import os
import signal
import threading

import pytest

from dwpose_infer.models.training.loop.interruption import GracefulStop


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered_and_the_second_interrupts(kind):
    before = signal.getsignal(kind)
    with GracefulStop() as stop:
        assert not stop
        os.kill(os.getpid(), kind)
        assert stop
        assert stop.signal_name == kind.name
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), kind)
    assert signal.getsignal(kind) is before


def test_other_threads_catch_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with GracefulStop() as stop:
            seen.append((bool(stop), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]

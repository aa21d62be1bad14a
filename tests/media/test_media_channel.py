from __future__ import annotations

import threading
import time

import pytest

from dwpose_infer.media.channel import Channel, ChannelClosedError


def test_items_come_in_order_and_never_more_than_fit():
    channel = Channel(3)

    def produce():
        for number in range(100):
            channel.put(number)
        channel.finish()

    thread = threading.Thread(target=produce)
    thread.start()
    taken = []
    with pytest.raises(ChannelClosedError):
        while True:
            taken.append(channel.get())
            time.sleep(0.0005)
    thread.join()
    assert taken == list(range(100))
    assert channel.peak == 3
    assert channel.dropped == 0


def test_latest_only_drops_the_oldest_and_counts():
    channel = Channel(1, latest_only=True)
    for number in range(10):
        channel.put(number)
    assert channel.get() == 9
    assert (channel.dropped, channel.peak) == (9, 1)


def test_an_error_comes_after_the_last_item_and_once():
    channel = Channel(4)
    channel.put(1)
    channel.finish(KeyError("broken"))
    assert channel.get() == 1
    with pytest.raises(KeyError, match="broken"):
        channel.get()
    with pytest.raises(ChannelClosedError):
        channel.get()


def test_cancelling_wakes_both_sides():
    full, empty = Channel(1), Channel(1)
    full.put(0)
    ended = []

    def wait(action):
        try:
            action()
        except ChannelClosedError:
            ended.append(action)

    threads = [
        threading.Thread(target=wait, args=(action,)) for action in (lambda: full.put(1), empty.get)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    full.cancel()
    empty.cancel()
    for thread in threads:
        thread.join(2)
    assert len(ended) == 2
    with pytest.raises(ChannelClosedError):
        full.get()

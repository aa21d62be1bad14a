"""Who shares a batch, who has a core, who waits and who is refused."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from dwpose_infer.errors import InferenceError, InputError
from dwpose_infer.images import ReadPicture
from dwpose_infer.serving import batching
from dwpose_infer.serving.batching import BusyError, PerCore, Search, SharedPipeline


class SlowPipeline:
    """Counts what comes together; a picture of zeros fails, and its batch with it."""

    def __init__(self):
        self.batches, self.closed, self.go_on = [], False, threading.Event()
        self.tile_sides = []

    def detecting(self, *, tile_side):
        self.tile_sides.append(tile_side)
        return self

    def predict(self, images_bgr, boxes_xyxy, *, whole_image=False):
        self.go_on.wait(5)
        self.batches.append(len(images_bgr))
        if any(not image.any() for image in images_bgr):
            raise InferenceError("a network failed")
        return [int(image[0, 0, 0]) for image in images_bgr]

    def close(self):
        self.closed = True


def one(value, after=None):
    """What reads a picture, at once or when an event happens."""

    def read():
        if after is not None:
            after.wait(5)
        return ReadPicture(np.full((8, 8, 3), value, np.uint8))

    return read


def answer(future, seconds=5):
    return future.result(seconds)[1]


@pytest.fixture
def slow():
    return SlowPipeline()


@pytest.fixture
def quick():
    made = SlowPipeline()
    made.go_on.set()
    return made


def test_pictures_of_several_callers_share_a_batch(slow):
    shared = SharedPipeline(slow, max_pictures=4, delay_ms=50)
    first = shared.submit(one(9))
    time.sleep(0.2)  # it is with the networks now
    others = [shared.submit(one(value)) for value in range(1, 7)]
    time.sleep(0.2)  # they are read
    slow.go_on.set()
    assert answer(first) == 9 and sorted(map(answer, others)) == [1, 2, 3, 4, 5, 6]
    assert slow.batches == [1, 4, 2]
    shared.close()
    assert slow.closed


def test_nobody_waits_where_nobody_else_comes(quick):
    shared = SharedPipeline(quick, delay_ms=1_500)
    begun_s = time.monotonic()
    assert answer(shared.submit(one(7))) == 7
    assert time.monotonic() - begun_s < 1
    shared.close()


def test_a_picture_that_is_being_read_is_waited_for(quick, monkeypatch):
    monkeypatch.setattr(batching, "usable_cores", lambda: 2)
    shared, is_there = SharedPipeline(quick, delay_ms=1_500), threading.Event()
    second = shared.submit(one(2, after=is_there))
    first = shared.submit(one(1))
    time.sleep(0.1)
    assert not first.done()
    is_there.set()
    assert answer(first) == 1 and answer(second) == 2
    assert quick.batches == [2]
    shared.close()


def test_one_picture_does_not_cost_the_others_theirs(slow):
    shared = SharedPipeline(slow, delay_ms=0)
    first = shared.submit(one(1))
    time.sleep(0.1)
    futures = [shared.submit(one(value)) for value in (3, 0, 5)]
    time.sleep(0.1)
    slow.go_on.set()
    assert [answer(each) for each in (first, futures[0], futures[2])] == [1, 3, 5]
    assert slow.batches[:2] == [1, 3]
    with pytest.raises(InferenceError, match="a network failed"):
        answer(futures[1])
    shared.close()


def test_pictures_that_are_searched_otherwise_have_a_batch_of_their_own(slow):
    shared = SharedPipeline(slow, delay_ms=0)
    first = shared.submit(one(1))
    time.sleep(0.1)
    tiles = Search(tile_side=64)
    others = [shared.submit(one(value), search) for value, search in ((2, None), (3, tiles))]
    time.sleep(0.1)
    slow.go_on.set()
    assert [answer(each) for each in (first, *others)] == [1, 2, 3]
    assert sorted(map(str, slow.tile_sides)) == ["64", "None", "None"]
    shared.close()


@pytest.mark.parametrize("has_cores", [False, True])
def test_a_full_queue_refuses_and_closing_finishes_what_was_taken(slow, has_cores):
    per_core = PerCore(pipeline=slow, workers=1) if has_cores else None
    shared = SharedPipeline(slow, per_core, max_waiting=2, max_pictures=1, delay_ms=0)
    taken = [shared.submit(one(1))]
    time.sleep(0.2)
    taken += [shared.submit(one(2)), shared.submit(one(3))]
    with pytest.raises(BusyError, match="2 pictures wait"):
        shared.submit(one(4))
    slow.go_on.set()
    shared.close()
    assert sorted(answer(each, 0) for each in taken) == [1, 2, 3]
    assert shared.waiting == 0
    with pytest.raises(InferenceError, match="stopping"):
        shared.submit(one(5))


def test_a_picture_alone_has_all_cores_and_several_have_one_each(slow):
    single = SlowPipeline()
    shared = SharedPipeline(slow, PerCore(pipeline=single, workers=2))
    first = shared.submit(one(1))
    time.sleep(0.1)
    others = [shared.submit(one(value)) for value in (2, 0, 4)]
    slow.go_on.set()
    single.go_on.set()
    assert [answer(each) for each in (first, others[0], others[2])] == [1, 2, 4]
    with pytest.raises(InferenceError, match="a network failed"):
        answer(others[1])
    assert slow.batches[0] == 1 and 1 <= len(single.batches) <= 3
    assert len(slow.batches + single.batches) == 4  # never together
    shared.close()
    assert slow.closed and single.closed


@pytest.mark.parametrize("has_cores", [False, True])
def test_a_picture_that_cannot_be_read_or_is_waited_for_no_more_costs_nothing(slow, has_cores):
    def broken():
        raise InputError("no picture")

    reads = []
    per_core = PerCore(pipeline=slow, workers=1) if has_cores else None
    shared = SharedPipeline(slow, per_core, delay_ms=0)
    first = shared.submit(one(1))
    time.sleep(0.1)
    bad = shared.submit(broken)
    left = shared.submit(lambda: reads.append("read") or one(2)())
    if has_cores:  # else they are read while others are with the networks
        assert left.cancel()
    good = shared.submit(one(3))
    slow.go_on.set()
    assert (answer(first), answer(good)) == (1, 3)
    with pytest.raises(InputError, match="no picture"):
        answer(bad)
    shared.close()
    assert (reads == []) == has_cores and shared.waiting == 0

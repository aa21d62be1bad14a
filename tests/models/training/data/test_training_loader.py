from __future__ import annotations

import multiprocessing
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.models.training.data import (
    EpochOrder,
    PoseDataset,
    SampleKey,
    make_loader,
    open_pictures,
    read_persons,
    usable_workers,
)
from dwpose_infer.models.training.settings import AugmentSettings

SIZE = (48, 64)
AUGMENT = AugmentSettings(portrait_probability=0.2)


@pytest.fixture
def dataset(pictures):
    return PoseDataset(pictures, input_size_wh=SIZE, augment=AUGMENT, epochs=40)


def order(counts=(7, 5), repeats=(1.0, 1.0), **options):
    source_indices = np.repeat(np.arange(len(counts)), counts).astype(np.int16)
    return EpochOrder(source_indices, repeats, **{"batch_size": 4, "seed": 21, **options})


def persons_of(batches):
    return [key.person for batch in batches for key in batch]


def same(batches, others):
    batches, others = list(batches), list(others)
    assert len(batches) == len(others)
    return all(
        torch.equal(one, other)
        for batch, other_batch in zip(batches, others, strict=True)
        for one, other in zip(batch, other_batch, strict=True)
    )


def test_an_epoch_has_everybody_once_in_another_order_each_time():
    first, second = persons_of(order().batches(0)), persons_of(order().batches(1))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert first == persons_of(order().batches(0))
    assert first != persons_of(order(seed=22).batches(0))


@pytest.mark.parametrize("count", [12, 13, 15])
@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("drop_last", [False, True])
def test_processes_together_take_what_one_would(count, world_size, drop_last):
    def keys(rank, world_size):
        made = order((count,), (1.0,), rank=rank, world_size=world_size, drop_last=drop_last)
        return list(made.batches(3))

    alone = keys(0, 1)
    shares = [keys(rank, world_size) for rank in range(world_size)]
    assert all(len(share) == len(alone) for share in shares)
    for step, batch in enumerate(alone):
        together = [key for share in shares for key in share[step]]
        assert len({len(share[step]) for share in shares}) == 1
        added = -len(batch) % world_size  # the last step is filled up
        assert len(together) == len(batch) + added
        assert set(batch) <= set(together)
        assert added == 0 or step == len(alone) - 1
    assert len(alone) == (count // 4 if drop_last else -(-count // 4))


def test_going_on_in_the_middle_of_an_epoch():
    assert list(order().batches(5, start_step=2)) == list(order().batches(5))[2:]
    assert list(order().batches(5, start_step=3)) == []


def test_repeats_are_exact_for_every_source():
    made = order((7, 6), (2.0, 1.5), batch_size=1)
    assert made.samples == made.steps == 14 + 6 + 3
    halves = []
    for epoch in range(4):
        keys = [key for batch in made.batches(epoch) for key in batch]
        assert len(set(keys)) == len(keys)  # repeated persons differ in their occurrence
        counts = np.bincount([key.person for key in keys], minlength=13)
        assert (counts[:7] == 2).all()
        assert sorted(counts[7:]) == [1, 1, 1, 2, 2, 2]
        halves.append(tuple(counts[7:]))
    assert len(set(halves)) > 1
    assert order((10, 10), (0.5, 1.0)).samples == 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 3, "world_size": 2}, "multiple of the 2 processes"),
        ({"rank": 2, "world_size": 2}, "rank is 2 of 2"),
        ({"batch_size": 16, "drop_last": True}, "12 samples do not fill one batch of 16"),
    ],
)
def test_orders_that_cannot_be(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        order(**options)


def test_samples_depend_on_their_key_alone(dataset):
    key = SampleKey(21, 3, 4, 0)
    first = dataset[key]
    dataset[SampleKey(21, 0, 1)]
    again = dataset[key]
    np.testing.assert_array_equal(first.crop, again.crop)
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    for other in (SampleKey(22, 3, 4), SampleKey(21, 2, 4), SampleKey(21, 3, 4, 1)):
        assert not np.array_equal(dataset[other].crop, first.crop)


def test_the_last_epochs_have_settings_of_their_own(pictures):
    """No hole in the first 10 of 40 epochs, always one in the last 30, whatever came between."""
    augment = AugmentSettings(hole_probability=0.0, final_hole_probability=1.0)
    dataset = PoseDataset(pictures, input_size_wh=SIZE, augment=augment, epochs=40)
    plain = PoseDataset(
        pictures,
        input_size_wh=SIZE,
        augment=replace(augment, final_shift_factor=None, final_hole_probability=None),
        epochs=40,
    )
    for epoch in (9, 10, 39, 0):
        key = SampleKey(21, epoch, 2)
        equal = np.array_equal(dataset[key].crop, plain[key].crop)
        assert equal == (epoch < 10)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(dataset, workers):
    alone = make_loader(dataset, batch_size=4, seed=21)
    many = make_loader(dataset, batch_size=4, seed=21, workers=workers)
    assert (alone.workers, many.workers) == (0, workers)
    assert len(alone) == len(many) == 3
    for epoch in (0, 12):
        assert same(alone.epoch(epoch), many.epoch(epoch))
    assert same(alone.epoch(1, start_step=2), many.epoch(1, start_step=2))


def test_an_epoch_left_early_spoils_nothing(dataset):
    loader = make_loader(dataset, batch_size=2, seed=21, workers=2)
    for _batch in loader.epoch(0):
        break
    assert same(loader.epoch(1), make_loader(dataset, batch_size=2, seed=21).epoch(1))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_may_be_asked_for_in_any_order(dataset, workers):
    """Prepared ahead or not: one after the other, again, from the middle, two at once."""
    loader = make_loader(dataset, batch_size=2, seed=21, workers=workers)
    plain = make_loader(dataset, batch_size=2, seed=21)
    for epoch, start_step in ((0, 0), (1, 0), (2, 0), (2, 0), (0, 3), (1, 0), (5, 4), (6, 1)):
        wanted = plain.epoch(epoch, start_step=start_step)
        assert same(loader.epoch(epoch, start_step=start_step), wanted)
    first, second = loader.epoch(3), loader.epoch(4)
    begun = [next(first), next(second), next(first)]
    assert same([*begun[::2], *first], plain.epoch(3))
    assert same([begun[1], *second], plain.epoch(4))


def test_the_next_epoch_is_prepared_while_one_ends(dataset, monkeypatch):
    asked = multiprocessing.get_context("fork").Array("i", 40)
    original = PoseDataset.__getitem__

    def watched(self, key):
        asked[key.epoch] += 1
        return original(self, key)

    monkeypatch.setattr(PoseDataset, "__getitem__", watched)
    loader = make_loader(dataset, batch_size=3, seed=21, workers=1, prefetch=2)
    assert len(list(loader.epoch(0))) == 3
    deadline = time.monotonic() + 20
    while asked[1] < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (asked[0], asked[1]) == (9, 6)


def test_batches_hold_what_they_say(dataset):
    (batch,) = make_loader(dataset, batch_size=9, seed=21).epoch(0)
    assert batch.crops.shape == (9, 64, 48, 3)
    assert batch.crops.dtype == torch.uint8
    assert batch.keypoints.shape == (9, 133, 2)
    assert batch.weights.shape == (9, 133)
    assert batch.keypoints.dtype == batch.weights.dtype == torch.float32
    assert sorted(batch.persons.tolist()) == list(range(9))
    sample = dataset[SampleKey(21, 0, int(batch.persons[5]))]
    np.testing.assert_array_equal(batch.crops[5], sample.crop)
    np.testing.assert_array_equal(batch.keypoints[5], sample.keypoints)
    assert same([batch.to("cpu")], [batch])


def test_the_cache_changes_nothing(dataset, persons):
    cached = PoseDataset(
        open_pictures(persons, cache_bytes=10**6), input_size_wh=SIZE, augment=AUGMENT, epochs=40
    )
    loaders = [make_loader(each, batch_size=4, seed=1, workers=2) for each in (dataset, cached)]
    assert same(*(loader.epoch(0) for loader in loaders))


def test_the_runs_own_random_numbers_stay_untouched(dataset):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(make_loader(dataset, batch_size=4, seed=21, workers=1).epoch(0))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_arrive_as_they_were_raised(dataset, persons, workers):
    persons.path(1).write_bytes(b"broken")
    with pytest.raises(InputError) as error:
        list(make_loader(dataset, batch_size=4, seed=21, workers=workers).epoch(0))
    assert str(error.value).startswith(str(persons.path(1)))
    assert "Traceback" not in str(error.value)
    del error  # its traceback holds the loader, whose workers end late in a cycle


def test_sources_are_repeated_by_the_loader(document, save_set, source):
    both = [replace(source, collections=("first",)), replace(source, collections=("others",))]
    persons = read_persons(both, root=save_set(document))
    dataset = PoseDataset(open_pictures(persons), input_size_wh=SIZE, augment=AUGMENT, epochs=40)
    loader = make_loader(dataset, batch_size=4, seed=0, repeats=(3, 1))
    drawn = torch.cat([batch.persons for batch in loader.epoch(0)])
    assert torch.bincount(drawn).tolist() == [3] * 3 + [1] * 6


def test_workers_do_not_outnumber_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(8)), raising=False)
    assert usable_workers(10) == 8
    assert usable_workers(3) == 3
    assert usable_workers(10, local_world_size=2) == 4
    assert usable_workers(10, local_world_size=16) == 1
    assert usable_workers(0) == 0


def private_bytes(process):
    """Memory of a process that it shares with no other."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_workers_share_the_decoded_pictures(document, save_set, source):
    for image in document["images"]:
        image["width"] = image["height"] = 1000
    persons = read_persons([source], root=save_set(document))
    many = replace(  # the same three pictures, 14 times over: 126 MB
        persons,
        image_indices=np.concatenate([persons.image_indices + 3 * copy for copy in range(14)]),
        **{
            field.name: np.concatenate([getattr(persons, field.name)] * 14)
            for field in fields(persons)
            if field.name not in ("image_indices", "reports")
        },
    )
    pictures = open_pictures(many, cache_bytes=10**9)
    assert len(pictures.cached_bytes) == 126_000_000
    dataset = PoseDataset(pictures, input_size_wh=SIZE, augment=AUGMENT, epochs=40)
    loader = make_loader(dataset, batch_size=9, seed=0, workers=2)
    before = {child.pid for child in multiprocessing.active_children()}
    for _ in range(3):
        batches = list(loader.epoch(0))
    assert len(batches) == 14
    workers = [child for child in multiprocessing.active_children() if child.pid not in before]
    assert len(workers) == 2
    for worker in workers:
        assert private_bytes(worker) < 60_000_000


def test_decoded_pictures_need_forking(dataset, persons, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    cached = PoseDataset(
        open_pictures(persons, cache_bytes=10**6), input_size_wh=SIZE, augment=AUGMENT, epochs=40
    )
    with pytest.raises(InvalidArgumentError, match="cache_gb"):
        make_loader(cached, batch_size=4, seed=0, workers=1)
    assert len(make_loader(cached, batch_size=4, seed=0)) == 3


def test_points_without_a_label_weigh_what_their_source_says(document, save_set, source):
    for annotation in document["annotations"]:
        annotation["lefthand_kpts"][2::3] = [0] * 21
    others = replace(source, collections=("others",))
    first = replace(source, collections=("first",), unlabelled_weight=0.125)
    persons = read_persons([first, others], root=save_set(document))
    dataset = PoseDataset(
        open_pictures(persons),
        input_size_wh=SIZE,
        augment=replace(AUGMENT, flip_probability=0.0),
        epochs=1,
        unlabelled_weights=[0.125, 0.0],
    )
    for person, source_index in enumerate(persons.source_indices):
        weights = dataset[SampleKey(21, 0, person)].weights
        assert weights.dtype == np.float32
        assert (weights[91:112] == [0.125, 0.0][source_index]).all()
        assert (np.delete(weights, range(91, 112)) == 1).all()


@pytest.mark.parametrize("weight", [-0.1, 0.5, 1.0])
def test_a_weight_that_would_count_as_a_label_is_refused(source, weight):
    with pytest.raises(InvalidArgumentError, match=r"unlabelled_weight must be in 0\.\.0\.5"):
        replace(source, unlabelled_weight=weight)

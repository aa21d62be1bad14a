from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")

from dwpose_infer.errors import BackendUnavailableError, InvalidArgumentError
from dwpose_infer.models.training.loop.checkpoint import list_checkpoints, load_state
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.loop.distributed import World, join_world
from dwpose_infer.models.training.overrides import from_plain
from dwpose_infer.models.training.trainer import train
from tolerances import TWO_PROCESSES
from training_samples import small_settings, start_run, write_set

TORCHRUN = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "0",
}


def test_two_processes_learn_what_one_learns(tmp_path):
    """The same global batches; sums over samples are taken in another order, no more."""
    samples = write_set(tmp_path / "set", persons=10)
    settings = small_settings(
        samples,
        epochs=2,
        validate_every=2,
        optimizer={"learning_rate": 1e-4, "clip_norm": 1.0},
    )
    two = start_run(settings, tmp_path / "two", processes=2)
    assert two.returncode == 0, two.stderr
    assert "FutureWarning" not in two.stderr and "deprecated" not in two.stderr
    assert train(from_plain(settings), tmp_path / "one").finished
    first, second = (read_table(tmp_path / run / "log.csv") for run in ("one", "two"))
    assert first["step"] == second["step"] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(second["loss"], first["loss"], rtol=TWO_PROCESSES)
    one, other = (
        load_state(list_checkpoints(tmp_path / run / "checkpoints")[-1]) for run in ("one", "two")
    )
    assert other.facts == one.facts | {"processes": 2}
    start = first_networks(settings).requires_grad_(False)
    moved, apart = 0.0, 0.0
    for name, parameter in start.named_parameters():
        moved += float((one.weights[name] - parameter).double().square().sum())
        apart += float((one.weights[name] - other.weights[name]).double().square().sum())
    assert apart**0.5 < TWO_PROCESSES * moved**0.5
    checks = [read_table(tmp_path / run / "validation.csv") for run in ("one", "two")]
    assert checks[0]["step"] == checks[1]["step"] == [6]
    np.testing.assert_allclose(checks[1]["error_px"], checks[0]["error_px"], rtol=0.05)


def first_networks(settings):
    from dwpose_infer.models.training.pose.building import build_stage

    torch.manual_seed(21)  # the seed of the settings
    return build_stage(from_plain(settings))


def test_one_process_sums_and_gathers_by_itself():
    with join_world("cpu") as world:
        assert world.device == torch.device("cpu")
        assert (world.rank, world.size, world.is_first) == (0, 1, True)
        assert world.sum(torch.tensor([1.5, 2.0])).tolist() == [1.5, 2.0]
        assert world.any(True) and not world.any(False)
        assert world.gather("x") == ["x"]
        assert world.from_first(7) == 7


def test_half_an_environment_of_torchrun_is_named(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidArgumentError, match="LOCAL_RANK"), join_world("cpu"):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(BackendUnavailableError, match="sees no NVIDIA GPU"), join_world("cuda"):
        pass


def test_several_processes_do_not_share_one_gpu(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError, match="several processes"), join_world("cuda:1"):
        pass


def test_an_unknown_device_is_refused():
    with pytest.raises(InvalidArgumentError, match="tpu"), join_world("tpu"):
        pass


def test_a_process_that_is_not_the_first_says_so():
    assert not World(torch.device("cpu"), rank=1, size=2).is_first

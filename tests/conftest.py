"""Fixtures shared by all tests: reference data where it is at hand, and small graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT.parent / "shared" / "reference"
PHOTOS = ROOT / "tests" / "photos"

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of golden arrays made with the reference implementations; not in every checkout."""
    if not REFERENCE.is_dir():
        pytest.skip("reference arrays are not at hand")
    return REFERENCE


@pytest.fixture(scope="session")
def astronaut() -> Path:
    return PHOTOS / "astronaut.jpg"


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    return sorted(PHOTOS.glob("*.jpg"))


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No test sees the user's model cache or the network."""
    monkeypatch.setenv("DWPOSE_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("DWPOSE_OFFLINE", "1")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20230728)


@pytest.fixture
def save_graph(tmp_path: Path) -> Callable[..., Path]:
    """Saves an ONNX graph given as nodes, inputs, outputs and constants."""
    import onnx
    from onnx import helper, numpy_helper

    def save(
        nodes: list[onnx.NodeProto],
        inputs: dict[str, tuple[type, list[int | str]]],
        outputs: dict[str, tuple[type, list[int | str]]],
        constants: dict[str, np.ndarray] | None = None,
        name: str = "graph.onnx",
        metadata: dict[str, str] | None = None,
    ) -> Path:
        def value_info(entries):
            return [
                helper.make_tensor_value_info(
                    key, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
                )
                for key, (dtype, shape) in entries.items()
            ]

        graph = helper.make_graph(
            nodes,
            "test",
            value_info(inputs),
            value_info(outputs),
            [numpy_helper.from_array(value, key) for key, value in (constants or {}).items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, metadata or {})
        onnx.checker.check_model(model)
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return save


@pytest.fixture(scope="session")
def predictor():
    """The bundled networks, loaded once for all tests that only call them."""
    from dwpose_infer import Predictor

    with Predictor(score_threshold=0.2) as bundled:
        yield bundled

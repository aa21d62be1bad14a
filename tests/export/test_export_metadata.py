from __future__ import annotations

import onnx
import pytest

from dwpose_infer.errors import ModelFormatError
from dwpose_infer.export.metadata import PREFIX, ModelFacts, read_facts, write_facts

FACTS = ModelFacts(
    kind="pose",
    form="deploy",
    name="dwpose-t-256x192",
    input_size_wh=(192, 256),
    precision="fp16-stored",
    source_sha256="0" * 64,
    opset=17,
)


def metadata(model):
    return {entry.key: entry.value for entry in model.metadata_props}


def test_facts_survive_a_file():
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, {"author": "somebody", PREFIX + "form": "official"})
    write_facts(model, FACTS)
    assert read_facts(metadata(model)) == FACTS
    assert metadata(model)["author"] == "somebody"


def test_foreign_models_have_none():
    assert read_facts({"author": "somebody"}) is None


@pytest.mark.parametrize(
    "change", [{"kind": "cat"}, {"input_size": "wide"}, {"opset": "x"}, {"form": "raw"}]
)
def test_damaged_facts(change):
    model = onnx.ModelProto()
    write_facts(model, FACTS)
    damaged = metadata(model) | {PREFIX + key: value for key, value in change.items()}
    with pytest.raises(ModelFormatError, match="damaged"):
        read_facts(damaged)

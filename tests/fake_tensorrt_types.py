"""Enums and plain classes of the fake TensorRT."""

from __future__ import annotations

from fake_tensorrt_recording import Recorded, RecordedEnum


class Severity(RecordedEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class DataType(RecordedEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8
    INT4 = 9


def creation_flags(version: str):
    """`NetworkDefinitionCreationFlag`, which TensorRT 11 numbers otherwise than 10."""
    members = {"STRONGLY_TYPED": 0} if version.startswith("11.") else {"STRONGLY_TYPED": 1}
    return RecordedEnum("NetworkDefinitionCreationFlag", members, module=__name__)


class BuilderFlag(RecordedEnum):
    DEBUG = 2
    REFIT = 4
    TF32 = 7


class MemoryPoolType(RecordedEnum):
    WORKSPACE = 0
    TACTIC_DRAM = 4


class ILogger(Recorded):
    Severity = Severity
    INTERNAL_ERROR = Severity.INTERNAL_ERROR
    ERROR = Severity.ERROR
    WARNING = Severity.WARNING
    INFO = Severity.INFO
    VERBOSE = Severity.VERBOSE

    def __init__(self):
        self._made = True

    def log(self, severity, msg):
        raise NotImplementedError("a logger has to say what it does with messages")


class IProgressMonitor(Recorded):
    def __init__(self):
        self._made = True

    def phase_start(self, phase_name, parent_phase, num_steps):
        raise NotImplementedError

    def step_complete(self, phase_name, step):
        raise NotImplementedError

    def phase_finish(self, phase_name):
        raise NotImplementedError


class Dims(Recorded):
    """A sequence, but no tuple."""

    def __init__(self, sizes):
        self._sizes = tuple(int(size) for size in sizes)

    def __len__(self):
        return len(self._sizes)

    def __getitem__(self, index):
        return self._sizes[index]

    def __eq__(self, other):
        return self._sizes == tuple(other)

    __hash__ = None


class ITensor(Recorded):
    def __init__(self, name, shape):
        self._name, self._shape = name, Dims(shape)

    @property
    def name(self):
        return self._name

    @property
    def shape(self):
        return self._shape


class INetworkDefinition(Recorded):
    def __init__(self, flags):
        self._flags = flags
        self._inputs: list[ITensor] = []
        self._model = None

    @property
    def num_inputs(self):
        return len(self._inputs)

    def get_input(self, index):
        return self._inputs[index]

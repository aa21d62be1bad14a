"""What the package uses of TensorRT, written down while it runs on the fake."""

from __future__ import annotations

import enum
import functools
import inspect
import sys
import types
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Use:
    """One thing used.

    `kind` is "module" (a name of the module), "member" (of an enum), "call" (of a method; `owner`
    is the class), "get" or "set" (an attribute), or "override" (a method that a subclass of the
    package defines and TensorRT calls, with so many arguments).
    """

    owner: str
    name: str
    kind: str
    positional: int = 0
    keywords: tuple[str, ...] = ()


USES: set[Use] = set()


def _is_fake(cls: type) -> bool:
    return cls.__module__.startswith("fake_tensorrt")


def _owner(cls: type) -> str:
    """Name of the fake class that a class is or derives from."""
    return next(base.__name__ for base in cls.__mro__ if _is_fake(base))


class RecordingEnumMeta(enum.EnumMeta):
    def __getattribute__(cls, name):
        value = super().__getattribute__(name)
        if not name.startswith("_") and isinstance(value, enum.Enum):
            USES.add(Use(cls.__name__, name, "member"))
        return value


class RecordedEnum(enum.IntEnum, metaclass=RecordingEnumMeta):
    """An enum of the fake."""


class RecordingType(type):
    def __getattribute__(cls, name):
        value = super().__getattribute__(name)
        if not name.startswith("_") and isinstance(value, enum.Enum):
            USES.add(Use(_owner(cls), name, "member"))
        return value


class Recorded(metaclass=RecordingType):
    """Base of the fake's classes. Inside the fake, only names with an underscore are used."""

    def __init_subclass__(cls, **arguments):
        super().__init_subclass__(**arguments)
        functions = {
            name: value
            for name, value in vars(cls).items()
            if isinstance(value, types.FunctionType)
        }
        for name, function in functions.items():
            if name.startswith("_") and name != "__init__":
                continue
            if _is_fake(cls):
                setattr(cls, name, _recorded(cls.__name__, name, function))
            elif name != "__init__":
                count = len(inspect.signature(function).parameters) - 1
                USES.add(Use(_owner(cls), name, "override", count))

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if not name.startswith("_") and not isinstance(value, types.MethodType):
            USES.add(Use(_owner(type(self)), name, "get"))
        return value

    def __setattr__(self, name, value):
        if not name.startswith("_"):
            USES.add(Use(_owner(type(self)), name, "set"))
        super().__setattr__(name, value)


def _recorded(owner, name, function):
    @functools.wraps(function)
    def call(self, *positional, **keywords):
        # What the fake makes for itself is nobody's use.
        if not sys._getframe(1).f_globals["__name__"].startswith("fake_tensorrt"):
            USES.add(Use(owner, name, "call", len(positional), tuple(sorted(keywords))))
        return function(self, *positional, **keywords)

    return call


class RecordedModule(types.ModuleType):
    """The fake as a module."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if not name.startswith("_") or name == "__version__":
            USES.add(Use("", name, "module"))
        return value

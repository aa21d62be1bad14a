"""Things that hold memory until they are closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class ClosesOnExit(ABC):
    """Something to be used in a `with` statement, which closes it."""

    @abstractmethod
    def close(self) -> None:
        """Frees what is held; may be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

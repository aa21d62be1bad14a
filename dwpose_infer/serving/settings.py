"""What a service is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ..errors import InvalidArgumentError
from ..picture_url import UrlAccess

MAX_BODY_BYTES = 64 * 2**20
"""A photo of a large camera is 10 to 30 MB as JPEG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """What a request may cost.

    Attributes:
        max_body_bytes: Size of a request's body.
        max_pixels: Pixels of a picture, before it is decoded.
        max_pictures: Pictures of one request.
        max_waiting: Pictures of all requests that may wait for the networks.
        max_tiles: Tiles in which a picture may be searched.
        timeout_s: Seconds after which a request is given up.
    """

    max_body_bytes: int = MAX_BODY_BYTES
    max_pixels: int = 50_000_000
    max_pictures: int = 32
    max_waiting: int = 64
    max_tiles: int = 128
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)}, must be above 0")

    @property
    def too_large(self) -> str:
        """What is said of a body that is."""
        return f"the body exceeds {self.max_body_bytes:,} bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """A service, besides its networks.

    Attributes:
        limits: What a request may cost.
        token: Bearer token that requests have to carry; None for none.
        delay_ms: Longest time a picture waits for others to share its batch.
        web: Folder of the browser page, served at "/"; None for none.
        urls: Where URLs of pictures, and their redirects, may lead; None if none are fetched.
    """

    limits: ServiceLimits = ServiceLimits()
    token: str | None = None
    delay_ms: float = 3.0
    web: Path | None = None
    urls: UrlAccess | None = None

    def __post_init__(self) -> None:
        if self.delay_ms < 0:
            raise InvalidArgumentError(f"delay_ms is {self.delay_ms}, must not be below 0")

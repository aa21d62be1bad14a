"""One address over the network: what arrives in full, and no more of it than expected."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import DownloadError
from ..files.atomic import CHUNK_BYTES
from .model_file import MAX_FILE_BYTES


def fetch(
    url: str, path: Path, known_bytes: int | None, progress: bool, timeout_s: tuple[float, float]
) -> None:
    """Fetch what one address delivers; whether it is the right file is for others to say.

    Args:
        url: Address to fetch from.
        path: Where to put what arrives.
        known_bytes: Size of the file, or None where unknown; a larger one is not read to its end.
        progress: Draw a progress bar on standard error.
        timeout_s: Seconds allowed to connect, and between two pieces of the answer.

    Raises:
        DownloadError: The address does not deliver a file, or not all of it, or too much.
    """
    import pooch
    import requests

    with contextlib.ExitStack() as stack:

        def close_at_the_end(response: requests.Response, **_: Any) -> None:
            stack.callback(response.close)  # pooch leaves it open when the download fails

        meter = _Meter(url.rsplit("/", 1)[-1], known_bytes or MAX_FILE_BYTES, visible=progress)
        stack.callback(meter.close)
        downloader = pooch.HTTPDownloader(
            progressbar=meter,
            chunk_size=CHUNK_BYTES,
            timeout=timeout_s,
            # Compressed on the way, a file has another size than the server announces.
            headers={"User-Agent": f"dwpose-infer/{__version__}", "Accept-Encoding": "identity"},
            hooks={"response": close_at_the_end},
        )
        try:
            downloader(url, str(path), None)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "error"
            raise DownloadError(f"HTTP {status}") from error
        except requests.RequestException as error:
            raise DownloadError(f"the connection failed or broke off ({error})") from error
    size_bytes = path.stat().st_size
    if size_bytes < meter.total:
        raise DownloadError(f"broke off after {size_bytes} of {meter.total} bytes")


class _Meter:
    """The progress bar as pooch drives it; it also ends a download that becomes too large.

    Attributes:
        total: Size in bytes that the server announced, 0 if it did not.
    """

    def __init__(self, name: str, limit_bytes: int, *, visible: bool) -> None:
        self._limit_bytes = limit_bytes + CHUNK_BYTES  # pooch counts whole chunks
        self._received_bytes = 0
        self._total = 0
        self._bar: Any = None
        if visible:
            from tqdm import tqdm

            self._bar = tqdm(desc=name, unit="B", unit_scale=True, leave=True)

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, size_bytes: int) -> None:
        self._total = size_bytes
        if self._bar is not None:
            self._bar.total = size_bytes or None

    def update(self, size_bytes: int) -> None:
        self._received_bytes += size_bytes
        if self._received_bytes > self._limit_bytes:
            raise DownloadError(f"larger than the {self._limit_bytes - CHUNK_BYTES} bytes expected")
        if self._bar is not None:
            self._bar.update(size_bytes)

    def reset(self) -> None:
        self._received_bytes = 0
        if self._bar is not None:
            self._bar.reset()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

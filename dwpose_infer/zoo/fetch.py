"""One address over the network: what arrives in full, and no more of it than expected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._version import __version__
from ..errors import DownloadError
from .model_file import MAX_FILE_BYTES

if TYPE_CHECKING:
    import requests

PIECE_BYTES = 1 << 16
"""What is waited for before the progress bar moves: a tenth of a second at 5 Mbit/s."""


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
    import requests

    # Compressed on the way, a file has another size than the server announces.
    headers = {"User-Agent": f"dwpose-infer/{__version__}", "Accept-Encoding": "identity"}
    try:
        with requests.get(url, headers=headers, timeout=timeout_s, stream=True) as response:
            response.raise_for_status()
            _save(response, url.rsplit("/", 1)[-1], path, known_bytes or MAX_FILE_BYTES, progress)
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "error"
        raise DownloadError(f"HTTP {status}") from error
    except requests.RequestException as error:
        raise DownloadError(f"the connection failed or broke off ({error})") from error


def _save(
    response: requests.Response, name: str, path: Path, limit_bytes: int, progress: bool
) -> None:
    from tqdm import tqdm

    announced = response.headers.get("Content-Length", "")
    total_bytes = int(announced) if announced.isdecimal() else 0
    received_bytes = 0
    with (
        path.open("wb") as file,
        tqdm(
            desc=name, total=total_bytes or None, unit="B", unit_scale=True, disable=not progress
        ) as bar,
    ):
        for piece in response.iter_content(PIECE_BYTES):
            received_bytes += len(piece)
            if received_bytes > limit_bytes:
                raise DownloadError(f"larger than the {limit_bytes} bytes expected")
            file.write(piece)
            bar.update(len(piece))
    if received_bytes < total_bytes:
        raise DownloadError(f"broke off after {received_bytes} of {total_bytes} bytes")

"""Downloads that end with the right file in its place, or with nothing at all.

A file is fetched under a temporary name in the folder of its destination, checked, and only
then renamed to it, so an interrupted download leaves nothing that could be taken for a model,
and processes that download the same model at the same time do not disturb each other.

What arrives is taken in full and no more of it than expected; a zip is not trusted, and the one
file wanted is read out of it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from .._version import __version__
from ..errors import DownloadError, HashMismatchError, OutputError, why_no_answer
from ..files.atomic import CHUNK_BYTES, part_file, publish, remove_stale_parts, sha256_of
from .lock import FileRecord, lock_path, read_lock, write_lock
from .model_file import MAX_FILE_BYTES, impostor

if TYPE_CHECKING:
    import requests


logger = logging.getLogger(__name__)

TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two pieces of the answer

# An ONNX file starts with the tag of its first field, `ir_version`: field 1, a varint.
_ONNX_FIRST_BYTE: Final = b"\x08"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file can be had and what is known about it.

    Attributes:
        urls: Addresses of the same bytes, tried in this order.
        archive_member: Where the URLs lead to a zip: pattern of the one file wanted from it.
        size_bytes: Size of the file (not of the zip), or None where unknown.
        sha256: SHA-256 of the file (not of the zip) in lower-case hex, or None where unknown.
    """

    urls: tuple[str, ...]
    archive_member: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None


def download(
    source: Source,
    destination: Path,
    *,
    progress: bool = False,
    timeout_s: tuple[float, float] = TIMEOUT_S,
) -> FileRecord:
    """Fetch a file from the first address that delivers the right one.

    Args:
        source: Addresses, and size and hash where known.
        destination: Path of the finished file; an existing one is replaced at the very end.
        progress: Draw a progress bar on standard error.
        timeout_s: Seconds allowed to connect, and between two pieces of the answer.

    Returns:
        Size and hashes of the file, which the lock file beside it holds too.

    Raises:
        HashMismatchError: At least one address delivered a file other than the expected one,
            and none the right one.
        DownloadError: No address delivered the file, or it cannot be written.
    """
    failures: list[tuple[str, DownloadError]] = []
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        remove_stale_parts(destination.parent)
        locked = None if source.sha256 else read_lock(destination)
        for url in source.urls:
            try:
                return _download_from(
                    url, source, destination, locked, progress=progress, timeout_s=timeout_s
                )
            except DownloadError as error:
                logger.info("%s: %s", url, error)
                failures.append((url, error))
    except (OSError, OutputError) as error:
        raise DownloadError(
            f"cannot write to {destination.parent} ({error}); free space or rights are missing: "
            f"name another folder in the environment variable DWPOSE_HOME"
        ) from error
    raise _all_failed(destination, failures)


def _download_from(
    url: str,
    source: Source,
    destination: Path,
    locked: FileRecord | None,
    *,
    progress: bool,
    timeout_s: tuple[float, float],
) -> FileRecord:
    with contextlib.ExitStack() as parts:
        part = fetched = parts.enter_context(part_file(destination))
        # A zip may be larger or smaller than the file inside: its size is not known.
        known_bytes = None if source.archive_member else source.size_bytes
        fetch(url, fetched, known_bytes, progress, timeout_s)
        record = FileRecord(url, fetched.stat().st_size, sha256_of(fetched))
        if source.archive_member is not None:
            part = parts.enter_context(part_file(destination))
            size_bytes, sha256 = extract_member(fetched, source.archive_member, part)
            record = FileRecord(url, size_bytes, sha256, record.size_bytes, record.sha256)
        _check(part, record, source, locked, destination)
        write_lock(destination, record)
        publish(part, destination, record.sha256)
    if source.sha256 is None and locked is None:
        logger.warning(
            "%s has no published hash: trusted on this first download and recorded in %s "
            "(%d bytes, SHA-256 %s)",
            *(destination.name, lock_path(destination), record.size_bytes, record.sha256),
        )
    else:
        logger.info("downloaded %s from %s", destination, url)
    return record


def _check(
    part: Path, record: FileRecord, source: Source, locked: FileRecord | None, destination: Path
) -> None:
    if source.size_bytes not in (None, record.size_bytes):
        raise HashMismatchError(
            f"{record.size_bytes} bytes instead of {source.size_bytes}{impostor(part)}"
        )
    if source.sha256 is not None:
        # The hash of the model decides; that of the zip around it may change.
        if record.sha256 != source.sha256:
            raise HashMismatchError(
                f"SHA-256 {record.sha256} instead of {source.sha256}{impostor(part)}"
            )
        return
    with part.open("rb") as file:
        first_byte = file.read(1)
    if first_byte != _ONNX_FIRST_BYTE:
        raise DownloadError(f"not an ONNX file{impostor(part)}")
    if locked is not None and replace(record, url=locked.url) != locked:
        raise HashMismatchError(
            f"SHA-256 {record.sha256} instead of {locked.sha256} as first downloaded; if the "
            f"publisher is known to have replaced the file, delete {lock_path(destination)}"
        )


def _all_failed(destination: Path, failures: Sequence[tuple[str, DownloadError]]) -> DownloadError:
    reasons = "; ".join(f"{url}: {error}" for url, error in failures) or "it has no address"
    mismatch = any(isinstance(error, HashMismatchError) for _, error in failures)
    kind = HashMismatchError if mismatch else DownloadError
    error = kind(
        f"could not download {destination.name} ({reasons}); try again later, check the network "
        f"and the proxy (HTTPS_PROXY), or save the model yourself as {destination}"
    )
    error.__cause__ = failures[-1][1] if failures else None
    return error


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
        raise DownloadError(
            f"the connection failed or broke off ({why_no_answer(error)})"
        ) from error


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


def extract_member(archive: Path, pattern: str, target: Path) -> tuple[int, str]:
    """Copy one member out of a zip to `target`; its own name in the zip decides nothing.

    Args:
        archive: The zip.
        pattern: Pattern of the member's name, which exactly one file in the zip must fit.
        target: File to write.

    Returns:
        Size in bytes and SHA-256 of the member.

    Raises:
        DownloadError: It is no zip, or damaged, or does not hold one such file of a fair size.
    """
    if not zipfile.is_zipfile(archive):
        raise DownloadError(f"not a complete zip file{impostor(archive)}")
    try:
        with zipfile.ZipFile(archive) as bundle:
            member = _find_member(bundle, pattern)
            with bundle.open(member) as file, target.open("wb") as sink:
                return _copy_hashed(file, sink)
    # zipfile raises RuntimeError for members that claim to be encrypted, and NotImplementedError
    # for unknown compression: what damaged bytes can look like.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DownloadError(f"the zip file is damaged ({error}): download it again") from error


def _find_member(bundle: zipfile.ZipFile, pattern: str) -> zipfile.ZipInfo:
    files = [info for info in bundle.infolist() if not info.is_dir()]
    fitting = [info for info in files if fnmatch.fnmatchcase(info.filename, pattern)]
    if len(fitting) != 1:
        names = ", ".join(sorted(info.filename for info in files)[:5]) or "nothing"
        raise DownloadError(f"{len(fitting)} files of the zip fit {pattern!r}; it holds {names}")
    if fitting[0].file_size > MAX_FILE_BYTES:
        raise DownloadError(f"the zip unpacks to {fitting[0].file_size} bytes, more than any model")
    return fitting[0]


def _copy_hashed(file: IO[bytes], sink: IO[bytes]) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := file.read(CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > MAX_FILE_BYTES:  # the size written in the zip need not be true
            raise DownloadError(f"the zip unpacks to more than {MAX_FILE_BYTES} bytes")
        digest.update(chunk)
        sink.write(chunk)
    return size_bytes, digest.hexdigest()

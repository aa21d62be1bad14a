"""Downloads that end with the right file in its place, or with nothing at all.

A file is fetched under a temporary name in the folder of its destination, checked, and only
then renamed to it, so an interrupted download leaves nothing that could be taken for a model,
and processes that download the same model at the same time do not disturb each other.

Beside each model stands a small lock file with the size and SHA-256 of what was downloaded.
Where the publisher gives no hash, the first download fixes it: a later one must match.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import logging
import os
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from ._version import __version__
from .errors import DownloadError, HashMismatchError

logger = logging.getLogger(__name__)

CHUNK_BYTES: Final = 1 << 20
MAX_FILE_BYTES: Final = 2 << 30  # the largest model is 0.4 GB: more is a mistake or an attack
TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two pieces of the answer
STALE_AFTER_S: Final = 24 * 3600.0
LOCK_SCHEMA_VERSION: Final = 1

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


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was downloaded, as the lock file keeps it.

    Attributes:
        url: Address the file came from.
        size_bytes: Size of the file.
        sha256: SHA-256 of the file in lower-case hex.
        archive_size_bytes: Size of the zip it was taken from, or None.
        archive_sha256: SHA-256 of that zip, or None.
    """

    url: str
    size_bytes: int
    sha256: str
    archive_size_bytes: int | None = None
    archive_sha256: str | None = None


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
        _remove_stale_parts(destination.parent)
        locked = None if source.sha256 else read_lock(destination)
        for url in source.urls:
            try:
                return _download_from(
                    url, source, destination, locked, progress=progress, timeout_s=timeout_s
                )
            except DownloadError as error:
                logger.info("%s: %s", url, error)
                failures.append((url, error))
    except OSError as error:
        raise DownloadError(
            f"cannot write to {destination.parent} ({error}); free space or rights are missing: "
            f"name another folder in the environment variable DWPOSE_HOME"
        ) from error
    raise _all_failed(destination, failures)


def lock_path(destination: Path) -> Path:
    """Path of the lock file that belongs to a downloaded file."""
    return destination.with_name(destination.name + ".lock.json")


def read_lock(destination: Path) -> FileRecord | None:
    """Read what is recorded about a downloaded file.

    Args:
        destination: Path of the downloaded file; it need not exist any more.

    Returns:
        The record, or None if the file was never downloaded to there.

    Raises:
        DownloadError: The lock file is unreadable, damaged or of another version.
    """
    path = lock_path(destination)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DownloadError(f"{path} cannot be read ({error})") from error
    try:
        entry = json.loads(text)
        if entry.pop("schema_version") != LOCK_SCHEMA_VERSION:
            raise DownloadError(f"{path} was written by another version of dwpose-infer: delete it")
        return FileRecord(**entry)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DownloadError(f"{path} is damaged ({error!r}): delete it") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _download_from(
    url: str,
    source: Source,
    destination: Path,
    locked: FileRecord | None,
    *,
    progress: bool,
    timeout_s: tuple[float, float],
) -> FileRecord:
    with _part_file(destination) as fetched, _part_file(destination) as extracted:
        # A zip may be larger or smaller than the file inside: its size is not known.
        known_bytes = None if source.archive_member else source.size_bytes
        _fetch(url, fetched, known_bytes, progress, timeout_s)
        if source.archive_member is None:
            part, record = fetched, FileRecord(url, fetched.stat().st_size, sha256_of(fetched))
        else:
            size_bytes, sha256 = _extract(fetched, source.archive_member, extracted)
            archive_size_bytes, archive_sha256 = fetched.stat().st_size, sha256_of(fetched)
            part = extracted
            record = FileRecord(url, size_bytes, sha256, archive_size_bytes, archive_sha256)
        _check(part, record, source, locked, destination)
        _write_lock(destination, record)
        _publish(part, destination, record)
    if source.sha256 is None and locked is None:
        logger.warning(
            "%s has no published hash: trusted on this first download and recorded in %s "
            "(%d bytes, SHA-256 %s)",
            *(destination.name, lock_path(destination), record.size_bytes, record.sha256),
        )
    else:
        logger.info("downloaded %s from %s", destination, url)
    return record


@contextlib.contextmanager
def _part_file(destination: Path) -> Iterator[Path]:
    """A name beside the destination that nobody else uses; whatever is left there is deleted."""
    path = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}.part")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _remove_stale_parts(folder: Path) -> None:
    """Delete what killed processes left; a download under way is written to all the time."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):  # another process may have deleted it first
            if time.time() - path.stat().st_mtime > STALE_AFTER_S:
                path.unlink()


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


def _fetch(
    url: str, path: Path, known_bytes: int | None, progress: bool, timeout_s: tuple[float, float]
) -> None:
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


def _extract(archive: Path, pattern: str, target: Path) -> tuple[int, str]:
    """Copy one member out of a zip to `target`; its own name in the zip decides nothing.

    Returns:
        Size in bytes and SHA-256 of the member.
    """
    if not zipfile.is_zipfile(archive):
        raise DownloadError(f"not a complete zip file{_impostor(archive)}")
    try:
        with zipfile.ZipFile(archive) as bundle:
            member = _find_member(bundle, pattern)
            with bundle.open(member) as file, target.open("xb") as sink:
                return _copy_hashed(file, sink)
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


def _check(
    part: Path, record: FileRecord, source: Source, locked: FileRecord | None, destination: Path
) -> None:
    if source.size_bytes not in (None, record.size_bytes):
        raise HashMismatchError(
            f"{record.size_bytes} bytes instead of {source.size_bytes}{_impostor(part)}"
        )
    if source.sha256 is not None:
        # The hash of the model decides; that of the zip around it may change.
        if record.sha256 != source.sha256:
            raise HashMismatchError(
                f"SHA-256 {record.sha256} instead of {source.sha256}{_impostor(part)}"
            )
        return
    with part.open("rb") as file:
        first_byte = file.read(1)
    if first_byte != _ONNX_FIRST_BYTE:
        raise DownloadError(f"not an ONNX file{_impostor(part)}")
    if locked is not None and replace(record, url=locked.url) != locked:
        raise HashMismatchError(
            f"SHA-256 {record.sha256} instead of {locked.sha256} as first downloaded; if the "
            f"publisher is known to have replaced the file, delete {lock_path(destination)}"
        )


def _impostor(path: Path) -> str:
    """Words for what often comes in the place of a model, or nothing."""
    with path.open("rb") as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<"):
        return " but a web page (does this network ask to log in?)"
    if head.startswith(b"version https://git-lfs"):
        return " but a Git LFS pointer"
    return ""


def _publish(part: Path, destination: Path, record: FileRecord) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        part.replace(destination)
    except PermissionError:
        # Windows does not replace a file in use: fine if another process put the same one there.
        if not destination.is_file() or sha256_of(destination) != record.sha256:
            raise


def _write_lock(destination: Path, record: FileRecord) -> None:
    with _part_file(lock_path(destination)) as part:
        entry = {"schema_version": LOCK_SCHEMA_VERSION, **asdict(record)}
        part.write_text(json.dumps(entry, indent=2) + "\n", encoding="utf-8")
        part.replace(lock_path(destination))


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

"""The one file wanted out of a zip that comes from elsewhere and is not to be trusted."""

from __future__ import annotations

import fnmatch
import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import IO

from ..errors import DownloadError
from ..files.atomic import CHUNK_BYTES
from .model_file import MAX_FILE_BYTES, impostor


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

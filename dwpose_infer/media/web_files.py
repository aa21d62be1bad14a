"""Videos over http and https for PyAV, every address asked by us: redirects and playlists too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ..closing import ClosesOnExit
from ..errors import InputError, why_no_answer
from ..picture_url import UrlAccess, is_url, open_url, without_password

HLS_TYPES: Final = frozenset(
    {"application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl"}
)
"""Media types of HLS playlists (RFC 8216, section 4, and the older ones in use)."""

LEADING_ON: Final = frozenset(
    {"applehttp", "concat", "concatf", "dash", "ffconcat", "hls", "imf", "rtsp", "sdp"}
)
"""Formats of FFmpeg whose files name other addresses."""

HLS_OPTIONS: Final = {"http_persistent": "0", "http_multiple": "0"}
"""The demuxer would reuse connections of its own, and these are not."""


class WebFile(ClosesOnExit):
    """The answer to one URL, as a file open for reading.

    Attributes:
        url: Where redirects led to.
        media_type: What the server calls its kind.
    """

    def __init__(
        self, files: WebFiles, url: str, *, first: int = 0, end: int | None = None
    ) -> None:
        """Asks for it.

        Args:
            files: Knows the rules.
            url: An http or https URL.
            first: First byte wanted.
            end: Byte before which to stop; None for the end of the file.

        Raises:
            InputError: It leads where it may not.
            requests.RequestException: There is no answer, or none that is good.
        """
        self._files, self._end, self._position = files, end, first
        self._given_url = url
        self._response: Any | None = None
        answer = self._ask()
        self.url: str = answer.url
        self.media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        whole = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("content-range", ""))
        self._size = int(whole[1]) if whole and answer.status_code == 206 else None
        # A server that sends the whole file only: what comes before is passed over.
        while self._size is None and first and (block := answer.raw.read(min(first, 2**16))):
            first -= len(block)

    def _ask(self) -> Any:
        last = "" if self._end is None else self._end - 1
        self._response = self._files.ask(self._given_url, f"bytes={self._position}-{last}")
        return self._response

    def read(self, size: int) -> bytes:
        """Returns what is there, `size` bytes at most; nothing at the end, or where it fails."""
        import requests
        import urllib3

        if self._size is not None and self._position >= self._size:
            return b""
        if self._end is not None:
            size = min(size, self._end - self._position)
        try:
            answer = self._response
            if answer is None:
                answer = self._ask()
                if answer.status_code != 206:
                    raise InputError("its server does not send parts of it any more")
            block: bytes = answer.raw.read1(size) if size > 0 else b""
        except (
            *(requests.RequestException, urllib3.exceptions.HTTPError),
            *(OSError, ValueError, InputError),
        ) as error:
            self._files.note(self, error)
            return b""
        self._position += len(block)
        return block

    def seekable(self) -> bool:
        """Tells whether the server sends parts of it."""
        return self._size is not None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a byte; the server is asked for it when it is read."""
        origin = {0: 0, 1: self._position, 2: self._size or 0}[whence]
        if origin + offset != self._position:
            self.close()
            self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Returns the number of the byte that is read next."""
        return self._position

    def close(self) -> None:
        """Hangs up; may be called again."""
        if self._response is not None:
            self._response.close()
            self._response = None


class WebFiles(ClosesOnExit):
    """A video behind a URL, and all that its playlists name.

    Nothing is raised into FFmpeg, which would ask for the next piece of a playlist instead of
    stopping: files that fail are empty, and `problem` says why.

    Attributes:
        main: The file behind the URL itself.
        problem: What ended it: that it leads where it may not, or that the main file broke off.
    """

    def __init__(self, url: str, *, urls: UrlAccess, timeout_s: float) -> None:
        """Asks for the main file.

        Args:
            url: An http or https URL.
            urls: Where it may lead.
            timeout_s: Longest wait for the connection and for each piece.

        Raises:
            InputError: It cannot be read; without the URL.
        """
        import requests

        self._urls, self._timeout_s, self._origin = urls, timeout_s, url
        self._session = requests.Session()
        self._authorization = _digest(url)
        self.problem: InputError | None = None
        try:
            self.main = WebFile(self, url)
        except (requests.RequestException, OSError, ValueError) as error:
            self._session.close()
            raise InputError(self._reason(error)) from error
        except InputError:
            self._session.close()
            raise

    @property
    def container_format(self) -> str | None:
        """Format that FFmpeg cannot tell by itself from a URL without an ending."""
        return "hls" if self.main.media_type in HLS_TYPES else None

    def ask(self, url: str, byte_range: str) -> Any:
        """Returns the answer of a URL; raises as `open_url` does."""
        import requests

        headers = {"Range": byte_range, "Accept-Encoding": "identity"}
        rule: dict[str, Any] = {"urls": self._urls, "timeout_s": self._timeout_s}
        try:
            return open_url(self._session, url, "it", headers=headers, **rule)
        except requests.HTTPError as error:
            wants = error.response.headers.get("www-authenticate", "").lower()
            same = urlsplit(url).netloc == urlsplit(self._origin).netloc
            if self._authorization is None or not same or not wants.startswith("digest"):
                raise
        self._session.auth, self._authorization = self._authorization, None
        return open_url(self._session, url, "it", headers=headers, **rule)

    def open(self, url: str, _flags: int, options: Mapping[str, str]) -> WebFile | _Nothing:
        """Opens what FFmpeg asks for: `io_open` of PyAV."""
        import requests

        if url == self.main.url and self.main.tell() == 0:
            return self.main
        try:
            self._check_entry(url)
            first, end = int(options.get("offset", 0)), int(options.get("end_offset", 0))
            return WebFile(self, url, first=first, end=end or None)
        except InputError as error:
            self.problem = self.problem or error
        except (requests.RequestException, OSError, ValueError):
            pass  # one piece of a stream; FFmpeg goes on with the next
        return _Nothing()

    def _check_entry(self, url: str) -> None:
        if self.problem is not None:
            raise self.problem
        name = f"its playlist names {without_password(url)}, which"
        if url.startswith("crypto"):
            raise InputError(
                "its playlist is encrypted, which is read only where private URLs are allowed "
                "and no hosts are listed"
            )
        self._urls.check_step(self.main.url, url, name)

    def note(self, file: WebFile, error: Exception) -> None:
        """Notes that a file broke off."""
        if isinstance(error, InputError):
            self.problem = self.problem or error
        elif file is self.main:
            self.problem = self.problem or InputError(self._reason(error))

    def _reason(self, error: Exception) -> str:
        import requests
        import urllib3

        if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
            return f"nothing came within {self._timeout_s:g} s"
        if isinstance(error, requests.HTTPError):
            answer = error.response
            return f"it cannot be read: HTTP {answer.status_code} {answer.reason}"
        return f"it cannot be read: {why_no_answer(error)}"

    def close(self) -> None:
        """Hangs up; may be called again."""
        self.main.close()
        self._session.close()


def open_by_rule(
    av: Any, url: str, options: dict[str, str], *, timeout_s: float, urls: UrlAccess
) -> tuple[Any, WebFiles | None]:
    """Returns PyAV's container of a URL, and the files behind it where we ask for them.

    Args:
        av: PyAV.
        url: A URL of any kind that FFmpeg reads.
        options: Options of libavformat.
        timeout_s: Longest wait for the connection and for each piece.
        urls: Where it may lead.

    Raises:
        InputError: It leads where it may not; without the URL.
        av.error.FFmpegError: It cannot be opened.
    """
    timeout = (timeout_s, timeout_s)
    free = urls.allow_private and urls.hosts is None
    if free or url.lower().startswith(("rtsp", "rtp:")):
        return av.open(url, "r", options=options, timeout=timeout), None
    if not is_url(url):
        formats = ",".join(sorted(av.formats_available - LEADING_ON))
        options = {**options, "format_whitelist": formats}
        return av.open(url, "r", options=options, timeout=timeout), None
    files = WebFiles(url, urls=urls, timeout_s=timeout_s)
    try:
        container = av.open(
            *(files.main.url, "r", files.container_format),
            options={**options, **HLS_OPTIONS},
            timeout=timeout,
            io_open=files.open,
        )
    except av.error.FFmpegError as error:
        files.close()
        raise files.problem or error from error
    if files.problem is not None:
        container.close()
        files.close()
        raise files.problem
    return container, files


def resolved_url(url: str, name: str, *, urls: UrlAccess, timeout_s: float) -> str:
    """Returns where the redirects of a URL lead, for a library that asks by itself.

    Args:
        url: Any URL; what is not http or https has no redirects that can be seen.
        name: What errors call it.
        urls: Where it may lead.
        timeout_s: Longest wait for the connection and the first piece.

    Raises:
        InputError: It cannot be read, or is a playlist, whose entries nobody would check.
    """
    if not is_url(url) or (urls.allow_private and urls.hosts is None):
        return url
    try:
        with WebFiles(url, urls=urls, timeout_s=timeout_s) as files:
            begin = files.main.read(2**10).lstrip(b"\xef\xbb\xbf \r\n\t")
            if begin.startswith((b"#EXTM3U", b"<?xml", b"<MPD", b"ffconcat", b"v=0")):
                raise InputError(
                    'it is a playlist, which is read with PyAV only: pip install "dwpose-infer'
                    '[video]", or allow private URLs'
                )
            return files.main.url
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


class _Nothing:
    """A file without a byte."""

    def read(self, _size: int) -> bytes:
        return b""


def _digest(url: str) -> Any | None:
    """Answers a server that wants the password of a URL by digest, as many cameras do."""
    from requests.auth import HTTPDigestAuth
    from requests.utils import get_auth_from_url

    user, password = get_auth_from_url(url)
    return HTTPDigestAuth(user, password) if user else None

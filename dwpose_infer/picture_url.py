"""Pictures behind URLs: fetched within limits of size and time, and from where was asked."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from ._version import __version__
from .errors import InputError

if TYPE_CHECKING:
    import requests

MAX_URL_BYTES = 512 * 2**20
SILENCE_S = 20.0
"""Seconds allowed to connect, and between two pieces of the answer."""

DEADLINE_S = 300.0
"""Seconds for a whole picture, however many redirects and pieces it comes in."""

MAX_REDIRECTS = 10

MAX_URL_LENGTH = 65_536
"""Characters; servers take 8,192 or a little more (RFC 9110, section 4.1, asks for 8,000)."""

MAX_SHOWN = 1024
"""Characters of a name that are shown whole; a path of Linux has 4,096, few have more than 300."""

_PASSWORD = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#:@]*):[^/?#]*@")


def is_url(name: str) -> bool:
    """Tells whether a source's name is an http or https URL."""
    return name.lower().startswith(("http://", "https://"))


def without_password(url: str) -> str:
    """Returns a URL that may be shown: with *** in place of the password."""
    return _PASSWORD.sub(r"\1:***@", url)


def split_url(url: str) -> SplitResult:
    """Returns the parts of a URL.

    Raises:
        InputError: It is none.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InputError(f"{short(without_password(url))} is no URL: {error}") from error


def short(name: str) -> str:
    """Returns a source's name as errors may hold it: the beginning of a data URL, not all of it."""
    return name if len(name) <= MAX_SHOWN else f"{name[:80]}... ({len(name):,} characters)"


def fetch_picture(
    url: str, *, private_redirects: bool = False, deadline_s: float = DEADLINE_S
) -> bytes:
    """Fetches what a URL delivers, `MAX_URL_BYTES` at most.

    Args:
        url: An http or https URL.
        private_redirects: Follow redirects from the public internet to addresses that are not
            public, and from https to http. Off, a stranger's URL cannot make this machine ask
            servers that only it can reach.
        deadline_s: Seconds after which it is given up, 20 more where nothing arrives at all.

    Raises:
        InputError: There is nothing, too much, too slowly, or behind a redirect that is not
            followed.
    """
    import requests
    import urllib3

    name = without_password(url)
    if len(url) > MAX_URL_LENGTH:
        raise InputError(
            f"{short(name)} is longer than a URL may be, {MAX_URL_LENGTH:,} characters"
        )
    split_url(url)
    try:
        with requests.Session() as session:
            session.headers["User-Agent"] = f"dwpose-infer/{__version__}"
            return _fetch(session, url, name, private_redirects, time.monotonic() + deadline_s)
    except requests.HTTPError as error:
        response = error.response
        raise InputError(
            f"{name} cannot be read: HTTP {response.status_code} {response.reason}"
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise InputError(f"{name} cannot be read: {error}") from error
    except ValueError as error:
        raise InputError(f"this is no URL that can be read: {error}") from error


def _fetch(
    session: requests.Session, url: str, name: str, private_redirects: bool, deadline_s: float
) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        with session.get(url, timeout=SILENCE_S, stream=True, allow_redirects=False) as response:
            if not response.is_redirect:
                response.raise_for_status()
                return _body(response, name, deadline_s)
            target = urljoin(url, response.headers["location"])
        if not private_redirects:
            _check_redirect(url, target, name)
        url = target
    raise InputError(f"{name} cannot be read: more than {MAX_REDIRECTS} redirects")


def _body(response: requests.Response, name: str, deadline_s: float) -> bytes:
    data = bytearray()
    # read1 gives what is there: a server that sends a byte a second would fill no larger block
    # before the deadline.
    while block := response.raw.read1(2**16, decode_content=True):
        data += block
        if len(data) > MAX_URL_BYTES:
            raise InputError(f"{name} is larger than {MAX_URL_BYTES // 2**20} MiB")
        if time.monotonic() > deadline_s:
            raise InputError(
                f"{name} comes too slowly: {len(data):,} bytes so far, and the time is up"
            )
    announced = response.headers.get("content-length", "")
    if "content-encoding" not in response.headers and announced.isdigit():
        _check_whole(name, len(data), int(announced))
    return bytes(data)


def _check_whole(name: str, size_bytes: int, announced_bytes: int) -> None:
    if size_bytes < announced_bytes:
        raise InputError(f"{name} broke off after {size_bytes:,} of {announced_bytes:,} bytes")


def _check_redirect(url: str, target: str, name: str) -> None:
    origin, goal = urlsplit(url), urlsplit(target)
    if goal.scheme not in ("http", "https"):
        raise InputError(f"{name} leads to a {goal.scheme or 'strange'} address, not to http(s)")
    if origin.scheme == "https" and goal.scheme == "http":
        raise InputError(f"{name} leads from https to http, where anybody may change the picture")
    strange = _kinds(goal.hostname) - _kinds(origin.hostname) - {"public"}
    if strange:
        raise InputError(
            f"{name} leads to a {sorted(strange)[0]} address; give that URL itself if it is meant"
        )


def _kinds(host: str | None) -> set[str]:
    """The kinds of the addresses of a host; none where it has no address (behind a proxy)."""
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return set()
    return {_kind(str(entry[4][0])) for entry in found}


def _kind(address: str) -> str:
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback or ip.is_unspecified:
        return "loopback"
    if ip.is_link_local:
        return "link-local"
    return "public" if ip.is_global else "private"

"""What is behind URLs: within limits of size and time, and from where was asked."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from ._version import __version__
from .errors import InputError, InvalidArgumentError, why_no_answer

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


@dataclass(frozen=True, slots=True)
class UrlAccess:
    """Where URLs may lead.

    The URL that was given may name any machine, a camera at home among them. What a server's
    redirect or playlist names may not: a stranger's URL cannot make this machine ask servers that
    only it can reach.

    Attributes:
        hosts: Names of the hosts that are asked, in URLs, redirects and playlists alike;
            ".example.org" stands for all below example.org. None is for all.
        allow_private: Follow redirects and playlists from the public internet to addresses that
            are not public (loopback, link-local, private networks), and from https to http.
    """

    hosts: tuple[str, ...] | None = None
    allow_private: bool = False

    @classmethod
    def of(cls, hosts: Sequence[str] | None, *, allow_private: bool) -> UrlAccess:
        """Returns the rule of a list of hosts as users give it.

        Raises:
            InvalidArgumentError: An entry is no name of a host.
        """
        if isinstance(hosts, str):
            raise InvalidArgumentError(f"url_hosts is a list of names; give [{hosts!r}]")
        for host in hosts or ():
            if not host.strip(".") or re.search(r"[/@\s*]|://", host):
                raise InvalidArgumentError(
                    f"{host!r} is no name of a host; give the name alone, as in example.org, or "
                    ".example.org for all below it"
                )
        named = None if hosts is None else tuple(host.lower().strip("[]") for host in hosts)
        return cls(named, allow_private)

    def check_host(self, url: str, name: str) -> None:
        """Raises an `InputError` that begins with `name` unless the URL's host may be asked."""
        if self.hosts is None:
            return
        host = (split_url(url).hostname or "").lower()
        for known in self.hosts:
            if host == known or (known.startswith(".") and host.endswith(known)):
                return
        raise InputError(
            f"{name} leads to {host or 'no host'}, which is not among the hosts allowed: "
            f"{', '.join(self.hosts) or 'none'}"
        )

    def check_step(self, url: str, target: str, name: str) -> None:
        """Raises an `InputError` that begins with `name` unless `target` may follow on `url`."""
        if not self.allow_private:
            _check_step(url, target, name)
        self.check_host(target, name)


DEFAULT_ACCESS = UrlAccess()


def fetch_picture(
    url: str,
    *,
    urls: UrlAccess = DEFAULT_ACCESS,
    deadline_s: float = DEADLINE_S,
    max_bytes: int = MAX_URL_BYTES,
) -> bytes:
    """Fetches what a URL delivers.

    Args:
        url: An http or https URL.
        urls: Where it, and its redirects, may lead.
        deadline_s: Seconds after which it is given up, 20 more where nothing arrives at all.
        max_bytes: More than this is refused.

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
            ends_s = time.monotonic() + deadline_s
            with open_url(session, url, name, urls=urls) as response:
                return _body(response, name, ends_s, max_bytes)
    except requests.HTTPError as error:
        response = error.response
        raise InputError(
            f"{name} cannot be read: HTTP {response.status_code} {response.reason}"
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise InputError(f"{name} cannot be read: {why_no_answer(error)}") from error
    except ValueError as error:
        raise InputError(f"this is no URL that can be read: {error}") from error


def open_url(
    session: requests.Session,
    url: str,
    name: str,
    *,
    urls: UrlAccess,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = SILENCE_S,
) -> requests.Response:
    """Returns the answer of a URL, or of the one its redirects lead to, its body not yet read.

    Args:
        session: Asks.
        url: An http or https URL.
        name: What errors call it.
        urls: Where it, and its redirects, may lead.
        headers: Further headers.
        timeout_s: Seconds allowed to connect, and between two pieces of the answer.

    Raises:
        InputError: It leads where it may not.
        requests.RequestException: There is no answer, or none that is good.
    """
    urls.check_host(url, name)
    session.headers["User-Agent"] = f"dwpose-infer/{__version__}"
    for _ in range(MAX_REDIRECTS + 1):
        response = session.get(
            url, headers=headers, timeout=timeout_s, stream=True, allow_redirects=False
        )
        if not response.is_redirect:
            if not response.ok:
                response.close()
                response.raise_for_status()
            return response
        target = urljoin(url, response.headers["location"])
        response.close()
        urls.check_step(url, target, name)
        url = target
    raise InputError(f"{name} cannot be read: more than {MAX_REDIRECTS} redirects")


def _body(response: requests.Response, name: str, deadline_s: float, max_bytes: int) -> bytes:
    data = bytearray()
    # read1 gives what is there: a server that sends a byte a second would fill no larger block
    # before the deadline.
    while block := response.raw.read1(2**16, decode_content=True):
        data += block
        if len(data) > max_bytes:
            raise InputError(f"{name} is larger than {max_bytes / 2**20:g} MiB")
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


def _check_step(url: str, target: str, name: str) -> None:
    origin, goal = urlsplit(url), urlsplit(target)
    if goal.scheme not in ("http", "https"):
        raise InputError(f"{name} leads to a {goal.scheme or 'strange'} address, not to http(s)")
    if origin.scheme == "https" and goal.scheme == "http":
        raise InputError(f"{name} leads from https to http, where anybody may change what comes")
    strange = _kinds(goal.hostname) - _kinds(origin.hostname) - {"public"}
    if strange:
        raise InputError(
            f"{name} leads to a {sorted(strange)[0]} address; give that URL itself if it is meant, "
            "or allow private URLs"
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

"""The addresses under which a service is known: a request under any other name is refused.

A page elsewhere can make a browser ask a service on loopback, and by rebinding its own name even read the answer;
but it cannot choose the Host that the browser sends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from robustness.errors import SpecError

__all__ = ["LOOPBACK", "Sites"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORTS = {"http": 80, "https": 443}
_EVERYWHERE = ("0.0.0.0", "::", "")


class Sites:
    """Exact hosts, each with its scheme."""

    def __init__(self, schemes: dict[str, str]) -> None:
        """Of `host:port` (the port left out where the scheme implies it) to `http` or `https`."""
        self._schemes = schemes

    @classmethod
    def of(cls, host: str, port: int, *, tls: bool, public_urls: Sequence[str] = ()) -> Sites:
        """The names of a server that listens at an address.

        Args:
            host: that it listens on.
            port: that it listens on.
            tls: it speaks TLS itself.
            public_urls: as browsers know it, where a proxy stands before it.

        Raises:
            SpecError: it listens beyond this machine and nobody says under which name.
        """
        scheme = "https" if tls else "http"
        names = list(LOOPBACK) if host in (*LOOPBACK, *_EVERYWHERE) else [host]
        if host in _EVERYWHERE and not public_urls:
            raise SpecError.of("--public-url", f"is required with --host {host}: the name that browsers use")
        schemes = {_netloc(name, port, scheme): scheme for name in names}
        for url in public_urls:
            parts = urlsplit(url)
            rule = f"must be http://HOST[:PORT] or https://HOST[:PORT] and nothing more, got {url!r:.200}"
            try:
                number = parts.port or _PORTS.get(parts.scheme, 0)
            except ValueError:
                raise SpecError.of("--public-url", rule) from None
            plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
            if parts.scheme not in _PORTS or not parts.hostname or not plain:
                raise SpecError.of("--public-url", rule)
            schemes[_netloc(parts.hostname, number, parts.scheme)] = parts.scheme
        return cls(schemes)

    def scheme(self, host: str) -> str | None:
        """Of a request's Host; None where it is not one of ours."""
        return self._schemes.get(host.lower())

    def is_own(self, origin: str, host: str) -> bool:
        """Whether a request to `host` comes from a page of that very site."""
        return origin.lower() == f"{self.scheme(host)}://{host.lower()}"


def _netloc(host: str, port: int, scheme: str) -> str:
    name = f"[{host}]" if ":" in host else host.lower()
    if not re.fullmatch(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+", name):
        raise SpecError.of("--host", f"must be a name or an address, got {host!r:.80}")
    return name if port == _PORTS[scheme] else f"{name}:{port}"

"""Finds the proxy in the environment."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from linker.settings import is_loopback


def proxy_of(url: str) -> str | None:
    """Return the proxy for a URL by HTTPS_PROXY, HTTP_PROXY and NO_PROXY; None if its host is this machine."""
    return None if _is_direct(url) else getproxies().get(urlsplit(url).scheme)


def unread_proxy(url: str) -> str | None:
    """Return a message if a proxy for a URL is set in a variable that linker does not read; else None."""
    proxies = getproxies()
    if _is_direct(url) or "all" not in proxies or urlsplit(url).scheme in proxies:
        return None
    return (
        "ALL_PROXY is set, but linker reads HTTPS_PROXY; it connects without a proxy. "
        "For an HTTP proxy: export HTTPS_PROXY=http://HOST:PORT (a SOCKS proxy is not supported)"
    )


def _is_direct(url: str) -> bool:
    return is_loopback(url) or bool(proxy_bypass(urlsplit(url).hostname or ""))

"""Turns aiohttp's errors into linker's. No other file knows them."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, TimedOut
from linker.sessions.connections import NotHttp
from linker.settings import Settings

_NO_NETWORK: Final = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_PASSING: Final = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.ETIMEDOUT, errno.EINTR})
"""What keeps a connection from being opened, but maybe not the next one."""

_NOT_CONNECTED: Final = "check for a firewall, for a proxy (HTTPS_PROXY), and that the port uses TLS"

_ACCOUNT = re.compile(r"https://([a-z0-9-]+)\.aha\.io")

_TLS_FAULTS: Final = (
    (
        "CERTIFICATE_REQUIRED",
        "{host} requires a client certificate, which linker cannot send",
        "ask the administrator of that server or proxy for access with the token only, then check {account}",
    ),
    (
        "HANDSHAKE_FAILURE",
        "{host} refused the TLS handshake; it may require a client certificate, which linker cannot send",
        "ask the administrator of that server or proxy for access with the token only, then check {account}",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "{host} does not speak HTTPS",
        "check the port, and whether the address begins with http://: {account}",
    ),
    (
        "PROTOCOL_VERSION",
        "{host} supports no version of TLS that this machine accepts",
        "ask the administrator of that server or proxy for TLS 1.2 or 1.3, then check {account}",
    ),
)
"""Of an error's name in OpenSSL: what is wrong, and what to do. None of them passes by itself."""

NotConnected: TypeAlias = aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError


def request_failed(error: Exception, settings: Settings) -> RequestFailed:
    """Return linker's error for one of aiohttp's; its message says what the user can act on."""
    if (failure := _tls_failure(error, settings)) is not None:
        return failure
    match error:
        case aiohttp.ConnectionTimeoutError():
            late = TimedOut(f"no connection within {settings.connect_timeout_s:g} s")
            late.later_advice = f"check {_name_of(settings.base_url)}; {_NOT_CONNECTED}"
            return late
        case aiohttp.SocketTimeoutError():
            return TimedOut(f"no data for {settings.read_timeout_s:g} s")
        case TimeoutError():
            return TimedOut(f"no answer within {settings.timeout_s:g} s")
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
            failure = ConnectionFailed(not_connected(error))
            failure.advice = advice(error, settings)
            failure.is_lasting = _is_lasting(error)
            return failure
        case aiohttp.ServerDisconnectedError():
            closed = ConnectionFailed("the connection was closed before an answer")
            if settings.base_url.startswith("http:"):
                closed.later_advice = f"check {_name_of(settings.base_url)}; the port may expect https"
            return closed
        case aiohttp.ClientPayloadError():
            return ConnectionFailed("the answer was cut short or garbled")
        case aiohttp.ClientResponseError() | NotHttp():
            # the server wrote what follows the colon, so it may contain anything
            return BadAnswer(f"no HTTP answer ({error.message.partition(':')[0] or type(error).__name__})")
        case OSError():
            return ConnectionFailed(f"the connection broke: {reason(error)}")
        case _:
            return ConnectionFailed(f"the request failed ({type(error).__name__})")


def _is_lasting(error: NotConnected) -> bool:
    """Whether somebody must act before a connection can be opened, even if there was one before."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.status == 407
    return isinstance(error, aiohttp.ClientConnectorCertificateError)


def _tls_failure(error: Exception, settings: Settings) -> ConnectionFailed | None:
    """Return linker's error for a TLS handshake that fails each time; None for anything else.

    TLS 1.3 reports that a certificate is missing only after the handshake, in the place of an answer.
    """
    causes = (getattr(error, "os_error", None), error.__cause__, error)  # aiohttp's own errors have no reason
    reasons = (getattr(cause, "reason", None) for cause in causes if isinstance(cause, ssl.SSLError))
    tls_reason = next(filter(None, reasons), "")
    host = urlsplit(settings.base_url).netloc
    if isinstance(error, aiohttp.ClientConnectorError):
        host = f"{error.host}:{error.port}"
    for name, what, do in _TLS_FAULTS:
        if name in tls_reason:
            failure = ConnectionFailed(what.format(host=host))
            failure.advice = do.format(account=_name_of(settings.base_url))
            failure.is_lasting = True
            return failure
    return None


def not_connected(error: NotConnected) -> str:
    """Return why no connection to the account, or to the proxy, could be opened."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {error.status}"
        case aiohttp.ClientProxyConnectionError():
            return f"no connection to the proxy {error.host}:{error.port}: {reason(error.os_error)}"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not trusted: {reason(error.certificate_error)}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {error.host}:{error.port}: {reason(error.os_error)}"


def advice(error: NotConnected, settings: Settings) -> str | None:
    """Return what the user should check so that a connection can be opened; None if the next try may succeed."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return "check HTTPS_PROXY and the user and password in it" if error.status < 500 else None
    what = "the proxy (HTTPS_PROXY)" if _is_of_proxy(error, settings) else _name_of(settings.base_url)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):  # before aiohttp 3.13 without an `os_error`
        return f"check {what}, or set SSL_CERT_FILE to a file with the certificates to trust"
    code = error.os_error.errno
    if isinstance(error.os_error, socket.gaierror):
        is_offline = code == socket.EAI_AGAIN
    elif code in _PASSING:
        return None
    else:
        is_offline = code in _NO_NETWORK and not isinstance(error, aiohttp.ClientSSLError)
    if is_offline:
        return f"check that this machine has a network connection, then check {what}"
    return f"check {what}"


def _is_of_proxy(error: aiohttp.ClientConnectorError, settings: Settings) -> bool:
    """Whether the connection that failed was to the proxy."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return True
    proxy = urlsplit(settings.proxy or "").hostname  # aiohttp has no error of its own for a proxy with an unknown name
    return proxy is not None and proxy == error.host and proxy != urlsplit(settings.base_url).hostname


def _name_of(url: str) -> str:
    """Return the option that gave the account's URL, and its value."""
    account = _ACCOUNT.fullmatch(url)
    return f"--account {account[1]} (or AHA_ACCOUNT)" if account else f"--url {url} (or AHA_URL), or use --account"


def reason(error: Exception) -> str:
    """Return the operating system's or TLS's own words for an error, without the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return getattr(error, "verify_message", type(error).__name__)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | socket.gaierror) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return getattr(error, "strerror", None) or type(error).__name__

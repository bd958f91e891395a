"""Turns aiohttp's errors into linker's. No other file knows them."""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp

from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, TimedOut
from linker.settings import Settings


def request_failed(error: Exception, settings: Settings) -> RequestFailed:
    """Return linker's error for one of aiohttp's; its message says what the user can act on."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOut(f"no connection within {settings.connect_timeout_s:g} s")
        case aiohttp.SocketTimeoutError():
            return TimedOut(f"nothing came for {settings.read_timeout_s:g} s")
        case TimeoutError():
            return TimedOut(f"no answer within {settings.timeout_s:g} s")
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
            return ConnectionFailed(not_connected(error))
        case aiohttp.ServerDisconnectedError():
            return ConnectionFailed("the connection was closed before an answer")
        case aiohttp.ClientPayloadError():
            return ConnectionFailed("the answer was cut short or garbled")
        case aiohttp.ClientResponseError():
            # the server wrote what follows the colon, so it may contain anything
            return BadAnswer(f"no HTTP answer ({error.message.partition(':')[0] or type(error).__name__})")
        case OSError():
            return ConnectionFailed(f"the connection broke: {reason(error)}")
        case _:
            return ConnectionFailed(f"the request failed ({type(error).__name__})")


def not_connected(error: aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError) -> str:
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


def reason(error: Exception) -> str:
    """Return the operating system's or TLS's own words for an error, without the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return getattr(error, "verify_message", type(error).__name__)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | socket.gaierror) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return getattr(error, "strerror", None) or type(error).__name__

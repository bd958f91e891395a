"""aiohttp's errors as ours: the one file that knows them."""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp

from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, TimedOut
from linker.settings import Settings

__all__ = []


def _ours(error: Exception, settings: Settings) -> RequestFailed:
    """aiohttp's error as one of ours; the message says what a user can act on."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOut(f"no connection within {settings.connect_timeout_s:g} s")
        case aiohttp.SocketTimeoutError():
            return TimedOut(f"nothing came for {settings.read_timeout_s:g} s")
        case TimeoutError():
            return TimedOut(f"no answer within {settings.timeout_s:g} s")
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
            return ConnectionFailed(_not_connected(error))
        case aiohttp.ServerDisconnectedError():
            return ConnectionFailed("the connection was closed before an answer")
        case aiohttp.ClientPayloadError():
            return ConnectionFailed("the answer was cut short or garbled")
        case aiohttp.ClientResponseError():
            # what follows the colon is the server's, which may repeat anything
            return BadAnswer(f"no HTTP answer ({error.message.partition(':')[0] or type(error).__name__})")
        case OSError():
            return ConnectionFailed(f"the connection broke: {_why(error)}")
        case _:
            return ConnectionFailed(f"the request failed ({type(error).__name__})")


def _not_connected(error: aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError) -> str:
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {error.status}"
        case aiohttp.ClientProxyConnectionError():
            return f"no connection to the proxy {error.host}:{error.port}: {_why(error.os_error)}"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not trusted: {_why(error.certificate_error)}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {error.host}:{error.port}: {_why(error.os_error)}"


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return getattr(error, "verify_message", type(error).__name__)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | socket.gaierror) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text is "Connect call failed" and the address again
    return getattr(error, "strerror", None) or type(error).__name__

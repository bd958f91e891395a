"""What to do about errors whose reason lies in this machine: too little memory, too few threads, odd variables."""

from __future__ import annotations

import errno
import os
from typing import Final

_MEMORY: Final = (
    "out of memory; give linker more (ulimit -v, the limit of the container), or let it use less: "
    "split the job file, or lower --concurrency. A run continues with --resume"
)
_THREADS: Final = (
    "no more threads can be started; raise the limit on processes (ulimit -u, the pids limit of the "
    "container) or on memory (ulimit -v). A run continues with --resume"
)
_OTHER_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def shortage(error: BaseException) -> str | None:
    """Return what is lacking and what to do, if an error says that something is; else None."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, MemoryError) or (isinstance(each, OSError) and each.errno == errno.ENOMEM):
            return _MEMORY
        if isinstance(each, RuntimeError) and "start new thread" in str(each):
            return _THREADS
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
    return None


def certificate_advice(message: str) -> str | None:
    """Return what to do about a certificate that is not trusted, as the environment shows it.

    Args:
        message: an error's text; it names SSL_CERT_FILE if it is about such a certificate.
    """
    if "SSL_CERT_FILE" not in message:
        return None
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if (path := os.environ.get(name)) and not os.access(path, os.R_OK):
            return f"{name} is set, but what it names cannot be read: {path}"
    for name in _OTHER_BUNDLES:
        if os.environ.get(name) and not os.environ.get("SSL_CERT_FILE"):
            return f'{name} is set, but linker reads SSL_CERT_FILE: export SSL_CERT_FILE="${name}"'
    return None

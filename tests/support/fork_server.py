"""Starts the command by forking a process that has imported it: a start costs milliseconds instead of a second of CPU.

Each command is a process of its own all the same, with its own arguments, environment, folder and streams. The test
process asks the server over a Unix socket, which carries the streams. Run as a program, this file is the server.
"""

from __future__ import annotations

import array
import json
import os
import select
import shutil
import signal
import socket
import sys
from contextlib import suppress
from typing import Final, TextIO

REQUEST_LIMIT: Final = 1 << 20


def serve(path: str) -> None:
    """Serve until the parent ends. Returns in each forked child, which then is the command."""
    import importlib
    import pkgutil
    import random
    import time

    import uvloop  # noqa: F401  as the command itself does

    import linker.cli

    for module in pkgutil.iter_modules(linker.cli.__path__, "linker.cli."):
        importlib.import_module(module.name)
    for name in ("ssl", "netrc", "linker.sandbox", "orjson", "structlog.dev", "encodings.idna", "rich.live"):
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)  # noqa: T201
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    clients: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener, ended, sys.stdin], [], [])
        if sys.stdin in ready:  # the parent has closed it, or is gone
            shutil.rmtree(os.path.dirname(path), ignore_errors=True)  # noqa: PTH120
            os._exit(0)
        if ended in ready:
            os.read(ended, 4096)
            _report(clients)
        if listener not in ready:
            continue
        client, _ = listener.accept()
        request, streams = _receive(client)
        pid = os.fork()
        if pid:
            clients[pid] = client
            client.sendall(f"{pid}\n".encode())
            for stream in streams:
                os.close(stream)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (listener, client, *clients.values()):
            each.close()
        os.close(ended)
        os.close(wake)
        _become(request, streams)
        random.seed()  # else all children would draw the same
        time.tzset()
        return


def _report(clients: dict[int, socket.socket]) -> None:
    """Tell who asked for it how each child that has ended did so."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        client = clients.pop(pid)
        with suppress(OSError):  # nobody may wait for it any more
            client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        client.close()


def _receive(client: socket.socket) -> tuple[dict[str, object], list[int]]:
    """Receive a request, and the streams that come with its first byte."""
    streams = array.array("i")
    data, ancillary, _, _ = client.recvmsg(REQUEST_LIMIT, socket.CMSG_SPACE(3 * streams.itemsize))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(content)
    while not data.endswith(b"\n"):
        data += client.recv(REQUEST_LIMIT)
    return json.loads(data), list(streams)


def _become(request: dict[str, object], streams: list[int]) -> None:
    """Take over the streams, folder, environment and arguments of the command."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    folder, environment, arguments = request["folder"], request["environment"], request["arguments"]
    assert isinstance(folder, str)
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["linker", *arguments]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old: TextIO = getattr(sys, name)
        mode, buffering = "w" if number else "r", 1 if os.isatty(number) or name == "stderr" else -1
        new = open(number, mode, buffering, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


if __name__ == "__main__":
    del sys.path[0]  # this folder
    serve(sys.argv[1])
    from linker.cli import main

    main()

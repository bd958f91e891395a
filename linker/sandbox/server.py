"""The server: what happens to a request between its arrival and its answer."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from linker.errors import UsageError
from linker.sandbox.account import Account
from linker.sandbox.faults import Fault, Faults
from linker.sandbox.limits import Limit, Limiter, Verdict
from linker.sandbox.options import SandboxOptions
from linker.sandbox.routes import LOGIN_PAGE, Answer, Routes, refusal
from linker.sandbox.script import Script
from linker.sandbox.seed import seeded_account
from linker.sandbox.stats import Seen, Stats

_HOST: Final = "127.0.0.1"
_LARGEST_BODY: Final = 64 * 2**20
_SHUTDOWN_S: Final = 0.1  # connections that are still open then are closed
_UNAUTHORIZED: Final = refusal(401, "unauthorized")
_LOGGER: Final = logging.getLogger(__name__)
_LOGGER.addFilter(lambda record: not _is_of_the_client(record))
_REFUSED: Final = refusal(429, "Rate limit exceeded. Try again later.")


class Sandbox:
    """An Aha!-shaped server on the loopback, for rehearsals and tests. It is as strict as the API.

    A request with the right token counts against the limits when it arrives, unless it is refused. Then the sandbox
    decides whether a fault occurs, waits for the latency, and does and answers the request. A request without the
    token is answered 401 and does not count.

    Example:
        >>> async with Sandbox(latency_ms=50, faults=[Fault(503, 0.01)]) as sandbox:
        ...     print(sandbox.url)
    """

    def __init__(
        self,
        options: SandboxOptions | None = None,
        *,
        account: Account | None = None,
        clock: Callable[[], float] = time.monotonic,
        **changes: Any,
    ) -> None:
        self.options = replace(options or SandboxOptions(), **changes)
        seed = self.options.seed
        self.account = account or seeded_account(
            self.options.records,
            self.options.features,
            seed,
            releases=self.options.releases,
            linked=self.options.linked,
            title_key=self.options.title_key,
        )
        self.faults = Faults(self.options.faults, seed)
        self.script = Script(self.account)
        self.stats = Stats()
        self.requests: list[Seen] = []
        self._clock = clock
        self._epoch = time.time() - clock()
        self._random = random.Random(seed)  # noqa: S311  a rehearsal is to be repeatable
        self._limiter = Limiter(cast("Sequence[Limit]", self.options.limits), self.options.window, clock)
        self._routes = Routes(self.account, self.options, self.stats)
        self._authorization = f"Bearer {self.options.token}"
        self._not_before = -math.inf
        self._runner: web.ServerRunner | None = None
        self._port = 0

    def __repr__(self) -> str:
        state = self.url if self._runner else "stopped"
        return f"<Sandbox {state}, {self.stats.requests} requests, {self.stats.refused} refused>"

    @property
    def url(self) -> str:
        """The account's base URL: requests go to `{url}/api/v1/…`."""
        if self._runner is None:
            raise RuntimeError("the sandbox is not running")
        return f"http://{_HOST}:{self._port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that a request needs to be accepted."""
        return {"Authorization": self._authorization}

    async def start(self) -> None:
        """Start to listen.

        Raises:
            UsageError: the port is not available.
        """
        server = web.Server(self._handle, access_log=None, logger=_LOGGER, request_factory=_request)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, _HOST, self.options.port).start()
        except OSError as error:
            await runner.cleanup()
            raise UsageError(f"port {self.options.port} on {_HOST}: {error.strerror or error}") from error
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        """Close all connections, busy or not. The sandbox may be started again."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
        if error is None and self.script.failure is not None:
            raise self.script.failure

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        at = self._clock()
        method = request.method
        path, _, query = request.raw_path.partition("?")
        self.stats.methods[method] += 1
        verdict, answer, fault = None, None, None
        if not self._authorized(request.headers.get("Authorization", "")):
            answer = _UNAUTHORIZED
        else:
            if at < self._not_before:
                self.stats.too_early += 1
            verdict = self._limiter.admit()
            if verdict is not None and verdict.wait_s > 0:
                answer = _REFUSED
            else:
                fault = self.faults.draw(f"{method} {path}?{query}")
        with self.stats.at_work(self._routes.target(path) if method == "PUT" and answer is None else None):
            try:
                body = await request.read() if request.body_exists else b""
            except web.RequestPayloadError:
                body, answer = b"", answer or refusal(400, "the body cannot be decoded")
            if self.options.latency_ms or self.options.jitter_ms:
                await asyncio.sleep(self._latency_s())
            if answer is None:
                answer = _error_answer(fault)
            if answer is None:
                answer = self._done(method, path, query, request.headers.get("Content-Type", ""), body)
        unanswered = fault is not None and fault.what in ("reset", "reset_after")
        status = 0 if unanswered else answer.status
        self.stats.statuses[status] += 1
        if fault is not None:
            self.stats.faults[fault.what] += 1
        if self.options.keep_requests:
            headers = {name.title(): value for name, value in request.headers.items()}
            self.requests.append(Seen(at, method, path, query, headers, body, status))
        if unanswered:
            return _reset(request)
        headers = self._headers(answer, verdict)
        if fault is not None and fault.what == "cut":
            return await _cut(request, answer, headers)
        return web.Response(body=answer.body, status=status, headers=headers)

    def _done(self, method: str, path: str, query: str, content_type: str, body: bytes) -> Answer:
        """Do what a request asks, with what the script does before and after it."""
        self.stats.count(method, *self._routes.what(path))
        line = f"{method} {path}?{query}"
        self.script.play(line, after=False)
        answer = self._routes.answer(method, path, query, content_type, body)
        self.script.play(line, after=True)
        return answer

    def _authorized(self, header: str) -> bool:
        if header == self._authorization:
            return True
        scheme, _, token = header.partition(" ")
        return scheme.lower() == "bearer" and token.strip() == self.options.token

    def _latency_s(self) -> float:
        jitter = self._random.uniform(-1, 1) * self.options.jitter_ms
        return max(0.0, self.options.latency_ms + jitter) / 1000

    def _headers(self, answer: Answer, verdict: Verdict | None) -> dict[str, str]:
        headers = {"Content-Type": answer.content_type}
        if verdict is not None:
            now = self._clock()
            headers["X-Ratelimit-Limit"] = str(verdict.limit)
            headers["X-Ratelimit-Remaining"] = str(verdict.remaining)
            headers["X-Ratelimit-Reset"] = str(math.ceil(self._epoch + now + verdict.frees_in_s))
            if verdict.wait_s > 0:
                wait_s = max(1, math.ceil(verdict.wait_s))
                headers["Retry-After"] = str(wait_s)
                self._not_before = max(self._not_before, now + wait_s)
        return headers


def _is_of_the_client(record: logging.LogRecord) -> bool:
    """Whether a log record is about malformed HTTP or a client that left. aiohttp answers the former with 400."""
    error = record.exc_info[1] if record.exc_info else None
    return isinstance(error, (HttpProcessingError, web.RequestPayloadError, ConnectionError))


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)


def _error_answer(fault: Fault | None) -> Answer | None:
    """The answer to a request that is not done because of a fault; None if it is done."""
    if fault is None or fault.what in ("cut", "reset_after"):
        return None
    if isinstance(fault.what, int):
        is_standard = fault.what in HTTPStatus.__members__.values()
        return refusal(fault.what, HTTPStatus(fault.what).phrase if is_standard else "Error")
    return LOGIN_PAGE


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:  # lingering for 0 s sends RST, where abort alone would end politely
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _cut(request: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(answer.body)
    response.force_close()
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    return response

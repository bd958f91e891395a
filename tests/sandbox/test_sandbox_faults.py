"""What goes wrong on purpose, what it leaves applied, and what the sandbox counts meanwhile."""

import asyncio
import contextlib
from collections import Counter

import aiohttp
import orjson
import pytest

from linker.errors import UsageError
from linker.model.target import Kind
from linker.sandbox import Fault, Sandbox
from linker.sandbox.faults import Faults

BODY = b'{"feature":{"custom_object_links":{"customers":["640362830"]}}}'
PATH = "/api/v1/features/PRJ1-1"
JSON = {"Content-Type": "application/json"}
CLOSED = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)


def applied(sandbox: Sandbox) -> bool:
    return sandbox.account.links(Kind.FEATURE, "PRJ1-1") == {"customers": ["640362830"]}


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(500, "application/json"), (503, "text/html"), (408, "application/json"), (422, "application/json")],
)
async def test_a_faulted_status_is_answered_and_not_applied(status: int, content_type: str) -> None:
    """The PUT gets the status, in JSON or as a proxy's page, and changes nothing."""
    async with (
        Sandbox(faults=[Fault(status)]) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers | JSON) as session,
        session.put(PATH, data=BODY) as response,
    ):
        assert (response.status, response.content_type) == (status, content_type)
    assert not applied(sandbox)
    assert sandbox.stats.faults == {status: 1}


async def put_bare(sandbox: Sandbox) -> bytes:
    """A PUT without a client library: aiohttp's own sends a PUT whose connection broke once more, unasked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
    head = f"PUT {PATH} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer sandbox\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    writer.write(head.encode() + BODY)
    try:
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(("what", "is_applied"), [("reset", False), ("reset_after", True)])
async def test_a_connection_that_is_reset_leaves_what_it_says(what: str, is_applied: bool) -> None:
    """There is no answer at all; the PUT is applied or not as the fault's name says."""
    async with Sandbox(keep_requests=True) as sandbox:
        sandbox.faults.script(what)
        with pytest.raises(ConnectionResetError):
            await put_bare(sandbox)
        assert [seen.status for seen in sandbox.requests] == [0]
    assert applied(sandbox) == is_applied
    assert sandbox.stats.statuses == {0: 1}


async def test_an_answer_that_is_cut_ends_in_the_middle() -> None:
    """The PUT is applied, half of the body announced arrives, and the connection ends."""
    async with Sandbox() as sandbox:
        sandbox.faults.script("cut")
        head, _, body = (await put_bare(sandbox)).partition(b"\r\n\r\n")
    assert applied(sandbox)
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert len(body) == length // 2


async def test_an_html_page_with_status_200_is_a_login_page() -> None:
    """What a proxy or an expired session sends; the PUT is not applied."""
    async with (
        Sandbox(faults=[Fault("html")]) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers | JSON) as session,
        session.put(PATH, data=BODY) as response,
    ):
        assert (response.status, response.content_type) == (200, "text/html")
        assert "Log in" in await response.text()
    assert not applied(sandbox)


def test_faults_come_as_often_as_told_and_the_same_for_the_same_seed() -> None:
    """Two faults of 10 % and 30 % befall about so many of 10,000 requests."""

    def drawn(seed: int) -> list[int | str | None]:
        faults = Faults([Fault(503, 0.1), Fault("reset", 0.3)], seed)
        return [None if fault is None else fault.what for fault in (faults.draw("GET /") for _ in range(10_000))]

    counted = Counter(drawn(0))
    assert abs(counted[503] - 1000) < 150
    assert abs(counted["reset"] - 3000) < 250
    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_a_script_decides_for_the_next_requests() -> None:
    """One by one, before anything is drawn."""
    faults = Faults([Fault(500)])
    faults.script(503, None)
    assert [faults.draw("GET /") for _ in range(3)] == [Fault(503), None, Fault(500)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("503:0.01", Fault(503, 0.01)), ("reset:1%", Fault("reset", 0.01)), (" Cut : .5 ", Fault("cut", 0.5))],
)
def test_a_fault_is_read_from_text(text: str, fault: Fault) -> None:
    """What, a colon, a probability; and it is written so."""
    assert Fault.parse(text) == fault
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("503", "for example 503:0.01"),
        ("503:x", "for example 503:0.01"),
        ("200:0.5", "status from 400 to 599"),
        ("explode:0.5", "reset_after"),
        ("503:1.5", "not from 0 to 1"),
    ],
)
def test_text_that_is_no_fault_is_refused_with_what_would_do(text: str, message: str) -> None:
    """A UsageError with an example or the choices."""
    with pytest.raises(UsageError, match=message):
        Fault.parse(text)


def test_probabilities_over_one_are_refused() -> None:
    """More than every request cannot go wrong."""
    with pytest.raises(UsageError, match=r"1\.2"):
        Sandbox(faults=[Fault(503, 0.6), Fault("cut", 0.6)])


async def test_puts_at_once_on_one_target_are_seen_however_it_is_named() -> None:
    """Two PUTs by number and by reference number overlap; a third on another target does not count."""
    async with (
        Sandbox(latency_ms=50, jitter_ms=10) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers | JSON) as session,
    ):

        async def put(id: str) -> int:
            async with session.put(f"/api/v1/features/{id}", data=BODY) as response:
                await response.read()
                return response.status

        assert set(await asyncio.gather(put("PRJ1-1"), put("1007868956"), put("PRJ1-2"))) == {200}
    assert sandbox.stats.most_puts_at_once_on_a_target == 2
    assert sandbox.stats.most_at_once == 3


async def test_requests_are_kept_as_they_came() -> None:
    """Method, path, query, headers, body and status, in order of their answers."""
    async with (
        Sandbox(keep_requests=True) as sandbox,
        aiohttp.ClientSession(sandbox.url, headers=sandbox.headers | JSON) as session,
        session.put(f"{PATH}?fields=reference_num", data=BODY) as response,
    ):
        assert orjson.loads(await response.read()) == {"feature": {"reference_num": "PRJ1-1"}}
    (seen,) = sandbox.requests
    assert (seen.method, seen.path, seen.query, seen.body, seen.status) == (
        *("PUT", PATH, "fields=reference_num", BODY),
        200,
    )
    assert seen.headers["Authorization"] == "Bearer sandbox"


async def test_a_sandbox_stops_at_once_whatever_is_in_work() -> None:
    """A request that would be answered in an hour does not hold up the end, and the client is cut off."""
    async with aiohttp.ClientSession() as session:
        async with Sandbox(latency_ms=3_600_000, limits=[]) as sandbox:
            asking = asyncio.create_task(session.get(f"{sandbox.url}/api/v1/me", headers=sandbox.headers))
            while not sandbox.stats.most_at_once:  # noqa: ASYNC110  the server has no event for it
                await asyncio.sleep(0)
        with pytest.raises(CLOSED):
            await asking

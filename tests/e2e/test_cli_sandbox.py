"""`linker sandbox`: it serves an account until it is interrupted."""

from __future__ import annotations

import signal
from typing import Any

import aiohttp
import pytest
from support.command import Command

from linker.sandbox import Sandbox


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_sandbox_serves_until_it_is_interrupted(command: Command, number: signal.Signals) -> None:
    """It prints its URL and what to type next, serves the account there, and ends with its count, exit 0."""
    process = await command.start("sandbox", "--port", "0", "--token", "rehearsal", "--features", "3")
    assert process.stdout is not None
    printed = (await process.stdout.readuntil(b"linker check")).decode()
    url = printed.split(",")[0].removeprefix("sandbox at ")
    assert f"export AHA_URL={url} AHA_TOKEN=rehearsal" in printed
    headers = {"Authorization": "Bearer rehearsal"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{url}/api/v1/features/PRJ1-8") as response,
    ):
        answer: dict[str, Any] = await response.json()
    assert answer["feature"]["reference_num"] == "PRJ1-8"
    process.send_signal(number)
    finished = await command.end(process)
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.stdout.endswith("1 requests served, 0 of them refused (429)\n")


async def test_the_answers_are_as_its_options_say(command: Command) -> None:
    """Empty links, ids, hidden kinds, answers to PUTs, clears, pages and titles are chosen on the command line."""
    process = await command.start(
        *("sandbox", "--port", "0", "--empty-links", "null", "--ids", "numbers", "--hide", "Goals", "--stale-puts"),
        *("--blank-clears", "--largest-page", "50", "--title-key", "event", "--stale-reads", "1"),
    )
    assert process.stdout is not None
    url = (await process.stdout.readuntil(b"linker check")).decode().split(",")[0].removeprefix("sandbox at ")
    async with aiohttp.ClientSession(f"{url}/api/v1/", headers={"Authorization": "Bearer sandbox"}) as session:

        async def ask(method: str, path: str, links: list[str] | None = None) -> Any:
            json = None if links is None else {"feature": {"custom_object_links": {"customers": links}}}
            async with session.request(method, path, json=json) as response:
                return (await response.json()) if response.content_type == "application/json" else response.status

        assert (await ask("GET", "products/PRJ1"))["product"]["custom_object_links"] is None
        assert "custom_object_links" not in (await ask("GET", "goals/DEMOENT-G-1"))["goal"]
        put, stale, fresh = [
            (await ask(method, "features/PRJ1-1", links))["feature"]["custom_object_links"]
            for method, links in (("PUT", ["640362830"]), ("GET", None), ("GET", None))
        ]
        assert put is stale is None
        assert fresh[0]["record_ids"] == [640362830]
        await ask("PUT", "features/PRJ1-1", [])
        shown = [(await ask("GET", "features/PRJ1-1"))["feature"]["custom_object_links"] for _ in range(2)]
        assert shown == [fresh, fresh]
        assert await ask("GET", "features?per_page=51") == 504
        record = (await ask("GET", "custom_object_records/640362830"))["custom_object_record"]
        assert record["custom_fields"][0]["key"] == "event"
    process.send_signal(signal.SIGINT)
    assert (await command.end(process)).code == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--hide", "widget", "widget"),
        ("--title-key", "a b", "title_key"),
        ("--largest-page", "0", "largest_page"),
        ("--stale-reads", "-1", "stale_reads"),
        ("--empty-links", "nothing", "--empty-links"),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused(command: Command, option: str, value: str, said: str) -> None:
    """Exit 2, and the message names it; no traceback."""
    finished = await command("sandbox", "--port", "0", option, value)
    assert finished.code == 2
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr


async def test_a_port_in_use_says_how_to_go_on(command: Command, sandbox: Sandbox) -> None:
    """Exit 2, with the option that takes another port."""
    finished = await command("sandbox", "--port", sandbox.url.rpartition(":")[2])
    assert (finished.code, finished.stdout) == (2, "")
    assert "is in use, perhaps by another sandbox" in finished.stderr
    assert "linker sandbox --port 0" in finished.stderr

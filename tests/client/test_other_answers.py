"""Runs on an account whose answers are about other records than those asked for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from support.raw_server import TOKEN, Arrived, Wire, page

import linker
from linker import LinkJob, Result, Status

_PATH = re.compile(r"/api/v1/features/(PRJ[0-9]-[0-9]+)\?.*")


class Account:
    """Features by reference number, which answer with the feature that `answers_as` names.

    Args:
        names: the feature that a reference number means, and the name that it has now.
    """

    def __init__(self, names: Mapping[str, str], answers_as: Callable[[Arrived, str], str] = lambda _, name: name):
        self.names = names
        self.answers_as = answers_as
        self.links: dict[str, list[str]] = {name: ["1"] for name in names.values()}
        self.puts: list[str] = []

    async def answer(self, request: Arrived, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        match = _PATH.fullmatch(request.path)
        name = self.names.get(match[1]) if match is not None else None
        if match is None or name is None:
            writer.write(page("404 Not Found", b'{"error":"Record not found"}'))
            return
        if request.method == "PUT":
            self.puts.append(match[1])
            self.links[name] = orjson.loads(request.body)["feature"]["custom_object_links"]["customers"]
        writer.write(page("200 OK", orjson.dumps({"feature": self._shown(self.answers_as(request, name))})))

    def _shown(self, name: str) -> dict[str, Any]:
        links = [{"key": "customers", "record_ids": self.links.get(name, ["666"])}]
        return {"id": name.removeprefix("PRJ").replace("-", "0"), "reference_num": name, "custom_object_links": links}


async def run(account: Account, *names: str, mode: str = "add") -> tuple[list[Result], int]:
    """Add record 5 to features; the results, and how many requests that took."""
    jobs = [LinkJob(name, {"customers": ["5"]}, mode=mode) for name in names]
    async with (
        Wire(account.answer) as wire,
        linker.Linker(url=wire.url, token=TOKEN, rate=(), state_dir=None, backoff_base_s=0.01) as aha,
    ):
        results = [result async for result in aha.run(jobs, preflight=False)]
    return results, len(wire.requests)


def once(foreign: str, method: str) -> Callable[[Arrived, str], str]:
    """Answer the first request of a method with another feature."""
    seen: list[Arrived] = []

    def answers_as(request: Arrived, name: str) -> str:
        if request.method == method:
            seen.append(request)
        return foreign if seen == [request] else name

    return answers_as


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_an_answer_that_got_here_by_mistake_counts_for_nothing(method: str) -> None:
    """The request is made again on a new connection: the list is the target's own, and so is the proof of the PUT."""
    account = Account({"PRJ1-1": "PRJ1-1"}, once("PRJ1-2", method))
    ((result,), _) = await run(account, "PRJ1-1")
    assert result.status is Status.LINKED
    assert (result.before, result.after) == ({"customers": ["1"]}, {"customers": ["1", "5"]})
    assert account.links == {"PRJ1-1": ["1", "5"]}


@pytest.mark.parametrize("mode", ["add", "replace"])
async def test_a_record_that_was_moved_is_written_under_its_old_name(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The account answers with the new reference number on each connection, and the new name is itself."""
    account = Account({"PRJ1-1": "PRJ2-7", "PRJ2-7": "PRJ2-7"})
    ((result,), requests) = await run(account, "PRJ1-1", mode=mode)
    assert result.status is Status.LINKED
    assert account.links["PRJ2-7"] == (["1", "5"] if mode == "add" else ["5"])
    assert account.puts == ["PRJ1-1"]
    assert requests <= 7  # GET, again, by its new name, the PUT; and the search for its list
    assert "it is about feature PRJ2-7" in caplog.text


async def test_a_new_name_that_the_account_does_not_take_yet_is_no_contradiction() -> None:
    """It answers 404 by the new name."""
    account = Account({"PRJ1-1": "PRJ2-7"})
    ((result,), _) = await run(account, "PRJ1-1")
    assert (result.status, account.links) == (Status.LINKED, {"PRJ2-7": ["1", "5"]})


async def test_a_proxy_that_mixes_up_all_answers_lets_nothing_be_written() -> None:
    """Each feature answers as the next one: nothing is planned from another's list."""
    names = {f"PRJ1-{number}": f"PRJ1-{number}" for number in range(1, 9)}
    account = Account(names, lambda _, name: f"PRJ1-{int(name[5:]) + 1}")
    results, _ = await run(account, "PRJ1-1", "PRJ1-2")
    assert account.puts == []
    assert [result.error.type.value for result in results if result.error is not None] == ["bad_answer"] * 2
    assert "a proxy or cache between linker and Aha! mixes up answers" in str(results[0].error)
    assert all(result.error is not None and result.error.retryable for result in results)


async def test_a_cache_that_gives_all_targets_the_first_answer_lets_only_the_first_be_written() -> None:
    """The answer is the same on each connection, and consistent in itself: but one record is not two targets."""
    names = {f"PRJ1-{number}": f"PRJ1-{number}" for number in range(1, 9)}
    account = Account(names, lambda request, name: "PRJ1-3" if request.method == "GET" else name)
    results, _ = await run(account, "PRJ1-3", "PRJ1-1", "PRJ1-2")
    assert account.puts == ["PRJ1-3"]
    assert [result.status for result in sorted(results, key=lambda each: each.job)] == ["linked", "failed", "failed"]
    assert account.links["PRJ1-1"] == ["1"]

"""An account whose answers to a PUT cannot be used, or whose reads lag behind its writes: what is there settles it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from support.raw_server import TOKEN, Arrived, Wire, page
from support.runs import ACME, features, lines_of, results_of

import linker
from linker import Linker, Result, Status

FEATURE: Final = re.compile(r"/api/v1/features/(PRJ1-\d+)")
HTML: Final = page("200 OK", b"<html>Signed in</html>", "Content-Type: text/html")


class Account:
    """Features that hold links, of which each request may show old ones."""

    def __init__(self, count: int) -> None:
        self.links: dict[str, list[int]] = {f"PRJ1-{number}": [] for number in range(1, count + 1)}
        self.seen: Counter[str] = Counter()
        """Requests by method, and `page` for those of the list."""
        self.unusable: list[bool] = []
        """For the next PUTs: whether they are carried out, although their answers cannot be used."""
        self.url = ""
        self.lag_s = 0.0
        self.is_list_late = True
        self._history: dict[str, list[tuple[float, list[int]]]] = {}
        self.puts_show_old = False

    async def answer(self, request: Arrived, writer: asyncio.StreamWriter) -> None:
        """Answer as `Wire` asks."""
        match = FEATURE.match(request.path)
        self.seen[request.method if match else "page"] += 1
        if match is None:
            shown = [self._shown(id, lags=self.is_list_late) for id in self.links]
            value: Any = {"features": shown, "pagination": {"total_records": len(shown), "total_pages": 1}}
        elif request.method == "GET":
            value = {"feature": self._shown(match[1], lags=True)}
        else:
            old = self._shown(match[1], lags=False)
            is_usable = not self.unusable
            if is_usable or self.unusable.pop(0):
                self._store(match[1], orjson.loads(request.body))
            if not is_usable:
                writer.write(HTML)
                return
            new = {key: value for key, value in old.items() if key != "custom_object_links"}
            value = {"feature": old if self.puts_show_old else new}
        writer.write(page("200 OK", orjson.dumps(value), "Content-Type: application/json"))

    def _store(self, id: str, body: Any) -> None:
        self._history.setdefault(id, []).append((asyncio.get_running_loop().time(), self.links[id]))
        self.links[id] = [int(each) for each in body["feature"]["custom_object_links"]["customers"]]

    def _shown(self, id: str, *, lags: bool) -> dict[str, Any]:
        links = self.links[id]
        for at, before in self._history.get(id, ()) if lags else ():
            if asyncio.get_running_loop().time() < at + self.lag_s:
                links = before
                break
        number = int(id.removeprefix("PRJ1-"))
        shown = [{"key": "customers", "record_ids": links}] if links else []
        return {"id": str(6 * 10**18 + number), "reference_num": id, "custom_object_links": shown}


@pytest.fixture
async def account(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Account]:
    """An account of 60 features, for a linker whose looks follow each other ten times as fast."""
    monkeypatch.setattr("linker.work.steps.LOOKS", (0.0, 0.2, 0.6))
    monkeypatch.setattr("linker.pipeline.looks._TOGETHER_S", 0.2)
    account = Account(60)
    async with Wire(account.answer) as wire:
        account.url = wire.url
        yield account


async def run(account: Account, jobs: Any, path: Path | None = None, **options: Any) -> list[Result]:
    """The results of a run."""
    given: dict[str, Any] = {"rate": (), "preflight": False, "backoff_base_s": 0.001, "state_dir": None} | options
    async with Linker(url=account.url, token=TOKEN, **given) as aha:
        return await results_of(aha.run(jobs, path))


@pytest.mark.parametrize("carried_out", [[True], [False], [False, True], [False, False]])
async def test_a_put_without_a_usable_answer_is_settled_by_a_read(account: Account, carried_out: list[bool]) -> None:
    """It is sent again only if the target does not hold what was asked for."""
    account.unusable = list(carried_out)
    (result,) = await run(account, features(1))
    assert (result.status, account.links["PRJ1-1"]) == (Status.LINKED, [int(ACME)])
    assert result.changes is not None
    assert result.changes["customers"].added == [ACME]
    tries = len(carried_out) + (not carried_out[-1])
    assert (account.seen["PUT"], result.attempts) == (tries, tries)


async def test_a_put_that_never_gets_a_usable_answer_can_be_undone(account: Account, tmp_path: Path) -> None:
    """The reads show old links for so long that the row fails; the undo takes back what is there."""
    account.unusable, account.lag_s = [True] * 100, 1000.0
    path = tmp_path / "links.results.jsonl"
    (result,) = await run(account, features(1), path, attempts=3)
    assert (result.status, account.seen["PUT"]) == (Status.FAILED, 3)
    (line,) = lines_of(path)
    assert line["changes"] == {"customers": {"added": [ACME], "removed": []}}
    account.unusable, account.lag_s = [], 0.0
    await run(account, linker.UndoFile(path))
    assert account.links["PRJ1-1"] == []


@pytest.mark.parametrize("is_list_late", [False, True])
async def test_reads_that_lag_behind_a_put_are_no_refusal(account: Account, is_list_late: bool) -> None:
    """All rows are written and linked; later looks share the pages of the list, so the requests do not triple."""
    account.lag_s, account.is_list_late = 0.5, is_list_late
    account.links["PRJ1-60"] = [8397122]  # so that the list is known to show links
    results = await run(account, features(60))
    assert {result.status for result in results} == {Status.LINKED}
    assert account.seen["PUT"] == 60
    assert account.seen["GET"] <= 60 + 3  # one look each, and what the first target takes
    assert account.seen["page"] <= 12


async def test_puts_that_show_what_stood_before_are_no_refusal(account: Account) -> None:
    """One look at each target settles it."""
    account.puts_show_old = True
    results = await run(account, features(60))
    assert {result.status for result in results} == {Status.LINKED}
    assert account.seen["PUT"] == 60


async def test_what_is_never_seen_is_sent_for_every_target_and_can_be_undone(account: Account, tmp_path: Path) -> None:
    """Nothing is concluded from one target for another; each line has the changes that were asked for."""
    account.lag_s = 1000.0
    path = tmp_path / "links.results.jsonl"
    jobs = [{**job, "mode": "add"} for job in features(60, "77")]
    for links in account.links.values():
        links.append(int(ACME))  # the reads show that links are shown, and never the new one
    results = await run(account, jobs, path)
    assert {result.status for result in results} == {Status.FAILED}
    assert {result.error.type for result in results if result.error is not None} == {linker.ErrorType.NOT_APPLIED}
    assert account.seen["PUT"] == 60
    account.lag_s = 0.0
    await run(account, linker.UndoFile(path))
    assert all(links == [int(ACME)] for links in account.links.values())

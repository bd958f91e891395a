"""Never two records of one name, however late the account carries out a POST or shows its record."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import virtual_clock

from linker.api.answers import Answer, HttpAnswer
from linker.api.requests import ApiRequest, Create
from linker.disk.lines import DISK
from linker.errors import ConnectionFailed, TimedOut
from linker.model.job import LinkJob, Name
from linker.model.target import Kind
from linker.ratelimit.limiter import RateLimiter
from linker.records.create import RecordCreator
from linker.records.doubt import settled_s
from linker.records.names import NameResolver
from linker.results.created import CreatedBefore
from linker.results.journal import Journal
from linker.retry.sender import Sender
from linker.sessions.pool import SessionPool
from linker.settings import Settings

SETTINGS: Final = Settings(
    base_url="http://localhost", state_dir=None, create_missing=True, table=("customers=PRJ1/customers",)
)
NAMES: Final = ("Newcomer", "Another")
BASE: Final = time.time()


class Post(NamedTuple):
    """What becomes of a POST: how it ends for linker, and when the account carries it out and shows its record."""

    ends: str
    commit_s: float
    visible_s: float


class Account:
    """A table whose records come late. What each POST meets is drawn; those after them are answered at once."""

    def __init__(self, posts: list[Post], *, searches: bool) -> None:
        self._posts = posts[::-1]
        self._searches = searches
        self.records: list[tuple[str, str, float]] = [("1", "Old", 0.0)]
        """Id, name, and when it is shown."""
        self.posts: Counter[str] = Counter()
        self.turn_s = 0.0
        """How long a request waits for its turn before it leaves."""

    async def send(self, choose: Callable[[float], ApiRequest | None], *, first: bool = False) -> Answer | None:
        """One request there and back, as `SessionPool.send` does it."""
        del first
        await asyncio.sleep(self.turn_s)
        sent_at = asyncio.get_running_loop().time()
        request = choose(sent_at)
        if request is None:
            return None
        await asyncio.sleep(0.1)
        if isinstance(request, Create):
            status, value = await self._create(request)
        else:
            status, value = 200, self._listed(getattr(request, "path", ""))
        return request.understand(HttpAnswer(status, {}, orjson.dumps(value), sent_at))

    async def _create(self, request: Create) -> tuple[int, Any]:
        (name,) = request.fields.values()
        self.posts[name] += 1
        post = self._posts.pop() if self._posts else Post("answered", 0.0, 0.0)
        if post.ends == "refused":
            failed = ConnectionFailed("no connection")
            failed.was_sent = False
            raise failed
        if post.ends == "429":
            return 429, {"error": "too many"}
        id = str(7 * 10**18 + len(self.records))
        now = asyncio.get_running_loop().time()
        commit_s = 0.0 if post.ends == "answered" else post.commit_s
        self.records.append((id, name, now + commit_s + post.visible_s))
        if post.ends == "timeout":
            await asyncio.sleep(SETTINGS.timeout_s)
            raise TimedOut("no answer")
        if post.ends == "lost":
            raise ConnectionFailed("the connection was closed before an answer")
        return (504, {}) if post.ends == "504" else (200, {"custom_object_record": {"id": id}})

    def _listed(self, path: str) -> Any:
        now = asyncio.get_running_loop().time()
        shown = [(id, name) for id, name, at in self.records if at <= now]
        if "q=" in path and self._searches:
            shown = [(id, name) for id, name in shown if name in path]
        records = [{"id": id, "custom_fields": [{"key": "name", "name": "Name", "value": name}]} for id, name in shown]
        pagination = {"total_records": len(records), "total_pages": 1, "current_page": 1}
        return {"user": {}, "custom_object_records": records, "pagination": pagination}


async def run(account: Account, folder: Path, lives_s: float) -> None:
    """One run of a results file, which is killed after a while."""
    loop = asyncio.get_running_loop()

    def clock() -> float:
        return BASE + loop.time()

    path = folder / "links.results.jsonl"
    path.touch()
    journal = Journal(path.with_name("journal"), DISK, "flush")
    journal.open(anew=False)
    limiter = RateLimiter((), clock=loop.time)
    sender = Sender(SETTINGS, cast("SessionPool", account), limiter)
    names = NameResolver(SETTINGS, sender.fetch)
    names.created_before = CreatedBefore(clock() - settled_s(SETTINGS))
    names.created_before.read(path)
    creator = RecordCreator(SETTINGS, names, sender, journal, clock=clock)

    async def link(name: str, owner: asyncio.TaskGroup) -> None:
        job = await names.resolve(LinkJob("PRJ1-1", {"customers": [Name("name", name)]}))
        if "+" not in str(job.links):
            return
        creator.pass_over_seen()
        while (created := await creator.create(Kind.FEATURE, {"customers": [name]}, owner)).in_doubt:
            await asyncio.wait(created.in_doubt)
        if created.ids:
            at = datetime.fromtimestamp(clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            line = {"kind": "feature", "created": created.ids, "finished_at": at}
            path.write_bytes(path.read_bytes() + orjson.dumps(line) + b"\n")
            journal.told(created.ids["customers"].values())
        else:
            assert all(error.retryable for error in created.errors["customers"].values())

    try:
        async with asyncio.timeout(lives_s), asyncio.TaskGroup() as owner:
            for name in NAMES:
                owner.create_task(link(name, owner))
    except TimeoutError:
        pass
    finally:
        journal.close()


DELAYS = st.floats(0, 120)
POSTS = st.builds(Post, st.sampled_from(["answered", "504", "lost", "timeout", "refused", "429"]), DELAYS, DELAYS)
RUNS = st.tuples(
    st.floats(0, 100), st.sampled_from([0.05, 0.15, 1.0, 31.0, 60.0, 1000.0]), st.sampled_from([0.0, 0.0, 200.0])
)
"""How long after the one before a run begins, how long it lives after its first turn, and how long turns take."""


@settings(max_examples=60)
@example(posts=[Post("504", 120, 120)] * 2, runs=[(0, 1000.0, 0.0)] * 3, searches=True)
@example(posts=[Post("answered", 0, 120)] * 2, runs=[(0, 1000.0, 0.0)] * 3, searches=False)
@given(posts=st.lists(POSTS, max_size=6), runs=st.lists(RUNS, min_size=1, max_size=4), searches=st.booleans())
def test_no_name_ever_has_two_records(
    tmp_path_factory: Any, posts: list[Post], runs: list[tuple[float, float, float]], searches: bool
) -> None:
    """Within a run and in those that resume it, whenever each begins and is killed; at the end each name has one."""

    async def main() -> Account:
        account, folder = Account(posts, searches=searches), tmp_path_factory.mktemp("runs")
        for pause_s, lives_s, account.turn_s in runs:
            await asyncio.sleep(pause_s)
            await run(account, folder, 2 * account.turn_s + lives_s)  # a read of the table, and then the POST
        account.turn_s = 0.0
        for _ in range(8):
            await run(account, folder, 1000.0)
        return account

    account = virtual_clock.run(main())
    assert Counter(name for _, name, _ in account.records) == {"Old": 1, **dict.fromkeys(NAMES, 1)}


def test_a_record_that_comes_after_every_look_is_asked_for_once(tmp_path: Path) -> None:
    """The row has failed by then, and a run that is started at once waits instead of asking again."""
    account = Account([Post("504", 120, 0)] * 2, searches=True)

    async def main() -> None:
        await run(account, tmp_path, 1000.0)
        assert asyncio.get_running_loop().time() < 80
        assert account.posts == dict.fromkeys(NAMES, 1)
        await run(account, tmp_path, 1000.0)
        assert 120 <= asyncio.get_running_loop().time() < 260

    virtual_clock.run(main())
    assert account.posts == dict.fromkeys(NAMES, 1)

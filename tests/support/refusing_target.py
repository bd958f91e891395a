"""A target that refuses every PUT with a bad id, and the expected outcome of its jobs: to test the blame search."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any, TypeAlias

from hypothesis import strategies as st

from linker import Error, ErrorType, LinkJob, Mode, Result
from linker.api.answers import Answer, Listed
from linker.api.visibility import Visibility
from linker.batch.batch import Batch
from linker.batch.change import plan
from linker.batch.merge import DesiredState, Job, desired_links
from linker.model.job import Links
from linker.work.attempts import Step
from linker.work.blame import BlameSearch
from linker.work.work import Work

__all__ = [
    "ASKED",
    "HOLDS",
    "IDS",
    "Account",
    "Asked",
    "answer",
    "drive",
    "formula",
    "mend",
    "undone",
    "wish_of",
    "work_of",
]

Asked: TypeAlias = tuple[Mode, dict[str, list[str]]]

IDS = st.sampled_from([str(number) for number in range(1, 9)])
LINKS = st.dictionaries(st.sampled_from("ab"), st.lists(IDS, max_size=3), min_size=1)
HOLDS = st.fixed_dictionaries({"a": st.frozensets(IDS, max_size=4), "b": st.frozensets(IDS, max_size=4)})
ASKED = st.lists(st.tuples(st.sampled_from(Mode), LINKS), min_size=2, max_size=7)


def wish_of(asked: Sequence[Asked]) -> DesiredState | None:
    """The desired state of the jobs of one target; None if some of them cannot be sent together."""
    batch = Batch(Mode.REPLACE)
    for number, (mode, links) in enumerate(asked):
        batch.add(number, "f", number + 1, LinkJob("PRJ1-1", links, mode=mode))
    [(desired, rejected)] = batch.desired_states()
    return None if rejected else desired


def work_of(*asked: Asked, blind: bool = False) -> Work:
    """The work of some jobs of one target, whose reads may be a minute old."""
    desired = wish_of(asked)
    assert desired is not None
    return Work(desired, Visibility(), max_age_s=60.0, number_change=count(7).__next__, blind=blind)


def formula(jobs: Sequence[Job], holds: Links) -> dict[str, frozenset[str]]:
    """What a target holds after just these jobs: the design's formula."""
    desired_states = desired_links(jobs)
    after: dict[str, frozenset[str]] = {}
    for field, ids in holds.items():
        made = desired_states[field].after(ids) if field in desired_states else ids
        assert made is not None
        after[field] = made
    return after


class Account:
    """Accepts every PUT without a bad id.

    `names`: how many of the bad ids its words name; 0: they are general. `chatty`: its words name numbers besides
    that are no ids. `shows`: its answers show the links.
    """

    def __init__(
        self,
        holds: Mapping[str, Collection[str]],
        bad: Collection[str] = (),
        *,
        names: int = 0,
        chatty: bool = False,
        shows: bool = True,
    ) -> None:
        self.holds = {field: frozenset(ids) for field, ids in holds.items()}
        self.bad = frozenset(bad)
        self.names, self.chatty, self.shows = names, chatty, shows
        self.puts: list[Links] = []
        self.taken: list[tuple[Links, Links]] = []
        """What each PUT that was taken found, and said."""

    def put(self, links: Links) -> str | None:
        """None if a PUT is accepted, else the server's message."""
        self.puts.append(links)
        found = sorted({id for ids in links.values() for id in ids & self.bad}, key=int)
        if found:
            named = f"invalid: {', '.join(found[: self.names])}" if self.names else "a record is invalid"
            return f"1 of the 2 are wrong, {named}" if self.chatty else named
        self.taken.append((dict(self.holds), links))
        self.holds |= links
        return None

    def answer(self, work: Work, now: float = 0.0) -> list[Any]:
        """Answer the current request of a work."""
        request = work.request(now)
        assert request is not None
        message = self.put(request.put) if request.put is not None else None
        if message is not None:
            return list(work.failed(Error(ErrorType.INVALID_VALUE, f"422: {message}"), 422, now))
        return list(work.answered(self.shown(now), now))

    def shown(self, at: float = 0.0) -> Answer:
        """What an answer to a request that left at that time shows."""
        links = {field: ids for field, ids in self.holds.items() if ids} if self.shows else None
        return Answer(200, Listed(links=links), sent_at=at)


def drive(account: Account, work: Work, most: int = 400) -> list[Any]:
    """Answer a work to its end."""
    results: list[Any] = []
    for _ in range(most):
        if work.step is None:
            return results
        results += account.answer(work)
    raise AssertionError(f"{work!r} does not end")


def answer(account: Account, work: Work, times: int) -> None:
    """Answer a work so many times; it must not have results yet."""
    for _ in range(times):
        assert account.answer(work) == []
    assert work.step is Step.WRITE


def mend(account: Account, desired: DesiredState, before: Links | None) -> BlameSearch:
    """Refuse the PUT of a desired state, and let the blame search go to its end."""
    change = plan(desired, before)
    message = account.put(change.put)
    assert message is not None
    blame = BlameSearch(desired.jobs, change, change.put, message)
    while blame.put is not None:
        message = account.put(blame.put)
        if message is None:
            blame.taken(None)
        else:
            blame.refused(message)
    return blame


def undone(holds: Links, results: Sequence[Result]) -> dict[str, frozenset[str]]:
    """What the target holds after all changes in the results are undone."""
    left = dict(holds)
    for result in results:
        for field, did in (result.changes or {}).items():
            left[field] = (left[field] - frozenset(did.added)) | frozenset(did.removed)
    return left

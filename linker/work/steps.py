"""One target's way from wish to results, without a word of input or output: what to ask next, and what the
answer makes of it.

    READ ─▶ (no links shown) READ_WHOLE ─▶ plan ─▶ WRITE ─▶ (no links shown) CHECK ─▶ CHECK_WHOLE ─▶ results
      ▲                                              │
      └────────── what was read is too old ──────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from linker.api.answers import Answer, Listed
from linker.api.requests import Request
from linker.batch.change import Intent, Planned
from linker.batch.merge import DesiredState, Job
from linker.batch.placeholder import new_in
from linker.errors import Error, ErrorType
from linker.model.job import Links
from linker.results.result import Outcome, Result
from linker.work.attempts import Freshness, PageSeen, Step, Tries
from linker.work.blame import BlameSearch
from linker.work.in_flight import InFlight
from linker.work.outcome import ResultContext, broken_off, dropped, failure, taken, unchanged, without_before, written
from linker.work.pending import Pending

__all__ = ["Step", "Work"]


_INVALID = (400, 422)
_NONE: frozenset[str] = frozenset()


class Work:
    """What is left to do for one target. `attempt` and `refusal` count the tries of the request in hand.

    Args:
        wish: what its jobs ask.
        max_age_s: how old what was read may be when it is written.
        blind: do not read what need not be read.
        dry: plan only; nothing is ever written.
        number_change: called once when the target's first PUT leaves; gives the change its number.
        left: the last PUT of an earlier run, of which it is not known whether it arrived.
        defined: the account is known to define all fields of its wish.
    """

    __slots__ = (
        "_blame_search",
        "_defined",
        "_dry",
        "_read_status",
        "_refusal",
        "_refused_status",
        "_seen",
        "_tries",
        "admitted",
        "charged",
        "freshness",
        "page",
        "pending",
        "refusal",
        "sent",
        "sent_at",
        "step",
        "taken",
        "targets",
    )

    def __init__(
        self,
        desired: DesiredState,
        *,
        max_age_s: float,
        number_change: Callable[[], int],
        blind: bool = False,
        dry: bool = False,
        left: Intent | None = None,
        defined: bool = False,
    ) -> None:
        self.pending = Pending(desired)
        self.refusal = 0
        self.sent_at: float | None = None
        self.page: PageSeen[Work] | None = None
        self.charged = 0
        """Removals that the guard has counted already."""
        self.freshness = Freshness(max_age_s)
        """Of what its PUT goes by."""
        self.targets = (desired.target,) if left is None else (desired.target, left.target)
        """By which names its intents are noted."""
        self.admitted = False
        """It may be written."""
        self.step: Step | None = Step.READ
        self.taken: Mapping[str, bool] = {}
        """Of the fields that were put and looked at, whether anything of it was there."""
        self._defined = defined
        self._dry = dry
        self._blame_search: BlameSearch | None = None
        self._read_status = 200
        self._refusal: tuple[Links, str] | None = None  # a blind PUT that was refused, and the server's words on it
        self._refused_status: int | None = None
        self._seen = True  # whether a GET of this target can be expected to show links
        self.sent = InFlight(left, number_change)
        self._tries = Tries()
        if blind and not dry and not desired.needs_before:
            self.pending.plan(None)
            self.step = Step.WRITE

    def __repr__(self) -> str:
        return f"<Work {self.pending.desired.target}, {self.step.name if self.step else 'done'}, try {self.attempt}>"

    @property
    def attempt(self) -> int:
        """How often the request in hand has been tried."""
        return self._tries.made(self.step)

    @property
    def spent(self) -> int:
        """How many of these tries count: not those of an outage."""
        return self._tries.spent(self.step)

    def forgive(self) -> None:
        """The tries so far of the request in hand count for nothing."""
        self._tries.forgive(self.step)

    def is_old(self, now: float) -> bool:
        """Whether what its PUT goes by was read too long ago."""
        return self.step is Step.WRITE and self.freshness.is_old(now)

    @property
    def goes_first(self) -> bool:
        """The request in hand goes ahead of others: it is tried again, or what it goes by was read for it."""
        return self.attempt > 0 or self.refusal > 0 or (self.freshness.looks > 0 and self.step is Step.WRITE)

    def request(self, now: float) -> Request | None:
        """What to send at this very moment, a try counted; None where another look at its page is due, or nothing.

        What was read too long ago is read again first: by its page, where others of that page wait as well.
        """
        if self.is_old(now):
            if self.page is not None and len(self.page.unsent) > 1:
                return None
            self.step = Step.READ
            self.freshness.looks += 1
        if self.step is None:
            return None
        self._leave_page()
        self._tries.add(self.step)
        asked = self.asked
        if asked.put is not None:
            self.freshness.looks = 0
            self.sent.leaves(asked.put)
        return asked

    @property
    def asked(self) -> Request:
        """The request in hand, without a try of it."""
        whole = self.step in (Step.READ_WHOLE, Step.CHECK_WHOLE)
        return Request(self.pending.desired.target, put=self._put if self.step is Step.WRITE else None, whole=whole)

    def intent(self) -> Intent:
        """The PUT in hand, as it is to be noted before it leaves."""
        assert self.pending.change is not None
        return self.sent.intent(self.pending.change, self._blame_search, self._put)

    @property
    def is_noted(self) -> bool:
        """Whether the PUT in hand is still the one whose intent was told last."""
        return self.sent.is_noted(self.pending.change, self._blame_search)

    @property
    def _put(self) -> Links:
        if self._blame_search is not None:
            assert self._blame_search.put is not None
            return self._blame_search.put
        return self.pending.put

    @property
    def is_fresh(self) -> bool:
        """It is at its PUT, and none of it has ever left."""
        return self.step is Step.WRITE and not self._tries.made(Step.WRITE) and self._blame_search is None

    def drop(self, error: Error, is_lost: Callable[[Job], bool], now: float, *, tried: bool) -> list[Outcome]:
        """Some of its jobs will not be sent; half a list takes its siblings along, and the others go on.

        Args:
            tried: something was asked for them, so that they have failed, and are not just rejected.
        """
        pending = self.pending
        outcomes: list[Outcome] = [
            *dropped(pending, list(filter(is_lost, pending.jobs)), error, self._told(None, 0, now), tried)
        ]
        if pending.jobs and pending.change is not None:
            pending.plan(pending.change.before, pending.change.held)
            outcomes += self._leave_idle(now)
        self.step = Step.WRITE if pending.jobs else None
        if self.step is None:
            self._leave_page()
        return outcomes

    def _leave_idle(self, now: float) -> list[Outcome]:
        return [self._unchanged(job, now) for job in self.pending.leave_idle(self._put.keys() | self.sent.fields)]

    def _leave_page(self) -> None:
        if self.page is not None:
            self.page.unsent.discard(self)
            self.page = None

    def refused(self) -> None:
        """The account refused the request for its rate (429): that try counts for nothing."""
        self._tries.refuse(self.step)
        if self.step is Step.WRITE:
            self.sent.refused()
        self.refusal += 1

    def answered(self, answer: Answer, now: float) -> list[Outcome]:
        """Take the answer (200 to 299) of the request in hand; the results that it settles."""
        step, attempts, self.refusal = self.step, self.attempt, 0
        self._tries.begin(step)
        match step:
            case Step.READ if answer.links is None:
                self.step = Step.READ_WHOLE
                return []
            case Step.READ | Step.READ_WHOLE:
                self.freshness.looks = max(self.freshness.looks, 1)
                return self.see(answer.links, answer.status, answer.sent_at, now, attempts)
            case Step.WRITE:
                self.sent.attempts, self.sent.answer = self.sent.attempts + attempts, answer
                if self._blame_search is not None:
                    self._blame_search.taken(answer.links)
                    return self._mended(now)
                if answer.links is None and self._seen:
                    self.step = Step.CHECK
                    return []
            case Step.CHECK if answer.links is None:
                self.step = Step.CHECK_WHOLE
                return []
        return self._done(answer.links, now)

    def failed(self, error: Error, http_status: int | None, now: float) -> list[Outcome]:
        """The request in hand will not be tried again: what becomes of the jobs that are left."""
        if self.step in (Step.CHECK, Step.CHECK_WHOLE):  # that what was written cannot be looked at is no failure
            return self.unchecked(now)
        shared = self._blame_search is not None or len(self.pending.jobs) > 1
        if self.step is Step.WRITE and http_status in _INVALID and shared:
            return self._invalid(error.message, http_status, now)
        self._leave_page()
        # a PUT that was refused for good has changed nothing; any other may have, whatever became of its answer
        refused = self.step is Step.WRITE and http_status is not None and http_status < 500 and http_status != 408
        if self._blame_search is not None:
            return self._broken_off(error, http_status, now, refused)
        if refused:
            self.sent.refused()
        idle = self._idle if self.step is Step.WRITE else ()
        change = self.pending.change
        asked = self.sent.fields if change is not None and not new_in(change.after) else ()  # else it has never left
        lost = {field: change.after[field] for field in asked} if change is not None else {}
        told = self._told(http_status, self.attempt, now, assuming=lost)
        self.step = None
        return [self._unchanged(job, now) if job in idle else failure(job, error, told) for job in self.pending.jobs]

    def unchecked(self, now: float) -> list[Outcome]:
        """Nothing more may be asked: the results of a PUT that was answered, by its word alone; else none, yet."""
        return self._done(None, now) if self.step in (Step.CHECK, Step.CHECK_WHOLE) else []

    def see(
        self, links: Links | None, http_status: int, read_at: float, now: float, attempts: int = 0
    ) -> list[Outcome]:
        """Plan from what the target was seen to hold, None where its answers show no links.

        Jobs that need to know it and cannot are failed; those whose fields are so already are done.
        """
        if self.sent_at is None:
            self.sent_at = read_at
        self._read_status = http_status
        if self._blame_search is not None:
            return self._look(links, http_status, read_at, now)
        outcomes: list[Outcome] = []
        before: Links | None = None
        if links is None:
            self._seen = False
            outcomes += without_before(self.pending, self._told(http_status, attempts, now))
            if not self.pending.jobs:
                self.step = None
                return outcomes
        else:
            before = {name: links.get(name, _NONE) for name in self.pending.desired.fields}
        held = before
        if before is not None and self.sent.left is not None:
            before = self.sent.resumed(self.pending.desired, before, links or {})
            if self.sent.fields:
                self.sent.attempts = 1
                self.sent.count()
        elif before is not None and self.pending.change is not None:
            before = self.pending.change.since(before, self.sent.fields)
        change = self.pending.plan(before, held)
        self.freshness.read_at = read_at if before is not None else None
        if self._dry:
            self.step = None
            return [*outcomes, Planned(change, tuple(self.pending.jobs))]
        put = self._put
        outcomes += self._leave_idle(now)
        if self.pending.jobs and not put:  # the PUT was taken, and its answer lost
            self.sent.attempts += self._tries.begin(Step.WRITE)
            self.sent.answer = Answer(http_status, Listed(links=held))
            return outcomes + self._done(held, now)
        self.step = Step.WRITE if self.pending.jobs else None
        if self._refusal is not None and self.pending.jobs:
            (refused, message), self._refusal = self._refusal, None
            if refused == put:
                self._blame_search = BlameSearch(self.pending.jobs, change, put, message)
                outcomes += self._mended(now)
        return outcomes

    def read_again(self) -> None:
        """What its page said is too old, and the page shows it no more: it is read by itself."""
        self._leave_page()
        self.step = Step.READ

    def _invalid(self, message: str, http_status: int | None, now: float) -> list[Outcome]:
        """The PUT in hand, which several jobs share, was refused: it is mended."""
        assert self.pending.change is not None
        self.sent.attempts += self._tries.begin(Step.WRITE)
        self._refused_status = http_status
        self.sent.refused()
        if self._blame_search is not None:
            self._blame_search.refused(message)
        elif self.pending.change.before is None and self._seen:
            # blind: who is to blame cannot be tried without taking away what is there, so that is read first
            self._refusal, self.step = (self._put, message), Step.READ
            return []
        else:
            self._blame_search = BlameSearch(self.pending.jobs, self.pending.change, self._put, message)
        return self._mended(now)

    def _look(self, links: Links | None, http_status: int, read_at: float, now: float) -> list[Outcome]:
        """The target was read again while its PUT is being mended."""
        blame = self._blame_search
        assert blame is not None
        if links is None:
            error = Error(ErrorType.BAD_ANSWER, "the target's answer shows its links no more")
            return self._broken_off(error, http_status, now)
        shown = {name: links.get(name, _NONE) for name in blame.before}
        if self._tries.made(Step.WRITE) and blame.arrived(shown):
            self.sent.attempts += self._tries.begin(Step.WRITE)
            self.sent.answer = Answer(http_status, Listed(links=links))
            blame.taken(shown)
        blame.look(shown)
        self.freshness.read_at, self.step = read_at, Step.WRITE
        return self._mended(now)

    def _mended(self, now: float) -> list[Outcome]:
        """At the end of the search for the jobs to blame: their results, and those of the others or their check."""
        blame, answer = self._blame_search, self.sent.answer
        assert blame is not None
        if blame.put is not None:
            return []
        outcomes = self._blamed(blame, now)
        if answer is not None and answer.links is None and self._seen and len(self._idle) < len(self.pending.jobs):
            self.step = Step.CHECK
            return outcomes
        links = {**answer.links, **blame.shown} if answer is not None and answer.links is not None else None
        return outcomes + self._done(links, now)

    def _broken_off(self, error: Error, http_status: int | None, now: float, refused: bool = False) -> list[Outcome]:
        """The PUT in hand will not be tried again, nobody knows who is to blame: what is so by now is done."""
        blame = self._blame_search
        assert blame is not None
        lost = self._put if self._tries.made(Step.WRITE) > refused else {}  # it may have arrived
        attempts = self.sent.attempts + self.attempt
        outcomes = self._blamed(blame, now)
        outcomes += broken_off(self.pending, blame.held, error, self._told(http_status, attempts, now, assuming=lost))
        return outcomes + self._done(blame.held, now)

    def _blamed(self, blame: BlameSearch, now: float) -> list[Outcome]:
        """The results of the jobs that are to blame; the others are what is left to do."""
        self._blame_search, self.sent.fields = None, blame.written
        self.pending.jobs, self.pending.change = blame.kept, blame.change
        told = self._told(self._refused_status, self.sent.attempts, now)
        return [failure(job, Error(ErrorType.INVALID_VALUE, words), told) for job, words in blame.guilty]

    @property
    def _idle(self) -> list[Job]:
        """The jobs whose fields are so already, and of no PUT."""
        return self.pending.idle(self._put.keys() | self.sent.fields)

    def _done(self, links: Links | None, now: float) -> list[Outcome]:
        """The results of the jobs that are left: what was put is there, or what `links` shows."""
        self.step = None
        status = self.sent.answer.status if self.sent.answer is not None else None
        told, sent = self._told(status, self.sent.attempts, now), self.sent.fields
        if links is not None and (change := told.change) is not None:
            self.taken = {name: taken(change, name, links.get(name, _NONE)) for name in sent if name in change.after}
        return [
            self._unchanged(job, now) if sent.isdisjoint(job.links) else written(job, told, links)
            for job in self.pending.jobs
        ]

    def _unchanged(self, job: Job, now: float) -> Result:
        return unchanged(job, self._told(self._read_status, 0, now))

    def _told(self, http_status: int | None, attempts: int, now: float, assuming: Links | None = None) -> ResultContext:
        elapsed_ms = round((now - self.sent_at) * 1000, 1) if self.sent_at is not None else 0.0
        change = self.pending.change
        change = change.assuming(assuming) if change is not None and assuming else change
        return ResultContext(
            change, http_status, self.sent.number, attempts, elapsed_ms, self.pending.created, self._defined
        )

"""What the account reports about its limit, and what follows from it.

* **A budget**: if other programs use the account (fewer requests remain than ours can explain), no more requests leave
  than it says remain, until its Reset. Then one request finds out what remains now.
* **A pause**, which a 429 asks for. After it, one request tries whether it is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from linker.ratelimit.layout import LedgerState, RateReport
from linker.ratelimit.permit import Feedback, Permit
from linker.settings import Rate

_RESET_SLACK_S: Final = 2.0
"""How much later than a whole window a Reset may be: it comes in whole seconds, and clocks differ."""


class AccountReports:
    """The reports of all rates, and the pause.

    Args:
        timeout_s: how many seconds one request can be under way at most.
    """

    def __init__(self, state: LedgerState, rates: Sequence[Rate], timeout_s: float) -> None:
        self._state = state
        self._head = state.head
        self._rates = rates
        self._timeout_s = timeout_s
        self._reports: list[tuple[Rate, RateReport]] = []
        self._readable: list[tuple[Rate, RateReport]] = []

    def join(self, now: float) -> None:
        """Find the report of each rate in the state."""
        self._reports = [(rate, self._state.report(rate, now)) for rate in self._rates]
        by_seconds = sorted(self._reports, key=lambda pair: pair[0].seconds)
        # the account names a rate by its number of requests alone: of two with one number, it is true of the longest
        self._readable = list({rate.requests: (rate, report) for rate, report in by_seconds}.values())

    def wait_s(self, now: float) -> float:
        """Seconds until the account may take another request; 0 if it may now, infinity until a trial has ended."""
        head = self._head
        wait_s = max(0.0, head.paused_until - now)
        if head.trial and head.trial_permit and now < head.trial_at + self._timeout_s:
            wait_s = math.inf
        for rate, report in self._reports:
            if report.budget >= 0:
                wait_s = max(wait_s, self._budget_wait_s(rate, report, now))
        return wait_s

    def budget_wait_s(self, now: float) -> float:
        """Seconds until the account's Reset, if other programs have used up what it allows; otherwise 0."""
        spent = (report for _, report in self._reports if 0 <= report.budget <= self._head.sent)
        return max((report.until - now for report in spent), default=0.0)

    def read(self, permit: Permit, feedback: Feedback, now: float) -> None:
        """Learn from the end of a request, before the ledger logs it."""
        for rate, report in self._readable:
            self._read(rate, report, permit, feedback, now)

    def end_trial(self, permit: Permit, feedback: Feedback) -> None:
        """End the trial after a pause, if a request that was sent since then was answered."""
        if feedback.answered and not feedback.refused and permit.at >= self._head.paused_until:
            self._head.trial = 0.0

    def pause(self, until: float) -> None:
        """Let nobody send until then, and afterwards one request alone until it is answered."""
        self._head.paused_until = max(self._head.paused_until, until)
        self._head.trial, self._head.trial_permit = 1.0, 0.0

    def has_others(self, now: float) -> bool:
        """Whether other programs use the account, by its reports or because it refused a request in the last window."""
        paused_until = self._head.paused_until or -math.inf
        return any(now < max(report.others_until, paused_until + rate.seconds) for rate, report in self._reports)

    def _budget_wait_s(self, rate: Rate, report: RateReport, now: float) -> float:
        if self._head.sent < report.budget:
            return 0.0
        if now < report.until:
            return report.until - now
        # past its Reset: one request finds out what remains now, and another one if that is never answered
        report.budget = self._head.sent + 1
        report.until = now + rate.seconds
        report.probed_at = now
        return 0.0

    def _read(self, rate: Rate, report: RateReport, permit: Permit, feedback: Feedback, now: float) -> None:
        limit = feedback.limit
        if limit is None or limit.limit != rate.requests or limit.reset_s > rate.seconds + _RESET_SLACK_S:
            if feedback.answered and report.probed_at and permit.at >= report.probed_at:
                _drop_budget(report)  # past its Reset the account answered, and no longer reports this rate
            return
        if permit.at < report.read_at:
            return
        report.read_at = permit.at
        counted, ended_since = rate.requests - limit.remaining, self._state.ended_since
        ended_before = ended_since(permit.at - rate.seconds)
        later = int(self._head.sent) - permit.sent
        if counted > self._state.under_way() + ended_before:
            # more than all of ours that it can have counted: there are others, and they will stay for a while
            report.others_until = now + rate.seconds
        if now < report.others_until:
            later += permit.under_way - 1  # requests that were already under way may have been counted later, too
        elif counted <= permit.under_way + ended_before - ended_since(permit.at):
            _drop_budget(report)  # no more than ours that left before it
            return
        report.budget = self._head.sent + max(0, limit.remaining - later)
        report.until = now + limit.reset_s
        report.probed_at = 0.0


def _drop_budget(report: RateReport) -> None:
    report.budget, report.probed_at = -1.0, 0.0

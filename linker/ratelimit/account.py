"""What the account reports about its limit, and what follows from it.

* **A budget**: if other programs use the account (fewer requests remain than ours can explain), or if the account has
  another limit than ours, no more requests leave than it says remain, until its Reset. Then one request finds out what
  remains now. Where the Reset cannot be understood, the window of our own rate stands in for it.
* **A pause**, which a 429 asks for. After it, one request tries whether it is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from linker.api.headers import LimitReport
from linker.ratelimit.layout import LedgerState, RateReport
from linker.ratelimit.permit import Feedback, Permit
from linker.settings import Rate

_RESET_SLACK_S: Final = 2.0
"""How much later than a whole window a Reset may be: it comes in whole seconds, and clocks differ."""

_SAME_WINDOW: Final = 0.05
"""By which part of a window the account's own may differ from it."""


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
        readable = {rate.requests: (rate, report) for rate, report in by_seconds}.values()
        self._readable = sorted(readable, key=lambda pair: pair[0].seconds)

    def wait_s(self, now: float) -> float:
        """Seconds until the account may take another request; 0 if it may now, infinity until a trial has ended."""
        head, wait_s = self._head, 0.0
        if head.paused_until > now:
            wait_s = head.paused_until - now
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
        limit = feedback.limit
        about = None if limit is None else self._rate_of(limit)
        for rate, report in self._readable:
            if limit is not None and rate is about:
                self._read(rate, report, permit, feedback, limit, now)
            elif report.probed_at:
                self._hear_nothing(report, permit, feedback)

    def end_trial(self, permit: Permit, feedback: Feedback) -> None:
        """End the trial after a pause, if a request that was sent since then was answered."""
        head = self._head
        if head.trial and feedback.answered and not feedback.refused and permit.at >= head.paused_until:
            head.trial = 0.0

    def pause(self, until: float) -> None:
        """Let nobody send until then, and afterwards one request alone until it is answered."""
        self._head.paused_until = max(self._head.paused_until, until)
        self._head.trial, self._head.trial_permit = 1.0, 0.0

    def has_others(self, now: float) -> bool:
        """Whether other programs use the account, by its reports or because it refused a request in the last window."""
        paused_until = self._head.paused_until or -math.inf
        for rate, report in self._reports:  # noqa: SIM110  for each turn, so without a generator
            if now < report.others_until or now < paused_until + rate.seconds:
                return True
        return False

    def has_budget(self) -> bool:
        """Whether the account reports fewer remaining requests than ours explain, or another limit than ours."""
        for _, report in self._reports:  # noqa: SIM110
            if report.budget >= 0:
                return True
        return False

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

    def _rate_of(self, limit: LimitReport) -> Rate | None:
        """The rate to which a report applies: that of its number, or else the shortest that it can be meant for."""
        rates = [rate for rate, _ in self._readable]
        fitting = [rate for rate in rates if _fits(limit, rate)]
        number = limit.limit
        for rate in fitting:
            if rate.requests == number:
                return rate
        for rate in fitting:
            if limit.window_s is not None or (number and limit.reset_s is not None and number <= rate.requests):
                return rate
        return next((rate for rate in rates if rate.requests == number), rates[-1] if rates else None)

    def _read(
        self, rate: Rate, report: RateReport, permit: Permit, feedback: Feedback, limit: LimitReport, now: float
    ) -> None:
        has_reset = limit.reset_s is not None and limit.reset_s <= rate.seconds + _RESET_SLACK_S
        if feedback.refused and not has_reset:
            self._hear_nothing(report, permit, feedback)  # the pause that the refusal asks for comes next
            return
        if permit.at < report.read_at:
            return
        report.read_at = permit.at
        ended_since = self._state.ended_since
        ended_before = ended_since(permit.at - rate.seconds)
        later = int(self._head.sent) - permit.sent
        is_ours = limit.limit == rate.requests and _is_window(limit, rate)
        counted = rate.requests - limit.remaining
        if is_ours and counted > self._state.under_way() + ended_before:
            # more than all of ours that it can have counted: there are others, and they will stay for a while
            report.others_until = now + rate.seconds
        if not is_ours or now < report.others_until:
            later += permit.under_way - 1  # requests that were already under way may have been counted later, too
        elif counted <= permit.under_way + ended_before - ended_since(permit.at):
            _drop_budget(report)  # no more than ours that left before it
            return
        report.budget = self._head.sent + max(0, limit.remaining - later)
        report.until = now + (limit.reset_s if has_reset and limit.reset_s is not None else rate.seconds)
        report.probed_at = 0.0

    def _hear_nothing(self, report: RateReport, permit: Permit, feedback: Feedback) -> None:
        """An answer says nothing about a rate: once the Reset has passed, the budget by an earlier answer is over."""
        if feedback.answered and report.probed_at and permit.at >= report.probed_at:
            _drop_budget(report)


def _fits(limit: LimitReport, rate: Rate) -> bool:
    """Whether a report can be one on the window of a rate."""
    return _is_window(limit, rate) and (limit.reset_s is None or limit.reset_s <= rate.seconds + _RESET_SLACK_S)


def _is_window(limit: LimitReport, rate: Rate) -> bool:
    """Whether a report names the window of a rate, or none."""
    return limit.window_s is None or abs(limit.window_s - rate.seconds) <= _SAME_WINDOW * rate.seconds


def _drop_budget(report: RateReport) -> None:
    report.budget, report.probed_at = -1.0, 0.0

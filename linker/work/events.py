"""What may come of a step: an answer, what was seen together with other targets, a failure, or a signal."""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeAlias

import msgspec

from linker.api.answers import Answer
from linker.api.visibility import Endpoint
from linker.model.job import Links
from linker.retry.verdict import GiveUp


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What a target holds by an answer that left at `read_at` in loop time; `links` is None if it shows none."""

    links: Links | None
    read_at: float
    endpoint: Endpoint
    http_status: int = 200


class Signal(Enum):
    """What may come instead of an answer."""

    OUTDATED = auto()
    """The PUT relies on a read that is too old."""
    DROPPED = auto()
    """Some jobs will not be sent."""


Event: TypeAlias = Answer | Observation | GiveUp | Signal

"""Both ways to send a request, for the tests that hold for each of them."""

from __future__ import annotations

import pytest
from support import raw_server


@pytest.fixture(params=["exchange", "plain"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `opened` open pools that send by an exchange, and then such that send by aiohttp's own client."""
    monkeypatch.setitem(raw_server.DEFAULTS, "plain_requests", request.param == "plain")

"""Fixtures that all tests share: a state directory of their own, a sandbox without limits, and the command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from support.command import Command

from linker.sandbox import Sandbox

# examples may take long on a slow machine
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory for each test: its sandbox may get the port that another test's sandbox just had."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def fresh_structlog() -> Iterator[None]:
    """Leave structlog unconfigured after each test; its own `capture_logs` leaves it configured."""
    yield
    structlog.reset_defaults()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account without limits, with 100 features and customers in addition to the document's."""
    async with Sandbox(limits=[], features=100, records=100, keep_requests=True) as sandbox:
        yield sandbox


@pytest.fixture
def command(tmp_path: Path, sandbox: Sandbox) -> Command:
    """The command, with the sandbox's URL and token in its environment."""
    return Command(tmp_path, {"AHA_URL": sandbox.url, "AHA_TOKEN": sandbox.options.token})

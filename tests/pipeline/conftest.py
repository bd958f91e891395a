"""An account that shows `[]` where there are no links, so that the requests counted here are reads and writes alone.

What it costs to learn that a missing list means none is counted in `tests/client/test_visibility.py`.
"""

from collections.abc import AsyncIterator

import pytest

from linker.sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account without limits, with 100 features and customers in addition to the document's."""
    async with Sandbox(limits=[], features=100, records=100, keep_requests=True, empty_links="empty") as sandbox:
        yield sandbox

"""An account that shows `[]` where there are no links, so that a fault befalls the read or the write it is meant for.

What happens where answers leave them out is in `test_round_trip.py`.
"""

from collections.abc import AsyncIterator

import pytest

from linker.sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An account without limits, with 100 features and customers in addition to the document's."""
    async with Sandbox(limits=[], features=100, records=100, keep_requests=True, empty_links="empty") as sandbox:
        yield sandbox

"""No list is replaced without one of its rows, whatever has happened to the file."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.dirty_files import RECORDS, check_lists, make, mentioned
from support.runs import eager, results_of

from linker import Kind, UsageError
from linker.sandbox import Sandbox


@given(st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_a_list_has_all_records_that_its_lines_name(rng: random.Random) -> None:
    """Or it is held back, or any list is, because a target cannot be told."""
    check_lists(make(rng))


async def test_links_go_only_if_every_row_of_their_list_was_read(tmp_path: Path) -> None:
    """By the account itself: what has lost a link holds what all lines of its target name."""
    shortened = 0
    async with Sandbox(limits=[], records=8) as sandbox, eager(sandbox) as aha:
        for seed in range(80):
            rng = random.Random(seed)
            file = make(rng)
            path = tmp_path / f"dirty{seed}.{file.format}"
            path.write_bytes(file.data)
            before = {f"PRJ1-{number}": set(rng.sample(RECORDS[:3], 2)) for number in (1, 2, 3)}
            for id, ids in before.items():
                sandbox.account.set_links(Kind.FEATURE, id, "customers", ids)
            try:
                results = await results_of(aha.run(path))
            except UsageError:
                results = []
            links = sandbox.account.all_links()
            after = {id: set(links.get((Kind.FEATURE, id), {}).get("customers", ())) for id in before}
            lost = {id for id in before if before[id] - after[id]}
            shortened += len(lost)
            if not results:
                assert after == before
            for line, target, records in mentioned(file):
                if target in lost:
                    assert records <= after[target], f"seed {seed}, line {line}"
    assert shortened > 20

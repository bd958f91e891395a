"""Hostile inputs by the thousand: by hypothesis, and by the seeded fuzzer."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from pathlib import Path

import fuzz
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command import Command
from support.hostile_answers import ANSWERS
from support.hostile_inputs import SURFACES, Surface
from support.mutation import Mutator

import linker

ROOT = Path(linker.__file__).parent.parent
ALL = {surface.name: surface for surface in (*SURFACES, *ANSWERS)}
RANDOMS = st.integers(0, 2**32).map(random.Random)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["customers", "1", "id"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["key", "record_ids", "id"]), inner),
)
TEXTS = st.text().map(lambda text: text.encode(errors="replace"))
GIVEN: dict[str, st.SearchStrategy[bytes]] = {
    "job lines": st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
    "tables": st.binary() | TEXTS.map(lambda text: b"id,field,record_ids,record_names\nPRJ1-1,customers,1," + text),
    "settings": st.binary() | TEXTS,
    "answers": st.binary() | JSON.map(lambda value: json.dumps({"feature": {"custom_object_links": value}}).encode()),
    "headers": st.binary() | TEXTS.map(lambda text: b"Retry-After: " + text + b"\nX-Ratelimit-Reset: " + text),
}


@pytest.mark.parametrize("surface", GIVEN)
def test_whatever_it_is_it_is_understood_rightly_or_refused(surface: str, tmp_path: Path) -> None:
    """Hypothesis looks for an input that ends in something else."""

    @given(GIVEN[surface], RANDOMS)
    def holds(data: bytes, rng: random.Random) -> None:
        ALL[surface].check(data, rng, tmp_path)

    holds()


async def test_the_fuzzer_finds_nothing(command: Command) -> None:
    """A hundredth of what is in docs/reliability.md, by another seed, as a user runs it."""
    told = ("--inputs", "10000", "--seed", "7")
    finished = await command.program(sys.executable, str(ROOT / "benchmarks/fuzz.py"), *told)
    assert finished.code == 0, finished.stderr
    assert "10,000  inputs, seed 7" in finished.stdout
    for name in ALL:
        assert name in finished.stdout


@pytest.mark.timeout(60, method="thread")  # the fuzzer's alarm is the process's own
def test_the_fuzzer_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that escapes, a wrong understanding and a hang: each is told with what it takes to have it again."""

    def check(data: bytes, rng: random.Random, _: Path) -> None:
        match rng.randrange(5):
            case 0:
                raise KeyError(data)
            case 1:
                raise AssertionError("understood wrongly")
            case 2:
                time.sleep(60)
            case 3:
                while True:
                    pass

    monkeypatch.setattr(fuzz, "_LONGEST_S", 0.01)
    monkeypatch.setattr(fuzz, "_LONGEST_WAIT_S", 0.25)
    monkeypatch.setenv("XDG_STATE_HOME", "")  # put back what it sets
    surface = Surface("broken", [b'{"id": 1}'], check)
    found = list(fuzz.findings(3, surface, range(20)))
    assert {word for each in found for word in re.findall("KeyError|understood wrongly|_Hang: .*", each)} == {
        *("KeyError", "understood wrongly", "_Hang: over 0.01 s of CPU", "_Hang: over 0.25 s")
    }
    assert 10 < len(found) < 20
    again = re.match(r"--seed 3 --surface 'broken' --only (\d+)\n", found[0])
    assert again is not None
    assert next(fuzz.findings(3, surface, [int(again[1])])).splitlines()[:2] == found[0].splitlines()[:2]


@pytest.mark.timeout(60, method="thread")
def test_what_was_found_may_take_its_time_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the input's: on a busy machine it ran out while the traceback was made, and ended the fuzzer."""

    class SlowToTell(Exception):
        def __str__(self) -> str:
            time.sleep(0.06)
            return "found"

    def check(data: bytes, rng: random.Random, _: Path) -> None:
        raise SlowToTell

    monkeypatch.setattr(fuzz, "_LONGEST_WAIT_S", 0.05)
    monkeypatch.setenv("XDG_STATE_HOME", "")
    (told,) = fuzz.findings(3, Surface("broken", [b""], check), [0])
    assert "SlowToTell: found" in told


def test_an_input_is_the_same_each_time() -> None:
    """By its seed, its surface and its number; and seldom one that was there before."""
    for surface in ALL.values():
        bent, again = (
            [Mutator(surface.seeds).bent(random.Random(f"1 {surface.name} {number}")) for number in range(300)]
            for _ in range(2)
        )
        assert bent == again
        assert len(set(bent)) > 150


async def test_the_command_survives_what_the_fuzzer_makes(command: Command) -> None:
    """Job files of a hundred bent lines, as a user runs them: an exit code of ours and no traceback."""
    for name, suffix in (("job lines", "jsonl"), ("tables", "csv")):
        mutator = Mutator(ALL[name].seeds)
        lines = [mutator.bent(random.Random(number)) for number in range(100)]
        head = b"kind,id,field,record_ids,mode,key\n" if suffix == "csv" else b""
        (command.folder / f"links.{suffix}").write_bytes(head + b"\n".join(lines))
        finished = await command("plan", f"links.{suffix}")
        assert finished.code in (1, 2), finished.stderr
        assert "internal error" not in finished.stderr

"""Damages inputs at random, by a seed, as a broken program, a spreadsheet or an attacker might."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import orjson

__all__ = ["Mutator"]

_TOKENS: Final = [
    *(b"", b"\0", b"\n", b"\r\n", b"\r", b'"', b'""', b"'", b"\\", b",", b";", b"\t", b"|", b" ", b":", b"/", b"../"),
    *(b"{", b"}", b"[", b"]", b"[[[[", b'{"a":', b"null", b"true", b"false", b"NaN", b"Infinity", b"-0", b"1e999"),
    *(b"0", b"-1", b"007", b"18446744073709551616", b"9007199254740993", b"7.03E+18", b"9" * 4400, b"0x10", b"1_000"),
    *(b"\x1b[2J", b"\x9b", b"\xc2\x9b", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f"),
    *(b"\\ud800", b"\\u0000", b"\\u202e", b"=cmd|' /C calc'!A0", b"+1", b"@SUM(A1)", b"-2", b"*", b"$", b"%2f", b"1E5"),
    *(b"customers", b"record_ids", b"id", b"name", b"key", b"PRJ1-1", b"replace", b"add", b"remove", b"feature"),
    *(b"Ideas::Idea", b"__proto__", b"constructor", b"links", b"mode", b"kind", b"record_names", b"salesforce_id"),
    *(each.encode() for each in "٣４五ßİıſǅﬁ\u2028\u200b\u00a0\ufdfa\U0001f4a9"),
]

_VALUES: Final[list[Any]] = [
    *(None, True, False, 0, -1, 2**53 + 1, 2**63, 1.5, 1e300, "", " ", "0", "007", "x" * 3000, "../..", "=1+1"),
    *([], {}, [[]], {"": ""}, [None], "customers", "640362830", "\u202e\x1b[2J\n", {"message": "no"}),
    *({"name": "Acme Corp"}, ["640362830", 8397122]),
]

_DEEP: Final = (40, 126, 253, 254, 500, 1023, 1025, 20_000)


class Mutator:
    """Damages inputs of one kind.

    Args:
        seeds: valid inputs; JSON is also damaged value by value.
    """

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._seeds = seeds
        self._trees = [tree for tree in map(_tree, seeds) if tree is not None]

    def bent(self, rng: random.Random) -> bytes:
        """One of the seeds, damaged a few times."""
        if self._trees and rng.random() < 0.5:
            data = _grown(rng, rng.choice(self._trees))
            if rng.random() < 0.7:
                return data
        else:
            data = rng.choice(self._seeds)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
            data = self._bend(rng, data)
        return data

    def _bend(self, rng: random.Random, data: bytes) -> bytes:
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((0, 1, 1, 2, 5, 20, 200)))
        match rng.randrange(8):
            case 0 if data:
                at = min(at, len(data) - 1)
                return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            case 1:
                return data[:at] + data[to:]
            case 2:
                times = rng.choice((2, 3, 300)) if rng.random() < 0.99 else 100_000 // max(1, to - at)
                return data[:at] + data[at:to] * times + data[to:]
            case 3:
                other = rng.choice(self._seeds)
                return data[:at] + other[rng.randint(0, len(other)) :]
            case 4:
                return data[:at] + rng.randbytes(rng.choice((1, 2, 8))) + data[to:]
            case 5 if rng.random() < 0.1:
                deep = rng.choice(_DEEP)
                opened, closed = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"":', b"}]")))
                return data[:at] + opened * deep + b"1" + closed * deep + data[to:]
            case _:
                return data[:at] + rng.choice(_TOKENS) + data[to:]


def _tree(data: bytes) -> Any:
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return tree if isinstance(tree, dict | list) else None


def _grown(rng: random.Random, tree: Any) -> bytes:
    """A JSON value with some of its parts replaced, renamed, doubled or left out."""
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        tree = _replaced(rng, tree)
    deep = rng.choice(_DEEP[:3]) if rng.random() < 0.02 else 0
    try:
        data = orjson.dumps(tree)
    except TypeError:  # too deep for it to write
        data = b"[]"
    if not deep:
        return data
    spot = data.find(b":", rng.randrange(max(1, len(data)))) + 1
    return data[:spot] + b"[" * deep + b"]" * deep + b"," * bool(spot) + data[spot:]


def _replaced(rng: random.Random, tree: Any) -> Any:
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return rng.choice(_VALUES)
    if isinstance(tree, list):
        at = rng.randrange(len(tree))
        match rng.randrange(4):
            case 0:
                return [*tree[:at], *tree[at + 1 :]]
            case 1:
                return [*tree, *tree[at:]][:2000]
        return [*tree[:at], _replaced(rng, tree[at]), *tree[at + 1 :]]
    key = rng.choice(list(tree))
    match rng.randrange(5):
        case 0:
            return {name: value for name, value in tree.items() if name != key}
        case 1:
            other = rng.choice(_TOKENS).decode(errors="replace")
            return {other if name == key else name: value for name, value in tree.items()}
    return tree | {key: _replaced(rng, tree[key])}

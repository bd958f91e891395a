"""Finds a secret in text that others wrote, also where it is encoded: escaped, in base64, in hex, or twice over.

A text is looked at in layers. The first is the text itself; each other one is what a decoding makes of a layer. A layer
knows for each of its characters where in the text that came from, so that what is found can be cut out of the text.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_RUN: Final = 12
"""So many characters of a secret in a row are as good as all of it."""

_DEPTH: Final = 3
"""How many encodings around each other are undone."""

_ESCAPE = re.compile(
    r"\\u\{(?P<braced>[0-9A-Fa-f]{1,6})\}|(?:\\u|%u)(?P<four>[0-9A-Fa-f]{4})|(?:\\x|%|=)(?P<two>[0-9A-Fa-f]{2})"
    r"|\\(?P<octal>[0-3][0-7]{2})|\\(?P<plain>[^0-9A-Za-z])|(?P<entity>&(?:#[xX]?[0-9A-Fa-f]{1,8}|[A-Za-z]{2,31});?)"
)
"""Escapes of JSON and of most languages, percent-encoding, quoted-printable, and HTML entities."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[:,;-]?){12,}[0-9A-Fa-f]?")
_HEX_DIGITS = re.compile(r"0x|\\x|[0-9A-Fa-f]")
_READABLE = re.compile(rf"[\0\s!-~]{{{_RUN},}}")
_STANDARD = str.maketrans("-_", "+/")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")  # keeps the length of any text


class _Layer(NamedTuple):
    text: str
    starts: list[int]
    """Where each character begins in the text that was given, and where it ends."""
    ends: list[int]


def redacted(text: str, secret: str, instead: str) -> str:
    """Return the text with `instead` in place of the secret, and of parts of it, in whatever encoding."""
    lower = secret.translate(_LOWER)
    runs = {lower[at : at + _RUN] for at in range(len(lower) - _RUN + 1)}
    layers, places = [_Layer(text, list(range(len(text))), list(range(1, len(text) + 1)))], set[int]()
    for _ in range(_DEPTH + 1):
        layers = [_squeezed(layer) for layer in layers]
        for layer in layers:
            places.update(_found(layer, runs))
        layers = [decoded for layer in layers for decoded in _decoded(layer)]
    if not places:
        return text
    parts, at = list[str](), 0
    while at < len(text):
        if at not in places:
            parts.append(text[at])
        elif at - 1 not in places:
            parts.append(instead)
        at += 1
    return "".join(parts)


def _found(layer: _Layer, runs: set[str]) -> Iterator[int]:
    """The places in the text of all characters that belong to a run."""
    text = layer.text.translate(_LOWER)
    for at in range(len(text) - _RUN + 1):
        if text[at : at + _RUN] in runs:
            for place in range(at, at + _RUN):
                yield from range(layer.starts[place], layer.ends[place])


def _squeezed(layer: _Layer) -> _Layer:
    """The layer without what no token has: white space, line breaks, control characters, the zeros of UTF-16."""
    if layer.text.isascii() and layer.text.isprintable() and " " not in layer.text:
        return layer
    kept = [at for at, char in enumerate(layer.text) if "!" <= char <= "~"]
    return _Layer(*_picked(layer, kept))


def _picked(layer: _Layer, places: list[int]) -> tuple[str, list[int], list[int]]:
    return (
        "".join(layer.text[at] for at in places),
        [layer.starts[at] for at in places],
        [layer.ends[at] for at in places],
    )


def _decoded(layer: _Layer) -> Iterator[_Layer]:
    """What each decoding makes of a layer, where it makes anything of it."""
    if _ESCAPE.search(layer.text) is not None:
        yield _unescaped(layer)
    for match in _BASE64.finditer(layer.text):
        for start in range(match.start(), match.start() + 4):  # what stands before it may look as if it belonged to it
            end = match.end() - (match.end() - start) % 4
            digits = layer.text[start:end].translate(_STANDARD)
            yield from _from_digits(layer, base64.b64decode(digits), list(range(start, end)), 6)
            # an encoding without padding may end in the middle of four
            if end < match.end() - 1:
                tail = layer.text[end : match.end()].translate(_STANDARD)
                rest = base64.b64decode(digits + tail + "=" * (4 - len(tail)))
                yield from _from_digits(layer, rest, list(range(start, match.end())), 6)
    for match in _HEX.finditer(layer.text):
        digits_at = [match.start() + digit.start() for digit in _HEX_DIGITS.finditer(match[0]) if len(digit[0]) == 1]
        for places in (digits_at, digits_at[1:]):
            places = places[: len(places) // 2 * 2]
            content = binascii.unhexlify("".join(layer.text[at] for at in places))
            yield from _from_digits(layer, content, places, 4)


def _unescaped(layer: _Layer) -> _Layer:
    text, starts, ends = list[str](), list[int](), list[int]()

    def copy(first: int, end: int) -> None:
        text.append(layer.text[first:end])
        starts.extend(layer.starts[first:end])
        ends.extend(layer.ends[first:end])

    done = 0
    for match in _ESCAPE.finditer(layer.text):
        copy(done, match.start())
        for char in _meant(match):
            text.append(char)
            starts.append(layer.starts[match.start()])
            ends.append(layer.ends[match.end() - 1])
        done = match.end()
    copy(done, len(layer.text))
    return _Layer("".join(text), starts, ends)


def _meant(match: re.Match[str]) -> str:
    """The character that an escape stands for."""
    if number := match["braced"] or match["four"] or match["two"]:
        code = int(number, 16)
        return chr(code) if code <= 0x10FFFF else ""
    if match["octal"]:
        return chr(int(match["octal"], 8))
    return match["plain"] or html.unescape(match["entity"])


def _from_digits(layer: _Layer, content: bytes, places: list[int], bits: int) -> Iterator[_Layer]:
    """The layer of bytes whose digits, of so many bits each, are at these places; none if nobody could read it."""
    text = content.decode("latin-1")
    if _READABLE.search(text) is None:
        return
    starts = [layer.starts[places[8 * at // bits]] for at in range(len(text))]
    ends = [layer.ends[places[(8 * at + 7) // bits]] for at in range(len(text))]
    yield _Layer(text, starts, ends)

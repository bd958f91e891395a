"""A token that an answer repeats in another form: escaped, in base64, in hex, cut off, or one in the other."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.leaks import TOKEN
from support.raw_server import Arrived, Wire
from support.runs import features, read_into

import linker
from linker import Linker
from linker.sessions.token import Token
from linker.text import plain

Encoding = Callable[[str, random.Random], str]


def some(each: Callable[[str, random.Random], str], share: float = 1.0) -> Encoding:
    """An encoding of each character, or of some of them."""
    return lambda text, chance: "".join(
        each(char, chance) if chance.random() < share or char in "%&\\" else char for char in text
    )


def any_case(text: str, chance: random.Random) -> str:
    """Hexadecimal digits in either case."""
    return chance.choice([text.lower(), text.upper()])


def in_base64(before: str, urlsafe: bool = False, padded: bool = True) -> Encoding:
    """Base64 of a token, at one of three alignments."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return lambda text, _: (
        encode((before + text).encode()).decode()[: None if padded else -1].rstrip("" if padded else "=")
    )


ENCODINGS: dict[str, Encoding] = {
    "plain": lambda text, _: text,
    "upper": lambda text, _: text.upper(),
    "json": some(lambda char, chance: f"\\u00{any_case(f'{ord(char):02x}', chance)}"),
    "json_some": some(lambda char, chance: f"\\u00{any_case(f'{ord(char):02x}', chance)}", 0.3),
    "slashes": lambda text, _: json.dumps(text)[1:-1].replace("/", "\\/"),
    "x": some(lambda char, chance: f"\\x{any_case(f'{ord(char):02x}', chance)}"),
    "braces": some(lambda char, chance: f"\\u{{{ord(char):x}}}"),
    "percent": some(lambda char, chance: f"%{any_case(f'{ord(char):02x}', chance)}"),
    "percent_some": some(lambda char, chance: f"%{any_case(f'{ord(char):02x}', chance)}", 0.4),
    "quoted": lambda text, _: urllib.parse.quote(text, safe=""),
    "printable": some(lambda char, _: f"={ord(char):02X}"),
    "decimal": some(lambda char, _: f"&#{ord(char)};"),
    "entity": some(lambda char, chance: f"&#{chance.choice('xX')}{any_case(f'{ord(char):02x}', chance)};"),
    "html": lambda text, _: (
        html.escape(text).replace("/", "&sol;").replace("+", "&plus;").replace(".", "&period;").replace("_", "&lowbar;")
    ),
    "base64": in_base64(""),
    "base64_1": in_base64("u:"),
    "base64_2": in_base64("Bearer "),
    "base64_url": in_base64("x", urlsafe=True),
    "base64_cut": in_base64("", padded=False),
    "hex": lambda text, chance: any_case(text.encode().hex(), chance),
    "hex_colons": lambda text, _: text.encode().hex(":"),
    "hex_spaces": lambda text, _: text.encode().hex(" "),
    "spaced": lambda text, _: " ".join(text[at : at + 7] for at in range(0, len(text), 7)),
}


def token_of(seed: int) -> str:
    """A token as a server makes one."""
    chance = random.Random(seed)
    if chance.random() < 0.4:
        return "".join(chance.choices("0123456789abcdef", k=64))
    return "".join(chance.choices(string.ascii_letters + string.digits + "-_.~+/", k=chance.randint(24, 90)))


TOKENS = st.integers(0, 2**32).map(token_of)


def longest_common(one: str, other: str) -> str:
    """The longest text that stands in both."""
    longest = ""
    for at in range(len(one)):
        while at + len(longest) < len(one) and one[at : at + len(longest) + 1] in other:
            longest = one[at : at + len(longest) + 1]
    return longest


@given(
    TOKENS,
    st.lists(st.sampled_from(sorted(ENCODINGS)), max_size=2),
    st.sampled_from(["", "you sent ", "Authorization: ", "key=", "a", "ab-", '{"error":"', "é\u200b"]),
    st.sampled_from(["", " which is bad", '"}', "===", "ffff"]),
    st.integers(0, 2**32),
)
@example(TOKEN, ["base64_1", "base64_2"], "key=", "", 0)
@example(TOKEN, ["base64_url", "quoted"], "a", "ffff", 0)
@example(TOKEN, ["json", "json"], "", "", 0)
@example(TOKEN, ["hex", "base64_1"], "ab-", "", 0)
def test_no_form_of_a_token_is_shown(token: str, names: list[str], before: str, after: str, seed: int) -> None:
    """Up to two encodings in each other, somewhere in a text: what stays has neither a run of it nor of its form."""
    form, chance = token, random.Random(seed)
    for name in names:
        form = ENCODINGS[name](form, chance) if name != "upper" or form == token else form
    shown = Token(token).kept_out_of_text(before + form + after)
    assert "[token]" in shown
    assert before[:-3] in shown
    rest = "".join(shown.replace(before, "", 1).split("[token]"))
    around = 7 * sum(name in ("base64_1", "base64_2", "base64_url") for name in names)  # encoded with the token
    assert len(longest_common(rest, form)) <= (14 + around) * len(form) / len(token) * (
        4 if {"html", "quoted"} & {*names} else 1
    )
    assert token[:12] not in shown
    assert token[-12:] not in shown
    for decode in (urllib.parse.unquote, html.unescape):
        assert token[-12:] not in decode(shown)


@given(st.text(), TOKENS)
def test_a_text_without_the_token_stays_as_it_is(text: str, token: str) -> None:
    """Also if it has escapes and looks like base64."""
    assert Token(token).kept_out_of_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Record not found.",
        "%41%42 &amp; \\u0041 =3D &#65; \\/ \\",
        base64.b64encode(b"a long text that is nobody's token at all, surely").decode(),
        "de:ad:be:ef:de:ad:be:ef:de:ad:be:ef:de:ad:be:ef",
        "&#99999999; \\u{110000} %zz \\400 &nosuchentity;",
        "",
    ],
)
def test_texts_with_encodings_of_other_things_stay_as_they_are(text: str) -> None:
    """They are decoded to look into them, and shown as they came."""
    assert Token(TOKEN).kept_out_of_text(text) == text


def test_a_short_token_stays() -> None:
    """It may be a part of any id."""
    assert Token("sandbox").kept_out_of_text("no sandbox") == "no sandbox"


def test_a_token_that_is_cut_off_is_not_shown_in_part() -> None:
    """A message ends somewhere, maybe in the middle of it."""
    for end in range(60, 360, 7):
        message = plain("x" * (300 - 40) + "&#32;" + "".join(f"&#{ord(char)};" for char in TOKEN))[:end]
        assert TOKEN[:12] not in html.unescape(Token(TOKEN).kept_out_of_text(message))


def test_escapes_of_json_are_undone_in_a_body_before_it_is_read() -> None:
    """Keys, names and ids of an answer are shown, too."""
    body = json.dumps({"name": "[name]"}).replace("[name]", "".join(f"\\u{ord(char):04X}" for char in TOKEN))
    assert json.loads(Token(TOKEN).kept_out_of(body.encode())) == {"name": "[token]"}
    other = json.dumps({"name": "<b>\u00e9 / \\"}).replace("<", "\\u003c").encode()
    assert Token(TOKEN).kept_out_of(other) == other
    slashed = TOKEN[:30] + "/" + TOKEN[30:]
    body = json.dumps({"name": slashed}).replace("/", "\\/")
    assert json.loads(Token(slashed).kept_out_of(body.encode())) == {"name": "[token]"}


ECHOES = ["json", "percent", "decimal", "base64_2", "base64_1", "hex", "quoted"]


@pytest.mark.parametrize("where", ["error", "status_200", "location", "field"])
@pytest.mark.parametrize("name", ECHOES)
async def test_an_answer_that_repeats_it_in_another_form_gets_it_into_no_result(name: str, where: str) -> None:
    """In a message, in the excerpt of an answer that is none, in a redirect, and as the name of a field."""
    form = ENCODINGS[name](TOKEN, random.Random(1))
    in_json = form.replace("\\", "\\\\")
    body, status, header = {
        "error": (f'{{"error": "{in_json}"}}', "422 No", ""),
        "status_200": (f"{form} it was", "200 OK", ""),
        "location": ("", "302 Go", f"Location: https://elsewhere.example/?{form}\r\n"),
        "field": (f'{{"errors": {{"{in_json}": ["is invalid"]}}}}', "400 Bad", ""),
    }[where]

    async def answer(_: Arrived, writer: Any) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    results: list[linker.Result] = []
    told = ""
    async with Wire(answer) as wire, Linker(url=wire.url, token=TOKEN, rate=(), attempts=1, preflight=False) as aha:
        try:
            await read_into(results, aha.run(features(1)))
        except linker.LinkerError as error:
            told = str(error)
    told += "".join(result.to_json().decode() for result in results)
    assert "[token]" in told
    assert re.sub(r"\W", "", form)[20:60] not in re.sub(r"\W", "", told)

"""Files that are not UTF-8: which of them are read, and what is said about the others."""

from __future__ import annotations

import codecs
import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker import LinkJob, Settings, Target, UsageError
from linker.model.name import Name
from linker.sources import Columns, Entry, Reading, Rejection
from linker.sources.csv import check_header, read_table
from linker.sources.encoding import Text, likely_encoding

TABLE = "id,field,record_names\nPRJ1-1,customers,Café du Nord\nPRJ1-2,customers,Zürich Inc\n"
ROWS = [
    LinkJob("PRJ1-1", {"customers": [Name("name", "Café du Nord")]}),
    LinkJob("PRJ1-2", {"customers": [Name("name", "Zürich Inc")]}),
]


def read(data: bytes, encoding: str | None = None, columns: Columns | None = None) -> list[Entry]:
    """The entries of a table."""
    return list(read_table(io.BytesIO(data), "links.csv", Reading(encoding=encoding), columns))


def rejection(entry: Entry) -> Rejection:
    """The rejection that an entry is."""
    assert isinstance(entry.value, Rejection), entry
    return entry.value


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was reported."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
@pytest.mark.parametrize("option", [None, "cp1252"])
def test_a_byte_order_mark_tells_the_encoding(end: str, bom: bytes, encoding: str, option: str | None) -> None:
    """Also if `--encoding` names another one, for the other files of the run."""
    if option is None or bom:
        data = bom + TABLE.replace("\n", end).encode(encoding)
        assert [entry.value for entry in read(data, option)] == ROWS


@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "mac-roman", "cp850", "cp037", "utf-16-le", "utf-8-sig", "utf-16"]
)
def test_an_encoding_that_is_named_is_read(encoding: str) -> None:
    """Every row comes back, whatever its letters are, and nothing is reported."""
    assert [entry.value for entry in read(TABLE.encode(encoding), encoding)] == ROWS


def test_a_row_that_is_not_utf8_tells_its_target_and_the_likely_encoding(caplog: pytest.LogCaptureFixture) -> None:
    """Each is rejected shortly, and the file is reported once."""
    first, second = map(rejection, read(TABLE.encode("cp1252")))
    assert (first.targets, second.targets) == ((Target.parse("PRJ1-1"),), (Target.parse("PRJ1-2"),))
    assert first.message == (
        "the row is not UTF-8; the file looks like cp1252: add --encoding cp1252, or save it as CSV UTF-8"
    )
    (warning,) = warnings(caplog)
    assert "links.csv" in warning
    assert "--encoding cp1252" in warning


def test_a_byte_in_a_column_that_is_not_read_costs_its_row_too(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever else it has damaged; in a quoted cell of several lines as well."""
    columns = Columns({"id": "Ref", "record_ids": "Id"}, {"field": "customers"})
    entries = read(b'Ref,Id,Note\nPRJ1-1,1,\xe9\nPRJ1-2,1,"a\n\xe9"\nPRJ1-3,1,ok\n', None, columns)
    assert [entry.line for entry in entries] == [2, 3, 5]
    assert rejection(entries[0]).targets == (Target.parse("PRJ1-1"),)
    assert rejection(entries[1]).targets == (Target.parse("PRJ1-2"),)
    assert entries[2].value == LinkJob("PRJ1-3", {"customers": ["1"]})
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("damaged", [b"Z\xe9 Inc", b"Z\xc3", b"\xff"])
def test_one_damaged_row_does_not_make_a_file_of_another_encoding(damaged: bytes) -> None:
    """If the other rows have letters in UTF-8, another encoding would spoil them."""
    *_, last = read(TABLE.encode() + b"PRJ1-3,customers," + damaged + b"\n")
    assert "the rest of the file is UTF-8, so correct these bytes" in rejection(last).message


def test_bytes_that_the_named_encoding_does_not_know_cost_their_row() -> None:
    """The others are read."""
    first, second = read(TABLE.encode("cp1252").replace(b"Caf\xe9", b"Caf\x81"), "cp1252")
    assert rejection(first).message.startswith("the row is not valid cp1252")
    assert rejection(first).targets == (Target.parse("PRJ1-1"),)
    assert second.value == ROWS[1]


@pytest.mark.parametrize("at", range(48, 120, 7))
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_byte_too_few_or_too_many_in_utf16_spoils_all_that_follows(at: int, encoding: str, cut: bool) -> None:
    """It is no text any more, and nobody knows whose rows it was."""
    bom = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE
    data = bom + TABLE.encode(encoding)
    data = data[:at] + (b"" if cut else b"x") + data[at + cut :]
    entries = read(data)
    assert any(isinstance(entry.value, Rejection) and entry.value.may_be_anywhere for entry in entries)


def test_a_line_end_that_damage_has_swallowed_in_utf16_is_one_all_the_same() -> None:
    """The row behind it stands in the same line then, and its target cannot be seen: it may be of any list."""
    table = "id,field,record_ids\nPRJ1-1,customers,11\nPRJ1-2,customers,12\n"
    data = bytearray(codecs.BOM_UTF16_LE + table.encode("utf-16-le"))
    data.insert(data.index("\nPRJ1-2".encode("utf-16-le")), 0xE9)
    del data[-7]  # in the last cell: what follows is text again
    entries = read(bytes(data))
    assert any(rejection(entry).may_be_anywhere for entry in entries if isinstance(entry.value, Rejection))


def test_a_name_of_one_character_repeated_is_text_in_utf16() -> None:
    """U+4E00 three times is a word, though it is what `N` becomes if a byte is missing."""
    (entry,) = read("id,key,field,record_ids\nPRJ1-1,一一一,customers,11\n".encode("utf-16"))
    assert isinstance(entry.value, LinkJob)
    assert entry.value.key == "一一一"


def test_a_quote_in_front_of_damaged_utf16_does_not_hold_the_rows_behind_it() -> None:
    """The line ends and quotes of the rows in between cannot be seen, until a second fault moves all back in place."""
    table = 'id,field,record_ids,key\nPRJ1-1,customers,1,"a"\nPRJ1-2,customers,1,"b"\nPRJ1-3,customers,1,"c"\n'
    data = bytearray(codecs.BOM_UTF16_LE + table.encode("utf-16-le"))
    at = data.index("a".encode("utf-16-le"))
    del data[at]
    data.insert(data.rindex(b"c"), ord("x"))
    entries = read(bytes(data))
    assert any(rejection(entry).may_be_anywhere for entry in entries if isinstance(entry.value, Rejection))


def test_a_header_that_is_not_utf8_will_do_if_the_columns_that_count_are_legible(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else the whole file is refused, with its likely encoding."""
    columns = Columns({"id": "Aha Ref", "record_names": "Account"}, {"field": "customers"})
    table = "Aha Ref,Größe,Account\nPRJ1-1,x,Acme\n"
    assert [entry.value for entry in read(table.encode("cp1252"), None, columns)] == [
        LinkJob("PRJ1-1", {"customers": [Name("name", "Acme")]})
    ]
    assert len(warnings(caplog)) == 1
    columns = Columns({"id": "Aha Ref", "record_names": "Größe"}, {"field": "customers"})
    assert isinstance(read(table.encode("cp1252"), "cp1252", columns)[0].value, LinkJob)
    with pytest.raises(
        UsageError, match=r"^links\.csv line 1: the header is not UTF-8 \(.*\); .*add --encoding cp1252"
    ):
        read(table.encode("cp1252"), None, columns)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_byte_order_mark_is_refused_with_the_option(encoding: str) -> None:
    """And read with it."""
    with pytest.raises(
        UsageError, match=rf"zero bytes \(.*\); the file looks like {encoding}: add --encoding {encoding}"
    ):
        read(TABLE.encode(encoding))
    assert [entry.value for entry in read(TABLE.encode(encoding), encoding)] == ROWS


def test_a_look_at_the_header_reports_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The reading of the file does."""
    check_header(io.BytesIO("id,field,record_ids\nä".encode("cp1252")), "links.csv", None, None)
    columns = Columns({"id": "Ref", "record_ids": "Id"}, {"field": "customers"})
    check_header(io.BytesIO("Ref,Id,Größe\n".encode("cp1252")), "links.csv", columns, None)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("Müller Straße\n", "cp1252", "cp1252"),
        ("Przedsiębiorstwo Handlowe Łódź, Zażółć gęślą jaźń\n" * 9, "cp1250", "cp1250"),
        ("Привет мир компания\n" * 9, "cp1251", "cp1251"),
        ("株式会社日立製作所\n" * 9, "shift_jis", "cp932"),
        ("Acme Corp\n" * 9, "utf-16-le", "utf-16-le"),
    ],
)
def test_the_likely_encoding_is_told(text: str, encoding: str, expected: str) -> None:
    """Of those that fit equally well, the one that western spreadsheets write."""
    assert likely_encoding(text.encode(encoding)) == expected


@pytest.mark.parametrize("name", ["nope", "", "hex", "rot13", "idna", "unicode_escape", "x" * 10_000, "cp\0"])
def test_an_encoding_that_is_none_is_a_usage_error(name: str) -> None:
    """Which names it, in some hundred characters."""
    with pytest.raises(UsageError, match=r"^encoding \".* is unknown; use a name such as cp1252") as error:
        Settings(base_url="https://company.aha.io", encoding=name)
    assert len(str(error.value)) < 200


@given(st.binary(max_size=200), st.sampled_from([None, "cp1252", "utf-16", "shift_jis", "utf-7", "ascii", "gb18030"]))
def test_whatever_bytes_a_file_holds_they_are_text_or_marked(data: bytes, encoding: str | None) -> None:
    """The stream is UTF-8 wherever the file is valid, and nothing raises."""
    text = Text(io.BytesIO(data), "x", encoding)
    lines = text.stream.readlines()
    decoded = [text.decode(line, 1) for line in lines]
    assert all(isinstance(line, str) for line, _ in decoded)
    if text.encoding == "utf-8":
        assert b"".join(lines) == data.removeprefix(codecs.BOM_UTF8)


@given(st.text(max_size=50), st.sampled_from(["utf-16", "utf-8-sig", "utf-32", "gb18030"]))
def test_text_of_any_encoding_comes_back(text: str, encoding: str) -> None:
    """Each character, but those that ASCII becomes if a byte is missing."""
    text = "".join(character for character in text if ord(character) % 256)
    stream = Text(io.BytesIO(text.encode(encoding)), "x", encoding).stream
    assert stream.read().decode() == text

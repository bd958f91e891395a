"""Turns files of any encoding into UTF-8, and guesses the encoding of one that is not UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from typing import BinaryIO, Final

from linker import log

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose BOM it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK: Final = 65_536
_SAMPLE: Final = 20_000
"""Bytes by which an encoding is guessed."""
_LIKELY: Final = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "iso8859_2", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
"""Encodings that spreadsheets and databases write today."""
_MARK: Final = "\udcff"
"""Stands for bytes that an encoding does not know. UTF-8 cannot hold it, so its line is rejected."""

_SHIFTED = re.compile("[\u0a00\u0d00]|[" + "".join(chr(code << 8) for code in range(0x20, 0x7F)) + "]{3,}")
"""What ASCII becomes in UTF-16 if a byte is missing or surplus: a line end, or text with line ends in it or before."""

codecs.register_error("linker.mark", lambda error: (_MARK, error.end))  # type: ignore[attr-defined]


class Text:
    """The bytes of a file as UTF-8 in `stream`, and the decoding of its lines.

    Args:
        stream: the file. A byte order mark says which encoding it has, and is dropped.
        encoding: the encoding of a file without such a mark; None: UTF-8.
        warns: report a file that is not UTF-8.
    """

    def __init__(self, stream: BinaryIO, source: str = "", encoding: str | None = None, *, warns: bool = True) -> None:
        self._source = source
        self._is_reported = False
        self._warns = warns
        self._has_letters = False  # some that are not ASCII, in UTF-8
        self._advice = _advice(None)
        first = b""
        while len(first) < 4 and (more := stream.read(4 - len(first))):
            first += more
        bom, found = next(((bom, name) for bom, name in _BOMS if first.startswith(bom)), (b"", encoding or "utf-8"))
        self.encoding = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(name := codecs.lookup(found).name, name)
        """The name of the file's encoding."""
        decoder = None
        if not self._is_utf8:
            decoder = codecs.getincrementaldecoder(self.encoding)("linker.mark")
        self.stream = io.BufferedReader(_Recoded(first[len(bom) :], stream, decoder, self.encoding), _CHUNK)

    def decode(self, line: bytes, number: int) -> tuple[str, bool]:
        """The text of a line, and whether it is whole. If not, each byte that is not ASCII has become one character.

        The first such line is reported as a warning, with the likely encoding of the file.
        """
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            if not self._is_reported and self._is_utf8:
                self._report(number, line[max(0, error.start - _SAMPLE // 2) :])
            self._is_reported = True
            return line.decode("latin-1"), False
        if not self._has_letters and not line.isascii():
            self._has_letters = True
        return text, True

    @property
    def fault(self) -> str:
        """What is wrong with a line that could not be decoded, and what to do."""
        if not self._is_utf8:
            return f"is not valid {self.encoding}; check --encoding"
        return f"is not UTF-8; {self._advice}"

    def advice(self, line: bytes) -> str:
        """What to do about a line that is not UTF-8, by the line and what follows it."""
        return _advice(self._guess(line))

    @property
    def is_wide(self) -> bool:
        """Whether a byte that is missing moves all that follows."""
        return self.encoding.startswith(("utf-16", "utf-32"))

    @property
    def _is_utf8(self) -> bool:
        return self.encoding in ("utf-8", "utf-8-sig")

    def _guess(self, line: bytes) -> str | None:
        if not self._is_utf8:
            return None
        return "utf-8" if self._has_letters else likely_encoding((line + self.stream.peek(_SAMPLE))[:_SAMPLE])

    def _report(self, number: int, line: bytes) -> None:
        likely = self._guess(line)
        self._advice = _advice(likely)
        if self._warns:
            log.get_logger().warning(log.NOT_UTF8, file=self._source, line=number, advice=self._advice)


def likely_encoding(sample: bytes) -> str | None:
    """The most likely encoding of bytes that are not UTF-8, as Python names it; None if nobody can tell.

    It is utf-8 if most of the bytes are, so that the others are damaged. Of encodings that fit equally well it is
    cp1252, which spreadsheets and CRMs in western languages write.
    """
    wide = _wide(sample)
    if wide is not None:
        return wide
    text = sample.decode(errors="replace")
    damaged = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) > 2 * damaged:
        return "utf-8"
    import charset_normalizer  # imported where it is used: it takes 60 ms

    best = charset_normalizer.from_bytes(sample, cp_isolation=list(_LIKELY)).best()
    if best is None:
        return None
    names = best.could_be_from_charset
    return codecs.lookup("cp1252" if "cp1252" in names else best.encoding).name


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a byte order mark: nearly every second byte is zero."""
    pairs = len(sample) // 2
    for name, start in (("utf-16-le", 1), ("utf-16-be", 0)):
        if pairs >= 4 and sample[start::2].count(0) > 0.7 * pairs:
            return name
    return None


def _advice(likely: str | None) -> str:
    if likely is None:
        return "save the file as CSV UTF-8, or give its encoding with --encoding"
    if likely == "utf-8":
        return "the rest of the file is UTF-8, so correct these bytes, or export the file again"
    return f"the file looks like {likely}: add --encoding {likely}, or save it as CSV UTF-8"


class _Recoded(io.RawIOBase):
    """Reads a stream as UTF-8: as it is, or by a decoder."""

    def __init__(
        self, first: bytes, stream: BinaryIO, decoder: codecs.IncrementalDecoder | None, encoding: str
    ) -> None:
        self._read = getattr(stream, "read1", None) or stream.readline  # what is there, without waiting for more
        self._decoder = decoder
        self._may_shift = encoding.startswith("utf-16")
        self._rest = self._recoded(first)
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest and not self._ended:
            data = self._read(_CHUNK)
            self._ended = not data
            self._rest = self._recoded(data)
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def _recoded(self, data: bytes) -> bytes:
        """These bytes in UTF-8; the last ones are followed by a call without any."""
        if self._decoder is None:
            return data
        text = self._decoder.decode(data, final=not data)
        if self._may_shift:
            text = _SHIFTED.sub(_marked, text)
        return text.encode("utf-8", "surrogatepass")


def _marked(shifted: re.Match[str]) -> str:
    """Marks, on two lines, for what may have been any number of lines; one character repeated may be meant."""
    text = shifted[0]
    return text if len(text) > 1 and len(set(text)) == 1 else f"{_MARK}\n{_MARK}"

"""The token, which is sent to the account and to nobody else.

It cannot be shown by accident: its `repr`, the variables of a frame and a pickle do not contain it. Only the value of
the `Authorization` header does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NoReturn

from msgspec import structs
from multidict import CIMultiDict, CIMultiDictProxy

from linker.api.answers import Answer
from linker.errors import UsageError
from linker.sessions.redaction import redacted

_LONGEST: Final = 4096
"""Characters. Aha!'s API keys have 64, OAuth2 tokens a few hundred; servers refuse headers of over 8 KB."""

NEW_ONE: Final = (
    "Make a token in Aha! (Settings > Personal > Developer > Generate API key), then set AHA_TOKEN or the token file"
)
"""What to do without a valid token."""

_SECRET_FROM: Final = 16
"""Characters from which a token is removed from answers. A shorter one, as of a sandbox, may be part of an id."""

_INSTEAD: Final = "[token]"
_ESCAPED = re.compile(rb"\\u00([2-7][0-9A-Fa-f])|\\/")


class Token:
    """An API key or an OAuth2 token of the account. `check()` finds out if it cannot be one.

    Example:
        >>> Token("0123456789abcdef")
        <Token>
    """

    __slots__ = ("__text",)

    def __init__(self, text: str | None) -> None:
        self.__text = (text or "").strip()

    @classmethod
    def of(cls, token: str | Token | None) -> Token:
        """Return the token that a program gives, as text or as a `Token`."""
        return token if isinstance(token, Token) else cls(token)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __repr__(self) -> str:
        return "<Token>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token cannot be pickled or copied; make the Linker where it is used")

    def check(self) -> None:
        """Raise `UsageError` if it is missing or cannot be sent; the message does not repeat it.

        The constructor does not check: an error report that shows the variables of frames would show the text.
        """
        if not self.__text:
            raise UsageError(f"no token given; {NEW_ONE[0].lower()}{NEW_ONE[1:]}")
        is_plain = self.__text.isascii() and self.__text.isprintable() and " " not in self.__text
        if not is_plain or len(self.__text) > _LONGEST:
            raise UsageError("the token contains characters that no token has; check AHA_TOKEN or the token file")

    @property
    def authorization(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self.__text}"

    def kept_out_of(self, body: bytes) -> bytes:
        """Return a body without the token, which a proxy's error or a debugging page may repeat.

        In JSON it may be spelled with escapes. Other encodings are left to `kept_out_of_text`.
        """
        if len(self.__text) < _SECRET_FROM:
            return body
        text = self.__text.encode()
        if text in body:
            body = body.replace(text, _INSTEAD.encode())
        if b"\\" not in body or (b"\\u00" not in body and b"\\/" not in body):
            return body
        ours = "|".join(f"{ord(char):02x}" for char in sorted(set(self.__text)))  # servers escape <, > and & alone
        escape = rf"\\(?:u00(?i:{ours})|/)" if "/" in self.__text else rf"\\u00(?i:{ours})"
        if re.search(escape.encode(), body) is not None:
            plain = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"/", body)
            if self.__text.encode() in plain:
                spelled = "".join(map(_spelled, self.__text))
                body = re.sub(spelled.encode(), _INSTEAD.encode(), body)
        return body

    def kept_out_of_text(self, text: str) -> str:
        """Return a text that is to be shown without the token, in whatever form somebody else has put it there."""
        return redacted(text, self.__text, _INSTEAD) if len(self.__text) >= _SECRET_FROM else text

    def kept_out_of_answer(self, answer: Answer) -> Answer:
        """Return an answer whose message is without the token."""
        return structs.replace(answer, message=self.kept_out_of_text(answer.message)) if answer.message else answer

    def kept_out_of_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of an answer without the token."""
        if len(self.__text) < _SECRET_FROM or self.__text not in "\n".join(headers.values()):
            return headers
        hidden = ((name, value.replace(self.__text, _INSTEAD)) for name, value in headers.items())
        return CIMultiDictProxy(CIMultiDict(hidden))


def _spelled(char: str) -> str:
    """A regular expression for the ways in which JSON may spell a character."""
    return rf"(?:\\?{re.escape(char)}|\\u00(?i:{ord(char):02x}))"

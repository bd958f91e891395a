"""The token, which is sent to the account and to nobody else.

It cannot be shown by accident: its `repr`, the variables of a frame and a pickle do not contain it. Only the value of
the `Authorization` header does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from multidict import CIMultiDict, CIMultiDictProxy

from linker.errors import UsageError

_LONGEST: Final = 4096
"""Characters. Aha!'s API keys have 64, OAuth2 tokens a few hundred; servers refuse headers of over 8 KB."""

_SECRET_FROM: Final = 16
"""Characters from which a token is removed from answers. A shorter one, as of a sandbox, may be part of an id."""

_INSTEAD: Final = "[token]"


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
        raise TypeError("a token is neither pickled nor copied; make the Linker where it is used")

    def check(self) -> None:
        """Raise `UsageError` if it is missing or cannot be sent; the message does not repeat it.

        The constructor does not check: an error report that shows the variables of frames would show the text.
        """
        if not self.__text:
            raise UsageError("a token is needed: an API key of the account (Settings, Personal, Developer in Aha!)")
        is_plain = self.__text.isascii() and self.__text.isprintable() and " " not in self.__text
        if not is_plain or len(self.__text) > _LONGEST:
            raise UsageError("the token holds characters that no token has; is it the right file or variable?")

    @property
    def authorization(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self.__text}"

    def kept_out_of(self, body: bytes) -> bytes:
        """Return a body without the token, which a proxy's error or a debugging page may repeat."""
        if len(self.__text) < _SECRET_FROM:
            return body
        return body.replace(self.__text.encode(), _INSTEAD.encode())

    def kept_out_of_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of an answer without the token."""
        if len(self.__text) < _SECRET_FROM or self.__text not in "\n".join(headers.values()):
            return headers
        hidden = ((name, value.replace(self.__text, _INSTEAD)) for name, value in headers.items())
        return CIMultiDictProxy(CIMultiDict(hidden))

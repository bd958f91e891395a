"""How an answer may be none to its request: it names another record, page or product."""

from __future__ import annotations

import msgspec


class Mismatch(msgspec.Struct, frozen=True):
    """An answer that is not one to its request.

    `subject` is what was asked about, the same for all pages of a list. `may_be_so`: the account itself may say that,
    as of a record that was moved and has a new reference number; then it counts once a new connection repeats it.
    """

    subject: str
    why: str
    may_be_so: bool = True

"""What one run has learnt about how an account shows links: a missing `custom_object_links` may or may not mean none.

In the vendor's own examples an answer leaves the key out if a target holds no links, and some answers leave it out
always. So a missing key means *none* only at an endpoint that has shown links before.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto
from typing import Final

from linker.api.answers import Listed
from linker.model.job import Links
from linker.model.target import Kind

_NO_LINKS: Final[Links] = {}
_CONFIRMATIONS: Final = 3
_NEVER: Final = 1_000_000_000


class Endpoint(Enum):
    """What answers with a target of a kind."""

    LIST = auto()
    READ = auto()
    """GET of a single target."""
    WRITE = auto()
    """PUT."""

    __hash__ = object.__hash__  # Enum's own hashes the name, in Python


class Visibility:
    """Which endpoints of which kinds have shown links in this run; shared by all stages."""

    def __init__(self) -> None:
        self._proved: set[tuple[Kind, Endpoint]] = set()
        self._answering: set[tuple[Kind, Endpoint]] = set()
        self._confirmed: Counter[Kind] = Counter()
        self._unseen: set[Kind] = {Kind.PRODUCT}  # the API document's answer to a product's PUT shows no links
        self._without_lists: set[Kind] = set()
        self._owners: dict[str, str] = {}  # by id of a record: the name of the target that it was read as
        self.clears_with_blank: bool | None = None
        """Whether a field is cleared by `[""]` instead of `[]`; None until a clear was seen to work."""

    def __repr__(self) -> str:
        proved = ", ".join(sorted(f"{kind} {endpoint.name}" for kind, endpoint in self._proved))
        return f"<Visibility: {proved or 'nothing proved'}>"

    def claim(self, shown: Listed, target: str) -> bool:
        """Note that a target was read as this record; return whether no other target was before.

        A cache that answers all requests with one record would else make it the list of each target.
        """
        return not shown.id or self._owners.setdefault(shown.id, target) == target

    def observe(self, kind: Kind, endpoint: Endpoint, item: Listed) -> Links | None:
        """Return the links that an answer shows; None if it leaves them out and that does not mean none yet."""
        if item.links is None:
            return _NO_LINKS if self._is_missing_none(kind, endpoint) else None
        if (kind, endpoint) not in self._proved:
            self._answering.add((kind, endpoint))
            if any(item.links.values()):
                self._proved.add((kind, endpoint))
        return item.links

    def _is_missing_none(self, kind: Kind, endpoint: Endpoint) -> bool:
        if (kind, endpoint) in self._proved:
            return True
        return endpoint is Endpoint.WRITE and self._confirmed[kind] >= _CONFIRMATIONS

    def confirm(self, kind: Kind, holds_links: bool) -> None:
        """The answer to a PUT left out links, and a look at the target has shown whether it holds any.

        If targets are only cleared, no answer to a PUT can show links. So after a few that were right to show none,
        the others are not read back.
        """
        self._confirmed[kind] += -_NEVER if holds_links else 1

    def is_proved(self, kind: Kind, endpoint: Endpoint) -> bool:
        """Whether an answer of this endpoint has shown links, so that a missing key means none."""
        return (kind, endpoint) in self._proved

    def is_answering(self, kind: Kind, endpoint: Endpoint) -> bool:
        """Whether an answer of this endpoint had a list of links, even an empty one."""
        return (kind, endpoint) in self._answering

    def can_be_read(self, kind: Kind) -> bool:
        """Whether any answer to a GET had a list of links of this kind."""
        return self.is_answering(kind, Endpoint.READ) or self.is_answering(kind, Endpoint.LIST)

    def hides(self, kind: Kind) -> bool:
        """Whether answers of this kind are taken to hide links: nothing shows a target's links before a write."""
        return kind in self._unseen and not self.can_be_read(kind)

    def conclude_unseen(self, kind: Kind) -> None:
        """Links were written, and no answer shows them. An answer that shows some later still counts."""
        self._unseen.add(kind)

    def has_usable_lists(self, kind: Kind) -> bool:
        """Whether lists of this kind may be read for links."""
        return kind not in self._without_lists

    def drop_lists(self, kind: Kind) -> None:
        """A list left out links that a single answer showed: read targets of this kind singly from now on."""
        self._without_lists.add(kind)

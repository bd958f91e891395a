"""Addresses of pages in Aha!, by which users name targets: `https://company.aha.io/features/PRJ1-1`.

The paths are those of `url` and `resource` in the answers of the vendor's OpenAPI description.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from linker.errors import InvalidJob
from linker.model.target import Kind, Target
from linker.text import quoted

_PAGES: Final[Mapping[str, Kind]] = {kind.plural: kind for kind in Kind} | {
    "projects": Kind.PRODUCT,
    "master_releases": Kind.RELEASE,
    "master_features": Kind.EPIC,
    "strategic_imperatives": Kind.GOAL,
    "ideas/ideas": Kind.IDEA,
    "ideas/idea_organizations": Kind.IDEA_ORGANIZATION,
}

_SCHEME: Final = r"(?i:https?)://"
_HOST: Final = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_LOOKS_LIKE_ONE = re.compile(rf"{_SCHEME}|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?::[0-9]+)?/")
_ADDRESS = re.compile(
    rf"(?P<site>(?:{_SCHEME})?{_HOST})/+(?:api/v1/)?(?P<page>[a-z_]+(?:/[a-z_]+)?)/(?P<id>[A-Za-z0-9_-]+)/*"
)
_BEHIND_THE_PATH = re.compile(r"[?#].*", re.DOTALL)
_SITE = re.compile(r"(?:[a-z]+://)?(?P<name>\[[^]/]*\]|[^:/]*)(?::(?P<port>[0-9]{1,9}))?")
_USER = re.compile(r"(?<=//)[^/]*@")


class Address(msgspec.Struct, frozen=True):
    """The address of a target's page or API resource. `host` has the form of `host_of`."""

    host: str
    target: Target

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address; what follows `?` or `#` is ignored.

        Raises:
            InvalidJob: it is not the address of a target.

        Example:
            >>> Address.parse("https://company.aha.io/features/PRJ1-1?tab=links")
            Address(host='company.aha.io', target=Target(kind=<Kind.FEATURE: 'feature'>, id='PRJ1-1'))
        """
        match = _ADDRESS.fullmatch(_BEHIND_THE_PATH.sub("", text))
        kind = _PAGES.get(match["page"]) if match is not None else None
        if match is None or kind is None:
            raise InvalidJob(
                f"{quoted(shown(text))} is not the address of a feature, an idea or anything else that can be linked; "
                "write its reference instead, such as PRJ1-12",
                "id",
            )
        try:
            return cls(host_of(match["site"]), Target.parse(match["id"], kind))
        except InvalidJob as error:
            raise InvalidJob(f"{quoted(shown(text))}: {error}", "id") from None


def is_address(id: object) -> bool:
    """Whether an id is meant as an address; it may still be an invalid one."""
    return isinstance(id, str) and "/" in id and _LOOKS_LIKE_ONE.match(id.strip()) is not None


def host_of(url: str) -> str:
    """Return the host of a URL in its one form: in lower case, with its port unless that is a usual one.

    Example:
        >>> host_of("https://Company.aha.io:443/features/PRJ1-1")
        'company.aha.io'
    """
    match = _SITE.match(url.lower())
    assert match is not None, "all of its parts may be empty"
    name, port = match["name"].removesuffix("."), int(match["port"] or 0)
    if name.startswith("["):
        with suppress(ValueError):
            name = f"[{ipaddress.IPv6Address(name.strip('[]'))}]"
    return name if port in (0, 80, 443) else f"{name}:{port}"


def located(id: str | int, kind: Kind | str | None = None) -> tuple[Target, str | None]:
    """Return the target that a user means by an id or an address, and the host of the address; None for an id.

    Raises:
        InvalidJob: they name no target; the message says why and what to write.
    """
    if not is_address(id):
        return Target.parse(id, kind), None
    assert isinstance(id, str)
    given = Kind.parse(kind) if kind is not None else None
    address = Address.parse(id.strip())
    if given is not None and given is not address.target.kind:
        raise InvalidJob(
            f"{quoted(given.value)} does not match the id: {quoted(shown(id))} is the address of "
            f"{address.target.kind.article}",
            "kind",
        )
    return address.target, address.host


def shown(id: str) -> str:
    """Return an id as it may be shown: an address without what may be secret, such as a password."""
    return _USER.sub("", _BEHIND_THE_PATH.sub("", id.strip())) if is_address(id) else id

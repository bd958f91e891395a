"""The targets of jobs: their kinds and ids, in every form that users write them.

A `Target` is canonical, so that two are equal exactly if the account takes them for equal.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from linker.errors import InvalidJob
from linker.model.ids import DIGITS, digits, float_hint, spoiled, undressed_id, whole_number
from linker.text import quoted, without_invisible


class Kind(StrEnum):
    """The ten kinds of resource that can be linked; the value is the key that wraps a request's body."""

    PRODUCT = "product"
    RELEASE = "release"
    FEATURE = "feature"
    REQUIREMENT = "requirement"
    IDEA = "idea"
    INITIATIVE = "initiative"
    GOAL = "goal"
    CUSTOM_OBJECT_RECORD = "custom_object_record"
    EPIC = "epic"
    IDEA_ORGANIZATION = "idea_organization"

    @property
    def plural(self) -> str:
        """The kind in a path: `features`."""
        return f"{self}s"

    @property
    def article(self) -> str:
        """The kind with its article: `a feature`, `an epic`."""
        return f"an {self}" if self[0] in "aeiou" else f"a {self}"

    @classmethod
    def parse(cls, text: str) -> Kind:
        """The kind that a user means by `feature`, `Features`, or Aha!'s own `MasterFeature` and `Master feature`.

        Raises:
            InvalidJob: there is no such kind; the message names the nearest one if the text may be a misspelling.
        """
        name = str(text)
        if (kind := _KIND_NAMES.get(name)) is not None:
            return kind
        words = without_invisible(name).strip().lower().removeprefix("ideas::")
        folded = _BETWEEN_WORDS.sub("_", words)
        try:
            return _KIND_NAMES[folded.removesuffix("s")]
        except KeyError:
            # only names of as many words: a "sub feature" is not one of Aha!'s features
            names = [name for name in _KIND_NAMES if name.count("_") == folded.count("_")]
            near = difflib.get_close_matches(folded, names, n=1, cutoff=0.8)
            hint = f"did you mean {quoted(near[0])}?" if near else f"the kinds are {', '.join(cls)}"
            raise InvalidJob(f"{quoted(text)} is unknown; {hint}", "kind") from None


_BETWEEN_WORDS = re.compile(r"[\s_-]+")

_KIND_NAMES: Final[Mapping[str, Kind]] = {kind.value: kind for kind in Kind} | {
    "customobjectrecord": Kind.CUSTOM_OBJECT_RECORD,
    "custom_table_record": Kind.CUSTOM_OBJECT_RECORD,
    "customtablerecord": Kind.CUSTOM_OBJECT_RECORD,
    "master_feature": Kind.EPIC,  # the former name of epics
    "masterfeature": Kind.EPIC,
    "master_release": Kind.RELEASE,  # its reference number has the letters MR
    "masterrelease": Kind.RELEASE,
    "rollup_release": Kind.RELEASE,
    "rolluprelease": Kind.RELEASE,
    "roll_up_release": Kind.RELEASE,
    # Aha!'s own class is not published: these are the forms that its other classes suggest
    "ideaorganization": Kind.IDEA_ORGANIZATION,
    "ideaorganisation": Kind.IDEA_ORGANIZATION,
    "idea_organisation": Kind.IDEA_ORGANIZATION,
    "ideas_organization": Kind.IDEA_ORGANIZATION,
    "ideas_organisation": Kind.IDEA_ORGANIZATION,
    "organization": Kind.IDEA_ORGANIZATION,
    "organisation": Kind.IDEA_ORGANIZATION,
    "project": Kind.PRODUCT,
    "workspace": Kind.PRODUCT,  # Aha!'s present word for products
    "strategic_imperative": Kind.GOAL,
    "strategicimperative": Kind.GOAL,
}

# The letters between a reference number's prefix and its number (the API document's examples).
_LETTERS: Final[Mapping[str, Kind]] = {
    "R": Kind.RELEASE,
    "MR": Kind.RELEASE,
    "E": Kind.EPIC,
    "S": Kind.INITIATIVE,
    "I": Kind.IDEA,
    "G": Kind.GOAL,
    "O": Kind.IDEA_ORGANIZATION,
}
_PLAIN = re.compile(
    rf"(?P<number>[1-9][0-9]{{0,99}})|[A-Z][A-Z0-9]{{0,49}}-(?:(?P<letters>{'|'.join(_LETTERS)})-)?[0-9]{{1,49}}"
)
_UNLINKABLE: Final[Mapping[str, str]] = {"N": "a note", "KR": "a key result"}

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,199}")
_REFERENCE = re.compile(r"(?=[0-9_]*[A-Z])[A-Z0-9_]+(?:-(?:(?P<letters>[A-Z]+)-)?(?P<number>[0-9]+)(?P<sub>-[0-9]+)?)?")


def plain_kind(id: str, kind: Kind | None) -> Kind | None:
    """The kind of an id in its canonical form, such as PRJ1-12, if that form is too plain to need a further check.

    None if the id needs one, or does not go with the kind that is given. Most ids of jobs and answers are plain.
    """
    match = _PLAIN.fullmatch(id)
    if match is None or match.lastgroup == "number":
        return kind if match is not None else None
    implied = _LETTERS[match["letters"]] if match.lastgroup else Kind.FEATURE
    return implied if kind is None or kind is implied else None


def plain_target(id: str, kind: str | None) -> Target | None:
    """The target of an id that `plain_kind` takes for plain, made without checking its characters again; else None."""
    match = _is_plain(id)
    if match is None:
        return None
    group = match.lastgroup
    if kind is None:
        if group == "number":
            return None
        like = _FEATURE if group is None else _LIKE[_LETTERS[match["letters"]]]
    else:
        given = _KIND_NAMES.get(kind)
        if given is None or plain_kind(id, given) is None:
            return None
        like = _LIKE[given]
    target: Target = like.__copy__()  # type: ignore[attr-defined]  # in C; `copy` calls it too, at a higher cost
    _set(target, "id", id)
    return target


def _kind_of(reference: str) -> Kind | None:
    """The kind that the form of an upper-case reference number implies; None if it implies none."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    letters, number, sub = match.group("letters", "number", "sub")
    if letters is None:
        if number is None:
            return Kind.PRODUCT
        return Kind.FEATURE if sub is None else Kind.REQUIREMENT
    if letters in _UNLINKABLE:
        raise InvalidJob(f"{quoted(reference)} is {_UNLINKABLE[letters]}, which cannot be linked to records", "id")
    return _LETTERS.get(letters) if sub is None else None


class Target(msgspec.Struct, frozen=True, order=True, gc=False):
    """One Aha! resource. `id` is a number without leading zeros or an upper-case reference number.

    Raises:
        InvalidJob: the id has characters that no id has.

    Example:
        >>> Target.parse("prj1-r-1")
        Target(kind=<Kind.RELEASE: 'release'>, id='PRJ1-R-1')
    """

    kind: Kind
    id: str

    def __post_init__(self) -> None:
        """Refuse an id that could change the path of a request, wherever it comes from: job, answer or journal."""
        if not _ID.fullmatch(self.id):
            raise InvalidJob(f"{quoted(self.id)} is not the id of {self.kind.article}", "id")

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @classmethod
    def parse(cls, id: str | int, kind: Kind | str | None = None) -> Target:
        """The target that a user means by an id, and a kind if the id does not imply it.

        Raises:
            InvalidJob: they name no target; the message says why and what to write.
        """
        known = _KIND_NAMES.get(kind) if isinstance(kind, str) else None
        if type(id) is str and (known is not None or kind is None):
            implied = plain_kind(id, known)
            if implied is not None:
                return cls(implied, id)
        text = _target_id(id)
        given = Kind.parse(kind) if kind is not None else None
        if DIGITS.fullmatch(text):
            if given is None:
                raise InvalidJob(
                    f"{quoted(text)} is a number, which does not show its kind; add a kind, such as feature",
                    "id",
                )
            return cls(given, text.lstrip("0") or "0")
        text = text.upper()
        implied = _kind_of(text)
        if given is None:
            if implied is None:
                raise InvalidJob(
                    f"{quoted(text)} is a reference that does not show its kind; add a kind, such as feature",
                    "id",
                )
            return cls(implied, text)
        if implied is not None and implied is not given:
            raise InvalidJob(
                f"{quoted(given.value)} does not match the id: {quoted(text)} is {implied.article}", "kind"
            )
        if given is Kind.CUSTOM_OBJECT_RECORD:
            raise InvalidJob(f"{quoted(text)} is not the numeric id of a record (custom_object_record)", "id")
        return cls(given, text)


_is_plain: Final = _PLAIN.fullmatch
_set: Final = msgspec.structs.force_setattr
_LIKE: Final[Mapping[Kind, Target]] = {kind: Target(kind, "1") for kind in Kind}
"""A target of each kind. Its copy is not checked again, as the copy's id need not be."""

_FEATURE: Final = _LIKE[Kind.FEATURE]


def _target_id(value: object) -> str:
    if isinstance(value, str):
        text = value.strip()
    elif (number := whole_number(value)) is not None:
        text = digits(number)
    else:
        raise InvalidJob(f"must be a string or an integer, not {quoted(value)}{float_hint(value)}", "id")
    if not _ID.fullmatch(text):
        text = undressed_id(text)
    if not text:
        raise InvalidJob("is empty", "id")
    if fault := spoiled(text):
        raise InvalidJob(fault, "id")
    if not _ID.fullmatch(text):
        raise InvalidJob(f"{quoted(text)} is not a reference such as PRJ1-12", "id")
    return text

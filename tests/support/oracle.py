"""The expected outcome of a batch, computed from the contract and not from the code.

It goes over plain sets field by field, and finds incomplete lists by repeating until nothing changes.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from linker import Kind, Result, Status

__all__ = ["FIELDS", "TARGETS", "after_of", "check", "oracle", "take_along"]

TARGETS: dict[str, Kind] = {
    "PRJ1-1": Kind.FEATURE,
    "PRJ1-2": Kind.FEATURE,
    "PRJ1-3": Kind.FEATURE,  # with three of them, their list is worth a look
    "PRJ1-I-2": Kind.IDEA,
    "PRJ1-E-1": Kind.EPIC,
    "PRJ1-R-2": Kind.RELEASE,
    "PRJ2": Kind.PRODUCT,  # its answers show no links
}
FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.FEATURE: ("customers", "customers_table"),
    Kind.IDEA: ("customers", "revenue"),
    Kind.EPIC: ("customers",),
    Kind.RELEASE: ("customers",),
    Kind.PRODUCT: ("customers",),
}


def oracle(batch: list[dict[str, Any]], before: dict[tuple[str, str], set[str]]) -> tuple[list[str | None], Any]:
    """The error of each line (None if it is done), and what the account holds afterwards."""
    errors: list[str | None] = [None] * len(batch)
    mode = [line["mode"] or "replace" for line in batch]
    parts: list[set[tuple[str, str]]] = [{(line["id"], field) for field in line["links"]} for line in batch]
    for number, line in enumerate(batch):
        if "lnks" in line or "kind" in line or any(1.5 in ids for ids in line["links"].values()):
            errors[number] = "invalid_job"
    for one, other in combinations([number for number in range(len(batch)) if errors[number] != "invalid_job"], 2):
        if (mode[one] == "remove") != (mode[other] == "remove"):
            shared = parts[one] & parts[other]
            if any(set(batch[one]["links"][f]) & set(batch[other]["links"][f]) for _, f in shared):
                errors[one] = errors[other] = "conflict"
    take_along(errors, mode, parts, lambda number: True)
    while True:  # a product shows no links: who needs to see them fails, and takes replaces along, and so on
        needy = {part for part in set().union(*parts) if TARGETS[part[0]] is Kind.PRODUCT}
        for number, error in enumerate(errors):
            if error is None and mode[number] == "replace":
                needy -= parts[number]
        lost = [number for number, error in enumerate(errors) if error is None and parts[number] & needy]
        if not lost:
            break
        for number in lost:
            errors[number] = "bad_answer"
        take_along(errors, mode, parts, lambda number: errors[number] == "bad_answer")
    return errors, {part: after_of(part, ids, batch, errors) for part, ids in before.items()}


def after_of(
    part: tuple[str, str], before: set[str], batch: list[dict[str, Any]], errors: list[str | None]
) -> set[str]:
    """(The union of the replace lists, or else what it holds now) and the adds, without the removes."""
    lists: dict[str, list[set[str]]] = {"replace": [], "add": [], "remove": []}
    for line, error in zip(batch, errors, strict=True):
        if error is None and line["id"] == part[0] and part[1] in line["links"]:
            lists[line["mode"] or "replace"].append(set(line["links"][part[1]]))
    base = set().union(*lists["replace"]) if lists["replace"] else before
    return base.union(*lists["add"]).difference(*lists["remove"])


def take_along(errors: list[str | None], mode: list[str], parts: list[set[tuple[str, str]]], starts: Any) -> None:
    """An incomplete list is never sent: reject each `replace` of a field that a rejected line belongs to."""
    lost = {number for number, error in enumerate(errors) if error is not None and starts(number)}
    while True:
        also = {
            number
            for number, error in enumerate(errors)
            if error is None and mode[number] == "replace" and any(parts[number] & parts[other] for other in lost)
        }
        if not also:
            return
        for number in also:
            errors[number] = "incomplete"
        lost |= also


def check(result: Result, line: dict[str, Any], before: dict[Any, set[str]], after: dict[Any, set[str]]) -> None:
    """Check that one result is true for its fields."""
    if result.error is not None:
        known = result.error.type == "bad_answer"
        assert result.status is (Status.FAILED if known else Status.REJECTED)
        assert result.changes is None
        return
    parts = {field: (line["id"], field) for field in line["links"]}
    if line["id"] == "PRJ2":
        assert (result.status, result.before, result.after) == (Status.LINKED, None, None)
        return
    if result.is_presumed:  # no answer has shown any links by then, and there are none
        assert not any(before[part] or after[part] for part in parts.values())
        return
    assert result.before is not None
    assert result.after is not None
    for field, part in parts.items():  # the change may have further fields, of other lines
        assert result.before[field] == by_number(before[part])
        assert result.after[field] == by_number(after[part])
    unchanged = all(before[part] == after[part] for part in parts.values())
    if unchanged:
        assert (result.status, result.change) == (Status.UNCHANGED, None)
        return
    assert result.status is Status.LINKED
    assert result.changes is not None
    for field, part in parts.items():
        assert result.changes[field].added == by_number(after[part] - before[part])
        assert result.changes[field].removed == by_number(before[part] - after[part])


def by_number(ids: set[str]) -> list[str]:
    return sorted(ids, key=int)

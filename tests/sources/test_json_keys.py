"""Keys that stand twice in one JSON object."""

from __future__ import annotations

import io

import pytest

from linker import LinkJob, Target
from linker.sources import Reading, Rejection
from linker.sources.jsonl import read_jsonl


def value(text: str, reading: Reading | None = None) -> LinkJob | Rejection:
    """What a line says."""
    [entry] = read_jsonl(io.BytesIO(text.encode()), "jobs", reading or Reading())
    return entry.value


@pytest.mark.parametrize(
    ("text", "key", "targets"),
    [
        ('{"id":"PRJ1-1","links":{"customers":["1"],"customers":["2"]}}', "customers", ["PRJ1-1"]),
        ('{"id":"PRJ1-2","links":{"a":["1"]},"links":{"b":["2"]}}', "links", ["PRJ1-2"]),
        ('{"id":"PRJ1-3","id":"PRJ1-4","links":{"a":["1"]}}', "id", ["PRJ1-3", "PRJ1-4"]),
        ('{"id" :"PRJ1-3","id": "PRJ1-4","links":{"a":["1"]}}', "id", ["PRJ1-3", "PRJ1-4"]),
        ('{"id":"PRJ1-3","\\u0069d":"PRJ1-4","links":{"a":["1"]}}', "id", ["PRJ1-3", "PRJ1-4"]),
        ('{"id":"PRJ1-1","links":{"a":[{"name":"A","name":"B"}]}}', "name", ["PRJ1-1"]),
        ('{"id":"PRJ1-1","links":{"a":["1"]},"key":{"x":[{"y":1,"y":2}]}}', "y", ["PRJ1-1"]),
        ('{"id":"PRJ1-1","links":{"a":["x"],"a":["1"]}}', "a", ["PRJ1-1"]),
        ('{"id":"PRJ1-1","mode":"add","links":{"a":["1"]},"mode":"remove"}', "mode", ["PRJ1-1"]),
        ('{\n  "id": "PRJ1-1",\n  "links": {\n    "a": ["1"],\n    "a": ["2"]\n  }\n}', "a", ["PRJ1-1"]),
        ('{"id":"PRJ1-3","id":"PRJ1-","links":{"a":["1"]}}', "id", []),
    ],
)
def test_a_key_that_stands_twice_is_rejected_for_all_targets(text: str, key: str, targets: list[str]) -> None:
    """At any depth, however the key is written; none of the two is taken."""
    rejection = value(text)
    assert isinstance(rejection, Rejection)
    assert rejection.message == f'key "{key}" appears twice in one object; remove one of them'
    assert [target.id for target in rejection.targets] == targets
    assert rejection.links is None


def test_the_fields_of_both_are_held() -> None:
    """A list of either field may lack records."""
    rejection = value('{"id":"PRJ1-2","links":{"a":["1"]},"links":{"b":["2"]}}')
    assert isinstance(rejection, Rejection)
    assert rejection.fields == frozenset({"a", "b"})


def test_a_number_of_two_kinds_is_held_in_both() -> None:
    """The line may be meant for either."""
    rejection = value('{"id":5,"kind":"idea","kind":"goal","links":{"a":["1"]}}')
    assert isinstance(rejection, Rejection)
    assert set(rejection.targets) == {Target.parse("5", "idea"), Target.parse("5", "goal")}


def test_two_names_of_targets_cannot_be_told() -> None:
    """The records are looked up later, so that any list may lack the line."""
    text = '{"id":{"name":"A"},"id":{"name":"B"},"kind":"custom_object_record","links":{"a":["1"]}}'
    rejection = value(text, Reading(named_targets=True, match="name"))
    assert isinstance(rejection, Rejection)
    assert (rejection.targets, rejection.name) == ((), None)


@pytest.mark.parametrize(
    "text",
    [
        '{"id":"https://company.aha.io/features/PRJ1-1","links":{"a":[{"name":"a\\":b"},{"name":"c : d"}]}}',
        '{"id":"PRJ1-1","links":{"a":["1"]},"key":{"a":{"a":{"a":":"}},"id":"id"}}',
        '{"id" : "PRJ1-1", "links" : {"a" : ["1"], "b" : ["1"]}}',
    ],
)
def test_the_same_text_in_other_places_is_no_repetition(text: str) -> None:
    """Colons in texts, white space, and keys of several objects do not count."""
    assert isinstance(value(text), LinkJob)

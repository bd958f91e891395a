"""Jobs: kinds, reference numbers, targets, record ids, and the messages for invalid jobs."""

import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import InvalidJob, Kind, LinkJob, Mode, Target
from linker.model.job import record_id, sorted_ids
from linker.text import quoted

LINKS = {"customers": ["640362830"]}

REFERENCES = {
    "PRJ1": Kind.PRODUCT,
    "PRJ1-1": Kind.FEATURE,
    "PRJ1-1-1": Kind.REQUIREMENT,
    "PRJ1-R-1": Kind.RELEASE,
    "PRJ1-MR-1": Kind.RELEASE,
    "PRJ1-E-1": Kind.EPIC,
    "PRJ1-S-1": Kind.INITIATIVE,
    "PRJ1-I-1": Kind.IDEA,
    "PRJ1-G-1": Kind.GOAL,
    "ACCOUNT-O-123": Kind.IDEA_ORGANIZATION,
}
SHAPES = {
    "{}": Kind.PRODUCT,
    "{}-{}": Kind.FEATURE,
    "{}-{}-{}": Kind.REQUIREMENT,
    "{}-R-{}": Kind.RELEASE,
    "{}-MR-{}": Kind.RELEASE,
    "{}-E-{}": Kind.EPIC,
    "{}-S-{}": Kind.INITIATIVE,
    "{}-I-{}": Kind.IDEA,
    "{}-G-{}": Kind.GOAL,
    "{}-O-{}": Kind.IDEA_ORGANIZATION,
}


def why_not(*arguments: Any, **named: Any) -> str:
    """The message of an invalid job with these arguments."""
    with pytest.raises(InvalidJob) as caught:
        LinkJob(*arguments, **named)
    return str(caught.value)


def why_no_line(line: object) -> str:
    """The message of a decoded line that is not a valid job."""
    with pytest.raises(InvalidJob) as caught:
        LinkJob.parse(line)
    return str(caught.value)


# --- kinds


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_understood_in_the_singular_the_plural_and_any_case(kind: Kind) -> None:
    """`feature`, `features` and ` FEATURE ` are one kind, and its plural is the path's."""
    assert Kind.parse(kind.value) is kind
    assert Kind.parse(kind.plural) is kind
    assert Kind.parse(f" {kind.value.upper()} ") is kind
    assert kind.plural == f"{kind.value}s"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("master_feature", Kind.EPIC),
        ("MasterFeature", Kind.EPIC),
        ("master_features", Kind.EPIC),
        ("project", Kind.PRODUCT),
        ("Ideas::Idea", Kind.IDEA),
        ("StrategicImperative", Kind.GOAL),
        ("CustomObjectRecord", Kind.CUSTOM_OBJECT_RECORD),
        ("custom-object-records", Kind.CUSTOM_OBJECT_RECORD),
        ("organization", Kind.IDEA_ORGANIZATION),
        ("Organisations", Kind.IDEA_ORGANIZATION),
        ("IdeaOrganization", Kind.IDEA_ORGANIZATION),
        ("Ideas::Organization", Kind.IDEA_ORGANIZATION),
        ("Ideas::IdeaOrganization", Kind.IDEA_ORGANIZATION),
        ("Master feature", Kind.EPIC),
        (" master-Features\u200b", Kind.EPIC),
        ("Master\u00a0release", Kind.RELEASE),
        ("rollup release", Kind.RELEASE),
        ("Workspace", Kind.PRODUCT),
        ("workspaces", Kind.PRODUCT),
        ("Strategic imperatives", Kind.GOAL),
        ("Custom object record", Kind.CUSTOM_OBJECT_RECORD),
        ("custom table record", Kind.CUSTOM_OBJECT_RECORD),
        ("Idea organization", Kind.IDEA_ORGANIZATION),
        ("Ideas organisations", Kind.IDEA_ORGANIZATION),
    ],
)
def test_a_kind_is_understood_by_the_names_that_aha_has_for_it(name: str, kind: Kind) -> None:
    """Aha!'s own class names and older names mean the kind that they are."""
    assert Kind.parse(name) is kind


def test_a_misspelt_kind_is_told_its_nearest() -> None:
    """`featre` is refused and `feature` suggested."""
    with pytest.raises(InvalidJob, match=r'kind "featre" is unknown; did you mean "feature"\?'):
        Kind.parse("featre")


@pytest.mark.parametrize(("name", "near"), [("master featur", "master_feature"), ("Workspce", "workspace")])
def test_a_misspelt_name_of_aha_is_told_that_name(name: str, near: str) -> None:
    """And not another kind with a similar name."""
    with pytest.raises(InvalidJob, match=f'did you mean "{near}"'):
        Kind.parse(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "s", "page", "zzz", "Sub feature", "Feature group", "a feature", "key result", "to-do", "Main goal"],
)
def test_a_kind_like_no_other_is_told_all_kinds(name: str) -> None:
    """A name that is like no kind is refused with the list of all ten."""
    with pytest.raises(InvalidJob, match=r"the kinds are product, release, .*, epic, idea_organization"):
        Kind.parse(name)


# --- targets


@pytest.mark.parametrize(("reference", "kind"), REFERENCES.items())
@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_a_reference_number_of_the_document_tells_its_kind(reference: str, kind: Kind, case: Any) -> None:
    """Each shape of the API document's examples is the target of its kind, in any case of its letters."""
    assert Target.parse(case(reference)) == Target(kind, reference)


@given(
    prefix=st.from_regex(r"[A-Z][A-Z0-9]{0,11}", fullmatch=True),
    numbers=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    shape=st.sampled_from(sorted(SHAPES)),
    lower=st.lists(st.booleans(), min_size=40, max_size=40),
)
@settings(max_examples=200)
def test_every_reference_number_tells_its_kind_in_any_case(
    prefix: str, numbers: tuple[int, int], shape: str, lower: list[bool]
) -> None:
    """Whatever its prefix, numbers and mix of cases, a reference number is the upper-case target of its kind."""
    reference = shape.format(prefix, *numbers)
    mixed = "".join(char.lower() if low else char for char, low in zip(reference, lower, strict=False))
    told = Target.parse(f" {mixed} ")
    assert told == Target(SHAPES[shape], reference)
    assert Target.parse(mixed, told.kind) == told
    for other in set(Kind) - {told.kind}:
        with pytest.raises(InvalidJob):
            Target.parse(mixed, other)


@pytest.mark.parametrize(("reference", "what"), [("PRJ1-N-1", "a note"), ("prj1-kr-12", "a key result")])
@pytest.mark.parametrize("kind", [None, "feature"])
def test_a_note_and_a_key_result_cannot_be_linked(reference: str, what: str, kind: str | None) -> None:
    """Their reference numbers are refused with that reason, whatever kind stands beside them."""
    with pytest.raises(InvalidJob, match=f'id "{reference.upper()}" is {what}, which cannot be linked'):
        Target.parse(reference, kind)


def test_a_kind_that_the_reference_number_contradicts_is_refused() -> None:
    """The message names both."""
    with pytest.raises(InvalidJob, match='kind "idea" does not match the id: "PRJ1-R-1" is a release'):
        Target.parse("PRJ1-R-1", "ideas")


@pytest.mark.parametrize("id", [123, "123", "000123", " 123 "])
def test_a_number_is_a_target_without_its_leading_zeros(id: str | int) -> None:
    """As a string or an integer, with zeros or spaces before it, it is one target."""
    assert Target.parse(id, "feature") == Target(Kind.FEATURE, "123")


@pytest.mark.parametrize("id", [123, "123"])
def test_a_bare_number_needs_a_kind(id: str | int) -> None:
    """A number alone is refused, and the message says what to add."""
    with pytest.raises(InvalidJob, match='id "123" is a number, which does not show its kind; add a kind'):
        Target.parse(id)


@pytest.mark.parametrize("id", ["PRJ1-X-1", "PRJ1-1-1-1", "PRJ1-R-1-1", "PRJ1-", "my-page"])
def test_an_id_of_no_known_shape_needs_a_kind_and_is_taken_with_one(id: str) -> None:
    """A reference number that Aha! may yet invent goes through where a kind says what it is."""
    with pytest.raises(InvalidJob, match="does not show its kind; add a kind"):
        Target.parse(id)
    assert Target.parse(id, "feature") == Target(Kind.FEATURE, id.upper())


def test_a_custom_object_record_is_named_by_its_number_only() -> None:
    """A record has no reference number, so letters in its id are refused."""
    assert Target.parse("7", "custom_object_record") == Target(Kind.CUSTOM_OBJECT_RECORD, "7")
    with pytest.raises(InvalidJob, match="is not the numeric id of a record"):
        Target.parse("some-record", "custom_object_record")


@pytest.mark.parametrize(
    "id", ["PRJ1/1", "../me", "PRJ1 1", "PRJ1-1?x", "é-1", "PRJ1-1\n2", "%2e", "１２", "a" * 201, "-3", "-", -3]
)
def test_an_id_that_a_path_could_take_for_something_else_is_refused(id: str | int) -> None:
    """Only ASCII letters, digits, `-` and `_`, at most 200, and no `-` first, so that a minus is not passed over."""
    with pytest.raises(InvalidJob, match=r"^id .* is not a reference such as PRJ1-12"):
        Target.parse(id, "feature")


@pytest.mark.parametrize("id", ["7.03605E+18", "7,03605E+18", "7E18", "70e+17"])
def test_a_target_that_went_through_a_spreadsheet_is_refused_with_the_hint(id: str) -> None:
    """A number in scientific notation has lost digits, and the message says where."""
    with pytest.raises(InvalidJob, match="lost its last digits in a spreadsheet; format the column as text"):
        Target.parse(id, "feature")


@pytest.mark.parametrize("id", [True, None, 1.5, [1], {"a": 1}, b"PRJ1-1"])
def test_an_id_of_another_type_is_refused(id: Any) -> None:
    """Only strings and integers name targets."""
    with pytest.raises(InvalidJob, match=r"^id must be a string or an integer, not "):
        Target.parse(id, "feature")


@pytest.mark.parametrize("id", ["", "  "])
def test_an_empty_id_is_refused(id: str) -> None:
    """The message says that a blank id is empty."""
    with pytest.raises(InvalidJob, match=r"^id is empty$"):
        Target.parse(id, "feature")


def test_a_target_reads_as_a_person_says_it() -> None:
    """Its string is the kind and the id."""
    assert str(Target.parse("prj1-r-1")) == "release PRJ1-R-1"


# --- record ids


@given(st.integers(0, 10**60))
@settings(max_examples=200)
def test_a_record_id_is_exact_as_a_string_and_as_an_integer(number: int) -> None:
    """Every digit survives, far beyond what a float or 64 bits hold; leading zeros mean nothing."""
    assert record_id(number) == record_id(str(number)) == record_id(f" 000{number}\t") == str(number)


def test_a_record_id_of_5000_digits_is_exact_as_a_string() -> None:
    """The interpreter's limit on converting integers does not stand in the way of a string."""
    digits = "7036045937" * 500
    assert record_id(digits) == digits
    assert LinkJob("PRJ1-1", {"customers": [digits]}).links == {"customers": (digits,)}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(10**5000, "write it as a string", id="positive"),
        pytest.param(-(10**5000), "not a number", id="negative"),
    ],
)
def test_an_integer_over_the_interpreters_limit_of_digits_is_refused(value: int, said: str) -> None:
    """An integer too long to convert is an invalid job, not a crash of the run."""
    assert said in why_not("PRJ1-1", {"customers": [value]})
    assert "write it as a string" in why_not(value, LINKS, kind="feature")


@pytest.mark.parametrize("text", ["7.03605E+18", "7,03605E+18", "7e18", "03605E+18"])
def test_a_record_id_that_went_through_a_spreadsheet_is_refused_with_the_hint(text: str) -> None:
    """So is what a decimal comma leaves of one after a cell was split at its commas."""
    with pytest.raises(InvalidJob, match="lost its last digits in a spreadsheet; format the column as text"):
        record_id(text)


@pytest.mark.parametrize("value", [7.03605e18, float(2**53), float(2**64), -1e300, float("inf")])
def test_a_float_that_has_dropped_digits_is_refused_with_the_reason(value: float) -> None:
    """Beyond 2^53 a float is not the number that was written, and is not rounded to one."""
    with pytest.raises(InvalidJob, match=r"has lost its last digits \(in a spreadsheet, or above 2\^64\)"):
        record_id(value)


@pytest.mark.parametrize("value", [1.5, 640362830.0, -0.5, float("nan")])
def test_any_other_float_is_refused_too(value: float) -> None:
    """Even a float that is whole is no record id; the message says how to write it."""
    with pytest.raises(InvalidJob, match="not a number; write it as a string"):
        record_id(value)


@pytest.mark.parametrize(
    "value", [True, False, -3, "-3", "+3", "1.5", "640362830.5", "", " ", "0x1f", "1_000", "٣", "²", None, [], "12 13"]
)
def test_what_is_no_string_of_digits_is_no_record_id(value: Any) -> None:
    """Booleans, signs, decimals, other scripts' digits and blanks are refused."""
    with pytest.raises(
        InvalidJob,
        match=r"^record id .* is not a number(; to give names, add --match name .*)?$",
    ):
        record_id(value)


@given(st.lists(st.integers(0, 10**25)))
@settings(max_examples=100)
def test_ids_are_sorted_as_numbers_without_repeats(numbers: list[int]) -> None:
    """Whatever their lengths, ids stand in the order of their values, each once."""
    assert sorted_ids([str(number) for number in numbers + numbers]) == [str(n) for n in sorted(set(numbers))]


# --- jobs


def test_a_job_is_canonical_whatever_way_it_was_written() -> None:
    """Case, plurals, zeros, order and repeats make no difference."""
    written = LinkJob("prj1-1", {"customers": [20, "0100", " 3 ", 100]}, "Features", " Replace ", key="k")  # type: ignore[list-item]
    assert written == LinkJob("PRJ1-1", {"customers": ["3", "20", "100"]}, Kind.FEATURE, Mode.REPLACE, "k")
    assert (written.id, written.kind, written.mode) == ("PRJ1-1", Kind.FEATURE, Mode.REPLACE)
    assert written.links == {"customers": ("3", "20", "100")}
    assert written.target == Target(Kind.FEATURE, "PRJ1-1")


def test_a_job_leaves_kind_and_mode_to_its_reference_number_and_the_run() -> None:
    """Without them, the kind is the reference number's and the mode is None."""
    job = LinkJob("PRJ1-R-1", {"customers": []})
    assert (job.kind, job.mode, job.key, job.links) == (Kind.RELEASE, None, None, {"customers": ()})


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_is_understood_in_any_case(mode: Mode) -> None:
    """`ADD` and ` add ` are `add`."""
    assert LinkJob("PRJ1-1", LINKS, mode=f" {mode.value.upper()} ").mode is mode


@pytest.mark.parametrize("mode", ["", "delete", "replac", 5])
def test_an_unknown_mode_is_told_the_three(mode: Any) -> None:
    """The message lists the modes."""
    assert why_not("PRJ1-1", LINKS, mode=mode) == f"mode {quoted(mode)} is unknown; the modes are replace, add, remove"


def test_a_job_without_links_is_refused() -> None:
    """An empty `links` is refused, and the message explains how to clear a field instead."""
    assert why_not("PRJ1-1", {}) == (
        'links is empty; name at least one field, such as {"customers": []} ([] clears the field)'
    )


@pytest.mark.parametrize("field", ["", " customers", "a.b", "a/b", "é", "x" * 201, 5])
def test_a_field_is_an_api_key(field: Any) -> None:
    """A field key holds letters, digits, `-` and `_` only."""
    assert why_not("PRJ1-1", {field: ["1"]}).startswith("field ")


@pytest.mark.parametrize("ids", ["640362830", 640362830, None, {"1": 2}, b"12", iter([1, 2])])
def test_the_ids_of_a_field_are_a_list(ids: Any) -> None:
    """A lone id is not taken for a list, nor a string for its characters; a generator could be read only once."""
    assert why_not("PRJ1-1", {"customers": ids}).startswith("links.customers must be a list of record ids, not ")


def test_what_is_wrong_with_an_id_is_said_with_its_place() -> None:
    """The message names the field that the id stands in."""
    named = 'to give names, add --match name (or write {"name": "…"} in JSON)'
    assert why_not("PRJ1-1", {"a": ["1"], "b": ["x"]}) == f'links.b: record id "x" is not a number; {named}'


@pytest.mark.parametrize("links", [["1"], "customers", 5, None])
def test_links_of_another_type_are_refused(links: Any) -> None:
    """From Python too, `links` that are no mapping are an invalid job."""
    assert why_not("PRJ1-1", links).startswith("links must be an object")


@pytest.mark.parametrize("key", ["crm-17", 17, 1.5, None, True, ["a", 1], {"a": {"b": []}}])
def test_a_key_is_any_json(key: Any) -> None:
    """Whatever JSON a key is, the job keeps it as it is."""
    assert LinkJob("PRJ1-1", LINKS, key=key).key == key


@pytest.mark.parametrize("key", [object(), {1: 2}, 2**70, "\ud800", b"x"])
def test_a_key_that_no_result_could_show_is_refused(key: Any) -> None:
    """A key that is not JSON is noticed before anything is sent."""
    assert why_not("PRJ1-1", LINKS, key=key).startswith("key cannot be written as JSON: ")


# --- lines


def test_a_line_says_a_job() -> None:
    """The design's example is read in full."""
    line = {"kind": "feature", "id": "PRJ1-1", "links": {"customers": ["640362830"]}, "mode": "replace", "key": "c"}
    assert LinkJob.parse(line) == LinkJob("PRJ1-1", LINKS, "feature", "replace", "c")
    frozen = types.MappingProxyType({"id": 7, "kind": "idea", "links": types.MappingProxyType({"a": (1, 2)})})
    assert LinkJob.parse(frozen) == LinkJob("7", {"a": ["1", "2"]}, "idea")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"id": "PRJ1-1", "lnks": {}}, 'key "lnks" is unknown; did you mean "links"?'),
        ({"id": "PRJ1-1", "links": LINKS, "Mode": "add"}, 'key "Mode" is unknown; did you mean "mode"?'),
        ({"id": "PRJ1-1", "links": LINKS, "zzz": 1}, 'key "zzz" is unknown; the keys of a row are id, links, kind,'),
        ({"id": "PRJ1-1", "links": LINKS, "a`b\n": 1}, r'key "a`b\n" is unknown; the keys of a row are'),
        ({"links": LINKS}, 'key "id" is missing'),
        ({"id": "PRJ1-1"}, 'key "links" is missing'),
        ({}, 'key "id" is missing'),
        ({"id": "PRJ1-1", "links": []}, "links must be an object, not a list"),
        ({"id": "PRJ1-1", "links": None}, "links must be an object, not null"),
        ({"id": "PRJ1-1", "links": LINKS, "kind": 7}, "kind must be a string, not a number"),
        ({"id": "PRJ1-1", "links": LINKS, "mode": []}, "mode must be a string, not a list"),
        ({"id": None, "links": LINKS}, "id must be a string or an integer, not None"),
        ({"id": "PRJ1-1", "links": LINKS, "\ud800": 1}, "a key of the row is not valid text"),
        ([], "a row must be an object {…}, not []; write one object on each line"),
        ("PRJ1-1", 'a row must be an object {…}, not "PRJ1-1"'),
        (7, "a row must be an object {…}, not 7"),
        (None, "a row must be an object {…}, not None"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_the_words_of_a_job_file(line: object, said: str) -> None:
    """A misspelt key is told its nearest, a missing one is named, a wrong type is told with its place."""
    assert why_no_line(line).startswith(said)


def test_what_is_shown_of_a_long_value_is_short() -> None:
    """A message does not repeat a megabyte of input."""
    assert len(why_no_line("x" * 1_000_000)) < 150
    assert len(why_not("y" * 1_000_000, LINKS)) < 200

"""The account that a sandbox starts with: the API document's, with as many more records and features as asked for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from linker.model.target import Kind
from linker.sandbox.account import FIELDABLE_TYPES, LINK_ONE, Account, Definition, Resource

_PRJ1: Final = 131414752
_ACME: Final = 640362830
_FIRST_RECORD: Final = 7_000_000_000_000_000_000  # 19 digits, as live ids have: more than a double holds
_FIRST_RELEASE: Final = 7_100_000_000_000_000_000
_FIRST_FEATURE: Final = 6_800_000_000_000_000_000

_TABLES: Final = {
    "customers": "Customers",
    "contracts": "Contracts",
    "submitters": "Submitters",
    "partners": "Partners",
}

# product, reference, id, name and the release or feature that it belongs to
_PRODUCTS: Final = (
    ("PRJ1", _PRJ1, "Project 1"),
    ("PRJ2", 517761884, "Project 2"),
    ("PRJ3", 702241743, "Project 3"),
    ("PRJ4", 935317104, "Project 4"),
    ("PRJ5", 12123897, "Project 5"),
    ("PL1", 610602692, "Product Line 1"),
)

_RESOURCES: Final = (
    (Kind.RELEASE, "PRJ1-R-1", 278327321, "Release 1"),
    (Kind.RELEASE, "PRJ1-R-2", 161456549, "Release 2"),
    (Kind.RELEASE, "PRJ1-R-3", 1050186040, "Release 3"),
    (Kind.RELEASE, "PRJ1-R-4", 325518644, "Sub release 1"),
    (Kind.RELEASE, "PRJ1-MR-1", 292454904, "Roll-up Release 1"),
    (Kind.RELEASE, "PRJ1-MR-2", 141021264, "Roll-up Release 2"),
    (Kind.RELEASE, "PRJ2-R-1", 1000426269, "Release 2"),
    (Kind.FEATURE, "PRJ1-1", 1007868956, "Feature 1"),
    (Kind.FEATURE, "PRJ1-2", 622562724, "Another Feature"),
    (Kind.FEATURE, "PRJ1-3", 303873333, "Another Third Feature"),
    (Kind.FEATURE, "PRJ1-4", 209201304, "Another Fourth Feature"),
    (Kind.FEATURE, "PRJ1-5", 998184963, "Another Fifth Feature"),
    (Kind.FEATURE, "PRJ2-1", 101074039, "A feature in project 2"),
    (Kind.FEATURE, "PRJ3-1", 229579240, "Feature without Requirements"),
    (Kind.FEATURE, "PRJ3-2", 959120953, "A third Feature"),
    (Kind.REQUIREMENT, "PRJ1-1-1", 483368544, "Body of requirement 1"),
    (Kind.REQUIREMENT, "PRJ1-1-2", 96915428, "Body of requirement 2"),
    (Kind.REQUIREMENT, "PRJ1-1-3", 851574643, "Body of requirement 3"),
    (Kind.IDEA, "PRJ1-I-1", 58056975, "Idea 1"),
    (Kind.IDEA, "PRJ1-I-2", 444379319, "Idea 2"),
    (Kind.IDEA, "PRJ1-I-3", 1055237874, "Idea 3 Merged"),
    (Kind.IDEA, "PRJ1-I-5", 162120796, "Idea 4"),
    (Kind.IDEA, "PRJ1-I-6", 397084149, "Some idea name 1"),
    (Kind.IDEA, "PRJ1-I-7", 245519441, "Some idea name 2"),
    (Kind.IDEA, "PRJ1-I-8", 140490859, "Some idea name 3"),
    (Kind.IDEA, "PRJ1-I-9", 290908627, "Some idea name 4"),
    (Kind.IDEA, "PRJ1-I-11", 857675141, "Idea 004"),
    (Kind.IDEA, "PRJ1-I-12", 68691224, "Idea 5"),
    (Kind.IDEA, "PRJ2-I-1", 849214356, "Idea 1 project 2"),
    (Kind.IDEA, "PRJ2-I-2", 731163180, "Idea 2 project 2"),
    (Kind.IDEA, "PRJ5-I-1", 926598431, "Idea 1 Project 5"),
    (Kind.INITIATIVE, "PRJ1-S-1", 423077122, "Initiative 1"),
    (Kind.INITIATIVE, "PRJ1-S-2", 4125886, "Initiative 2"),
    (Kind.INITIATIVE, "PRJ1-S-3", 219956332, "Initiative 3"),
    (Kind.INITIATIVE, "PRJ1-S-4", 330016191, "Initiative 4"),
    (Kind.INITIATIVE, "PRJ1-S-5", 259736534, "Initiative 5"),
    (Kind.INITIATIVE, "PRJ1-S-11", 595848429, "Initiative complete"),
    (Kind.INITIATIVE, "PL1-S-1", 1042392694, "Workspace line initiative 1"),
    (Kind.GOAL, "DEMOENT-G-1", 602095703, "Goal 1"),
    (Kind.GOAL, "DEMOENT-G-2", 988418543, "Goal 2"),
    (Kind.GOAL, "DEMOENT-G-3", 712130641, "Goal 3"),
    (Kind.GOAL, "DEMOENT-G-4", 926116263, "Goal 4"),
    (Kind.GOAL, "DEMOENT-G-5", 111739083, "Goal 5"),
    (Kind.GOAL, "PRJ3-G-1", 242586561, "Goal 3"),
    (Kind.GOAL, "PRJ4-G-1", 952896276, "Goal 5"),
    (Kind.GOAL, "PRJ5-G-1", 599777734, "Goal 6"),
    (Kind.GOAL, "PL1-G-1", 352745835, "Product Line Goal 1"),
    (Kind.EPIC, "PRJ1-E-1", 999605892, "Epic 1"),
    (Kind.EPIC, "PRJ1-E-2", 580753216, "Here's another epic"),
    (Kind.EPIC, "PRJ1-E-3", 362457003, "And a third"),
    (Kind.EPIC, "PRJ2-E-1", 531908612, "An epic in project 2"),
    (Kind.EPIC, "PRJ3-E-3", 269219656, "A different project epic"),
    (Kind.IDEA_ORGANIZATION, "ACCOUNT-O-1", 138732915, "Acme"),
    (Kind.IDEA_ORGANIZATION, "ACCOUNT-O-2", 290305227, "Zane"),
    (Kind.IDEA_ORGANIZATION, "ACCOUNT-O-3", 6776757454438843973, "Beacon"),
)

_RECORDS: Final = (
    ("customers", _ACME, "Acme Corp"),
    ("customers", 8397122, "Zane Corp"),
    ("submitters", 136661093, "Sam Submitter"),
    ("partners", 1059223798, "Beacon Partners"),
    ("contracts", 7036045937940700101, "Acme Corp, master agreement"),
    ("contracts", 7036045937940700218, "Acme Corp, support 2026"),
    ("contracts", 7036045937940700335, "Zane Corp, pilot"),
    ("contracts", 7036045937940700452, "Zane Corp, renewal"),
    ("contracts", 7036045937940700569, "Public sector framework"),
)

# What the document's answers show beside the link that their request makes.
_LINKS: Final[Mapping[tuple[Kind, str], Mapping[str, tuple[int, ...]]]] = {
    (Kind.IDEA, "PRJ1-I-1"): {"revenue": (_ACME,), "submitters": (_ACME,)},
    (Kind.IDEA, "PRJ1-I-5"): {"customers": (_ACME,)},
    (Kind.CUSTOM_OBJECT_RECORD, str(_ACME)): {"custom_table_name_link_many": (1059223798,)},
}

_TYPE: Final = "CustomFieldDefinitions::"
_CUSTOMERS_IDS: Final = {Kind.INITIATIVE: 250383571}

_DEFINITIONS: Final = (
    *(
        Definition(fieldable, "customers", "Customers", _CUSTOMERS_IDS.get(kind, 250383600 + number), table="customers")
        for number, (kind, fieldable) in enumerate(FIELDABLE_TYPES.items())
        if kind is not Kind.CUSTOM_OBJECT_RECORD
    ),
    Definition("Feature", "customers_table", "Customers for custom table", 141558949, table="customers"),
    Definition("Ideas::Idea", "customers_table", "Customers for custom table", 711072024, table="customers"),
    Definition("Ideas::Idea", "revenue", "Revenue", 711072101, table="customers"),
    Definition("Ideas::Idea", "submitters", "Submitters", 711072102, table="customers"),
    Definition("Feature", "contracts", "Contracts", 711072201, table="contracts"),
    Definition("Epic", "contracts", "Contracts", 711072202, table="contracts"),
    Definition("Ideas::Idea", "contracts", "Contracts", 711072203, table="contracts"),
    Definition(
        "CustomObjectRecord",
        "custom_table_name_link_many",
        "Custom Table Linked Records",
        711072301,
        table="partners",
    ),
    Definition(
        "CustomObjectRecord",
        "custom_table_name_link_many_to_one",
        "Custom Table Many to One Field",
        711072302,
        LINK_ONE,
        "partners",
    ),
    Definition(
        "CustomObjectRecord",
        "custom_table_name_submitters",
        "Custom Table Linked Submitters",
        711072303,
        table="submitters",
    ),
    Definition("CustomObjectRecord", "website", "Website", 883926222, f"{_TYPE}UrlField"),
    Definition("CustomObjectRecord", "salesforce_id", "Salesforce ID", 883926301, f"{_TYPE}TextField"),
    Definition("Feature", "custom_table", "Custom Table", 182007396, LINK_ONE),
    Definition("Feature", "custom_scorecard_definition", "Some custom scorecard", 839883647, f"{_TYPE}ScorecardField"),
    Definition("Requirement", "priority", "Priority", 85990596, f"{_TYPE}SelectConstant"),
    Definition("Feature", "priority", "Priority", 581360680, f"{_TYPE}SelectConstant"),
    Definition("Feature", "customer", "Customer", 20549131, f"{_TYPE}SelectEditable"),
    Definition("Feature", "product_managers", "Product Managers", 384804762, f"{_TYPE}Records::UsersField"),
    Definition("Project", "name", "Name", 807801664, f"{_TYPE}TextField"),
    Definition("Project", "website", "Website", 221120583, f"{_TYPE}UrlField"),
    Definition("Release", "release_custom_date", "Release custom date", 3228193, f"{_TYPE}DateField"),
    Definition("Requirement", "requested_by", "Requested By", 867049992, f"{_TYPE}TextField"),
    Definition("Initiative", "initiative_custom_date", "Initiative custom date", 688549069, f"{_TYPE}DateField"),
    Definition("Epic", "epic_custom_date", "Epic custom date", 919440521, f"{_TYPE}DateField"),
    Definition("Page", "review_date", "Review date", 529933329, f"{_TYPE}DateField"),
)

_FIRST_WORDS: Final = (
    "Alder Amber Anchor Birch Bright Cedar Cobalt Copper Coral Crest Delta Ember Falcon Fern Flint Garnet Granite "
    "Harbor Hazel Heron Indigo Iris Juniper Keystone Lark Linden Lumen Maple Meridian Nimbus North Oak Onyx Orchard "
    "Osprey Pine Quartz Quill Raven River Rowan Saffron Silver Slate Summit Tidal Umber Vale Willow Zephyr"
)
_SECOND_WORDS: Final = (
    "Analytics Bank Biotech Brands Capital Clinics Energy Foods Freight Hotels Insurance Labs Logistics Media Mobility "
    "Networks Outfitters Paper Pharma Retail Robotics Security Software Steel Studios Systems Textiles Travel Water"
)
_TOWNS: Final = (
    "Aarhus Basel Bergen Bristol Calgary Cork Delft Denver Dover Exeter Ghent Graz Leeds Leuven Lyon Malmo Nantes "
    "Ottawa Oxford Porto Salem Tampa Turin Utrecht"
)
_BASE_62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE_32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ENDINGS: Final = ("Inc", "Ltd", "GmbH", "Corp", "LLC", "AG", "SA", "Group", "& Sons", "Co")


def seeded_account(
    records: int = 0,
    features: int = 0,
    seed: int = 0,
    *,
    releases: int = 0,
    linked: float = 0.0,
    title_key: str = "name",
) -> Account:
    """Make the API document's account, with more resources in it. The same arguments make the same account.

    Args:
        records: how many customers to add.
        features: how many features to add to PRJ1.
        releases: how many releases to add to PRJ1, PRJ2 and PRJ3 in turn.
        linked: share of the added features and releases that link to a customer, from 0 to 1.
        title_key: key of the field that holds a record's name.
    """
    account = Account()
    account.tables.update(_TABLES)
    title = Definition("CustomObjectRecord", title_key, "Name", 262515157, f"{_TYPE}TextField")
    for definition in (*_DEFINITIONS, title):
        account.define(definition)
    for reference, id, name in _PRODUCTS:
        account.add(Resource(Kind.PRODUCT, id, reference, name, product=id))
    for kind, reference, id, name in _RESOURCES:
        product, parent = _owners(account, kind, reference)
        links = dict(_LINKS.get((kind, reference), {}))
        account.add(Resource(kind, id, reference, name, product, parent, links=links))
    for table, id, name in _RECORDS:
        links = dict(_LINKS.get((Kind.CUSTOM_OBJECT_RECORD, str(id)), {}))
        account.add(Resource(Kind.CUSTOM_OBJECT_RECORD, id, "", name, _PRJ1, table=table, links=links))
    _add_records(account, records, seed)
    customers = [record.id for record in account.listed(Kind.CUSTOM_OBJECT_RECORD) if record.table == "customers"]
    linking = _Linking(customers, linked, seed)
    _add_features(account, features, seed, linking)
    _add_releases(account, releases, seed, linking)
    return account


class _Linking:
    """Draws the links that a generated resource starts with."""

    def __init__(self, customers: list[int], share: float, seed: int) -> None:
        self._customers = customers
        self._share = share
        self._draw = random.Random(f"links {seed}")  # noqa: S311  the same seed, the same account

    def links(self) -> dict[str, tuple[int, ...]]:
        if not self._share or self._draw.random() >= self._share:
            return {}
        return {"customers": (self._draw.choice(self._customers),)}


def _owners(account: Account, kind: Kind, reference: str) -> tuple[int, int]:
    """The product, and the release or feature, that a seeded resource belongs to."""
    prefix = reference.partition("-")[0]
    owner = account.find(Kind.PRODUCT, prefix)
    product = owner.id if owner is not None else _PRJ1  # DEMOENT is PRJ1's former prefix, ACCOUNT is no product's
    parent = None
    if kind is Kind.REQUIREMENT:
        parent = account.find(Kind.FEATURE, reference.rpartition("-")[0])
    elif kind in (Kind.FEATURE, Kind.EPIC):
        parent = account.find(Kind.RELEASE, f"{prefix}-R-1")
    return product, parent.id if parent is not None else 0


def _add_records(account: Account, count: int, seed: int) -> None:
    draw = random.Random(f"records {seed}")  # noqa: S311  the same seed, the same account
    firsts, seconds = _FIRST_WORDS.split(), _SECOND_WORDS.split()
    id = _FIRST_RECORD
    names: list[str] = []  # some customers share a name
    for number in range(count):
        id += draw.randrange(1, 100_000_000_000)
        second, first = divmod(number, len(firsts))
        again, second = divmod(second, len(seconds))
        name = f"{firsts[first]} {seconds[second]} {draw.choice(_ENDINGS)}"
        if again:
            town = _TOWNS.split()[(again - 1) % 24]
            name = _further(firsts[first], seconds[second], town, number, draw) if number % 400 else names[number // 4]
        names.append(name)
        values = {"salesforce_id": _salesforce_id(number)}
        account.add(Resource(Kind.CUSTOM_OBJECT_RECORD, id, "", name, _PRJ1, table="customers", values=values))


def _further(first: str, second: str, town: str, number: int, draw: random.Random) -> str:
    """A name with a town in it; some have a comma or quotes."""
    ending = draw.choice(_ENDINGS)
    if number % 19 == 0:
        return f"{first} {second} {town}, {ending}."
    if number % 23 == 0:
        return f'{first} "{town}" {second} {ending}'
    return f"{first} {second} {town} {ending}"


def _salesforce_id(number: int) -> str:
    """A Salesforce id of 18 characters: 15 whose case matters, and Salesforce's checksum of their case in three."""
    digits, rest = "", number * 7919 + 62**6
    for _ in range(7):
        rest, digit = divmod(rest, 62)
        digits = _BASE_62[digit] + digits
    id = f"0015g000{digits}"
    bits = [sum(char.isupper() << place for place, char in enumerate(id[part : part + 5])) for part in (0, 5, 10)]
    return id + "".join(_BASE_32[five] for five in bits)


def _add_features(account: Account, count: int, seed: int, linking: _Linking) -> None:
    draw = random.Random(f"features {seed}")  # noqa: S311  the same seed, the same account
    release = account.find(Kind.RELEASE, "PRJ1-R-1")
    parent = release.id if release is not None else 0
    first = 1 + sum(1 for kind, reference, _, _ in _RESOURCES if kind is Kind.FEATURE and reference.startswith("PRJ1-"))
    id = _FIRST_FEATURE
    for number in range(first, first + count):
        id += draw.randrange(1, 10_000_000_000)
        links = linking.links()
        account.add(Resource(Kind.FEATURE, id, f"PRJ1-{number}", f"Feature {number}", _PRJ1, parent, links=links))


def _add_releases(account: Account, count: int, seed: int, linking: _Linking) -> None:
    draw = random.Random(f"releases {seed}")  # noqa: S311  the same seed, the same account
    products = [product for name in ("PRJ1", "PRJ2", "PRJ3") if (product := account.find(Kind.PRODUCT, name))]
    id = _FIRST_RELEASE
    for number in range(count):
        id += draw.randrange(1, 10_000_000_000)
        product = products[number % len(products)]
        reference = f"{product.reference}-R-{1001 + number // len(products)}"
        links = linking.links()
        account.add(Resource(Kind.RELEASE, id, reference, f"Release {number}", product.id, links=links))

"""Writes an export of Salesforce accounts: 5,000 rows as a report saves them, for a sandbox of 20,000 customers.

    python jobs/salesforce.py > accounts.csv

Twenty columns, a BOM, CRLF; names with commas and quotes, names spelt otherwise than in Aha!, some that are not there
or there twice; rows that repeat others; cells that are empty, or hold several features, or line breaks. The same each
time. The sandbox to run it on: `linker sandbox --records 20000 --features 3000`.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from collections.abc import Iterator

from linker.model.target import Kind
from linker.sandbox import SandboxOptions
from linker.sandbox.seed import seeded_account

ROWS = 5000
OPTIONS = SandboxOptions(records=20_000, features=3000)
HEADER = (
    *("Account ID", "Account Name", "Account Owner", "Type", "Industry", "Annual Revenue", "Employees"),
    *("Billing Street", "Billing City", "Billing State/Province", "Billing Zip/Postal Code", "Billing Country"),
    *("Phone", "Website", "Account Source", "Rating", "Created Date", "Last Modified Date", "Description", "Aha Ref"),
)


def rows() -> Iterator[list[str]]:
    """The rows below the header."""
    draw = random.Random("accounts")  # noqa: S311  the same rows each time
    account = seeded_account(OPTIONS.records, OPTIONS.features, OPTIONS.seed)
    customers = [each for each in account.listed(Kind.CUSTOM_OBJECT_RECORD) if "salesforce_id" in each.values]
    features = [each.reference for each in account.listed(Kind.FEATURE) if each.reference.startswith("PRJ1-")]
    row: list[str] = []
    for number in range(ROWS):
        if number % 50 == 49:  # the row before once more
            yield row
            continue
        customer = draw.choice(customers)
        name, reference = customer.name, draw.choice(features)
        match number % 100:
            case 7:
                name = name.upper()
            case 21:
                name = f" {name.replace(' ', '  ')} "
            case 35 | 36:
                reference = "; ".join(draw.sample(features, 3))
            case 42:
                name = name.replace(" ", "\u00a0")  # as web pages have it
            case 56:
                reference = ""
            case 63:
                name = name[:-3] + name[-2:]  # a letter is missing
            case 77 if number < 1000:
                name = ""
            case 84 if number < 500:
                name = f"Newcomer {number} Ltd"
        row = [
            *(customer.values["salesforce_id"], name, "Mary Humpty", draw.choice(("Customer", "Prospect")), "Energy"),
            *(f"{draw.randrange(1, 900)},000.00", str(draw.randrange(5, 9000)), "1 Long Street\nFloor 2", "Leeds", ""),
            *(f"LS{draw.randrange(1, 30)} 1AA", "United Kingdom", "", "www.example.com", "Web", "", "01/02/2026"),
            *("03/04/2026", 'Says "hello", often', reference),
        ]
        yield row


def main() -> None:
    """Write it to standard output."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows(rows())
    sys.stdout.buffer.write(text.getvalue().encode("utf-8-sig"))


if __name__ == "__main__":
    main()

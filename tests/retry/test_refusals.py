"""What an account's refusal means, for people: the resource by its kind and id, and where tokens are made."""

from __future__ import annotations

import pytest

from linker.api.answers import Answer
from linker.api.lists import Listing
from linker.api.requests import Delete, Request, records
from linker.errors import Error, ErrorType
from linker.model.target import Target
from linker.retry.refusals import Subject, explained, rejected_token
from linker.retry.verdict import GiveUp

PUT = Request(Target.parse("PRJ1-1"), {"customers": frozenset("7")})
LIST = Listing.parse("feature:PRJ1").page(1)
TABLE = records(Listing.parse("record:PRJ1/customers"), 1)


def message(answer: Answer, request: Subject) -> str:
    """The message of a request that was given up for this answer."""
    return explained(GiveUp(Error(ErrorType.NOT_FOUND, "as before"), answer.status), answer, request).error.message


@pytest.mark.parametrize(
    ("status", "request_", "says"),
    [
        (404, PUT, "feature PRJ1-1 does not exist, or your token cannot see it (404)"),
        (404, LIST, "the list of features of PRJ1 does not exist, or your token cannot see it (404)"),
        (404, TABLE, "table PRJ1/customers does not exist, or your token cannot see it (404)"),
        (403, PUT, "your token may not change feature PRJ1-1 (403: Record not found.)"),
        (403, Delete("7"), "your token may not delete record 7 (403: Record not found.)"),
        (422, PUT, "as before"),
    ],
)
def test_a_refusal_names_what_was_refused(status: int, request_: Subject, says: str) -> None:
    """By kind and id, and what the request would have done to it."""
    assert message(Answer(status, message="Record not found."), request_) == says


def test_a_404_with_words_of_its_own_keeps_them() -> None:
    """They may tell more than that something does not exist."""
    says = message(Answer(404, message="the workspace is archived"), PUT)
    assert says.endswith("(404: the workspace is archived)")


def test_a_firewall_s_page_is_not_the_account_s_refusal() -> None:
    """It says nothing about the resource."""
    assert message(Answer(403, message="(an HTML page)", is_foreign=True), PUT) == "as before"


def test_a_rejected_token_says_where_tokens_are_made() -> None:
    """And where to put the new one."""
    says = rejected_token(Answer(401, message="Invalid token"))
    assert says.startswith("the account rejected your token (401: Invalid token); nothing more is sent. ")
    assert "Settings > Personal > Developer > Generate API key" in says

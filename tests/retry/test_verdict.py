"""Again, and after how long? The verdict as a table."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker import Error, ErrorType, Settings
from linker.api.answers import Answer
from linker.api.statuses import may_be_applied
from linker.errors import BadAnswer, ConnectionFailed, RequestFailed, TimedOut
from linker.retry.cause import cause_of
from linker.retry.verdict import Accept, Again, GiveUp, Pause, backoff_s, is_limit, verdict

SETTINGS = Settings(base_url="http://127.0.0.1", attempts=3, backoff_base_s=0.5, backoff_cap_s=30.0, refusals=4)
LAST = SETTINGS.attempts

TRANSIENT = {
    408: ErrorType.TIMEOUT,
    409: ErrorType.SERVER_ERROR,
    421: ErrorType.SERVER_ERROR,
    423: ErrorType.SERVER_ERROR,
    425: ErrorType.SERVER_ERROR,
    500: ErrorType.SERVER_ERROR,
    502: ErrorType.SERVER_ERROR,
    503: ErrorType.SERVER_ERROR,
    504: ErrorType.SERVER_ERROR,
    507: ErrorType.SERVER_ERROR,
    509: ErrorType.SERVER_ERROR,
    **dict.fromkeys(range(520, 531), ErrorType.SERVER_ERROR),
}
FINAL = {
    301: ErrorType.BAD_ANSWER,
    302: ErrorType.BAD_ANSWER,
    400: ErrorType.INVALID_VALUE,
    401: ErrorType.UNAUTHORIZED,
    403: ErrorType.FORBIDDEN,
    404: ErrorType.NOT_FOUND,
    405: ErrorType.INVALID_VALUE,
    410: ErrorType.INVALID_VALUE,
    413: ErrorType.INVALID_VALUE,
    422: ErrorType.INVALID_VALUE,
    501: ErrorType.SERVER_ERROR,
    505: ErrorType.SERVER_ERROR,
}
FAILURES = {
    ConnectionFailed("connection reset"): ErrorType.CONNECTION,
    TimedOut("no answer in 30 s"): ErrorType.TIMEOUT,
    BadAnswer("the answer (200) is not JSON: (an HTML page)"): ErrorType.BAD_ANSWER,
}


def judge(outcome: Answer | RequestFailed | int, attempt: int = 1, refusal: int = 0) -> Accept | Again | Pause | GiveUp:
    """The verdict by the settings above; a number is an answer of that status."""
    return verdict(Answer(outcome, message="why") if isinstance(outcome, int) else outcome, attempt, refusal, SETTINGS)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_counts_whenever_it_comes(status: int) -> None:
    """The last try's success is one too."""
    answer = Answer(status)
    assert verdict(answer, 1, 0, SETTINGS) == verdict(answer, LAST, 9, SETTINGS) == Accept(answer)


@pytest.mark.parametrize(("status", "word"), TRANSIENT.items())
def test_a_passing_trouble_is_tried_again_until_the_attempts_are_used_up(status: int, word: ErrorType) -> None:
    """The wait doubles; after the last try the error says how often it was tried and that it may pass."""
    assert [judge(status, attempt) for attempt in (1, 2)] == [Again(0.0, 0.5), Again(0.0, 1.0)]
    assert judge(status, LAST) == GiveUp(
        Error(word, f"{status}: why (tried 3 times); try again later", retryable=True), status
    )


@pytest.mark.parametrize(("failure", "word"), FAILURES.items(), ids=repr)
def test_a_try_without_an_answer_is_tried_again_likewise(failure: RequestFailed, word: ErrorType) -> None:
    """There is no status then, and the error keeps the failure's words."""
    assert [judge(failure, attempt) for attempt in (1, 2)] == [Again(0.0, 0.5), Again(0.0, 1.0)]
    assert judge(failure, LAST) == GiveUp(
        Error(word, f"{failure} (tried 3 times); try again later", retryable=True), None
    )


@pytest.mark.parametrize(("status", "word"), FINAL.items())
def test_an_answer_that_will_not_change_is_not_asked_for_again(status: int, word: ErrorType) -> None:
    """One try is enough to know, and the message is the server's word."""
    assert judge(status) == GiveUp(Error(word, f"{status}: why", retryable=False), status)


def test_no_status_is_left_without_a_verdict() -> None:
    """Every status from 200 to 599 is accepted, waited for or given up, as its table says."""
    for status in range(200, 600):
        kind = type(judge(status))
        if status < 300:
            assert kind is Accept
        elif status == 429:
            assert kind is Pause
        else:
            assert kind is (Again if status in TRANSIENT or (status >= 500 and status not in FINAL) else GiveUp)
            assert isinstance(judge(status, LAST), GiveUp)


def test_one_attempt_means_one_try() -> None:
    """With `--attempts 1` nothing is tried again, and the message says once."""
    once = Settings(base_url="http://127.0.0.1", attempts=1)
    assert verdict(Answer(503, message="why"), 1, 0, once) == GiveUp(
        Error(ErrorType.SERVER_ERROR, "503: why (tried once); try again later", retryable=True), 503
    )
    assert isinstance(verdict(TimedOut("no answer"), 1, 0, once), GiveUp)
    assert verdict(Answer(429), 1, 0, once) == Pause(0.5)


# --- 429


@pytest.mark.parametrize("attempt", [1, LAST])
def test_a_refusal_pauses_the_account_and_uses_up_no_attempt(attempt: int) -> None:
    """Also on the last attempt; without a `Retry-After` the pause doubles with each refusal in a row."""
    waits = [judge(429, attempt, refusal) for refusal in range(4)]
    assert waits == [Pause(0.5), Pause(1.0), Pause(2.0), Pause(4.0)]


@pytest.mark.parametrize("seconds", [0.0, 17.0, 86_400.0])
def test_a_refusal_is_sat_out_as_long_as_it_says(seconds: float) -> None:
    """Its `Retry-After` is not cut: whether a day is too long is for the run to say."""
    assert verdict(Answer(429, retry_after_s=seconds), 1, 0, SETTINGS) == Pause(seconds)


def test_refusals_do_not_go_on_for_ever() -> None:
    """After as many in a row as the settings allow, the request is given up; it may well succeed later."""
    assert isinstance(judge(429, 1, SETTINGS.refusals - 1), Pause)
    given_up = judge(429, 2, SETTINGS.refusals)
    assert given_up == GiveUp(
        Error(ErrorType.RATE_LIMITED, "429: why (tried 2 times); try again later", retryable=True), 429
    )


# --- other ways to say "go away for a while"


PAGE = BadAnswer("the answer (200) is not JSON: (an HTML page)")
PAGE.retry_after_s = 8.0


@pytest.mark.parametrize(
    ("reply", "in_doubt"),
    [
        (Answer(403, message="slow down", retry_after_s=8.0), False),
        (Answer(403, retry_after_s=8.0, is_foreign=True), False),
        (Answer(404, retry_after_s=8.0, is_foreign=True), False),
        (Answer(401, retry_after_s=8.0, is_foreign=True), False),
        (Answer(503, retry_after_s=8.0, is_foreign=True), True),
        (PAGE, True),
    ],
    ids=repr,
)
def test_a_403_or_a_page_with_a_wait_pauses_the_run_like_a_429(reply: Answer | BadAnswer, in_doubt: bool) -> None:
    """No attempt is used up; the account may have carried out a request that a proxy answers with a 5xx or a 200."""
    assert verdict(reply, LAST, 0, SETTINGS) == Pause(8.0, in_doubt)
    given_up = verdict(reply, 2, SETTINGS.refusals, SETTINGS)
    assert isinstance(given_up, GiveUp)
    assert (given_up.error.type, given_up.error.retryable) == (ErrorType.RATE_LIMITED, True)
    assert cause_of(reply) is None


@pytest.mark.parametrize("status", [403, 405, 406, 451])
def test_a_firewall_s_page_is_no_verdict_on_the_target(status: int) -> None:
    """It is tried again, and in the end the message says whose answer it is; Aha!'s own 403 is final."""
    blocked = Answer(status, message="(an HTML page)", is_foreign=True)
    assert verdict(blocked, 1, 0, SETTINGS) == Again(0.0, 0.5)
    given_up = verdict(blocked, LAST, 0, SETTINGS)
    assert isinstance(given_up, GiveUp)
    assert (given_up.error.type, given_up.error.retryable) == (ErrorType.BAD_ANSWER, True)
    assert "a firewall or proxy blocks linker" in given_up.error.message


@pytest.mark.parametrize("status", range(200, 600))
def test_one_list_says_what_may_pass(status: int) -> None:
    """What is tried again counts for the circuit breaker too, and of the 4xx only a 408 may have been carried out."""
    is_tried_again = isinstance(judge(status), Again)
    assert is_tried_again <= (cause_of(Answer(status)) is not None)
    if is_tried_again:
        assert status >= 500 or not may_be_applied(status) or status == 408


# --- how long


@pytest.mark.parametrize("status", TRANSIENT)
def test_a_retry_after_is_the_least_wait_and_the_jitter_comes_on_top(status: int) -> None:
    """Those that were told the same second do not come back in the same instant."""
    assert verdict(Answer(status, retry_after_s=7.0), 2, 0, SETTINGS) == Again(7.0, 8.0)
    assert verdict(Answer(status, retry_after_s=0.0), 1, 0, SETTINGS) == Again(0.0, 0.5)


def test_a_retry_after_of_one_request_is_sat_out_up_to_the_longest_wait() -> None:
    """A server that says a day is not waited for: the run ends, as it does for a 429 that says so."""
    longest = SETTINGS.max_wait
    assert verdict(Answer(503, retry_after_s=longest), 1, 0, SETTINGS) == Again(longest, longest + 0.5)
    assert verdict(Answer(503, retry_after_s=86_400.0), 1, 0, SETTINGS) == Pause(86_400.0)


def test_the_wait_doubles_up_to_its_cap() -> None:
    """From the base on, never above the cap, however often."""
    assert [backoff_s(attempt, SETTINGS) for attempt in range(1, 9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert backoff_s(10**9, SETTINGS) == 30.0


SECONDS = st.floats(0.001, 1e4)


@given(
    st.builds(
        lambda base, cap, attempts, longest: Settings(
            base_url="http://127.0.0.1",
            backoff_base_s=base,
            backoff_cap_s=cap,
            attempts=attempts,
            max_wait=longest,
        ),
        SECONDS,
        SECONDS,
        st.integers(1, 2000),
        SECONDS,
    ),
    st.one_of(
        st.sampled_from(sorted(FAILURES, key=str)),
        st.builds(
            Answer,
            st.integers(200, 599),
            retry_after_s=st.one_of(st.none(), st.floats(0, 1e9)),
            is_foreign=st.booleans(),
        ),
    ),
    st.integers(1, 2000),
    st.integers(0, 100),
)
@settings(max_examples=400)
def test_every_wait_is_within_its_bounds(
    knobs: Settings, outcome: Answer | RequestFailed, attempt: int, refusal: int
) -> None:
    """Again only while attempts are left; no wait is negative, endless or above the cap on top of what was asked."""
    said = verdict(outcome, attempt, refusal, knobs)
    asked_s = 0.0 if isinstance(outcome, RequestFailed) else outcome.retry_after_s or 0.0
    if isinstance(said, Again):
        assert attempt < knobs.attempts
        assert said.least_s == asked_s <= knobs.max_wait
        assert 0.0 < said.most_s - said.least_s <= knobs.backoff_cap_s * (1 + 1e-9) + 1e-6
    elif isinstance(said, Pause):
        assert isinstance(outcome, Answer)
        assert refusal < knobs.refusals if is_limit(outcome) else asked_s > knobs.max_wait
        assert 0.0 <= said.seconds <= max(asked_s, knobs.backoff_cap_s)

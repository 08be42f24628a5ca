import pytest

from arb.domain.errors import VenueUnavailable
from arb.venues.refusals import Outcome, require_success
from arb.venues.upbit.errors import ERRORS, judge
from tests.venues.private import answer

# The names of the exchange's own pages; each must have been thought about.
DOCUMENTED = [
    "insufficient_funds_bid",
    "insufficient_funds_ask",
    "under_min_total_bid",
    "under_min_total_ask",
    "over_krw_funds_bid",
    "invalid_price_bid",
    "invalid_price_ask",
    "create_bid_error",
    "create_ask_error",
    "validation_error",
    "invalid_parameter",
    "invalid_time_in_force",
    "invalid_post_only",
    "notfoundmarket",
    "duplicated_identifier",
    "market_offline",
    "out_of_scope",
    "invalid_access_key",
    "jwt_verification",
    "invalid_query_payload",
    "expired_access_key",
    "nonce_used",
    "no_authorization_ip",
    "no_authorization_token",
    "order_not_found",
    "too_many_requests",
    "thirdparty_agreement_required",
    "volume_too_large",
    "invalid_funds",
]


def named(name: str | int) -> dict[str, object]:
    return {"error": {"name": name, "message": "말"}}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_documented_name_has_a_consequence(name):
    consequence, words = judge(answer(named(name), 400))

    assert consequence is ERRORS[name]
    assert words == f"{name} 말"


@pytest.mark.parametrize(
    ("name", "status", "outcome", "reason"),
    [
        ("insufficient_funds_bid", 400, Outcome.REJECTED, "insufficient_balance"),
        ("duplicated_identifier", 400, Outcome.UNKNOWN, "duplicate_id"),
        ("market_offline", 403, Outcome.RETRY_LATER, "maintenance"),
        ("out_of_scope", 401, Outcome.PERSON_MUST_ACT, "permission"),
        ("out_of_scope", 403, Outcome.PERSON_MUST_ACT, "permission"),
        ("nonce_used", 401, Outcome.RETRY_LATER, "nonce_used"),
        ("order_not_found", 404, Outcome.NOT_FOUND, "not_found"),
        ("something_new", 400, Outcome.UNKNOWN, "unmapped"),
        ("something_new", 401, Outcome.PERSON_MUST_ACT, "auth"),
        (429, 429, Outcome.RETRY_LATER, "rate"),
        ("anything", 418, Outcome.RETRY_LATER, "ban"),
        ("insufficient_funds_bid", 500, Outcome.UNKNOWN, "venue_error"),
    ],
)
def test_name_goes_before_status_but_a_server_error_knows_nothing(name, status, outcome, reason):
    consequence, _ = judge(answer(named(name), status))

    assert (consequence.outcome, consequence.reason) == (outcome, reason)


@pytest.mark.parametrize(("status", "reason"), [(429, "rate"), (404, "unmapped"), (502, "venue_error")])
def test_page_that_is_no_json_is_judged_by_its_status(status, reason):
    consequence, words = judge(answer("<html>busy</html>", status))

    assert consequence.reason == reason
    assert words == f"HTTP {status} <html>busy</html>"


def test_read_that_was_refused_says_our_reason_first():
    with pytest.raises(VenueUnavailable, match="auth: jwt_verification"):
        require_success("upbit", judge, answer(named("jwt_verification"), 401))

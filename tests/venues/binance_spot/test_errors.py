import pytest

from arb.domain.errors import CredentialsRefused, VenueUnavailable
from arb.venues.binance_spot.errors import ERRORS, judge
from arb.venues.refusals import Outcome, require_success
from tests.venues.private import answer

# Codes of the exchange's own page that orders, cancels, queries and account reads can meet.
DOCUMENTED = (
    *(-1000, -1001, -1002, -1003, -1006, -1007, -1008, -1013, -1014, -1015, -1016, -1020, -1021, -1022),
    *(-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1111, -1112, -1114, -1115, -1116, -1117, -1118),
    *(-1119, -1120, -1121, -1122, -1125, -1127, -1128, -1130, -1134, -1135, -1139, -1145, -1151),
    *(-2010, -2011, -2013, -2014, -2015, -2016, -2021, -2022, -2026),
)


@pytest.mark.parametrize("code", DOCUMENTED)
def test_every_documented_code_has_a_consequence(code):
    consequence, words = judge(answer({"code": code, "msg": "words"}, 400))

    assert consequence is ERRORS[code]
    assert words == f"{code} words"


@pytest.mark.parametrize(
    ("code", "message", "outcome", "reason"),
    [
        (-2010, "Account has insufficient balance for requested action.", Outcome.REJECTED, "insufficient_balance"),
        (-2010, "Duplicate order sent.", Outcome.UNKNOWN, "duplicate_id"),
        (-2010, "Order would immediately match and take.", Outcome.REJECTED, "would_cross"),
        (-2010, "Market is closed.", Outcome.RETRY_LATER, "maintenance"),
        (-2010, "This action is disabled on this account.", Outcome.PERSON_MUST_ACT, "permission"),
        (-2010, "Order book liquidity is less than `LOT_SIZE` filter", Outcome.REJECTED, "no_depth"),
        (-2010, "NEW_ORDER_REJECTED", Outcome.REJECTED, "rejected"),
        (-1013, "Filter failure: PRICE_FILTER", Outcome.OUR_BUG, "off_tick"),
        (-1013, "Filter failure: LOT_SIZE", Outcome.OUR_BUG, "off_lot"),
        (-1013, "Filter failure: MIN_NOTIONAL", Outcome.OUR_BUG, "min_notional"),
        (-1013, "Filter failure: NOTIONAL", Outcome.OUR_BUG, "notional"),
        (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", Outcome.REJECTED, "price_band"),
        (-1013, "Filter failure: MAX_NUM_ORDERS", Outcome.REJECTED, "too_many_open_orders"),
        (-1013, "Something else", Outcome.OUR_BUG, "filter"),
        (-2011, "Unknown order sent.", Outcome.UNKNOWN, "unknown_order"),
        (-1021, "Timestamp for this request is outside of the recvWindow.", Outcome.RETRY_LATER, "clock"),
        (-1003, "Way too much request weight used; IP banned until 1.", Outcome.RETRY_LATER, "rate"),
        (-9999, "New", Outcome.UNKNOWN, "unmapped"),
    ],
)
def test_code_that_means_many_things_is_told_by_its_words(code, message, outcome, reason):
    consequence, _ = judge(answer({"code": code, "msg": message}, 400))

    assert (consequence.outcome, consequence.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (500, {"code": -2010, "msg": "Account has insufficient balance"}, Outcome.UNKNOWN, "venue_error"),
        (503, {"code": -1008, "msg": "Server is currently overloaded"}, Outcome.UNKNOWN, "overloaded"),
        (504, {"code": -1007, "msg": "Timeout"}, Outcome.UNKNOWN, "timeout"),
        (502, "<html>", Outcome.UNKNOWN, "venue_error"),
        (403, "<html>", Outcome.RETRY_LATER, "firewall"),
        (418, "", Outcome.RETRY_LATER, "ban"),
        (429, "", Outcome.RETRY_LATER, "rate"),
        (408, "", Outcome.UNKNOWN, "timeout"),
        (404, "", Outcome.UNKNOWN, "unmapped"),
    ],
)
def test_status_speaks_where_no_code_does_and_a_server_error_knows_nothing(status, body, outcome, reason):
    consequence, _ = judge(answer(body, status))

    assert (consequence.outcome, consequence.reason) == (outcome, reason)


def test_read_that_was_refused_says_our_reason_first():
    with pytest.raises(CredentialsRefused, match="auth: -2015 Invalid API-key"):
        require_success("binance_spot", judge, answer({"code": -2015, "msg": "Invalid API-key, IP."}, 401))


def test_read_refused_for_another_reason_is_no_trouble_with_the_key():
    with pytest.raises(VenueUnavailable) as refused:
        require_success("binance_spot", judge, answer({"code": -1121, "msg": "Invalid symbol."}, 400))

    assert not isinstance(refused.value, CredentialsRefused)

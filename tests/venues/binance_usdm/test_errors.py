import pytest

from arb.domain.errors import VenueUnavailable
from arb.venues.binance_usdm.errors import ALREADY_SO, ERRORS, judge
from arb.venues.refusals import Outcome, require_success
from tests.venues.private import answer

# Codes of the exchange's own pages that orders, cancels, queries, account reads and the setup can meet.
DOCUMENTED = (
    *(-1000, -1001, -1002, -1003, -1006, -1007, -1008, -1010, -1011, -1013, -1014, -1015, -1016, -1020, -1021, -1022),
    *(-1023, -1099, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1109, -1110, -1111, -1112, -1113, -1114),
    *(-1115, -1116, -1117, -1118, -1119, -1120, -1121, -1122, -1125, -1126, -1127, -1128, -1130, -1136, -2010, -2011),
    *(-2012, -2013, -2014, -2015, -2016, -2017, -2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025, -2026, -2027),
    *(-2028, -4000, -4001, -4002, -4003, -4004, -4005, -4013, -4014, -4015, -4016, -4023, -4024, -4028, -4046, -4047),
    *(-4048, -4050, -4051, -4059, -4060, -4061, -4062, -4067, -4068, -4087, -4088, -4109, -4116, -4118, -4131, -4140),
    *(-4141, -4161, -4164, -4168, -4171, -4192, -4202, -4203, -4205, -4206, -4400, -4401, -4402, -4403, -5021, -5022),
    *(-5028, -5041),
)


@pytest.mark.parametrize("code", DOCUMENTED)
def test_every_documented_code_has_a_consequence(code):
    consequence, words = judge(answer({"code": code, "msg": "words"}, 400))

    assert consequence is ERRORS[code]
    assert words == f"{code} words"


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        (-2019, Outcome.REJECTED, "margin"),
        (-2022, Outcome.REJECTED, "reduce_only"),
        (-4164, Outcome.OUR_BUG, "min_notional"),
        (-4014, Outcome.OUR_BUG, "off_tick"),
        (-4116, Outcome.UNKNOWN, "duplicate_id"),
        (-4061, Outcome.PERSON_MUST_ACT, "account_mode"),
        (-2013, Outcome.NOT_FOUND, "not_found"),
        (-1000, Outcome.UNKNOWN, "venue_error"),
        (-99999, Outcome.UNKNOWN, "unmapped"),
    ],
)
def test_codes_say_what_they_mean_for_us(code, outcome, reason):
    consequence, _ = judge(answer({"code": code, "msg": ""}, 400))

    assert (consequence.outcome, consequence.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (503, {"code": -1008, "msg": "Request throttled by system-level protection."}, "RETRY_LATER", "overloaded"),
        (503, {"code": -1008, "msg": ""}, "RETRY_LATER", "overloaded"),
        (503, "<html>Service Unavailable.</html>", "RETRY_LATER", "unavailable"),
        (503, {"code": -1000, "msg": "Unknown error, please check your request"}, "UNKNOWN", "venue_error"),
        (503, "", "UNKNOWN", "venue_error"),
        (500, {"code": -2019, "msg": "Service Unavailable."}, "UNKNOWN", "venue_error"),
        (502, "<html>", "UNKNOWN", "venue_error"),
        (408, "", "UNKNOWN", "timeout"),
        (418, "", "RETRY_LATER", "ban"),
        (429, {"code": -1003, "msg": ""}, "RETRY_LATER", "rate"),
    ],
)
def test_status_speaks_where_no_code_does(status, body, outcome, reason):
    consequence, _ = judge(answer(body, status))

    assert (consequence.outcome.name, consequence.reason) == (outcome, reason)


def test_settings_that_are_so_already_are_known():
    assert frozenset((-4046, -4059, -4171)) == ALREADY_SO


def test_read_that_was_refused_says_our_reason_first():
    with pytest.raises(VenueUnavailable, match="clock: -1021"):
        require_success("binance_usdm", judge, answer({"code": -1021, "msg": "Timestamp"}, 400))

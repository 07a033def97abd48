import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from makers import d
from onefill.core.defaults import BANK_NIFTY, GOLD_MINI
from onefill.core.portfolio.equity import Exposure
from onefill.core.portfolio.gates import fit_to_caps
from onefill.core.portfolio.sizing import LotTerms, Setup, base_size, pyramid_size
from onefill.core.portfolio.stops import lots_to_peel
from onefill.core.refusal import Refusal

BANK = LotTerms(
    point_value=d(30),
    margin_per_lot=d(270_000),
    risk_percent=d("0.5"),
    volatility_percent=d("0.5"),
)
GOLD = LotTerms(
    point_value=d(10),
    margin_per_lot=d(105_000),
    risk_percent=d("0.5"),
    volatility_percent=d("0.2"),
)
BANK_SETUP = Setup(price=d(52000), stop=d(51650), atr=d(350), er=d("0.82"))
GOLD_SETUP = Setup(price=d(78500), stop=d(77800), atr=d(450), er=d("0.85"))
EQUITY = d(5_000_000)

money = st.decimals(min_value=-10_000_000, max_value=100_000_000, places=2)
equities = st.decimals(min_value=0, max_value=1_000_000_000, places=2)
setups = st.builds(
    Setup,
    price=st.decimals(min_value=1, max_value=100_000, places=2),
    stop=st.decimals(min_value=1, max_value=100_000, places=2),
    atr=st.decimals(min_value=0, max_value=5_000, places=2),
    er=st.decimals(min_value=0, max_value=1, places=3),
)


@pytest.mark.req("PF-1")
@pytest.mark.parametrize(
    ("setup", "terms", "margin", "bounds", "lots", "limiter"),
    [
        (BANK_SETUP, BANK, 3_000_000, ("1.952", "2.381", "11.111"), 1, "risk"),
        (GOLD_SETUP, GOLD, 3_000_000, ("3.036", "2.222", "28.571"), 2, "volatility"),
        (BANK_SETUP, BANK, 100_000, ("1.952", "2.381", "0.370"), 0, "margin"),
    ],
)
def test_base_sizes_have_their_known_answers(
    *,
    setup: Setup,
    terms: LotTerms,
    margin: int,
    bounds: tuple[str, str, str],
    lots: int,
    limiter: str,
) -> None:
    size = base_size(setup, terms, equity=EQUITY, margin=Decimal(margin))
    assert (size.lots, size.limiter) == (lots, limiter)
    assert tuple(round(value, 3) for _, value in size.bounds) == tuple(map(d, bounds))


@pytest.mark.req("PF-1")
@pytest.mark.parametrize(("er", "lots"), [("0.27", 9), ("0.21", 7), ("0.03", 1), ("0.29", 9)])
def test_a_whole_number_of_lots_is_not_lost_to_a_rounded_quotient(er: str, lots: int) -> None:
    """33.33… lots at full efficiency; 0.03 of that is one, not 0.99…"""
    setup = Setup(price=d(52000), stop=d(51950), atr=d(1), er=d(er))
    terms = LotTerms(point_value=d(30), margin_per_lot=d(1))
    size = base_size(setup, terms, equity=EQUITY, margin=EQUITY)
    assert (size.lots, size.limiter) == (lots, "risk")


@pytest.mark.req("PF-1")
@given(setups, equities, money)
def test_base_lots_are_the_formulas_in_exact_arithmetic(
    setup: Setup, equity: Decimal, margin: Decimal
) -> None:
    assume(setup.risk > 0 and setup.atr > 0)
    allowed = Fraction(equity) / 200
    bounds = (
        allowed / (Fraction(setup.risk) * 30) * Fraction(setup.er),
        allowed / (Fraction(setup.atr) * 30),
        Fraction(margin) / 270_000,
    )
    size = base_size(setup, BANK, equity=equity, margin=margin)
    assert size.lots == max(0, math.floor(min(bounds)))


@pytest.mark.req("PF-2")
@given(setups, money, st.integers(0, 200), st.integers(0, 4), money)
def test_pyramid_lots_are_the_formulas_in_exact_arithmetic(
    setup: Setup, margin: Decimal, base: int, pyramids: int, excess: Decimal
) -> None:
    assume(setup.risk > 0)
    bounds = (
        Fraction(margin) / 270_000,
        base * Fraction(1, 2) ** (pyramids + 1),
        max(Fraction(0), Fraction(excess)) / 2 / (Fraction(setup.risk) * 30),
    )
    size = pyramid_size(
        setup, BANK, base_lots=base, pyramids=pyramids, excess_profit=excess, margin=margin
    )
    assert size.lots == max(0, math.floor(min(bounds)))


@pytest.mark.req("PF-1")
@pytest.mark.parametrize("stop", [52000, 52001])
def test_a_stop_that_is_not_below_the_price_sizes_nothing(stop: int) -> None:
    setup = Setup(price=d(52000), stop=d(stop), atr=d(350), er=d(1))
    size = base_size(setup, BANK, equity=EQUITY, margin=d(3_000_000))
    assert (size.lots, size.limiter) == (0, "invalid_risk")
    size = pyramid_size(
        setup, BANK, base_lots=10, pyramids=0, excess_profit=d(9_999_999), margin=d(9_999_999)
    )
    assert (size.lots, size.limiter) == (0, "invalid_risk")


@pytest.mark.req("PF-1")
def test_an_atr_of_zero_sizes_nothing() -> None:
    setup = Setup(price=d(52000), stop=d(51650), atr=d(0), er=d(1))
    size = base_size(setup, BANK, equity=EQUITY, margin=d(3_000_000))
    assert (size.lots, size.limiter) == (0, "volatility")


@pytest.mark.req("PF-2")
def test_a_pyramid_size_has_its_known_answer() -> None:
    size = pyramid_size(
        Setup(price=d(52500), stop=d(52000)),
        BANK,
        base_lots=10,
        pyramids=0,
        excess_profit=d(150_000),
        margin=d(1_000_000),
    )
    assert (size.lots, size.limiter) == (3, "margin")
    assert dict(size.bounds) == {"A": 3, "B": 5, "C": 5}


@pytest.mark.req("PF-2")
@pytest.mark.parametrize(("pyramids", "lots"), [(0, 5), (1, 2), (2, 1), (3, 0)])
def test_each_pyramid_is_at_most_half_of_the_step_below(pyramids: int, lots: int) -> None:
    size = pyramid_size(
        Setup(price=d(52500), stop=d(52000)),
        BANK,
        base_lots=10,
        pyramids=pyramids,
        excess_profit=d(10**9),
        margin=d(10**9),
    )
    assert (size.lots, size.limiter) == (lots, "geometric_0.5^n")


@pytest.mark.req("PF-2")
def test_a_pyramid_without_excess_profit_has_no_risk_budget() -> None:
    size = pyramid_size(
        Setup(price=d(52500), stop=d(52000)),
        BANK,
        base_lots=10,
        pyramids=0,
        excess_profit=d(-1),
        margin=d(10**9),
    )
    assert (size.lots, size.limiter) == (0, "risk_budget")


@pytest.mark.req("PF-7")
def test_peeling_off_has_its_known_answer() -> None:
    carried = Exposure(risk=d(120_000), volatility=d(90_000))
    assert lots_to_peel(10, carried, EQUITY, BANK_NIFTY) == 7


@pytest.mark.req("PF-7")
def test_nothing_is_peeled_within_the_limits_and_never_more_than_all() -> None:
    within = Exposure(risk=d(50_000), volatility=d(35_000))
    assert lots_to_peel(10, within, EQUITY, BANK_NIFTY) == 0
    assert lots_to_peel(2, Exposure(risk=d(9_000_000)), d(0), GOLD_MINI) == 2
    assert lots_to_peel(0, Exposure(), EQUITY, GOLD_MINI) == 0


@pytest.mark.req("PF-1")
@given(setup=setups, equity=equities, margin=money)
def test_base_lots_are_never_negative_and_never_above_a_bound(
    setup: Setup, equity: Decimal, margin: Decimal
) -> None:
    size = base_size(setup, BANK, equity=equity, margin=margin)
    assert size.lots >= 0
    assert all(size.lots <= max(0, bound) for _, bound in size.bounds)


@pytest.mark.req("PF-1")
@given(setup=setups, equity=equities, margin=money, more=equities)
def test_base_lots_grow_with_equity_and_with_margin(
    setup: Setup, equity: Decimal, margin: Decimal, more: Decimal
) -> None:
    lots = base_size(setup, BANK, equity=equity, margin=margin).lots
    assert base_size(setup, BANK, equity=equity + more, margin=margin).lots >= lots
    assert base_size(setup, BANK, equity=equity, margin=margin + more).lots >= lots


@pytest.mark.req("PF-2")
@given(
    setup=setups,
    base_lots=st.integers(0, 1000),
    pyramids=st.integers(0, 6),
    excess=money,
    margin=money,
    more=equities,
)
def test_pyramid_lots_are_bounded_and_grow_with_profit_and_margin(
    *,
    setup: Setup,
    base_lots: int,
    pyramids: int,
    excess: Decimal,
    margin: Decimal,
    more: Decimal,
) -> None:
    def lots(excess_profit: Decimal, margin: Decimal) -> int:
        size = pyramid_size(
            setup,
            BANK,
            base_lots=base_lots,
            pyramids=pyramids,
            excess_profit=excess_profit,
            margin=margin,
        )
        assert 0 <= size.lots <= base_lots
        assert all(size.lots <= max(0, bound) for _, bound in size.bounds)
        return size.lots

    assert lots(excess + more, margin) >= lots(excess, margin)
    assert lots(excess, margin + more) >= lots(excess, margin)


exposures = st.builds(Exposure, risk=equities, volatility=equities, margin=equities)


@pytest.mark.req("PF-4")
@given(wanted=st.integers(0, 500), per_lot=exposures, carried=exposures, cap=exposures)
def test_lots_shrink_to_the_largest_number_that_fits_the_caps(
    wanted: int, per_lot: Exposure, carried: Exposure, cap: Exposure
) -> None:
    def fits(lots: int) -> bool:
        after = carried + per_lot * lots
        return all(
            amount <= limit or each == 0
            for amount, limit, each in (
                (after.risk, cap.risk, per_lot.risk),
                (after.volatility, cap.volatility, per_lot.volatility),
                (after.margin, cap.margin, per_lot.margin),
            )
        )

    fit = fit_to_caps(wanted, per_lot, carried, cap)
    assert 0 <= fit.lots <= wanted
    assert fit.lots == 0 or fits(fit.lots)
    assert fit.lots == wanted or not fits(fit.lots + 1)
    assert (fit.cap is None) == (fit.lots == wanted)


@pytest.mark.req("PF-4")
def test_the_cap_that_takes_the_rest_is_named() -> None:
    fit = fit_to_caps(
        5,
        Exposure(risk=d(100), volatility=d(10), margin=d(1000)),
        Exposure(risk=d(500)),
        Exposure(risk=d(790), volatility=d(1000), margin=d(100_000)),
    )
    assert (fit.lots, fit.cap) == (2, Refusal.RISK_CAP)
    assert fit.numbers["risk_cap"] == "790"

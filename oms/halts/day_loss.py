"""A day's loss by algorithm and by account, against its limit. Pure.

Profit is realised and unrealised, at the reference prices, since the trading day began: New York's for
shares, UTC's for crypto. A resume accepts the loss of its moment; a loss that grows by a tenth of the limit
beyond that halts again. Other limits accept nothing: they count from the day's beginning.
"""

from collections.abc import Mapping
from decimal import Decimal

from bus.halt_messages import Market, TradingDayBegun
from bus.trading_day import is_crypto, trading_day
from oms.amounts import ZERO, minus, plus, text, times
from oms.book.ledger import ACCOUNT
from oms.state.step import Step

_SYMBOL_OF: dict[Market, str] = {"shares": "", "crypto": "/"}

# How much further a loss may grow once somebody has resumed with it, as a part of the limit.
GROWN = Decimal("0.1")

# How long a new day waits for prices of all that is held, and a loss for that of something new.
_WAIT_NS = 60 * 1_000_000_000

_DAY_NS = 24 * 3600 * 1_000_000_000

Profits = dict[Market, dict[str, Decimal]]


def look(step: Step, prices: Mapping[str, Decimal]) -> None:
    """Begin a day where it is time to, and hold the losses of the days against their limits."""
    observed, limits = step.observed, step.state.limits
    if not observed.started or observed.behind or limits is None:
        return
    ledger = step.book.ledger
    for market, symbol in _SYMBOL_OF.items():
        today = trading_day(step.now_ns, symbol).isoformat()
        begun = step.state.triggers.days.get(market)
        if begun is None and not ledger.holdings() and not ledger.realized_profit():
            # Nobody ever had anything: the day begins with nothing, and is journalled once somebody has.
            observed.begins_empty[market] = today
            continue
        held = [name for name in ledger.holdings() if is_crypto(name) == (market == "crypto")]
        if begun is None or not _goes_on(begun, today, step.now_ns):
            begins_empty = observed.begins_empty.get(market) == today
            unpriced = () if begins_empty else tuple(sorted(name for name in held if name not in prices))
            since_ns = observed.day_awaited.setdefault(f"{market} {today}", step.now_ns)
            if unpriced and step.now_ns - since_ns < _WAIT_NS:
                continue
            observed.day_awaited.clear()
            profits = {
                name: ZERO if begins_empty else _profit(step, market, name, prices, unpriced)
                for name in _names(step)
            }
            begun = TradingDayBegun(
                market=market,
                day=today,
                account=profits.pop(ACCOUNT),
                algorithms=profits,
                unpriced=unpriced,
                at_ns=step.now_ns,
            )
            step.record(begun)
        awaited = _awaited(step, market, {*held} - prices.keys() - {*begun.unpriced})
        observed.profits[market] = {
            name: minus(
                _profit(step, market, name, prices, begun.unpriced),
                begun.account if name == ACCOUNT else begun.algorithms.get(name, ZERO),
            )
            for name in _names(step)
            if not awaited.intersection(ledger.holdings(name))
        }
    for name in _names(step):
        _hold(step, name)


def losses(step: Step, scope: str) -> dict[Market, Decimal]:
    """The day's loss in a scope, by market, as it was last reckoned."""
    name = "" if scope.startswith("account:") else scope.partition(":")[2]
    return {market: -profits[name] for market, profits in step.observed.profits.items() if name in profits}


def _goes_on(begun: TradingDayBegun, today: str, now_ns: int) -> bool:
    """Whether this day is still on, also where the clock was set back to before it: its loss counts on."""
    return begun.day == today or 0 < begun.at_ns - now_ns < _DAY_NS


def _awaited(step: Step, market: Market, missing: set[str]) -> set[str]:
    """Those of which a price may still come. Another counts at its cost: its holder's loss is reckoned on."""
    since = step.observed.unpriced_since.setdefault(market, {})
    for symbol in since.keys() - missing:
        del since[symbol]
    now_ns = step.observed.monotonic_ns
    return {symbol for symbol in missing if now_ns - since.setdefault(symbol, now_ns) < _WAIT_NS}


def _hold(step: Step, name: str) -> None:
    limits = step.state.limits
    assert limits is not None
    sections = [limits.account] if name == ACCOUNT else [limits.each_algorithm, limits.algorithms.get(name)]
    found = [one.day_loss for one in sections if one is not None and one.day_loss is not None]
    if not found:
        return
    scope = f"account:{step.account}" if name == ACCOUNT else f"algorithm:{name}"
    limit = min(found)
    loss, most = ZERO, limit
    accepted = step.state.triggers.accepted
    for lost in losses(step, scope).values():
        loss = plus(loss, lost)
    known = [accepted[scope, market] for market in _SYMBOL_OF if (scope, market) in accepted]
    if known:
        most = max(limit, plus(sum(known, ZERO), times(limit, GROWN)))
    if loss > most:
        beyond = "" if most == limit else f", of which a resume accepted {text(sum(known, ZERO))}"
        reason = f"the day's loss is {text(loss)} dollars{beyond}; the limit is {text(limit)}"
        step.halt(scope, "day_loss", reason, text(limit), text(loss))


def _names(step: Step) -> list[str]:
    return [ACCOUNT, *sorted(step.book.ledger.names() & step.state.registered.keys())]


def _profit(
    step: Step, market: Market, name: str, prices: Mapping[str, Decimal], unpriced: tuple[str, ...]
) -> Decimal:
    """Realised and unrealised profit since the journal began; what has no price counts what it cost."""
    ledger = step.book.ledger
    profit = ledger.realized_of(name, crypto=market == "crypto")
    for symbol, held in ledger.holdings(name).items():
        if is_crypto(symbol) == (market == "crypto") and symbol in prices and symbol not in unpriced:
            profit = plus(profit, minus(times(held.quantity, prices[symbol]), held.cost))
    return profit

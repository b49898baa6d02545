"""The books as the heartbeat shows them, with profits at the last prices. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from bus.heartbeat import BookDetails
from oms.amounts import ZERO, minus, plus, text, times
from oms.risk.buying_power import left_of_capital
from oms.state.state import State

CASH = "cash"


def shown_books(state: State, last_prices: Mapping[str, Decimal]) -> dict[str, BookDetails]:
    """The book of each algorithm, and that of `external`."""
    return {name: _book(state, name, last_prices) for name in sorted(state.book.ledger.names())}


def unexplained(state: State) -> dict[str, str]:
    """What the broker has beyond the book, by symbol and of cash, as it was last compared."""
    found = {
        symbol: text(minus(at_broker, booked)) for symbol, (booked, at_broker) in state.differences.items()
    }
    if state.cash_difference is not None:
        booked, at_broker = state.cash_difference
        found[CASH] = text(minus(at_broker, booked))
    return found


def _book(state: State, name: str, last_prices: Mapping[str, Decimal]) -> BookDetails:
    ledger = state.book.ledger
    holdings = ledger.holdings(name)
    profit: Decimal | None = ZERO
    for symbol, held in holdings.items():
        price = last_prices.get(symbol)
        if price is None or profit is None:
            profit = None
        else:
            profit = plus(profit, minus(times(held.quantity, price), held.cost))
    return BookDetails(
        positions={symbol: text(held.quantity) for symbol, held in sorted(holdings.items())},
        average_prices={symbol: text(held.average_price) for symbol, held in sorted(holdings.items())},
        cash=text(ledger.cash(name)),
        realized_profit=text(ledger.realized_profit(name)),
        unrealized_profit=None if profit is None else text(profit),
        fees=text(ledger.fees(name)),
        buying_power=_buying_power(state, name),
    )


def _buying_power(state: State, name: str) -> str | None:
    capital = None if state.limits is None else state.limits.capital(name)
    return None if capital is None else text(left_of_capital(state.book, name, capital))

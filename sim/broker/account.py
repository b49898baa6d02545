"""Keeps an account's cash and positions, and computes its buying power."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sim.broker.configurations import Configurations
from sim.broker.ledger import EXACT
from sim.broker.movements import Movement
from sim.broker.orders import Order
from sim.broker.position import Position
from sim.broker.summary import LEAST_MARGIN_EQUITY, Summary
from sim.exchange.assets import Asset

ZERO = Decimal(0)
HUNDRED = Decimal(100)
REGULATION_T = Decimal(2)  # half of a position may be borrowed overnight

Mark = Callable[[str], Decimal | None]


@dataclass(frozen=True, slots=True)
class DayClose:
    """The account at a trading day's close: `day` is its date, such as 2026-01-05."""

    day: str
    equity: Decimal
    maintenance_margin: Decimal
    prices: dict[str, Decimal]
    quantities: dict[str, Decimal]


@dataclass(slots=True)
class Account:
    """Holds cash and positions; fills alone change them.

    Fractions of shares are allowed with market, limit, stop and stop-limit orders, as Alpaca's later
    documents say; with `fractions_at_market_only` with market orders alone, as its API description says.
    """

    cash: Decimal
    positions: dict[str, Position] = field(default_factory=dict)
    configurations: Configurations = field(default_factory=Configurations)
    last_close: DayClose | None = None
    fractions_at_market_only: bool = False

    def fill(self, asset: Asset, side: str, qty: Decimal, price: Decimal, fee: Decimal = ZERO) -> Decimal:
        """Apply one fill; returns the signed position after it and its fee.

        A purchase's fee is taken from the position and a sale's from the cash.
        """
        signed_qty = qty if side == "buy" else -qty
        self.cash = EXACT.subtract(self.cash, EXACT.multiply(signed_qty, price))
        position = self.positions.setdefault(asset.symbol, Position(asset))
        position.add(signed_qty, price)
        if side == "buy":
            position.qty = EXACT.subtract(position.qty, fee)
        else:
            self.cash = EXACT.subtract(self.cash, fee)
        if position.qty == 0:
            del self.positions[asset.symbol]
        return position.qty

    def move(self, asset: Asset | None, movement: Movement) -> None:
        """Apply what is no fill; what comes with a price costs that, otherwise the cost stays the same."""
        self.cash = EXACT.add(self.cash, movement.cash)
        change = movement.position_change
        if asset is None or not change:
            return
        position = self.positions.setdefault(asset.symbol, Position(asset))
        if movement.price is None:
            position.qty = EXACT.add(position.qty, change)
        else:
            position.add(change, movement.price)
        if position.qty == 0:
            del self.positions[asset.symbol]

    def qty(self, symbol: str) -> Decimal:
        """Return the signed quantity held, zero where there is none."""
        position = self.positions.get(symbol)
        return ZERO if position is None else position.qty

    def at_close(self, day: str, mark: Mark) -> DayClose:
        """Return the account at these marks, which the next day's changes are measured against."""
        summary = self.summary(mark, ())
        prices = {symbol: mark(symbol) for symbol in self.positions}
        return DayClose(
            day,
            summary.equity,
            summary.maintenance_margin,
            {symbol: price for symbol, price in prices.items() if price is not None},
            {symbol: position.qty for symbol, position in self.positions.items()},
        )

    def summary(self, mark: Mark, orders: Iterable[Order]) -> Summary:
        """Return value and buying power at the marks; a position without a mark counts at cost.

        A marginable position requires its value divided by the multiplier, or its maintenance margin where
        that is above the usual 30 %; any other requires its whole value. The same holds for open orders that
        would open or enlarge a position.
        """
        long_value = short_value = initial = maintenance = ZERO
        values: list[tuple[Asset, Decimal]] = []
        for symbol, position in self.positions.items():
            value = position.value(mark(symbol))
            values.append((position.asset, abs(value)))
            long_value += max(value, ZERO)
            short_value += min(value, ZERO)
            initial += abs(value) / (REGULATION_T if position.asset.is_marginable else 1)
            maintenance += abs(value) * _maintenance(position.asset)
        equity = self.cash + long_value + short_value
        lent = Decimal(self.configurations.max_margin_multiplier)
        multiplier = lent if equity >= LEAST_MARGIN_EQUITY else Decimal(1)
        return Summary(
            self.cash,
            long_value,
            short_value,
            sum((value * margin_rate(asset, multiplier) for asset, value in values), ZERO),
            equity,
            self._held_margin(orders, multiplier),
            multiplier,
            initial,
            maintenance,
        )

    def _held_margin(self, orders: Iterable[Order], multiplier: Decimal) -> Decimal:
        closing = {symbol: position.qty for symbol, position in self.positions.items()}
        values: dict[str, Decimal] = {}
        assets: dict[str, Asset] = {}
        for order in orders:  # All open orders are looked at for each new one, so most must cost little.
            asset, value = order.ticket.asset, order.reserved_value
            symbol = asset.symbol
            if symbol in closing:
                value -= _covered_value(order, value, closing)
            if symbol in assets:
                values[symbol] += value
            else:
                assets[symbol], values[symbol] = asset, value
        return sum((value * margin_rate(assets[name], multiplier) for name, value in values.items()), ZERO)


def _covered_value(order: Order, value: Decimal, closing: dict[str, Decimal]) -> Decimal:
    """Return the part of the order's value that closes what is left in `closing`, and take it from there."""
    symbol, left = order.ticket.asset.symbol, order.reserved_qty
    against = closing[symbol] * (-1 if order.ticket.side == "buy" else 1)
    if against <= 0 or left <= 0:
        return ZERO
    covered = min(left, against)
    closing[symbol] -= covered if closing[symbol] > 0 else -covered
    return value * covered / left


def margin_rate(asset: Asset, multiplier: Decimal) -> Decimal:
    """Return which part of a position's value is required as margin, at this multiplier."""
    if not asset.is_marginable:
        return Decimal(1)
    required = _maintenance(asset) if asset.maintenance_percent > 30 else ZERO
    return max(1 / multiplier, required)


def _maintenance(asset: Asset) -> Decimal:
    return asset.maintenance_percent / HUNDRED if asset.is_marginable else Decimal(1)

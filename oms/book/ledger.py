"""What each algorithm, `external` and the account hold: positions at average cost, cash, fees, profit."""

from collections import defaultdict
from decimal import Decimal

from bus.book_messages import Booked
from bus.order_messages import Side
from bus.streams import EXTERNAL
from bus.symbols import canonical_symbol
from bus.trading_day import is_crypto
from oms.amounts import ZERO, minus, plus, quotient_nearest, times

# The key under which the whole account is counted, beside each algorithm and `external`.
ACCOUNT = ""

# In what the fees of sales are taken.
DOLLARS = "USD"

_NO_HOLDINGS: dict[str, "Holding"] = {}


class Holding:
    """A signed quantity and what it cost, negative when sold short. Mutable: by the ledger."""

    __slots__ = ("cost", "quantity")

    def __init__(self) -> None:
        self.quantity = ZERO
        self.cost = ZERO

    def __repr__(self) -> str:
        return f"<{self.quantity} at {self.average_price}>"

    @property
    def average_price(self) -> Decimal:
        """What one of it cost on average, fees in coins included; 0 of nothing."""
        return quotient_nearest(self.cost, self.quantity) if self.quantity else ZERO


class Ledger:
    """Sums by name: each algorithm, `external`, and the whole account under "". Mutable: all, by the book.

    A position is held at average cost: what reduces it takes its share of the cost, what goes through zero
    begins a new cost at its own price. `invested` is what all positions of a name cost, short ones too.
    """

    def __init__(self) -> None:
        self._holdings: dict[str, dict[str, Holding]] = defaultdict(dict)
        self._cash: dict[str, Decimal] = defaultdict(Decimal)
        self._fees: dict[str, Decimal] = defaultdict(Decimal)
        self._taken_fees: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._realized: dict[str, Decimal] = defaultdict(Decimal)
        # The part of it that pairs made.
        self._realized_in_crypto: dict[str, Decimal] = defaultdict(Decimal)
        self._invested: dict[str, Decimal] = defaultdict(Decimal)

    def __repr__(self) -> str:
        return f"<ledger of {', '.join(name for name in self._holdings if name) or 'nobody'}>"

    def comparable(self) -> list[object]:
        """All of it, in an order of its own."""
        return [
            sorted(
                (name, symbol, held.quantity, held.cost)
                for name, holdings in self._holdings.items()
                for symbol, held in holdings.items()
                if held.quantity or held.cost
            ),
            *(
                sorted((name, amount) for name, amount in sums.items() if amount)
                for sums in (self._cash, self._fees, self._realized)
            ),
            sorted((*whose, amount) for whose, amount in self._taken_fees.items() if amount),
        ]

    # Questions.

    def position(self, symbol: str, name: str = ACCOUNT) -> Decimal:
        """Signed quantity held; of the whole account where no name is given."""
        held = self._holdings.get(name, _NO_HOLDINGS).get(symbol)
        return ZERO if held is None else held.quantity

    def holdings(self, name: str = ACCOUNT) -> dict[str, Holding]:
        """What a name holds, by symbol, without the zeros; not to be changed."""
        held = self._holdings.get(name, _NO_HOLDINGS)
        return {symbol: holding for symbol, holding in held.items() if holding.quantity}

    def names(self) -> set[str]:
        """Every algorithm that ever had anything, and `external`."""
        return (self._holdings.keys() | self._cash.keys()) - {ACCOUNT}

    def cash(self, name: str = ACCOUNT) -> Decimal:
        """What came in less what went out."""
        return self._cash.get(name, ZERO)

    def fees(self, name: str = ACCOUNT) -> Decimal:
        """All fees in dollars; those in coins at the price of their execution."""
        return self._fees.get(name, ZERO)

    def taken_fees(self, symbol: str, name: str = ACCOUNT) -> Decimal:
        """The fees taken with executions, in coins of this pair, or with DOLLARS in money of sales."""
        return self._taken_fees.get((name, symbol), ZERO)

    def realized_profit(self, name: str = ACCOUNT) -> Decimal:
        """What closed positions earned, fees taken off."""
        return self._realized.get(name, ZERO)

    def realized_of(self, name: str, *, crypto: bool) -> Decimal:
        """The part of it that pairs made, or all the rest."""
        in_crypto = self._realized_in_crypto.get(name, ZERO)
        return in_crypto if crypto else minus(self.realized_profit(name), in_crypto)

    def invested(self, name: str = ACCOUNT) -> Decimal:
        """What the positions held now cost, long and short alike."""
        return self._invested.get(name, ZERO)

    # Changes.

    def fill(
        self, name: str, symbol: str, side: Side, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> None:
        """One execution of this name's order; `fee` is in what it brought: coins, or money of a sale."""
        symbol = canonical_symbol(symbol)
        signed = quantity if side == "buy" else -quantity
        paid = times(signed, price)
        for whose in (ACCOUNT, name):
            self._trade(whose, symbol, signed, price, paid)
            self._cash[whose] = minus(self._cash[whose], paid)
            if fee:
                self._take_fee(whose, symbol, side, fee, price)

    def book(self, event: Booked) -> None:
        """What came or went otherwise than by an execution."""
        for whose in (ACCOUNT, event.algorithm):
            self._cash[whose] = plus(self._cash[whose], event.cash)
            if event.kind == "fee":
                self._earn(whose, event.symbol, event.cash)
                self._fees[whose] = minus(self._fees[whose], event.cash)
                self._taken_fees[whose, DOLLARS] = minus(self._taken_fees[whose, DOLLARS], event.cash)
            if not event.symbol:
                continue
            symbol = canonical_symbol(event.symbol)
            if event.kind == "fee":
                self._taken_fees[whose, symbol] = minus(self._taken_fees[whose, symbol], event.quantity)
            if event.price is None:
                self._add(whose, symbol, event.quantity)
            else:
                self._trade(whose, symbol, event.quantity, event.price, times(event.quantity, event.price))

    def open_cash(self, cash: Decimal) -> None:
        """What the account has beside what was booked so far is of before, and `external` has it."""
        before = minus(cash, self._cash[ACCOUNT])
        for whose in (ACCOUNT, EXTERNAL):
            self._cash[whose] = plus(self._cash[whose], before)

    def _take_fee(self, name: str, symbol: str, side: Side, fee: Decimal, price: Decimal) -> None:
        if side == "buy":
            self._add(name, symbol, -fee)
            self._taken_fees[name, symbol] = plus(self._taken_fees[name, symbol], fee)
            self._fees[name] = plus(self._fees[name], times(fee, price))
        else:
            self._cash[name] = minus(self._cash[name], fee)
            self._earn(name, symbol, -fee)
            self._taken_fees[name, DOLLARS] = plus(self._taken_fees[name, DOLLARS], fee)
            self._fees[name] = plus(self._fees[name], fee)

    def _trade(self, name: str, symbol: str, signed: Decimal, price: Decimal, value: Decimal) -> None:
        """Change a position at a price (`value`: of all of it), and its cost and the profit with it."""
        held = self._held(name, symbol)
        quantity, cost = held.quantity, held.cost
        after = held.quantity = plus(quantity, signed)
        if not quantity or (quantity > ZERO) is (signed > ZERO):
            self._set_cost(name, held, plus(cost, value))
            return
        if not after:
            left = ZERO
        elif (after > ZERO) is (quantity > ZERO):
            # The only division: rounded to what Alpaca's prices and quantities can tell apart.
            left = quotient_nearest(times(cost, after), quantity)
        else:
            left = times(after, price)
        earned = minus(minus(left, cost), value)
        if earned:
            self._earn(name, symbol, earned)
        self._set_cost(name, held, left)

    def _add(self, name: str, symbol: str, signed: Decimal) -> None:
        """Change a quantity and not what it cost; what nothing is left of is lost."""
        held = self._held(name, symbol)
        held.quantity = plus(held.quantity, signed)
        if not held.quantity and held.cost:
            self._earn(name, symbol, -held.cost)
            self._set_cost(name, held, ZERO)

    def _earn(self, name: str, symbol: str, amount: Decimal) -> None:
        self._realized[name] = plus(self._realized[name], amount)
        if is_crypto(canonical_symbol(symbol)):
            self._realized_in_crypto[name] = plus(self._realized_in_crypto[name], amount)

    def _set_cost(self, name: str, held: Holding, cost: Decimal) -> None:
        self._invested[name] = plus(self._invested[name], minus(abs(cost), abs(held.cost)))
        held.cost = cost

    def _held(self, name: str, symbol: str) -> Holding:
        holdings = self._holdings[name]
        held = holdings.get(symbol)
        if held is None:
            held = holdings[symbol] = Holding()
        return held

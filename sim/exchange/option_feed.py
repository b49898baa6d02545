"""Makes quotes and trades of options from those of their shares, one for each message of the share."""

import zlib
from collections.abc import Collection, Iterable
from datetime import date

from sim.exchange.hours import new_york
from sim.exchange.market_messages import OptionQuote, OptionTrade, Quote, TimedMessage, Trade
from sim.exchange.option_contracts import Contract, listed, parse, value

_TICK = 0.01
_EXCHANGES = "NCXPB"
EVERY = "*"


class OptionFeed:
    """Follows the shares whose options are wanted; each message of a share moves one of its options."""

    def __init__(self) -> None:
        self._wanted: dict[str, list[Contract]] = {}
        self._wants_every = False
        self._turns: dict[str, int] = {}

    def want(self, symbols: Collection[str]) -> None:
        """Follow exactly these options; `*` stands for those that are listed."""
        self._wants_every = EVERY in symbols
        self._wanted = {}
        for contract in filter(None, map(parse, sorted(symbols))):
            self._wanted.setdefault(contract.root, []).append(contract)

    def shares(self, symbols: Iterable[str]) -> list[str]:
        """Return the shares of these options."""
        return sorted({contract.root for contract in map(parse, symbols) if contract is not None})

    def follow(self, messages: Iterable[TimedMessage]) -> list[OptionQuote | OptionTrade]:
        """Return the options' messages that go with the shares' messages."""
        made: list[OptionQuote | OptionTrade] = []
        if not self._wants_every and not self._wanted:
            return made
        for message in messages:
            if isinstance(message, Quote):
                price = (message.bid_price + message.ask_price) / 2
            elif isinstance(message, Trade):
                price = message.price
            else:
                continue
            # A side without a quote has the price 0: no option can be valued by it.
            if price <= 0 or (isinstance(message, Quote) and message.bid_price <= 0):
                continue
            contract = self._turn(message.symbol, price, new_york(message.time_ns).date())
            if contract is not None:
                made.append(_beside(message, contract, price))
        return made

    def _turn(self, root: str, price: float, day: date) -> Contract | None:
        contracts = self._wanted.get(root, [])
        if self._wants_every:
            contracts = contracts + listed(root, price, day)
        alive = [contract for contract in contracts if contract.expires_on >= day]
        if not alive:
            return None
        turn = self._turns[root] = self._turns.get(root, -1) + 1
        return alive[turn % len(alive)]


def _beside(message: Quote | Trade, contract: Contract, price: float) -> OptionQuote | OptionTrade:
    symbol, time_ns = contract.symbol, message.time_ns
    worth = value(contract, price, new_york(time_ns).date())
    bid = max(_TICK, round(worth * 0.99, 2))
    ask = round(max(bid + _TICK, worth * 1.01), 2)
    draw = zlib.crc32(f"{symbol} {time_ns}".encode())
    size, exchange = 1 + draw % 50, _EXCHANGES[draw % 5]
    if isinstance(message, Trade):
        return OptionTrade(symbol, time_ns, ask if draw % 2 else bid, size, exchange, "a")
    return OptionQuote(symbol, time_ns, exchange, bid, size, exchange, ask, 1 + draw // 50 % 50, "A")

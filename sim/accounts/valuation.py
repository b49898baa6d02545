"""Records the equity of every account once a minute, for its portfolio history and for the next day."""

from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.broker.account import DayClose
from sim.broker.equity import EquityCurve
from sim.clock import Clock
from sim.exchange.hours import new_york
from sim.times import MINUTE_NS


class Valuation:
    """The equity curve of every account, kept on the simulator's clock."""

    def __init__(self, accounts: TradingAccounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._curves = {
            account.key: EquityCurve(account.brokerage.opened_ns, account.brokerage.opening_cash)
            for account in accounts.all()
        }
        self._left: dict[str, DayClose] = {}

    def begin(self) -> None:
        """Record from the next full minute on."""
        now_ns = self._clock.now_ns()
        self._note_at(now_ns - now_ns % MINUTE_NS + MINUTE_NS)

    def curve(self, key: str) -> EquityCurve:
        """Return the equity curve of an account, by its key."""
        return self._curves[key]

    def _note_at(self, minute_ns: int) -> None:
        self._clock.call_at(minute_ns, lambda: self._note(minute_ns))

    def _note(self, minute_ns: int) -> None:
        """Record under the full minute, even where the machine acts a little after it."""
        for account in self._accounts.all():
            self._note_account(account, minute_ns)
        now_ns = self._clock.now_ns()
        self._note_at(max(minute_ns, now_ns - now_ns % MINUTE_NS) + MINUTE_NS)

    def _note_account(self, account: TradingAccount, minute_ns: int) -> None:
        """Record one account; from New York's midnight on, the last close becomes that of the day before."""
        brokerage, curve = account.brokerage, self._curves[account.key]
        known = len(curve.closes)
        curve.note(minute_ns, brokerage.summary().equity)
        if len(curve.closes) > known:
            day = curve.closes[-1].day.isoformat()
            self._left[account.key] = brokerage.account.at_close(day, brokerage.mark)
        left = self._left.get(account.key)
        if left is not None and left.day < new_york(minute_ns).date().isoformat():
            brokerage.account.last_close = left

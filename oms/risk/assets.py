"""What the broker says: which symbols may be traded and sold short, and whether the market is open. Pure."""

from dataclasses import dataclass

from bus.trading_day import is_regular


@dataclass(frozen=True, slots=True)
class Asset:
    """A symbol as the broker has it; `status` is its word, "unknown" where it lists no such symbol."""

    status: str
    tradable: bool
    shortable: bool
    easy_to_borrow: bool

    @property
    def can_be_shorted(self) -> bool:
        """Whether a short sale is taken: of what is easy to borrow (Alpaca, Margin and Short Selling)."""
        return self.shortable and self.easy_to_borrow

    @property
    def borrowing(self) -> str:
        """Why it cannot be sold short."""
        return "it is hard to borrow" if self.shortable else "it is not shortable"


UNKNOWN = Asset("unknown", tradable=False, shortable=False, easy_to_borrow=False)


@dataclass(frozen=True, slots=True)
class MarketClock:
    """Whether the market is open: by the calendar, and by the broker's last word where that was another.

    It is on a day of mourning, and at a market that never closes.
    """

    otherwise: bool | None = None

    @classmethod
    def told(cls, is_open: bool, now_ns: int) -> "MarketClock":
        """The broker's word at a moment; where the calendar agrees, that tells the time until the next."""
        return cls(None if is_regular(now_ns) == is_open else is_open)

    def is_open(self, now_ns: int) -> bool:
        """Whether the market is open now."""
        return is_regular(now_ns) if self.otherwise is None else self.otherwise

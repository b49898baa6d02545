"""Which trades set a price and which quotes are a market, by the condition codes of their tape. Pure.

The codes are those of the consolidated tapes, which Alpaca hands on with each trade (`c`, with the tape in
`z`) and lists in its market data API under /v2/stocks/meta/conditions: for tapes A and B the Consolidated
Tape System's (CTS output specification of the CTA plan, "sale conditions": column "update last"), for tape C
Nasdaq's (UTP Trade Data Feed specification of the UTP plan, "sale condition matrix": column "update last").
Where a plan lets a trade set the last price only if nothing else has (sold last, sold out of sequence, prior
reference price, derivatively priced), it does not here: it tells of the past.

One code departs from the plans: T, a trade outside of the regular hours. It does not set the plans' last
price because that is the price of the regular session; what it was traded at was the market's price then.
"""

from collections.abc import Collection

# Regular; automatic execution (E), intermarket sweep (F), NYSE rule 127 or 155 (K), market center's opening
# trade (O), extended hours (T), cross (X), reopening (5), closing (6).
_BOTH = frozenset("@ EFKOTX56") | {""}

# Of tapes A and B beside these: distribution (D).
_CTA = _BOTH | {"D"}

# Of tape C: acquisition (A), bunched (B), distribution (D), split (S), yellow flag (Y), stopped stock (1).
# On tapes A and B, B is an average price.
_UTP = _BOTH | frozenset("ABDSY1")

_OF_TAPE = {"A": _CTA, "B": _CTA, "C": _UTP}

# Of both plans' quote conditions those that are no market: closing (C), closed (L), not firm (N), no open or
# no resume (Z), and what is shown around a halt: news (D, P, J, K), imbalance (I), further information
# (M, Q), a related security (S), in view of common (V).
_NO_MARKET = frozenset("CDIJKLMNPQSVZ")


def sets_price(conditions: Collection[str], tape: str) -> bool:
    """Whether a trade with these conditions sets the price: each of its codes must be one that does.

    A code that is in no list does not. A trade of an unknown tape must be in order on either.
    """
    return not conditions or _OF_TAPE.get(tape, _BOTH).issuperset(conditions)


def is_market(conditions: Collection[str]) -> bool:
    """Whether a quote with these conditions can be traded at."""
    return _NO_MARKET.isdisjoint(conditions)

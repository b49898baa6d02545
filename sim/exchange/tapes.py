"""Tells which tape reports a share's trades: B for Arca, C for Nasdaq, A for New York and the rest."""

from sim.exchange.assets import Asset

_TAPES = {"NASDAQ": "C", "ARCA": "B"}


def tape_of(asset: Asset) -> str:
    """Return the tape of the exchange that lists the share (plans CTA for A and B, UTP for C)."""
    return _TAPES.get(asset.exchange, "A")

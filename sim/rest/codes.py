"""The meaning of codes in stock data: exchanges, and conditions of trades and quotes by tape."""

from aiohttp import web

from sim.rest import data_query
from sim.rest.data_query import refused
from sim.rest.json_bodies import answer

EXCHANGES = {
    "A": "NYSE American (AMEX)",
    "B": "NASDAQ OMX BX",
    "C": "National Stock Exchange",
    "D": "FINRA ADF",
    "E": "Market Independent",
    "H": "MIAX",
    "I": "International Securities Exchange",
    "J": "Cboe EDGA",
    "K": "Cboe EDGX",
    "L": "Long Term Stock Exchange",
    "M": "Chicago Stock Exchange",
    "N": "New York Stock Exchange",
    "P": "NYSE Arca",
    "Q": "NASDAQ OMX",
    "S": "NASDAQ Small Cap",
    "T": "NASDAQ Int",
    "U": "Members Exchange",
    "V": "IEX",
    "W": "CBOE",
    "X": "NASDAQ OMX PSX",
    "Y": "Cboe BYX",
    "Z": "Cboe BZX",
}
# Tapes A and B are reported under the CTA plan, tape C under UTP; each has its own letters.
_CTA_TRADES = {
    " ": "Regular Sale", "4": "Derivatively Priced", "5": "Market Center Reopening Trade",
    "6": "Market Center Closing Trade", "7": "Qualified Contingent Trade", "B": "Average Price Trade",
    "C": "Cash Trade (Same Day Clearing)", "E": "Automatic Execution", "F": "Inter-market Sweep Order",
    "H": "Price Variation Trade", "I": "Odd Lot Trade", "L": "Sold Last (Late Reporting)",
    "M": "Market Center Official Close", "N": "Next Day Trade (Next Day Clearing)",
    "O": "Market Center Opening Trade", "P": "Prior Reference Price", "Q": "Market Center Official Open",
    "R": "Seller", "T": "Extended Hours Trade", "U": "Extended Hours Sold (Out Of Sequence)",
    "V": "Contingent Trade", "X": "Cross Trade", "Z": "Sold (Out Of Sequence)",
}  # fmt: skip
_UTP_TRADES = {
    "@": "Regular Sale", "1": "Stopped Stock (Regular Trade)", "4": "Derivatively Priced",
    "5": "Re-Opening Prints", "6": "Closing Prints", "7": "Qualified Contingent Trade (QCT)",
    "A": "Acquisition", "B": "Bunched Trade", "C": "Cash Sale", "D": "Distribution", "F": "Intermarket Sweep",
    "G": "Bunched Sold Trade", "H": "Price Variation Trade", "I": "Odd Lot Trade", "L": "Sold Last",
    "M": "Market Center Official Close", "N": "Next Day", "O": "Opening Prints", "P": "Prior Reference Price",
    "Q": "Market Center Official Open", "R": "Seller", "T": "Form T",
    "U": "Extended Trading Hours (Sold Out of Sequence)", "V": "Contingent Trade",
    "W": "Average Price Trade", "X": "Cross/Periodic Auction Trade", "Z": "Sold (Out of Sequence)",
}  # fmt: skip
_CTA_QUOTES = {
    "4": "On Demand Intra Day Auction", "A": "Slow Quote Offer Side", "B": "Slow Quote Bid Side",
    "C": "Closing Quote", "H": "Slow Quote Bid And Offer Side", "L": "Market Maker Quotes Closed",
    "N": "Non Firm Quote", "O": "Opening Quote", "R": "Regular Market Maker Open",
    "W": "Slow Quote Set Slow List",
}  # fmt: skip
_UTP_QUOTES = {
    "4": "On Demand Intra Day Auction", "A": "Manual Ask Automated Bid", "B": "Manual Bid Automated Ask",
    "F": "Fast Trading", "H": "Manual Bid And Ask", "I": "Order Imbalance", "L": "Closed Quote",
    "N": "Non Firm Quote", "O": "Opening Quote Automated", "R": "Regular Two Sided Open",
    "U": "Manual Bid And Ask Non Firm", "X": "Order Influx", "Y": "No Offer No Bid One Sided Open",
    "Z": "No Open No Resume",
}  # fmt: skip
_CONDITIONS = {
    ("trade", "A"): _CTA_TRADES,
    ("trade", "B"): _CTA_TRADES,
    ("trade", "C"): _UTP_TRADES,
    ("quote", "A"): _CTA_QUOTES,
    ("quote", "B"): _CTA_QUOTES,
    ("quote", "C"): _UTP_QUOTES,
}


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.get("/v2/stocks/meta/exchanges", exchanges),
        web.get("/v2/stocks/meta/conditions/{tick_type}", conditions),
    ]


async def exchanges(request: web.Request) -> web.Response:
    """GET /v2/stocks/meta/exchanges: names by code."""
    data_query.check_names(request.query, ())
    return answer(EXCHANGES)


async def conditions(request: web.Request) -> web.Response:
    """GET /v2/stocks/meta/conditions/{trade or quote}?tape=: names by code."""
    data_query.check_names(request.query, ("tape",))
    tick_type, tape = request.match_info["tick_type"], data_query.required(request.query, "tape")
    if tick_type not in ("trade", "quote"):
        raise refused(f"invalid ticktype: {tick_type}")
    if tape not in ("A", "B", "C"):
        raise refused(f"invalid tape: {tape}")
    return answer(_CONDITIONS[tick_type, tape])

"""The codes with which an order is refused for what market and broker say of its symbol. Pure."""

from oms.risk.refusal import Refusal

MARKET = (
    Refusal(
        "no_price",
        ("risk",),
        "no price of the symbol that counts is known: late, canceled and contingent prints, crossed and "
        "very wide quotes do not count",
        "the streams of trades, quotes and bars of the symbol",
        "see whether ingest runs, serves the symbol, and the market is open; ask again in some seconds: "
        "the symbol is wanted of ingest from now on",
    ),
    Refusal(
        "market_halted",
        ("risk",),
        "trading in the symbol is halted or paused on its exchange; `value` is the tape's code for why",
        "the stream `md:<symbol>:statuses`",
        "nothing: orders are taken again once trading resumes",
    ),
    Refusal(
        "untradable",
        ("risk",),
        "the broker does not know the symbol, or does not trade it; `value` is its status there",
        "the broker's list of assets, asked once a day",
        "correct the symbol; where it was only listed today, restart the OMS to ask again",
    ),
    Refusal(
        "not_shortable",
        ("risk",),
        "the sale could take the account's position below zero, and the broker lends no shares of it",
        "the broker's list of assets, asked once a day",
        "sell at most what is held",
    ),
    Refusal(
        "extended_hours",
        ("risk",),
        "only a limit order, day or gtc, may trade in the extended hours",
        "fixed: Alpaca takes no such order",
        "give it a limit price, or leave extended_hours out",
    ),
)

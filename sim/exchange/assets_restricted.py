"""Assets that not everything can be done with, one for each refusal; prices in cents as of the known ones."""

from typing import Any

RESTRICTED: dict[str, tuple[tuple[str, str, int], dict[str, Any]]] = {
    # Only whole shares.
    "BRK.A": (("Berkshire Hathaway Class A", "NYSE", 70_500_000), {"is_fractionable": False}),
    # Hard to borrow: sold short by orders for the day alone.
    "BYND": (("Beyond Meat", "NASDAQ", 600), {"borrow_status": "hard_to_borrow"}),
    # Cannot be sold short, and three times leveraged, which binds more equity.
    "SOXL": (
        ("Direxion Daily Semiconductor Bull 3X", "ARCA", 3_000),
        {"borrow_status": "not_shortable", "maintenance_percent": 75},
    ),
    # Below a dollar: prices of four decimals, nothing lent on it, whole shares only.
    "ZOM": (
        ("Zomedica", "AMEX", 45),
        {"borrow_status": "not_shortable", "maintenance_percent": 100, "is_fractionable": False},
    ),
    # Traded over the counter, and not here.
    "FNMA": (
        ("Fannie Mae", "OTC", 700),
        {
            "is_tradable": False,
            "borrow_status": "not_shortable",
            "maintenance_percent": 100,
            "is_fractionable": False,
        },
    ),
    # Gone from its exchange.
    "TWTR": (
        ("Twitter", "NYSE", 5_370),
        {
            "is_active": False,
            "is_tradable": False,
            "borrow_status": "not_shortable",
            "maintenance_percent": 100,
            "is_fractionable": False,
        },
    ),
}

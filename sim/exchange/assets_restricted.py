"""Assets with restrictions, one for each refusal; prices are in cents, as of the known ones."""

from typing import Any

RESTRICTED: dict[str, tuple[tuple[str, str, int], dict[str, Any]]] = {
    # Only whole shares.
    "BRK.A": (("Berkshire Hathaway Class A", "NYSE", 70_500_000), {"is_fractionable": False}),
    # Hard to borrow: only day orders may sell it short.
    "BYND": (("Beyond Meat", "NASDAQ", 600), {"borrow_status": "hard_to_borrow"}),
    # Not shortable, and three times leveraged: its maintenance margin is higher.
    "SOXL": (
        ("Direxion Daily Semiconductor Bull 3X", "ARCA", 3_000),
        {"borrow_status": "not_shortable", "maintenance_percent": 75},
    ),
    # Below a dollar: prices of four decimals, not marginable, whole shares only.
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
    # Delisted.
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

"""News articles: written by hand or drawn from a seed, numbered, and kept."""

import random
from collections import deque
from collections.abc import Sequence

from sim.exchange.market_messages import Article

MOST = 1_000  # articles kept, of all symbols together
_FIRST_ID = 24_000_000
_AUTHORS = ("Ada Reuter", "Max Ticker", "Nora Wire")
_HAPPENINGS = (
    "raises its outlook",
    "names a new head of finance",
    "is rated higher by analysts",
    "is rated lower by analysts",
    "opens a plant in Ohio",
    "settles a patent dispute",
)


class NewsArchive:
    """Makes articles; `articles` are those kept, oldest first."""

    def __init__(self) -> None:
        self.articles: deque[Article] = deque(maxlen=MOST)
        self._last_id = _FIRST_ID

    def write(
        self, headline: str, summary: str, author: str, content: str, symbols: Sequence[str], time_ns: int
    ) -> Article:
        """Add an article and return it."""
        self._last_id += 1
        url = f"https://news.example/articles/{self._last_id}"
        article = Article(
            self._last_id,
            headline,
            summary,
            author,
            time_ns,
            time_ns,
            url,
            content,
            list(symbols),
            "simulator",
        )
        self.articles.append(article)
        return article

    def invent(self, rng: random.Random, symbols: Sequence[str], time_ns: int) -> Article:
        """Add a randomly drawn article about one of the symbols, and return it."""
        symbol, author, happening = rng.choice(symbols), rng.choice(_AUTHORS), rng.choice(_HAPPENINGS)
        headline = f"{symbol} {happening}"
        # News services write crypto pairs without the slash.
        named = [symbol.replace("/", "")]
        return self.write(headline, f"{headline}.", author, f"<p>{headline}.</p>", named, time_ns)

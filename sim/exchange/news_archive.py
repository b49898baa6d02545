"""News articles: made by hand or by a seed, numbered, and kept for whoever asks later."""

import random
from collections import deque
from collections.abc import Sequence

from sim.exchange.market_messages import Article

MOST = 1_000  # kept, of all symbols together
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
    """Writes articles; `articles` are those kept, oldest first."""

    def __init__(self) -> None:
        self.articles: deque[Article] = deque(maxlen=MOST)
        self._last_id = _FIRST_ID

    def write(
        self, headline: str, summary: str, author: str, content: str, symbols: Sequence[str], time_ns: int
    ) -> Article:
        """A new article."""
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
        """A new article about one of the symbols, drawn."""
        symbol, author, happening = rng.choice(symbols), rng.choice(_AUTHORS), rng.choice(_HAPPENINGS)
        headline = f"{symbol} {happening}"
        # News services write coins without the slash.
        named = [symbol.replace("/", "")]
        return self.write(headline, f"{headline}.", author, f"<p>{headline}.</p>", named, time_ns)

"""Which reference pages there are, and what stands in each."""

from pathlib import Path

from reference_pages import events_page, refusals_page, settings_page

ROOT = Path(__file__).parents[1]


def pages() -> dict[Path, str]:
    """Return the content that each page ought to have, by its path."""
    directory = ROOT / "docs" / "reference"
    return {
        directory / "settings.md": settings_page.content(),
        directory / "refusals.md": refusals_page.content(),
        directory / "events.md": events_page.content(),
    }

"""`python -m reference_pages`: write every page under docs/reference."""

from reference_pages.pages import pages

for path, content in pages().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)

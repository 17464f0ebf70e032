"""The README as a package index shows it; all else about the package is in pyproject.toml."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
# [text](docs/tutorial.md), ![text](docs/images/places.png); not addresses, nor places on the same page.
RELATIVE = re.compile(r"(?P<picture>!?)\[(?P<text>[^]]*)\]\((?![a-z]+:|#)(?P<path>[^)]*)\)")
NOTE = "*Shown without its pictures. They, and the pages that it names, are in the source archive.*"


def shown_readme(readme: str, pages: str = "", pictures: str = "") -> str:
    """Return the README with links that work anywhere.

    Parameters
    ----------
    readme : str
    pages, pictures : str
        Addresses before which the paths of pages and of pictures are to stand. Without them links become
        plain text, and pictures are left out.
    """

    def shown(link: re.Match[str]) -> str:
        base = pictures if link["picture"] else pages
        if base:
            return f"{link['picture']}[{link['text']}]({base.rstrip('/')}/{link['path']})"
        return "" if link["picture"] else link["text"]

    text = RELATIVE.sub(shown, readme)
    if pages and pictures:
        return text
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{NOTE}\n{rest}"


def main() -> None:
    """Build the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    addresses = project["tool"]["sparse_ap"]["readme"]
    text = shown_readme((ROOT / "README.md").read_text(encoding="utf-8"), **addresses)
    setup(long_description=text, long_description_content_type="text/markdown")


if __name__ == "__main__":
    main()

"""The README as a package index shows it. Wheel and sdist themselves are tried by ``make package``."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGET = re.compile(r"\]\(([^)]*)\)")


def shown_readme(*args: str) -> str:
    specification = importlib.util.spec_from_file_location("setup", ROOT / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    setup: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(setup)
    shown: str = setup.shown_readme(*args)
    return shown


def test_without_an_address_no_link_leads_nowhere() -> None:
    shown = shown_readme(README)
    assert any(target.startswith("docs/") for target in TARGET.findall(README))
    assert all(target.startswith("https://") for target in TARGET.findall(shown))
    assert "![" not in shown
    assert "- Tutorial: from points to exemplars" in shown
    assert "source archive" in shown[:300]


def test_with_an_address_every_link_and_picture_is_there() -> None:
    shown = shown_readme(README, "https://pages.example/", "https://pictures.example")
    targets, written = TARGET.findall(shown), TARGET.findall(README)
    assert all(target.startswith("https://") for target in targets)
    assert len(targets) == len(written)
    assert "](https://pages.example/docs/tutorial.md)" in shown
    assert "](https://pictures.example/docs/images/places.png)" in shown


def test_what_links_lead_to_is_there() -> None:
    relative = [target for target in TARGET.findall(README) if not target.startswith("https://")]
    assert [target for target in relative if not (ROOT / target).exists()] == []

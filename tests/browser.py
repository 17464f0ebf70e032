"""A browser without a window, in which tests open pages; skipped where none is installed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def opened() -> Iterator[Any]:
    """Yield a browser, closed at the end."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if found is None or driver is None:
        pytest.skip("needs Chromium with its driver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,860"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(browser)
    finally:
        browser.quit()


class Browser:
    """What the tests ask of a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(
        self, page: Path, width: int = 1280, height: int = 860, scheme: str = "light",
        ready: str = "document.body.classList.contains('ready')",
    ) -> None:  # fmt: skip
        command = self.driver.execute_cdp_cmd
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        command("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        command("Emulation.setEmulatedMedia", {"features": features})
        # A page that differs from the last one in its fragment only would not be read again.
        self.driver.get("about:blank")
        self.driver.get(page.as_uri())
        self.until(ready)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def until(self, condition: str) -> None:
        end = time.monotonic() + 20
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} has not come true: {self.errors()}"
            time.sleep(0.01)

    def text(self, selector: str) -> str:
        return str(self.run("document.querySelector(arguments[0]).innerText", selector))

    def texts(self, selector: str) -> list[str]:
        return list(
            self.run("[...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)
        )

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains, Keys

        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(getattr(Keys, key) if key.isupper() else key)
        actions.perform()

    def errors(self) -> list[Any]:
        """Return what the console has said since it was asked last."""
        return list(self.driver.get_log("browser"))

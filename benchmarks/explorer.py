"""The explorer of a tree: what its page takes to write, to open, and to answer a click in Chromium.

    python benchmarks/explorer.py TREE.npz [NAMES.txt]

Processor time, which other programs on the machine do not change much: of this process, and of the page, from
a change of its address to the frame after the next, 16 steps from the whole down and again. Needs selenium,
and Chromium with its driver.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import peak_memory
from selenium import webdriver

from sparse_ap import Hierarchy, write_explorer

GO = """
const [node, share, done] = arguments, kids = app.tree.children(node);
const next = kids.length ? app.tree.settled(kids[Math.floor(kids.length * share)]) : 0;
const drawn = () => requestAnimationFrame(() => setTimeout(() => done(next)));
addEventListener("hashchange", drawn, { once: true });
location.hash = `#${next}`;
"""


def main() -> None:
    tree = Hierarchy.load(sys.argv[1])
    names = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines() if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "tree.html"
        before, start = peak_memory(), time.process_time()
        write_explorer(tree, page, names=names)
        spent, more = time.process_time() - start, peak_memory() - before
        print(f"written: {spent:.1f} s, {page.stat().st_size / 1e6:.1f} MB, peak +{more / 1e6:.0f} MB")
        look(page)


def look(page: Path) -> None:
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,860"):
        options.add_argument(f"--{argument}")
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.get(page.as_uri())
    while not browser.execute_script("return document.body.classList.contains('ready')"):
        time.sleep(0.1)
    print(f"opened: {1e3 * busy(browser):.0f} ms")
    for view in browser.execute_script(
        "return [...document.querySelectorAll('#views button')].map(b => b.dataset.view)"
    ):
        browser.execute_script("app.look(arguments[0])", view)
        node, taken = 0, []
        for step in range(16):
            before = busy(browser)
            node = browser.execute_async_script(GO, node, step * 0.618 % 1)
            taken.append(1e3 * (busy(browser) - before))
        print(f"{view}: {np.median(taken):.0f} ms at the median, {max(taken):.0f} at most")
    browser.quit()


def busy(browser: Any) -> float:
    """Return the processor time of the page so far, in seconds."""
    found = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in found if metric["name"] == "TaskDuration")


if __name__ == "__main__":
    main()

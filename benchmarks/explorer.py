"""The explorer of a tree: what its page takes to write, to open, and to answer a click in Chromium.

    python benchmarks/explorer.py TREE.npz [--names NAMES.txt] [--drawings] [--positions XY.npy]
                                           [--title TITLE] [--picture FILE.png]

Processor time, which other programs on the machine do not change much: of this process, and of the page, from
a change of its address to the frame after the next, 16 steps from the whole down and again. Needs selenium,
and Chromium with its driver; drawings of names that are SMILES need rdkit, the picture of the page pillow.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
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


class Drawings:
    """Molecules, drawn when they are asked for."""

    def __init__(self, smiles: list[str]) -> None:
        self.smiles = smiles

    def __len__(self) -> int:
        return len(self.smiles)

    def __getitem__(self, point: int) -> str:
        from rdkit.Chem import MolFromSmiles
        from rdkit.Chem.Draw.rdMolDraw2D import MolDraw2DSVG

        drawing = MolDraw2DSVG(220, 160)
        drawing.DrawMolecule(MolFromSmiles(self.smiles[point]))
        drawing.FinishDrawing()
        return str(drawing.GetDrawingText()).partition("?>")[2]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tree")
    for option in ("--names", "--positions", "--picture"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--drawings", action="store_true")
    parser.add_argument("--title")
    given = parser.parse_args()
    tree = Hierarchy.load(given.tree)
    names = given.names.read_text(encoding="utf-8").splitlines() if given.names else None
    options = {
        "names": names,
        "points": np.load(given.positions) if given.positions else None,
        "images": Drawings(names) if given.drawings and names else None,
        "title": given.title,
    }
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "tree.html"
        before, start = peak_memory(), time.process_time()
        write_explorer(tree, page, **options)
        spent, more = time.process_time() - start, peak_memory() - before
        print(f"written: {spent:.1f} s, {page.stat().st_size / 1e6:.1f} MB, peak +{more / 1e6:.0f} MB")
        browser = chromium()
        try:
            show(browser, page)
            if given.picture:
                take(browser, given.picture)
            click_through(browser)
        finally:
            browser.quit()


def chromium() -> Any:
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    size = {"width": 1280, "height": 860, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    return browser


def show(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    while not browser.execute_script("return document.body.classList.contains('ready')"):
        time.sleep(0.1)
    print(f"opened: {1e3 * busy(browser):.0f} ms")


def take(browser: Any, path: Path) -> None:
    """Write a picture of the page in 256 colours, once its drawings are loaded."""
    from PIL import Image

    time.sleep(3)
    shown = Image.open(io.BytesIO(base64.b64decode(browser.get_screenshot_as_base64()))).convert("RGB")
    shown.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"picture: {path}, {path.stat().st_size / 1e3:.0f} kB")


def click_through(browser: Any) -> None:
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


def busy(browser: Any) -> float:
    """Return the processor time of the page so far, in seconds."""
    found = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in found if metric["name"] == "TaskDuration")


if __name__ == "__main__":
    main()

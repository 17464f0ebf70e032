"""The explorer's page as readers meet it: clicks, keys, search, narrow and dark screens; names are text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, opened
from test_explorer import EVIL, POINTS, N, tree

from sparse_ap import write_explorer, write_report

NAMES = np.array([f"place {i}" for i in range(N)], object)
# The coarsest level of `tree`, which is not made at import: `test_the_tree_has_the_levels_that_are_tested`.
TOP = 3


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from opened()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "tree.html"
    table = {"side": np.where(POINTS[:, 0] < 0.5, "left", "right"), "x": POINTS[:, 0]}
    pictures = (np.arange(N)[:, None, None] * np.ones((1, 8, 8))).astype(np.uint8)
    write_explorer(tree(), path, names=NAMES, points=POINTS, table=table, images=pictures, title="Places")
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with names that are markup, and no positions."""
    path = tmp_path_factory.mktemp("explorer") / "evil.html"
    names = np.array([f"{EVIL} {i}" for i in range(N)], object)
    drawing = "<svg xmlns='http://www.w3.org/2000/svg'><script>top.hit = 1</script><circle r='9'/></svg>"
    table = {EVIL: np.full(N, EVIL)}
    write_explorer(tree(), path, names=names, images=[drawing] * N, table=table, title=EVIL)
    return path


@pytest.fixture(autouse=True)
def quiet(browser: Browser) -> Iterator[None]:
    """No test leaves a message in the console."""
    yield
    assert browser.errors() == []


def name_of(level: int, cluster: int) -> str:
    return str(NAMES[tree().exemplars(level)[cluster]])


def test_clicks_lead_down_to_the_members_and_up_again(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("[data-view=treemap]")
    largest = int(tree().sizes(TOP).argmax())
    assert browser.text("#told") == f"{tree().n_clusters[TOP]} groups"
    way = []
    for level in range(TOP, -1, -1):
        cells = browser.texts(".cell b")
        way.append(name_of(level, largest))
        assert way[-1] in cells
        before = browser.run("location.hash")
        browser.run(
            f"[...document.querySelectorAll('.cell')].find(c => c.innerText.startsWith('{way[-1]}')).click()"
        )
        browser.until(
            f"location.hash !== '{before}' && document.querySelector('#panel h2').innerText === '{way[-1]}'"
        )
        assert browser.text("#panel dd").split()[0] == f"{tree().sizes(level)[largest]:,}"
        if level:
            inside = np.flatnonzero(tree().parents(level - 1) == largest)
            largest = int(inside[tree().sizes(level - 1)[inside].argmax()])
    members = set(NAMES[tree().labels(0) == largest])
    assert set(browser.texts("#stage li .name")) == members
    assert browser.text("#told") == f"{len(members)} members"
    assert browser.texts("#way li")[0] == "All"
    browser.click("#way a")
    browser.until("document.querySelectorAll('#way li').length === 1")
    browser.run("history.back()")
    browser.until("document.querySelectorAll('#way li').length > 1")


def test_keys_move_open_and_go_up(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("[data-view=treemap]")
    browser.press("ARROW_DOWN")
    first = browser.run("document.activeElement.dataset.node")
    assert first
    browser.press("ARROW_RIGHT", "ARROW_DOWN")
    second = browser.run("document.activeElement.dataset.node")
    assert second != first
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("ENTER")
    browser.until(f"location.hash === '#{second}'")
    browser.until("document.activeElement.dataset.node !== undefined")
    assert browser.run(f"app.tree.within(Number(document.activeElement.dataset.node), {second})")
    browser.press("ESCAPE")
    # Back where the reader came from.
    browser.until(f"document.activeElement.dataset.node === '{second}'")
    assert browser.text("#said").startswith("Places")


def test_search_finds_exemplars_first_and_opens_them(browser: Browser, page: Path) -> None:
    browser.open(page)
    exemplar = tree().exemplars(TOP)[0]
    browser.press("/", *f"place {exemplar}")
    browser.until("document.querySelectorAll('#found [role=option]').length > 0")
    options = browser.texts("#found [role=option] .name")
    assert options[0] == f"place {exemplar}"
    assert all(option.startswith(f"place {exemplar}") for option in options)
    assert f"level {TOP}" in browser.text("#found [role=option] small")
    assert "among all names" in browser.text("#found .note")
    browser.press("ENTER")
    browser.until(f"document.querySelector('#panel h2').innerText === 'place {exemplar}'")
    assert not browser.run("document.getElementById('found').offsetHeight")
    browser.press("/", *"nobody")
    browser.until("document.querySelector('#found .note').innerText.startsWith('Nothing')")
    browser.press("ESCAPE", "ESCAPE")
    assert browser.run("document.activeElement.id") != "query"


def test_a_member_that_was_searched_is_marked(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("[data-view=treemap]")
    member = int(np.setdiff1d(np.arange(N), tree().exemplars(0))[7])
    browser.press("/", *f"place {member}", "ENTER")
    browser.until("document.querySelector('.marked')")
    assert browser.text(".marked .name") == f"place {member}"
    assert browser.texts("#panel h2") == [name_of(0, tree().labels(0)[member])]


def test_the_tree_has_the_levels_that_are_tested() -> None:
    assert tree().n_levels == TOP + 1


def test_the_map_is_drawn_and_opens_what_is_clicked(browser: Browser, page: Path) -> None:
    browser.open(page)
    colours = browser.run("""(() => {
      const canvas = document.querySelector('.map canvas'), { width, height } = canvas;
      const image = canvas.getContext('2d').getImageData(0, 0, width, height);
      return new Set(new Uint32Array(image.data.buffer)).size;
    })()""")
    assert colours > tree().n_clusters[TOP]
    tags = browser.texts(".tag")
    assert set(tags) <= {name_of(TOP, k) for k in range(tree().n_clusters[TOP])}
    browser.click(".tag")
    browser.until(f"document.querySelector('#panel h2').innerText === '{tags[0]}'")
    browser.run("""(() => {
      const select = document.getElementById('colours');
      select.value = '1';
      select.dispatchEvent(new Event('change'));
    })()""")
    assert set(browser.texts(".tag")) <= {name_of(1, k) for k in range(tree().n_clusters[1])}
    before = browser.run("location.hash")
    browser.run("""(() => {
      const canvas = document.querySelector('.map canvas'), { tree } = app;
      const place = tree.ranges(app.node)[0][0], box = canvas.getBoundingClientRect();
      const clientX = box.left + app.atlas.across(place), clientY = box.top + app.atlas.down(place);
      canvas.dispatchEvent(new MouseEvent('click', { clientX, clientY, bubbles: true }));
    })()""")
    browser.until(f"location.hash !== '{before}'")


def test_the_map_is_moved_and_zoomed(browser: Browser, page: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    def seen() -> Any:
        browser.until("app.atlas.frame === undefined")
        return browser.run("app.atlas.view")

    browser.open(page)
    first, canvas = seen(), browser.driver.find_element("css selector", ".map canvas")
    ActionChains(browser.driver).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -300).perform()
    browser.until(f"app.atlas.view.scale > {first['scale']}")
    nearer = seen()
    names = set(browser.texts(".tag"))
    assert names
    ActionChains(browser.driver).drag_and_drop_by_offset(canvas, 70, -30).perform()
    moved = seen()
    assert (moved["x"] - nearer["x"], moved["y"] - nearer["y"]) == pytest.approx((70, -30))
    assert browser.run("location.hash") == ""  # a point that is dragged is not opened
    browser.run("""[['pointerdown', 1], ['pointermove', 0]].forEach(([kind, buttons]) =>
      document.querySelector('.map canvas').dispatchEvent(
        new PointerEvent(kind, { pointerId: 7, buttons, clientX: 99 * buttons, bubbles: true })))""")
    assert (seen(), browser.run("app.atlas.pointers.size")) == (moved, 0)  # let go of where nothing was told
    browser.run("document.querySelector('.tag').focus()")
    browser.press("ENTER")
    browser.until("location.hash !== ''")
    browser.run("history.back()")
    browser.until("app.node === 0")
    browser.run("(app.atlas.zoom(2), app.atlas.pan(5, 5))")
    moved = seen()
    browser.press("+", "-", "-")
    assert seen()["scale"] == pytest.approx(moved["scale"] / 1.5)
    browser.click(".zoom button:last-child")
    assert seen() == pytest.approx(first)
    # Never so far that all points are out of sight, nor further than the whole.
    browser.run("(app.atlas.zoom(1e9), app.atlas.pan(1e9, 1e9), app.atlas.zoom(1e-9))")
    assert seen()["scale"] == pytest.approx(first["scale"])
    assert browser.run("Math.min(...app.tree.x.map((_, i) => app.atlas.across(i)))") <= 700


def test_the_list_and_the_panel_tell_of_the_table(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("[data-view=list]")
    rows = browser.run(
        "[...document.querySelectorAll('.list tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    sizes = tree().sizes(TOP)
    assert [row[1] for row in rows] == [f"{size:,}" for size in sorted(sizes, reverse=True)]
    for row in rows:
        cluster = next(k for k in range(len(sizes)) if name_of(TOP, k) == row[0])
        x = POINTS[tree().labels(TOP) == cluster, 0]
        side = "left" if np.mean(x < 0.5) >= 0.5 else "right"
        assert row[4] == f"{side} ({round(100 * max(np.mean(x < 0.5), np.mean(x >= 0.5)))} %)"
        assert float(row[5]) == pytest.approx(x.mean(), abs=0.006)
    assert "left" in browser.text("#panel .columns")


def test_names_are_text(browser: Browser, bare: Path) -> None:
    browser.open(bare)
    assert browser.run("document.title") == EVIL
    for view in ("list", "treemap"):
        browser.click(f"[data-view={view}]")
        for _ in range(tree().n_levels):
            browser.run("document.querySelector('#stage [data-node]')?.click()")
            browser.run("app.render()")
    browser.press("/", *"onerror")
    browser.until("document.querySelectorAll('#found [role=option]').length > 5")
    assert EVIL in browser.text("#found .name")
    assert browser.run("window.hit === undefined && !document.querySelector('#stage script, img[onerror]')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_on_a_narrow_screen(
    browser: Browser, page: Path, bare: Path, scheme: str
) -> None:
    for shown in (page, bare):
        browser.open(shown, 390, 844, scheme)
        for view in browser.run("[...document.querySelectorAll('#views button')].map(b => b.dataset.view)"):
            browser.run("(app.node = 0, app.render())")
            browser.click(f"[data-view={view}]")
            for node in (0, 1, browser.run("app.tree.nNodes - 1")):
                browser.run(f"(app.node = {node}, app.render())")
                assert browser.run("document.documentElement.scrollWidth <= 390")
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 29)")


def test_everything_that_can_be_used_has_a_name(browser: Browser, page: Path) -> None:
    browser.open(page)
    for view in ("treemap", "map", "list"):
        browser.click(f"[data-view={view}]")
        unnamed = browser.run("""[...document.querySelectorAll('a, button, input, select, [role=img]')]
          .filter(e => !e.getAttribute('aria-label') && !e.textContent.trim() && !e.labels?.length).length""")
        assert unnamed == 0
        assert browser.run(f"document.querySelector('[data-view={view}]').ariaPressed") == "true"


def test_a_report_filters_its_clusters_and_fits_a_narrow_screen(browser: Browser, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    write_report(tree().clusterings[0], report, ids=[f"{EVIL} {i}" for i in range(N)])
    for width, scheme in ((1280, "light"), (390, "dark")):
        browser.open(report, width, scheme=scheme, ready="document.querySelector('.filter')")
        assert browser.run(f"document.documentElement.scrollWidth <= {width}")
    exemplars = tree().exemplars(0)
    browser.run("document.querySelector('.filter input').focus()")
    browser.press(*f"{exemplars[-1]}")
    shown = "[...document.querySelectorAll('.clusters tbody tr')].filter(row => !row.hidden).length"
    browser.until(f"0 < {shown} && {shown} < {len(exemplars)}")
    assert f"of {len(exemplars)} rows" in browser.text(".filter span")
    assert browser.run("window.hit === undefined")
    write_report(tree(), report)
    browser.open(report, 390, ready="true")
    assert browser.run("document.documentElement.scrollWidth <= 390")


def test_paper_is_light(browser: Browser, page: Path) -> None:
    browser.open(page, scheme="dark")
    dark: Any = browser.run("css(ground())")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("css(ground())") != dark
    browser.run("dispatchEvent(new Event('afterprint'))")
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert len(printed) > 10_000

// Where the reader is, in the address after #: a node, and perhaps a point there.

const VIEWS = { treemap: "Treemap", map: "Map", list: "List" };
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class App {
  constructor(tree) {
    this.tree = tree;
    this.stage = document.getElementById("stage");
    this.panel = document.getElementById("panel");
    this.view = tree.x ? "map" : "treemap";
    this.search = new Search(this);
    this.buttons();
    this.atlas = tree.x ? new Atlas(this) : null;
    addEventListener("hashchange", () => this.arrive());
    document.addEventListener("keydown", event => this.pressed(event));
    let waiting = 0;
    const again = () => { clearTimeout(waiting); waiting = setTimeout(() => this.render(), 120); };
    addEventListener("resize", again);
    darkness.addEventListener("change", () => this.render());
    addEventListener("beforeprint", () => { inkOnPaper = true; this.render(); });
    addEventListener("afterprint", () => { inkOnPaper = false; this.render(); });
    this.stage.addEventListener("focusin", event => this.point(event.target.getAttribute("aria-label") || ""));
    this.stage.addEventListener("pointerover", event => this.point(event.target.closest("[data-node]")?.getAttribute("aria-label") || ""));
    this.holds();
    this.arrive();
  }
  link(node, place) { return place === undefined ? `#${node}` : `#${node}.${place}`; }
  go(node, place) { location.hash = this.link(node, place); }
  point(text) { document.getElementById("pointed").textContent = text; }

  holds() {
    const { tree } = this, { head } = tree;
    // A single cluster of everything is the whole, and not counted.
    const all = head.clusters.slice(0, head.levels[0] + 1).reduce((n, each) => n + each, 0), held = tree.nNodes - 1;
    const points = tree.nHeld === head.points ? `all ${counted(head.points, "point")}` : `${count(tree.nHeld)} of ${counted(head.points, "point")}: exemplars, and members of each cluster from the nearest to the furthest`;
    const pictures = tree.pictures.n ? `, and pictures of ${counted(tree.pictures.n, "point")}` : "";
    document.getElementById("holds").textContent = `This page holds ${held === all ? "all" : `${count(held)} of`} ${counted(all, "cluster")} and ${points}${pictures}.`;
  }

  buttons() {
    const views = Object.keys(VIEWS).filter(view => view !== "map" || this.tree.x);
    document.getElementById("views").replaceChildren(...views.map(view =>
      h("button", { type: "button", "data-view": view, onclick: () => this.look(view) }, VIEWS[view])));
  }
  look(view) { this.view = view; this.render(); }

  // Read the address; what does not exist is the whole.
  arrive() {
    const [node, place] = location.hash.slice(1).split(".").map(Number);
    const from = this.node, keyboard = this.stage.contains(document.activeElement);
    this.node = this.tree.settled(Number.isInteger(node) && node > 0 && node < this.tree.nNodes ? node : 0);
    this.marked = Number.isInteger(place) && place >= 0 && place < this.tree.nHeld ? place : -1;
    this.render();
    this.opened(from);
    document.getElementById("said").textContent = `${this.tree.title(this.node)}, ${document.getElementById("told").textContent}`;
    if (keyboard) this.focusFirst(from);
  }

  render() {
    const { tree, node } = this, n = tree.nChildren(node);
    document.getElementById("told").textContent = this.told(n);
    // A cluster without parts has members only, whichever way its parts would be shown.
    const shown = n || this.view === "map" ? this.view : "treemap";
    for (const button of document.querySelectorAll("#views button")) {
      const { view } = button.dataset;
      button.setAttribute("aria-pressed", String(view === shown));
      button.textContent = n || view !== "treemap" ? VIEWS[view] : "Members";
      button.hidden = !n && view === "list";
    }
    for (const part of document.querySelectorAll(".of-map")) part.hidden = this.view !== "map";
    this.way();
    if (this.view === "map") this.atlas.show(node);
    else if (!n) members(this, node, this.marked);
    else if (this.view === "list") list(this, node);
    else treemap(this, node);
    if (this.shownOf !== node) panel(this, node);
    this.shownOf = node;
  }
  // Paint the treemap once more, some pictures having been loaded meanwhile.
  redraw() { this.again ??= setTimeout(() => { this.again = undefined; this.repaint(); }, 60); }

  told(n) {
    const { tree, node } = this, inside = tree.nInside(node);
    const some = (shown, all, what) => shown === all ? counted(all, what) : `showing ${count(shown)} of ${counted(all, what)}`;
    if (!n) return some(inside, tree.size[node], "member") + (tree.parts[node] > 1 ? `; its ${count(tree.parts[node])} parts are not on this page` : "");
    return some(n, tree.parts[node], node ? "part" : "group");
  }

  way() {
    const nav = document.getElementById("way"), { tree } = this;
    const steps = tree.way(this.node);
    nav.replaceChildren(h("ol", {}, ...steps.map((node, i) => h("li", {}, i === steps.length - 1
      ? h("span", { "aria-current": "page" }, node ? tree.title(node) : "All")
      : h("a", { href: this.link(node) }, node ? tree.title(node) : "All")))));
    nav.scrollLeft = nav.scrollWidth;
  }

  // Let the new view grow from the place of the cell that was opened.
  opened(from) {
    const box = this.stage.lastElementChild;
    if (lessMotion.matches || !box?.animate || from === undefined || from === this.node) return;
    const deeper = this.tree.within(this.node, from);
    box.animate([{ opacity: 0.2, transform: `scale(${deeper ? 0.96 : 1.03})` }, { opacity: 1, transform: "none" }], { duration: 170, easing: "ease-out" });
  }

  cells() { return [...this.stage.querySelectorAll("a, button:not(.zoom *)")].filter(cell => !cell.hidden); }
  focusFirst(from) {
    const { tree } = this;
    const back = from === undefined ? null : this.stage.querySelector(`[data-node="${tree.childWith(this.node, from)}"]`);
    const target = back || this.stage.querySelector(".marked, [data-node]") || this.stage.querySelector("li");
    target?.focus({ preventScroll: false });
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    if (event.key === "/") { event.preventDefault(); this.search.input.focus(); this.search.input.select(); }
    else if (event.key === "Escape" && this.node) this.up();
    else if (this.view === "map" && this.zoomed(event)) event.preventDefault();
    else if (event.key.startsWith("Arrow")) this.move(event);
  }
  // To the cluster above, where the arrow keys go on.
  up() {
    this.stage.tabIndex = -1;
    if (!this.stage.contains(document.activeElement)) this.stage.focus();
    this.go(this.tree.above(this.node));
  }
  // Whether a key changes what the map shows, which it does then.
  zoomed({ key, shiftKey }) {
    const { atlas } = this, step = DIRECTIONS[key];
    if (key === "+" || key === "=") atlas.zoom(1.5);
    else if (key === "-") atlas.zoom(1 / 1.5);
    else if (key === "0") atlas.fit();
    else if (shiftKey && step) atlas.pan(-80 * step[0], -80 * step[1]);
    else return false;
    return true;
  }
  // To the nearest cell in the direction of the arrow.
  move(event) {
    const cells = this.cells(), now = document.activeElement;
    if (!cells.length || this.panel.contains(now)) return;
    event.preventDefault();
    if (!cells.includes(now)) return cells[0].focus();
    const at = now.getBoundingClientRect(), [dx, dy] = DIRECTIONS[event.key];
    let best = Infinity, target = null;
    for (const cell of cells) {
      const to = cell.getBoundingClientRect();
      const gap = dx ? (dx > 0 ? to.left - at.right : at.left - to.right) : (dy > 0 ? to.top - at.bottom : at.top - to.bottom);
      if (cell === now || gap < -3) continue;
      const aside = dx ? Math.max(0, to.top - at.bottom, at.top - to.bottom) + Math.abs(to.top - at.top) / 100 : Math.max(0, to.left - at.right, at.left - to.right) + Math.abs(to.left - at.left) / 100;
      if (gap + 3 * aside < best) [best, target] = [gap + 3 * aside, cell];
    }
    target?.focus();
  }
}

async function open() {
  const said = document.getElementById("said");
  if (typeof DecompressionStream === "undefined") {
    said.className = "";
    said.textContent = "This page needs a browser of 2023 or later.";
    return;
  }
  window.app = new App(new Tree(await unpacked()));
  document.body.classList.add("ready");
}
open();

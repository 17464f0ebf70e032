// The points on the page, where they lie, in the colours of the parts of a cluster or of a level.

const NAMED = 14, MOST_COLOURS = 1200, WIDEST_TAG = 200, TAG_HEIGHT = 23;

// Positions are steps from 0 to 65535; a step is at most so many pixels.
const STEPS = 65535, MOST_SCALE = 4;

class Atlas {
  constructor(app) {
    this.app = app;
    this.tree = app.tree;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.tags = h("div");
    const button = (sign, told, done) => h("button", { type: "button", title: told, "aria-label": told, onclick: done }, sign);
    this.box = h("div", { class: "map" }, this.canvas, this.tags, h("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
      button("+", "Nearer", () => this.zoom(2)), button("−", "Further", () => this.zoom(0.5)), button("⌂", "As at first", () => this.fit())));
    // Where all points lie, from left to right and from below.
    this.whole = extents(app.tree, 0);
    this.pointers = new Map();
    const heard = { pointerdown: "pressed", pointermove: "moved", pointerup: "released", pointercancel: "released", click: "clicked", wheel: "wheeled" };
    for (const [kind, method] of Object.entries(heard)) this.box.addEventListener(kind, event => this[method](event, ...this.spot(event)), { passive: false });
    this.offerColours();
  }

  // Fill in which clusters the colours may tell apart.
  offerColours() {
    const { app, tree } = this, { levels, starts, clusters } = tree.head, select = document.getElementById("colours");
    const few = levels.filter((level, row) => starts[row + 1] - starts[row] <= MOST_COLOURS);
    select.replaceChildren(h("option", { value: "parts" }, "parts of this cluster"),
      ...few.map(level => h("option", { value: level }, `level ${level}: ${counted(clusters[level], "cluster")}`)));
    this.colours = select.value;
    select.addEventListener("change", () => { this.colours = select.value; app.render(); });
  }

  show(node) {
    const { app, box, view, fitted, width, height } = this, stays = view && node === this.node;
    app.stage.replaceChildren(box);
    // Points that lie in a broad strip need no high map.
    const [[left, right], [low, high]] = this.whole, broad = box.clientWidth;
    box.style.maxHeight = `${Math.max(260, broad / 2, 40 + broad * (high - low) / Math.max(1, right - left))}px`;
    [this.node, this.width, this.height] = [node, box.clientWidth, box.clientHeight];
    this.groups = this.groupsOf(node);
    if (!stays) return this.fit();
    // In another size the same is in the middle, as near as before.
    this.measure();
    const scale = view.scale * this.fitted.scale / fitted.scale;
    const x = (width / 2 - view.x) / view.scale, y = (view.y - height / 2) / view.scale;
    this.view = { scale, x: this.width / 2 - scale * x, y: this.height / 2 + scale * y };
    this.draw();
  }
  groupsOf(node) {
    const { tree } = this, { levels, starts } = tree.head;
    if (this.colours === "parts") {
      const children = tree.children(node);
      return children.length ? children : [node];
    }
    const row = levels.indexOf(Number(this.colours));
    return tree.bySize(starts[row], starts[row + 1]);
  }

  // The window shows nearly all points of the cluster; it gets no wider than that of the whole.
  fit() {
    this.measure();
    this.view = this.fitted;
    this.draw();
  }
  measure() {
    this.least = this.windowOn(this.whole).scale;
    this.fitted = this.windowOn(this.node ? extents(this.tree, this.node) : this.whole);
  }
  windowOn([[left, right], [low, high]]) {
    const { width, height } = this;
    const scale = Math.min((width - 40) / Math.max(40, right - left), (height - 40) / Math.max(40, high - low));
    return { scale, x: width / 2 - scale * (left + right) / 2, y: height / 2 + scale * (low + high) / 2 };
  }
  // By a factor, around a place that stays where it is.
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const { view } = this, scale = Math.max(this.least, Math.min(MOST_SCALE, view.scale * factor)), by = scale / view.scale;
    this.look({ scale, x: x + (view.x - x) * by, y: y + (view.y - y) * by });
  }
  pan(x, y) { this.look({ ...this.view, x: this.view.x + x, y: this.view.y + y }); }
  // Through another window, in whose middle there may be points, with the next frame.
  look({ scale, x, y }) {
    const { width, height } = this, side = scale * STEPS;
    this.view = { scale, x: Math.max(width / 2 - side, Math.min(width / 2, x)), y: Math.max(height / 2, Math.min(height / 2 + side, y)) };
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.draw(); });
  }
  across(place) { return this.view.x + this.view.scale * this.tree.x[place]; }
  down(place) { return this.view.y - this.view.scale * this.tree.y[place]; }

  draw() {
    const { tree, groups } = this, dots = new Dots(this);
    dots.put(0, tree.nHeld, mixed(ground(), [128, 128, 128], 0.34), dots.least);
    // The smallest last, so that none is hidden.
    groups.forEach((group, k) => {
      const colour = colourOf(tree, k);
      for (const [a, b] of tree.ranges(group)) dots.put(a, b, colour, dots.size);
    });
    dots.show();
    // A finger that moves up scrolls the page, unless there is more to see above.
    this.box.style.touchAction = this.isWhole ? "pan-y" : "none";
    const focused = this.tags.contains(document.activeElement) ? document.activeElement.dataset.node : null;
    this.tags.replaceChildren(...this.names());
    if (focused) this.tags.querySelector(`[data-node="${focused}"]`)?.focus();
  }
  get isWhole() { return this.view.scale <= this.least * 1.001; }

  // Names of the largest groups at their exemplars, and nearer by of their parts, as far as none covers another.
  names() {
    const { tree, groups, width, height } = this, found = new Map();
    // The buttons to zoom, then the tags: left, top and width of each.
    const taken = [[width - 120, height - 40, 120]];
    for (const node of this.namesakes()) {
      if (found.size >= NAMED) break;
      const place = tree.exemplar[node], wide = Math.min(WIDEST_TAG, widthOf(tree.name(place)));
      const left = Math.max(2, Math.min(width - wide - 2, this.across(place) + 5)), top = Math.max(2, Math.min(height - TAG_HEIGHT - 1, this.down(place) - 11));
      if (found.has(place) || taken.some(([a, b, c]) => left < a + c && a < left + wide && Math.abs(top - b) < TAG_HEIGHT)) continue;
      taken.push([left, top, wide]);
      const group = groups.findIndex(other => tree.within(node, other));
      found.set(place, this.tag(node, left, top, wide, group < 0 ? "var(--rule)" : css(colourOf(tree, group))));
    }
    return found.values();
  }
  // Clusters whose exemplars are to be seen, the most important first.
  * namesakes() {
    const { tree, groups, width, height, view } = this, { starts } = tree.head;
    const seen = node => {
      const x = this.across(tree.exemplar[node]), y = this.down(tree.exemplar[node]);
      return x >= 0 && y >= 0 && x <= width && y <= height;
    };
    yield* groups.filter(group => group && seen(group));
    if (view.scale > this.fitted.scale * 1.001)
      for (let row = 1; row < starts.length; row++) yield* tree.bySize(starts[row - 1], starts[row], seen);
  }
  tag(node, left, top, wide, colour) {
    const { app, tree, width, height } = this;
    return h("a", { class: "tag", draggable: "false", href: app.link(node), "data-node": node, title: `${tree.title(node)}, ${counted(tree.size[node], "point")}`,
      style: { left: `${100 * left / width}%`, top: `${100 * top / height}%`, "max-width": `${wide}px`, "--own": colour } }, tree.title(node));
  }

  // One pointer moves the map, a second one zooms; a click opens the part in which the nearest point lies.
  spot(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }
  pressed(event, ...now) {
    this.dragged &&= this.pointers.size > 0;
    if (!event.target.closest(".zoom")) this.pointers.set(event.pointerId, now);
  }
  moved(event, ...now) {
    // A button may have been let go of outside the map, where nothing tells of it.
    if (!event.buttons) this.released(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.pointed(event, ...now);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    const far = ([x, y], [u, v]) => Math.hypot(x - u, y - v);
    if (!this.dragged && far(now, before) < 4) return;
    this.dragged = true;
    this.box.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, now);
    if (other) this.zoom(far(now, other) / Math.max(1, far(before, other)), ...other);
    else this.pan(now[0] - before[0], now[1] - before[1]);
  }
  released(event) { this.pointers.delete(event.pointerId); }
  wheeled(event, x, y) {
    // The page scrolls on where there is nothing more to see.
    if (event.deltaY > 0 && this.isWhole) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), x, y);
  }
  clicked(event, x, y) {
    const { app, tree, node } = this;
    // A link that has been dragged is not to be followed; one that a key opens (detail 0) is.
    const dragged = this.dragged && event.detail > 0;
    if (dragged) event.preventDefault();
    const place = dragged || event.target !== this.canvas ? -1 : this.nearest(x, y);
    if (place < 0) return;
    const home = tree.home[place], inside = tree.within(home, node) ? tree.childWith(node, home) : -1;
    app.go(inside > 0 ? inside : home, place);
  }
  pointed(event, x, y) {
    if (event.target !== this.canvas) return;
    const place = this.nearest(x, y);
    this.app.point(place < 0 ? "" : this.tree.name(place));
    this.canvas.style.cursor = place < 0 ? "grab" : "pointer";
  }
  // The point nearest to the pointer, within 14 pixels; those of the cluster shown come first.
  nearest(x, y) {
    const { tree, view } = this, px = (x - view.x) / view.scale, py = (view.y - y) / view.scale;
    const search = ranges => {
      let best = (14 / view.scale) ** 2, found = -1;
      for (const [a, b] of ranges) for (let i = a; i < b; i++) {
        const far = (tree.x[i] - px) ** 2 + (tree.y[i] - py) ** 2;
        if (far < best) [best, found] = [far, i];
      }
      return found;
    };
    const inside = search(tree.ranges(this.node));
    return inside >= 0 ? inside : search([[0, tree.nHeld]]);
  }
}

// From where to where the points of a cluster lie on both axes, without those far off.
function extents(tree, node) {
  return [tree.x, tree.y].map(axis => {
    const kept = [];
    for (const [a, b] of tree.ranges(node)) {
      const step = Math.max(1, Math.floor((b - a) / 4000));
      for (let i = a; i < b; i += step) kept.push(axis[i]);
    }
    kept.sort((a, b) => a - b);
    const cut = node ? Math.floor(kept.length * 0.01) : 0;
    return kept.length ? [kept[cut], kept[kept.length - 1 - cut]] : [0, STEPS];
  });
}

// The pixels of a map's canvas.
class Dots {
  constructor(atlas) {
    const { canvas, tree, width, height } = this.atlas = atlas;
    this.context = sharp(canvas, width, height);
    this.ratio = canvas.width / width;
    this.image = this.context.createImageData(canvas.width, canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.least = Math.max(1, Math.round(this.ratio));
    // All dots cover about an eighth of the cluster's window, and more of a part of it.
    const area = 0.12 * width * height / Math.max(1, tree.nInside(atlas.node));
    const nearer = atlas.view.scale / atlas.fitted.scale;
    this.size = Math.max(1, Math.min(7 * this.ratio, Math.round(this.ratio * nearer * Math.sqrt(area))));
  }
  put(from, to, colour, size) {
    const { atlas, ratio, pixels } = this, { width, height } = atlas.canvas, { x: xs, y: ys } = atlas.tree;
    const { scale, x: left, y: bottom } = atlas.view;
    const half = size >> 1, round = size > 3 ? size * size / 4 : Infinity;
    const packed = (255 << 24 | colour[2] << 16 | colour[1] << 8 | colour[0]) >>> 0;
    for (let i = from; i < to; i++) {
      const x = Math.round(ratio * (left + scale * xs[i])) - half, y = Math.round(ratio * (bottom - scale * ys[i])) - half;
      if (x < 0 || y < 0 || x + size > width || y + size > height) continue;
      for (let v = 0; v < size; v++) for (let u = 0; u < size; u++)
        if ((u - half) ** 2 + (v - half) ** 2 <= round) pixels[(y + v) * width + x + u] = packed;
    }
  }
  show() { this.context.putImageData(this.image, 0, 0); }
}

// The points on the page, where they lie, in the colours of the parts of a cluster or of a level.

const NAMED = 14, MOST_COLOURS = 1200;

function map(app, node) {
  const { tree, stage } = app;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const box = h("div", { class: "map" }, canvas);
  stage.replaceChildren(box);
  const width = box.clientWidth, height = box.clientHeight;
  const view = viewOf(tree, node, width, height);
  const groups = groupsOf(app, node);
  paint(canvas, tree, node, groups, view, width, height);
  box.append(...nameTags(app, groups, view, width, height));
  canvas.addEventListener("click", event => {
    const place = nearest(tree, node, view, event.offsetX, event.offsetY);
    if (place < 0) return;
    const inside = tree.childWith(node, tree.home[place]);
    app.go(tree.within(tree.home[place], node) && inside > 0 ? inside : tree.home[place], place);
  });
  canvas.addEventListener("pointermove", event => {
    const place = nearest(tree, node, view, event.offsetX, event.offsetY);
    app.point(place < 0 ? "" : tree.name(place));
    canvas.style.cursor = place < 0 ? "default" : "pointer";
  });
}

// Fill in which clusters the colours may tell apart.
function offerColours(app) {
  const { tree } = app, select = document.getElementById("colours");
  const levels = tree.head.levels.filter((level, row) => tree.head.starts[row + 1] - tree.head.starts[row] <= MOST_COLOURS);
  const options = [h("option", { value: "parts" }, "parts of this cluster"),
    ...levels.map(level => h("option", { value: level }, `level ${level}: ${counted(tree.head.clusters[level], "cluster")}`))];
  select.replaceChildren(...options);
  select.addEventListener("change", () => { app.colours = select.value; app.render(); });
}

function groupsOf(app, node) {
  const { tree } = app;
  if (app.colours === "parts") {
    const children = tree.children(node);
    return children.length ? children : [node];
  }
  const row = tree.head.levels.indexOf(Number(app.colours));
  const found = [];
  for (let at = tree.head.starts[row]; at < tree.head.starts[row + 1]; at++) found.push(at);
  return found.sort((a, b) => tree.size[b] - tree.size[a] || a - b);
}

// A window on the points of a cluster: nearly all of them, and some room.
function viewOf(tree, node, width, height) {
  const side = axis => {
    const kept = [];
    for (const [a, b] of tree.ranges(node)) {
      const step = Math.max(1, Math.floor((b - a) / 4000));
      for (let i = a; i < b; i += step) kept.push(axis[i]);
    }
    kept.sort((a, b) => a - b);
    const cut = node ? Math.floor(kept.length * 0.01) : 0;
    return kept.length ? [kept[cut], kept[kept.length - 1 - cut]] : [0, 65535];
  };
  const [[left, right], [low, high]] = [side(tree.x), side(tree.y)];
  const scale = Math.min((width - 40) / Math.max(40, right - left), (height - 40) / Math.max(40, high - low));
  return { scale, x: width / 2 - scale * (left + right) / 2, y: height / 2 + scale * (low + high) / 2 };
}
const across = (view, value) => view.x + view.scale * value;
const down = (view, value) => view.y - view.scale * value;

function paint(canvas, tree, node, groups, view, width, height) {
  const context = sharp(canvas, width, height);
  const ratio = canvas.width / width;
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const nInside = Math.max(1, tree.nInside(node));
  const dot = Math.max(1, Math.min(7 * ratio, Math.round(ratio * Math.sqrt(0.12 * width * height / nInside))));
  const packedColour = colour => (255 << 24 | colour[2] << 16 | colour[1] << 8 | colour[0]) >>> 0;
  const put = (from, to, colour, size) => {
    const half = size >> 1, round = size > 3 ? size * size / 4 : Infinity;
    for (let i = from; i < to; i++) {
      const x = Math.round(ratio * across(view, tree.x[i])) - half, y = Math.round(ratio * down(view, tree.y[i])) - half;
      if (x < 0 || y < 0 || x + size > canvas.width || y + size > canvas.height) continue;
      for (let v = 0; v < size; v++) for (let u = 0; u < size; u++)
        if ((u - half) ** 2 + (v - half) ** 2 <= round) pixels[(y + v) * canvas.width + x + u] = colour;
    }
  };
  put(0, tree.nHeld, packedColour(mixed(ground(), [128, 128, 128], 0.34)), Math.max(1, Math.round(ratio)));
  // The smallest last, so that none is hidden.
  groups.forEach((group, k) => {
    const colour = packedColour(colourOf(tree, k));
    for (const [a, b] of tree.ranges(group)) put(a, b, colour, dot);
  });
  context.putImageData(image, 0, 0);
}

// Names of the largest groups at their exemplars, as far as none covers another.
function nameTags(app, groups, view, width, height) {
  const { tree } = app, taken = [], found = [];
  groups.forEach((group, k) => {
    if (found.length >= NAMED || !group) return;
    const place = tree.exemplar[group];
    const x = across(view, tree.x[place]), y = down(view, tree.y[place]);
    if (x < 0 || y < 0 || x > width || y > height) return;
    const wide = Math.min(190, 24 + 8.5 * tree.title(group).length);
    const left = Math.max(2, Math.min(width - wide - 2, x + 5)), top = Math.max(2, Math.min(height - 24, y - 11));
    if (taken.some(([a, b, c]) => left < a + c && a < left + wide && Math.abs(top - b) < 23)) return;
    taken.push([left, top, wide]);
    found.push(h("a", { class: "tag", href: app.link(group), "data-node": group, title: `${tree.title(group)}, ${counted(tree.size[group], "point")}`,
      style: { left: `${100 * left / width}%`, top: `${100 * top / height}%`, "max-width": `${wide}px`, "--own": css(colourOf(tree, k)) } }, tree.title(group)));
  });
  return found;
}

// The point nearest to the pointer, within 14 pixels; those of the cluster shown come first.
function nearest(tree, node, view, x, y) {
  const [px, py] = [(x - view.x) / view.scale, (view.y - y) / view.scale];
  const search = ranges => {
    let best = (14 / view.scale) ** 2, found = -1;
    for (const [a, b] of ranges) for (let i = a; i < b; i++) {
      const far = (tree.x[i] - px) ** 2 + (tree.y[i] - py) ** 2;
      if (far < best) [best, found] = [far, i];
    }
    return found;
  };
  const inside = search(tree.ranges(node));
  return inside >= 0 ? inside : search([[0, tree.nHeld]]);
}

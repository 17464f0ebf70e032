// The parts of a cluster as rectangles with areas in proportion to their points.

const MOST_CELLS = 120, MOST_INNER = 80, LEAST_SIDE = 26;

// Squarified rectangles [x, y, width, height] for descending positive values (Bruls, Huizing, van Wijk 2000).
function squarified(values, x, y, width, height) {
  const total = values.reduce((a, b) => a + b, 0), found = [];
  if (!(total > 0) || !(width > 0) || !(height > 0)) return values.map(() => [x, y, 0, 0]);
  const area = width * height / total;
  let from = 0;
  while (from < values.length) {
    const side = Math.min(width, height);
    let sum = 0, worst = Infinity, to = from;
    while (to < values.length) {
      const grown = (sum + values[to]) * area;
      const ratio = Math.max(side * side * values[from] * area / grown ** 2, grown ** 2 / (side * side * values[to] * area));
      if (ratio > worst) break;
      worst = ratio; sum += values[to]; to++;
    }
    const thick = sum * area / side;
    let at = 0;
    for (let i = from; i < to; i++) {
      const long = values[i] * area / thick;
      found.push(width >= height ? [x, y + at, thick, long] : [x + at, y, long, thick]);
      at += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    from = to;
  }
  return found;
}

// The same for values in any order.
function rectangles(values, ...frame) {
  const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b), found = [];
  squarified(order.map(i => values[i]), ...frame).forEach((rect, k) => { found[order[k]] = rect; });
  return found;
}

// The children that get a rectangle of their own, and how many points the others have together.
function split(tree, node, width, height, most) {
  const each = width * height / tree.size[node];
  const children = tree.children(node);
  const shown = children.filter((child, i) => i < most && (i < 2 || tree.size[child] * each >= LEAST_SIDE ** 2));
  return [shown, tree.size[node] - shown.reduce((n, child) => n + tree.size[child], 0)];
}

function treemap(app, node) {
  const { tree, stage } = app;
  const box = h("div", { class: "treemap" });
  stage.replaceChildren(box);
  const width = box.clientWidth, height = box.clientHeight;
  const [shown, rest] = split(tree, node, width, height, MOST_CELLS);
  const values = shown.map(child => tree.size[child]);
  // What is too small to be seen still has a place to be opened from.
  if (rest) values.push(Math.max(rest, tree.size[node] * 1600 / (width * height)));
  const canvas = h("canvas", { "aria-hidden": "true" });
  const context = sharp(canvas, width, height);
  box.append(canvas);
  const cells = [], drawn = [];
  rectangles(values, 0, 0, width, height).forEach(([x, y, w, v], i) => {
    const style = { left: `${100 * x / width}%`, top: `${100 * y / height}%`, width: `${100 * w / width}%`, height: `${100 * v / height}%` };
    if (i === shown.length) return cells.push(restCell(app, tree.parts[node] - shown.length, style, w));
    const colour = colourOf(tree, i);
    drawn.push([shown[i], colour, x, y, w, v]);
    cells.push(partCell(app, shown[i], { ...style, "--own": css(colour) }, headOf(w, v), w));
  });
  app.repaint = () => drawn.forEach(cell => drawCell(app, context, ...cell));
  app.repaint();
  // In the order of reading, for the Tab key.
  box.append(...cells.sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top) || parseFloat(a.style.left) - parseFloat(b.style.left)));
}

// The height of the line with a cell's name; 0 for none.
function headOf(width, height) {
  if (width < 44 || height < 22) return 0;
  return height > 40 ? 25 : 18;
}

function partCell(app, child, style, head, width) {
  const { tree } = app, said = `${tree.title(child)}, ${counted(tree.size[child], "point")}`;
  const kind = head === 0 ? "cell tiny" : head < 25 ? "cell low" : "cell";
  // Where there is no room for both, the name is told rather than the number.
  return h("a", { class: kind, href: app.link(child), style, "aria-label": said, title: said, "data-node": child },
    h("b", {}, tree.title(child)), width < 110 ? null : h("small", {}, count(tree.size[child])));
}

function restCell(app, n, style, width) {
  const told = `${count(n)} more`;
  return h("button", { class: "cell rest", type: "button", style, onclick: () => app.look("list"), "aria-label": `${told}, in the list` }, h("b", {}, width < 80 ? `+${count(n)}` : told));
}

// What lies in a cell: its parts with their pictures or names, and theirs, where there is room.
function drawCell(app, context, child, colour, x, y, w, v) {
  context.fillStyle = tint(colour, 0.2);
  context.fillRect(x, y, w, v);
  const head = headOf(w, v);
  if (w >= 24 && v - head >= 16) nest(app, context, app.tree.settled(child), colour, [x + 3, y + head, w - 7, v - head - 4], 1);
}

function nest(app, context, node, colour, [x, y, w, v], depth) {
  const { tree } = app, pictured = tree.pictures.n > 0;
  const [inner, rest] = tree.nChildren(node) ? split(tree, node, w, v, MOST_INNER) : [[], 0];
  if (!inner.length) {
    if (pictured) face(app, context, node, [x, y, w, v]);
    return;
  }
  const values = [...inner.map(i => tree.size[i]), rest].filter(value => value > 0);
  rectangles(values, x, y, w, v).forEach(([a, b, c, d], i) => {
    const rect = [a + 1, b + 1, c - 2, d - 2];
    if (rect[2] < 1 || rect[3] < 1) return;
    context.fillStyle = tint(colour, i === inner.length ? 0.22 : 0.26 + 0.05 * depth + 0.13 * ((i * 0.618) % 1));
    context.fillRect(...rect);
    if (i === inner.length) return;
    // Deeper in large rectangles: below a line with the name, or until pictures are small.
    const deep = depth < (pictured ? 5 : 3) && Math.min(rect[2], rect[3]) > (pictured ? 84 : 110);
    const part = tree.settled(inner[i]);
    if (!deep || !tree.nChildren(part)) return face(app, context, part, rect);
    if (pictured) return nest(app, context, part, colour, rect, depth + 1);
    write(context, tree.title(part), rect[0] + 3, rect[1] + 3, rect[2] - 6);
    nest(app, context, part, colour, [rect[0] + 2, rect[1] + 18, rect[2] - 4, rect[3] - 20], depth + 1);
  });
}

// The picture of an exemplar, or its name.
function face(app, context, node, [x, y, w, v]) {
  const { tree } = app;
  const picture = w > 14 && v > 14 && tree.pictures.of(tree.exemplar[node], () => app.redraw());
  if (picture) fit(context, picture, x + 1, y + 1, w - 2, v - 2);
  else if (w > 48 && v > 15) write(context, tree.title(node), x + 3, y + 3, w - 6);
}

function write(context, text, x, y, width) {
  context.save();
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  context.fillStyle = css(mixed(isDark() ? [255, 255, 255] : [0, 0, 0], ground(), 0.22));
  let shown = text;
  if (context.measureText(text).width > width) {
    let n = Math.min(text.length, Math.ceil(width / 4));
    while (n > 1 && context.measureText(`${text.slice(0, n)}…`).width > width) n--;
    shown = n > 2 ? `${text.slice(0, n)}…` : "";
  }
  context.fillText(shown, x, y);
  context.restore();
}

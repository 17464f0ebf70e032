// What is told of a cluster, and lists of clusters and of points.

const N_EACH = 5, MOST_ROWS = 300;

function clusterLink(app, node, ...more) {
  return h("a", { href: app.link(node) }, picture(app, app.tree.exemplar[node]), h("span", { class: "name" }, app.tree.title(node)), ...more);
}

function picture(app, place) {
  return place < 0 ? null : app.tree.pictures.element(place);
}

function panel(app, node) {
  const { tree } = app;
  app.panel.replaceChildren(
    ...(node ? aboutCluster(app, node) : aboutWhole(app)),
    ...ofColumns(tree, node), ...standFor(app, node), ...nextTo(app, node), ...extremes(app, node));
}

function aboutCluster(app, node) {
  const { tree } = app, place = tree.exemplar[node], level = tree.level(node);
  const [low, high] = tree.several("lives", node);
  return [
    h("div", { class: "face" }, picture(app, place), h("div", {},
      h("p", { class: "kind" }, "Cluster of the exemplar"), h("h2", {}, tree.title(node)))),
    h("dl", { class: "figures" },
      ...figure("points", `${count(tree.size[node])}`, percent(tree.size[node], tree.head.points)),
      ...figure("level", `${level}`, `of ${count(tree.head.clusters[level])} clusters`),
      ...(tree.parts[node] > 1 ? figure("parts", count(tree.parts[node]), `of level ${level - 1}`) : []),
      ...figure(level ? "mean similarity to the finest exemplars" : "mean similarity to the exemplar", digits(tree.similarity[node])),
      ...(Number.isFinite(low) ? figure("lives at resolutions γ", Number.isFinite(high) ? `${digits(low)} to ${digits(high)}` : `from ${digits(low)}`, low > high ? "never the best" : null) : [])),
  ];
}

function aboutWhole(app) {
  const { tree } = app, { head } = tree;
  return [
    h("h2", {}, "The whole"),
    h("dl", { class: "figures" }, ...figure("points", count(head.points)), ...figure("levels", `${head.clusters.length}`)),
    h("table", {}, h("thead", {}, h("tr", {}, ...["level", "clusters", "on this page"].map(name => h("th", { scope: "col", class: "number" }, name)))),
      h("tbody", {}, ...head.clusters.map((n, level) => [n, level]).reverse().map(([n, level]) => {
        const row = head.levels.indexOf(level), held = row < 0 ? (n === 1 ? 1 : 0) : head.starts[row + 1] - head.starts[row];
        return h("tr", {}, ...[`${level}`, count(n), held === n ? "all" : count(held)].map(text => h("td", { class: "number" }, text)));
      }))),
  ];
}

function figure(name, value, more) {
  return [h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, ` ${more}`) : null))];
}

function ofColumns(tree, node) {
  const rows = tree.head.columns.map((column, k) => h("tr", {}, h("th", { scope: "row" }, column.name), h("td", {}, ...(column.words
    ? frequent(tree, k, node).map(([word, share]) =>
      h("div", { class: "share", style: { "--share": `${share}%` } }, h("span", {}, word || "(empty)"), h("small", {}, `${share} %`)))
    : [digits(tree[`mean${k}`][node]), h("small", {}, " on average")]))));
  return rows.length ? [h("h3", {}, "What they have in common"), h("table", { class: "columns" }, h("tbody", {}, ...rows))] : [];
}

// The most frequent values of a column of text in a cluster, each with its percentage.
function frequent(tree, k, node) {
  const { words } = tree.head.columns[k], shares = tree.several(`share${k}`, node);
  return tree.several(`often${k}`, node).map((word, i) => [words[word], shares[i]]).filter(([word]) => word !== undefined);
}

// The exemplars of the largest parts.
function standFor(app, node) {
  const { tree } = app;
  const others = tree.children(node).filter(child => tree.exemplar[child] !== tree.exemplar[node]).slice(0, N_EACH);
  if (!others.length) return [];
  return [h("h3", {}, node ? "Also represented by" : "The largest"), h("ul", { class: "links" }, ...others.map(child =>
    h("li", {}, clusterLink(app, child, h("small", {}, percent(tree.size[child], tree.size[node]))))))];
}

// Clusters of the same level that are linked most; the first exemplar is the runner-up.
function nextTo(app, node) {
  const { tree } = app;
  const shares = tree.several("share", node);
  const near = tree.several("near", node).map((other, i) => [other, shares[i]]).filter(([other]) => other >= 0);
  if (!near.length) return [];
  return [h("h3", {}, "Next to it"), h("ul", { class: "links" }, ...near.map(([other, share], i) =>
    h("li", {}, clusterLink(app, other, h("small", {}, share < 255 ? `${share} % of its links out` : i ? "" : "runner-up")))))];
}

// The points most and least similar to their exemplars, among those on the page.
function extremes(app, node) {
  const { tree } = app, found = [];
  for (const [a, b] of tree.ranges(node)) for (let i = a; i < b; i++)
    if (Number.isFinite(tree.likeness[i]) && tree.heads[i] < 0) found.push(i);
  if (found.length < 2) return [];
  found.sort((a, b) => tree.likeness[b] - tree.likeness[a] || a - b);
  const n = Math.min(N_EACH, found.length >> 1);
  const whose = tree.level(node) ? "their own exemplars" : "the exemplar";
  return [["Nearest to ", found.slice(0, n)], ["Furthest from ", found.slice(-n).reverse()]].flatMap(([told, places]) => [
    h("h3", {}, told + whose),
    h("ul", { class: "links" }, ...places.map(place => h("li", {}, h("a", { href: app.link(tree.home[place], place) },
      picture(app, place), h("span", { class: "name" }, tree.name(place)), h("small", {}, digits(tree.likeness[place]))))))]);
}

// Points of a cluster without parts on the page, from the nearest to the furthest.
function members(app, node, marked) {
  const { tree } = app;
  const places = [];
  for (const [a, b] of tree.ranges(node)) for (let i = a; i < b; i++) places.push(i);
  const own = tree.exemplar[node];
  places.sort((a, b) => (b === own) - (a === own) || (b === marked) - (a === marked) || tree.likeness[b] - tree.likeness[a] || a - b);
  const list = h("ul", { class: tree.pictures.n ? "members pictured" : "members" });
  more(app.stage, list, places, place => h("li", { class: place === marked ? "marked" : null, tabindex: "-1" },
    picture(app, place),
    h("span", { class: "name" }, tree.name(place)),
    place === own ? h("small", { class: "badge" }, "exemplar") : h("small", {}, digits(tree.likeness[place])),
    ...tree.head.columns.map((column, k) => h("small", { class: "value" }, `${column.name}: ${ofPoint(tree, k, place)}`))));
  list.querySelector(".marked")?.scrollIntoView({ block: "nearest" });
}

// The value of a column: that of a point; of a cluster the mean, or the most frequent.
function ofPoint(tree, k, place) {
  const value = tree[`value${k}`][place], { words } = tree.head.columns[k];
  return words ? words[value] : digits(value);
}
function ofCluster(tree, k, node) {
  if (!tree.head.columns[k].words) return digits(tree[`mean${k}`][node]);
  const [[word, share] = ["–", 0]] = frequent(tree, k, node);
  return `${word} (${share} %)`;
}

// The parts of a cluster, the largest first.
function list(app, node) {
  const { tree } = app, { columns } = tree.head;
  const body = h("tbody");
  const headings = ["exemplar", "points", "share", "similarity", ...columns.map(column => column.name)];
  const table = h("table", { class: "list" }, h("thead", {}, h("tr", {}, ...headings.map((name, i) =>
    h("th", { scope: "col", class: i && i < 4 ? "number" : null }, name)))), body);
  more(app.stage, body, tree.children(node), child => h("tr", {},
    h("td", {}, h("a", { href: app.link(child), "data-node": child }, picture(app, tree.exemplar[child]), tree.title(child))),
    ...[count(tree.size[child]), percent(tree.size[child], tree.size[node]), digits(tree.similarity[child])].map(text => h("td", { class: "number" }, text)),
    ...columns.map((_, k) => h("td", {}, ofCluster(tree, k, child)))), h("div", { class: "wide" }, table));
}

// Fill a list some hundred entries at a time.
function more(stage, into, entries, made, box = into) {
  const button = h("button", { type: "button", class: "more" });
  let shown = 0;
  const grow = () => {
    into.append(...entries.slice(shown, shown + MOST_ROWS).map(made));
    shown = Math.min(entries.length, shown + MOST_ROWS);
    button.textContent = `Show more: ${count(shown)} of ${count(entries.length)} so far`;
    button.hidden = shown === entries.length;
  };
  button.addEventListener("click", grow);
  grow();
  stage.replaceChildren(box, button);
}

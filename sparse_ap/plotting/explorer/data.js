"use strict";
// The tree: nodes are numbered level by level, the whole (0) first, and children stand next to each other.

const KINDS = {
  u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array,
  ascending: Uint32Array, bytes: Uint8Array,
};

async function unpacked() {
  const letters = atob(document.getElementById("data").textContent);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const whole = await new Response(stream).arrayBuffer();
  const length = new DataView(whole).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, 4, length)));
  for (const [name, [kind, at, size]] of Object.entries(head.parts)) {
    const type = KINDS[kind];
    const values = new type(whole, 4 + length + at, size / type.BYTES_PER_ELEMENT);
    if (kind === "ascending") for (let i = 1; i < values.length; i++) values[i] += values[i - 1];
    head.parts[name] = values;
  }
  return head;
}

class Tree {
  constructor(head) {
    Object.assign(this, head.parts);
    this.head = head;
    this.nNodes = this.size.length;
    this.nHeld = this.point.length;
    this.first = starts(this.parent.subarray(1), this.nNodes, 1);
    this.members = starts(this.home, this.nNodes, 0);
    this.texts = head.parts.names ? new TextDecoder().decode(head.parts.names).split("\0") : null;
    // The coarsest node of which each point is the exemplar.
    this.heads = new Int32Array(this.nHeld).fill(-1);
    for (let node = this.nNodes - 1; node > 0; node--) this.heads[this.exemplar[node]] = node;
    this.pictures = new Pictures(head);
  }
  name(place) { return this.texts ? this.texts[place] : `point ${this.point[place].toLocaleString("en")}`; }
  title(node) { return node ? this.name(this.exemplar[node]) : this.head.title; }
  // The level of a node: those of the whole are one above the coarsest.
  level(node) {
    const row = this.head.starts.findIndex((start, i) => node >= start && node < this.head.starts[i + 1]);
    return row < 0 ? this.head.levels[0] + 1 : this.head.levels[row];
  }
  nChildren(node) { return this.first[node + 1] - this.first[node]; }
  // Children on the page, the largest first.
  children(node) { return this.bySize(this.first[node], this.first[node + 1]); }
  bySize(from, to, wanted = () => true) {
    const found = [];
    for (let node = from; node < to; node++) if (wanted(node)) found.push(node);
    return found.sort((a, b) => this.size[b] - this.size[a] || a - b);
  }
  // What an array with several entries for each node has of one.
  several(part, node) {
    const values = this[part], n = values.length / this.nNodes;
    return Array.from(values.subarray(n * node, n * (node + 1)));
  }
  // From a cluster with a single part to that part, which is the same.
  settled(node) {
    while (this.parts[node] === 1 && this.nChildren(node) === 1) node = this.first[node];
    return node;
  }
  // The cluster above, past those that are the same.
  above(node) {
    let up = this.parent[node];
    while (up && this.parts[up] === 1) up = this.parent[up];
    return up;
  }
  way(node) {
    const found = [];
    for (let at = node; at; at = this.above(at)) found.unshift(at);
    return [0, ...found];
  }
  // Of each level the range of nodes inside a node, and of points whose home is there.
  ranges(node) {
    const found = [];
    for (let [a, b] = [node, node + 1]; a < b; [a, b] = [this.first[a], this.first[b]])
      found.push([this.members[a], this.members[b]]);
    return found.filter(([a, b]) => a < b);
  }
  nInside(node) { return this.ranges(node).reduce((n, [a, b]) => n + b - a, 0); }
  // Whether a node lies in another, or is it.
  within(node, other) {
    while (node > other) node = this.parent[node];
    return node === other;
  }
  // The child of a node in which another node lies; -1 for none.
  childWith(node, inner) {
    while (inner > node && this.parent[inner] !== node) inner = this.parent[inner];
    return inner > node ? inner : -1;
  }
}

// Where the entries of each value begin, in an ascending array; `from` is added.
function starts(values, n, from) {
  const found = new Uint32Array(n + 1);
  for (const value of values) found[value + 1]++;
  found[0] = from;
  for (let i = 0; i < n; i++) found[i + 1] += found[i];
  return found;
}

// Pixels of the longer side of a file's picture that are kept for the treemap.
const SMALL = 240;

class Pictures {
  constructor(head) {
    this.form = head.images || null;
    const { picture = [], pixels, files, length, kind } = head.parts;
    this.at = new Map(Array.from(picture, (place, i) => [place, i]));
    this.pixels = pixels;
    this.kept = new Map();
    this.waiting = [];
    if (!files) return;
    const ends = Array.from(length);
    for (let i = 1; i < ends.length; i++) ends[i] += ends[i - 1];
    this.file = i => new Blob([files.subarray(ends[i] - length[i], ends[i])], { type: this.form.kinds[kind[i]] });
  }
  get n() { return this.at.size; }
  // A canvas; null if the page has no picture of the point, or if it is still loading: then it is told when it is there.
  of(place, whenLoaded) {
    const i = this.at.get(place);
    if (i === undefined) return null;
    if (!this.kept.has(i)) this.kept.set(i, this.pixels ? this.drawn(i) : this.loaded(i));
    const found = this.kept.get(i);
    if (found.tagName === "CANVAS") return found;
    found.addEventListener("load", whenLoaded, { once: true });
    return null;
  }
  drawn(i) {
    const { width, height, colours } = this.form;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const image = canvas.getContext("2d").createImageData(width, height);
    const from = i * width * height * colours;
    for (let k = 0; k < width * height; k++) {
      for (let c = 0; c < 3; c++) image.data[4 * k + c] = this.pixels[from + k * colours + (colours > 1 ? c : 0)];
      image.data[4 * k + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }
  // A file's image, of which a small canvas is kept once it is loaded: drawings are turned into pixels once only.
  loaded(i) {
    const image = new Image();
    image.addEventListener("load", () => {
      const scale = Math.min(1, SMALL / Math.max(1, image.naturalWidth, image.naturalHeight));
      const [width, height] = [image.naturalWidth || SMALL, image.naturalHeight || SMALL].map(side => Math.ceil(side * scale));
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      canvas.getContext("2d").drawImage(image, 0, 0, width, height);
      this.kept.set(i, canvas);
      URL.revokeObjectURL(image.src);
    });
    if (!this.waiting.length) setTimeout(() => this.load());
    this.waiting.push(() => { image.src = URL.createObjectURL(this.file(i)); });
    return image;
  }
  // A few at a time, so that clicks need not wait for them.
  load() {
    for (const begin of this.waiting.splice(0, 12)) begin();
    if (this.waiting.length) setTimeout(() => this.load(), 16);
  }
  // An element to put into the page, beside the name, which it only adorns.
  element(place) {
    const i = this.at.get(place);
    if (i === undefined) return null;
    const shown = this.pixels ? this.of(place).cloneNode() : new Image();
    if (this.pixels) {
      shown.getContext("2d").drawImage(this.of(place), 0, 0);
      shown.setAttribute("aria-hidden", "true");
    } else {
      shown.addEventListener("load", () => URL.revokeObjectURL(shown.src));
      shown.src = URL.createObjectURL(this.file(i));
      shown.alt = "";
    }
    shown.classList.add("picture");
    return shown;
  }
}

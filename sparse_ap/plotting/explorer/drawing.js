// Elements, numbers and colours.

// An element; children are elements or text, never markup.
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") for (const [key, set] of Object.entries(value)) element.style.setProperty(key, set);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined && child !== ""));
  return element;
}

const count = n => n.toLocaleString("en");
const counted = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

function percent(part, whole) {
  const value = 100 * part / whole;
  if (value > 0 && value < 0.1) return "under 0.1 %";
  return `${value >= 9.95 ? value.toFixed(0) : value.toFixed(1)} %`;
}

// A number in three digits.
function digits(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en").replace("-", "−");
  if (size && size < 0.001) {
    const [shown, power] = value.toExponential(1).replace("-", "−").split("e");
    return `${shown}×10${[...power].map(letter => "⁰¹²³⁴⁵⁶⁷⁸⁹"[letter] ?? "⁻").join("")}`;
  }
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

const darkness = matchMedia("(prefers-color-scheme: dark)");
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");
let inkOnPaper = false;
const isDark = () => darkness.matches && !inkOnPaper;

function rgb(text) { return [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16)); }
function mixed(one, other, share) { return one.map((value, i) => Math.round(value + (other[i] - value) * share)); }
const css = colour => `rgb(${colour.join(" ")})`;

// --ground of explorer.css; in print the light one before the style sheet knows of it.
const ground = () => isDark() ? [21, 24, 29] : [255, 255, 255];

// The colour of the k-th of several.
function colourOf(tree, k) {
  const palette = tree.head.palettes[isDark() ? "dark" : "light"];
  return rgb(palette[k % palette.length]);
}
const tint = (colour, share) => css(mixed(ground(), colour, share));

// Draw a picture into a rectangle, whole and in the middle.
function fit(context, picture, x, y, width, height) {
  const { width: wide, height: high } = picture;
  const scale = Math.min(width / wide, height / high);
  context.imageSmoothingEnabled = scale < 2;
  const [w, v] = [wide * scale, high * scale];
  context.drawImage(picture, x + (width - w) / 2, y + (height - v) / 2, w, v);
}

function sharp(canvas, width, height) {
  const ratio = Math.min(3, devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

// How wide a map's tag with a text is, in pixels; as .tag in explorer.css.
const measuring = document.createElement("canvas").getContext("2d");
measuring.font = `600 13.2px ${getComputedStyle(document.body).fontFamily}`;
const widthOf = text => Math.ceil(measuring.measureText(text).width) + 20;

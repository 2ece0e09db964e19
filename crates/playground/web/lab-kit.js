// What the tabs "Gradient", "Digits" and "Speed" share: texts of their own, plots with axes, colours for loss and ink.

import { el, help } from "./dom.js";
import { palette, scale } from "./colours.js";

/** Texts of a module: `table` is {key: {en, fr}}. Elements made by `text` follow the language. */
export function makeKit(app, root, table) {
  const texts = (key, values = {}) => {
    const entry = table[key];
    if (!entry) return app.texts(key, values);
    return (entry[app.language] ?? entry.en).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  };
  texts.has = (key) => key in table || app.texts.has?.(key);
  texts.orNothing = texts;
  const ATTRIBUTES = [["own", null], ["ownLabel", "aria-label"], ["ownTitle", "title"]];
  const kit = {
    texts,
    get language() {
      return app.language;
    },
    on: (event, handler) => app.on(event, handler),
    /** An element that holds a text. */
    text: (key, tag = "span", props = {}) => el(tag, { ...props, "data-own": key }, texts(key)),
    button: (key, onclick, props = {}) => el("button", { type: "button", class: "button", ...props, onclick, "data-own": key }, texts(key)),
    help: (key) => help(kit, key),
    /** A heading with its explanation behind a `?`. */
    title: (key, tag = "h3") => el("div", { class: "lab-title" }, kit.text(key, tag), texts.has(`${key}Help`) ? kit.help(key) : null),
    field: (key, control, explained = true) => {
      control.id ||= `${root.id}-${key}`;
      const head = el("div", { class: "field-head" }, kit.text(key, "label", { for: control.id }), explained && texts.has(`${key}Help`) ? kit.help(key) : null);
      return el("div", { class: "field" }, head, control);
    },
    /** A number with a label. */
    figure: (key) => {
      const output = el("output", {}, "–");
      return { node: el("div", { class: "figure" }, kit.text(key, "span", { class: "hint" }), output), output };
    },
    options: (control, options, chosen) => {
      control.replaceChildren(...options.map(([value, key]) => (key in table ? el("option", { value, "data-own": key }, texts(key)) : el("option", { value }, key))));
      control.value = String(chosen);
    },
    number: (value, digits) => app.number(value, digits),
    /** A number with so many digits that count, whatever its size. */
    digits: (value, digits = 6) => {
      if (!Number.isFinite(value)) return app.number(value);
      const size = Math.abs(value);
      const plain = (number, style) => new Intl.NumberFormat(app.language, style).format(number).replace("-", "−");
      if (size === 0 || (size >= 1e-3 && size < 1e7)) return plain(value, { maximumSignificantDigits: digits });
      // 3.7 · 10⁻⁴
      const [mantissa, power] = value.toExponential(Math.max(1, Math.min(3, digits - 1))).split("e");
      const raised = [...String(Number(power))].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");
      const front = Number(mantissa);
      return Math.abs(front) === 1 ? `${front < 0 ? "−" : ""}10${raised}` : `${plain(front, { maximumFractionDigits: Math.max(1, Math.min(3, digits - 1)) })}\u202f·\u202f10${raised}`;
    },
    fixed: (value, digits) => new Intl.NumberFormat(app.language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value).replace("-", "−"),
    percent: (value, digits = 1) => (Number.isFinite(value) ? new Intl.NumberFormat(app.language, { style: "percent", maximumFractionDigits: digits }).format(value) : "–"),
    translate: () => {
      for (const [data, attribute] of ATTRIBUTES) {
        const name = data.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
        for (const node of root.querySelectorAll(`[data-${name}]`)) {
          const words = texts(node.dataset[data]);
          if (attribute) node.setAttribute(attribute, words);
          else node.textContent = words;
        }
      }
    },
    palette: () => palette(app.state.theme),
    scale: () => scale(app.state.theme),
  };
  app.on("language", kit.translate);
  return kit;
}

/** What an error says to people. */
export const words = (error) => String(error?.message ?? error);

const GRADIENTS = {
  // From the valley, in blue, up to the hills, in orange.
  light: ["#173f6b", "#2f77b5", "#8fbfdd", "#e9efe9", "#f6cf94", "#e58e3a", "#a84c12"],
  dark: ["#8accff", "#3f8fd0", "#22557f", "#2b323c", "#6b4a26", "#bd7a30", "#ffc98a"],
};

/** 256 colours of a height from 0 (valley) to 1, as an ImageData of a little-endian machine holds them. */
export function heights(theme) {
  return ramp(GRADIENTS[theme] ?? GRADIENTS.light);
}

/** 256 colours from paper to ink. */
export function ink(theme) {
  return ramp(theme === "dark" ? ["#12151a", "#e9ecf1"] : ["#fbfbf8", "#1c2430"]);
}

const ramps = new Map();

function ramp(stops) {
  const key = stops.join();
  if (!ramps.has(key)) {
    const parts = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
    const table = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const at = (i / 255) * (parts.length - 1);
      const low = Math.min(parts.length - 2, Math.floor(at));
      const [r, g, b] = parts[low].map((from, c) => Math.round(from + (parts[low + 1][c] - from) * (at - low)));
      table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
    }
    ramps.set(key, table);
  }
  return ramps.get(key);
}

/** Round numbers between two others, about so many. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((m) => m >= rough);
  const out = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-6; i++) out.push(i * step || 0);
  return out;
}

export const PAD = { left: 52, right: 14, top: 12, bottom: 26 };

/** Draws axes with marks; gives the functions from values to places. */
export function axes(context, kit, width, height, [x0, x1], [y0, y1], { percent = false, below = "" } = {}) {
  const colours = kit.palette();
  const [w, h] = [width - PAD.left - PAD.right, height - PAD.top - PAD.bottom];
  const x = (value) => PAD.left + ((value - x0) / (x1 - x0 || 1)) * w;
  const y = (value) => PAD.top + h - ((value - y0) / (y1 - y0 || 1)) * h;
  context.clearRect(0, 0, width, height);
  context.font = "11.5px system-ui, sans-serif";
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const value of ticks(y0, y1, 4)) {
    const at = Math.round(y(value)) + 0.5;
    context.strokeStyle = colours.line;
    stroke(context, [[PAD.left, at], [PAD.left + w, at]]);
    context.fillStyle = colours.muted;
    context.fillText(percent ? kit.percent(value, 0) : kit.digits(value, 4), PAD.left - 7, at);
  }
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  context.fillStyle = colours.muted;
  const named = below ? context.measureText(below).width + 14 : 0;
  for (const value of ticks(x0, x1, Math.max(2, Math.floor(w / 90)))) {
    if (x(value) > PAD.left + w - named) continue;
    context.fillText(kit.digits(value, 4), x(value), height - 8);
  }
  context.textAlign = "right";
  context.fillText(below, PAD.left + w, height - 8);
  return { x, y, w, h };
}

export function stroke(context, places) {
  context.beginPath();
  for (const [x, y] of places) context.lineTo(x, y);
  context.stroke();
}

/** Calls `work` at most each so many milliseconds, and once more at the end. Calls do not overlap. */
export function calmly(milliseconds, work) {
  let [wanted, busy, last, timer] = [false, false, 0, 0];
  const run = async () => {
    timer = 0;
    if (busy) return;
    busy = true;
    wanted = false;
    try {
      await work();
    } finally {
      busy = false;
      last = performance.now();
      if (wanted) timer ||= setTimeout(run, milliseconds);
    }
  };
  return () => {
    wanted = true;
    if (!busy) timer ||= setTimeout(run, Math.max(0, last + milliseconds - performance.now()));
  };
}

/** A point of a plot, with an edge that keeps it apart from what it lies on. */
export function dot(context, [x, y], r, fill, edge) {
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.strokeStyle = edge;
  context.lineWidth = 2;
  context.stroke();
}

// Pictures of the tab "Digits": grids of small images, and the curves.

import { sharp } from "./dom.js";
import { axes, ink, stroke } from "./lab-kit.js";

const GAP = 4;

/** A grid of small images on one canvas; one of them can be chosen with the pointer or the arrow keys. */
export class Grid {
  #kit;
  #canvas;
  #chosen;
  #columns = 1;
  #cell = 1;
  #count = 0;
  #small = document.createElement("canvas");
  at = null;

  /** `chosen(index)` is told of the image under the pointer, or null; without it nothing can be chosen. `label`: the key of what the canvas shows. */
  constructor(kit, canvas, label, chosen) {
    this.#kit = kit;
    this.#canvas = canvas;
    this.#chosen = chosen;
    canvas.dataset.ownLabel = label;
    canvas.setAttribute("aria-label", kit.texts(label));
    canvas.setAttribute("role", chosen ? "slider" : "img");
    if (!chosen) return;
    canvas.setAttribute("aria-valuenow", "0");
    canvas.tabIndex = 0;
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #choose(index) {
    if (index === this.at) return;
    this.at = index;
    this.#chosen(index);
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    const [column, row] = [event.clientX - box.left, event.clientY - box.top].map((v) => Math.floor(v / (this.#cell + GAP)));
    const index = row * this.#columns + column;
    if (column >= 0 && column < this.#columns && index >= 0 && index < this.#count) this.#choose(index);
  }

  #key(event) {
    const now = this.at ?? 0;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, ArrowUp: now - this.#columns, ArrowDown: now + this.#columns, Home: 0, End: this.#count - 1 }[event.key];
    if (to === undefined || !this.#count) return;
    event.preventDefault();
    this.#choose(Math.min(this.#count - 1, Math.max(0, to)));
  }

  /** For screen readers: which one is chosen, in words. */
  tell(words) {
    const set = (name, value) => this.#canvas.setAttribute(name, String(value));
    set("aria-valuemin", 1);
    set("aria-valuemax", Math.max(1, this.#count));
    set("aria-valuenow", (this.at ?? 0) + 1);
    set("aria-valuetext", words);
  }

  /** Draws `count` images of `height` x `width` values; `colour(value)` is a place in `table`; `ring(index)` from 0 to 1 draws a frame. */
  draw({ count, height, width }, values, colour, table, { columns, most = 64, ring = null }) {
    const room = this.#canvas.parentElement.clientWidth;
    if (!room) return;
    this.#count = count;
    this.#columns = columns;
    this.#cell = Math.max(4, Math.min(most, Math.floor((room + GAP) / columns) - GAP));
    const [cell, rows] = [this.#cell, Math.ceil(count / columns)];
    const [w, h] = [columns * (cell + GAP) - GAP, rows * (cell + GAP) - GAP];
    this.#canvas.style.width = `${w}px`;
    this.#canvas.style.height = `${h}px`;
    const context = sharp(this.#canvas, w, h);
    context.clearRect(0, 0, w, h);
    // All images into one bitmap, which is then drawn piece by piece.
    this.#small.width = width;
    this.#small.height = height * count;
    const bitmap = this.#small.getContext("2d");
    const image = bitmap.createImageData(width, height * count);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[colour(values[i])];
    bitmap.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    const colours = this.#kit.palette();
    for (let i = 0; i < count; i++) {
      const [x, y] = [(i % columns) * (cell + GAP), Math.floor(i / columns) * (cell + GAP)];
      context.drawImage(this.#small, 0, i * height, width, height, x, y, cell, cell);
      const share = ring?.(i) ?? 0;
      if (share > 0.02) {
        context.strokeStyle = colours.ink;
        context.globalAlpha = Math.min(1, share);
        context.lineWidth = 2;
        context.strokeRect(x - 0.5, y - 0.5, cell + 1, cell + 1);
        context.globalAlpha = 1;
      }
      if (this.at === i) {
        context.strokeStyle = colours.positive;
        context.lineWidth = 2.5;
        context.strokeRect(x + 1, y + 1, cell - 2, cell - 2);
      }
    }
  }
}

/** One image of 28 x 28 (or other) values on a canvas of so many CSS pixels. */
export function drawImage(canvas, values, width, size, colour, table) {
  const height = values.length / width;
  const small = document.createElement("canvas");
  small.width = width;
  small.height = height;
  const bitmap = small.getContext("2d");
  const image = bitmap.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[colour(values[i])];
  bitmap.putImageData(image, 0, 0);
  const context = sharp(canvas, size, size);
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, size, size);
  context.drawImage(small, 0, 0, width, height, 0, 0, size, size);
}

/** The place of a value from 0 to 1 in 256 colours. */
export const inked = (theme) => [(value) => (value > 0 ? Math.min(255, (value * 255) | 0) : 0), ink(theme)];

const HEIGHT = 210;

/** Accuracy or loss over the steps. */
export class Curve {
  #kit;
  #canvas;
  #say;
  #at = null;
  #places = [];
  /** Step, train loss, train accuracy, test loss, test accuracy, step, ... */
  values = new Float64Array();
  what = "accuracy";

  constructor(kit, canvas, say) {
    this.#kit = kit;
    this.#canvas = canvas;
    this.#say = say;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "slider");
    canvas.setAttribute("aria-valuenow", "0");
    canvas.dataset.ownLabel = "curve";
    const point = (event) => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      if (!this.#places.length) return;
      this.#at = this.#places.reduce((best, place, i) => (Math.abs(place - x) < Math.abs(this.#places[best] - x) ? i : best), 0);
      this.draw();
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    const leave = () => {
      this.#at = null;
      this.draw();
    };
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("blur", leave);
    canvas.addEventListener("keydown", (event) => {
      const n = this.values.length / 5;
      const now = this.#at ?? n - 1;
      const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: n - 1 }[event.key];
      if (to === undefined || !n) return;
      event.preventDefault();
      this.#at = Math.min(n - 1, Math.max(0, to));
      this.draw();
    });
  }

  draw() {
    const width = this.#canvas.parentElement.clientWidth;
    if (!width) return;
    const [kit, values] = [this.#kit, this.values];
    const accuracy = this.what === "accuracy";
    const [train, test] = accuracy ? [2, 4] : [1, 3];
    const n = values.length / 5;
    const last = n ? values[(n - 1) * 5] : 0;
    let most = accuracy ? 1 : 0;
    for (let i = 0; i < n && !accuracy; i++) for (const at of [train, test]) if (Number.isFinite(values[i * 5 + at])) most = Math.max(most, values[i * 5 + at]);
    const context = sharp(this.#canvas, width, HEIGHT);
    const { x, y, h } = axes(context, kit, width, HEIGHT, [0, Math.max(last, 20)], [0, most || 2.5], { percent: accuracy, below: kit.texts("steps") });
    const colours = kit.palette();
    const line = (which) => {
      const out = [];
      for (let i = 0; i < n; i++) if (Number.isFinite(values[i * 5 + which])) out.push([x(values[i * 5]), y(values[i * 5 + which])]);
      return out;
    };
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.strokeStyle = colours.muted;
    context.setLineDash([5, 3]);
    stroke(context, line(train));
    context.setLineDash([]);
    context.strokeStyle = colours.positive;
    context.lineWidth = 2.5;
    stroke(context, line(test));
    this.#places = Array.from({ length: n }, (_, i) => x(values[i * 5]));
    if (this.#at !== null && this.#at < n) {
      const at = this.#places[this.#at];
      context.lineWidth = 1;
      context.strokeStyle = colours.muted;
      stroke(context, [[at, y(0)], [at, y(0) - h]]);
      for (const [which, colour] of [[train, colours.muted], [test, colours.positive]]) {
        if (!Number.isFinite(values[this.#at * 5 + which])) continue;
        context.beginPath();
        context.arc(at, y(values[this.#at * 5 + which]), 4, 0, 2 * Math.PI);
        context.fillStyle = colour;
        context.fill();
      }
    }
    this.#tell(n, last, train, test, accuracy);
  }

  #tell(n, last, train, test, accuracy) {
    const kit = this.#kit;
    const i = Math.min(this.#at ?? n - 1, n - 1);
    const shown = (value) => (accuracy ? kit.percent(value) : kit.number(value));
    const words = n
      ? kit.texts("curveAt", { step: kit.number(this.values[i * 5], 0), train: shown(this.values[i * 5 + train]), test: shown(this.values[i * 5 + test]) })
      : kit.texts("curveNone");
    const set = (name, value) => this.#canvas.setAttribute(name, String(value));
    set("aria-label", kit.texts("curve"));
    set("aria-valuemin", 0);
    set("aria-valuemax", last);
    set("aria-valuenow", n ? this.values[i * 5] : 0);
    set("aria-valuetext", words);
    this.#say(words);
  }
}

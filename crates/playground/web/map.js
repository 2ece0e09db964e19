// The large map: what the network, or one neuron of it, answers at every place, with the points on it.

import { classShades, mark, palette, scale } from "./colours.js";
import { sharp } from "./dom.js";

/** Values along a side of the engine's maps. */
export const MAP_SIZE = 64;
/** Pixels along a side of the large map: values between the engine's are interpolated. */
const FINE = 256;
/** Room for the numbers at the left and below; a table's own numbers may be long. */
const EDGE = 24;
const WIDE_EDGE = 42;

const LOW = [];
const SHARE = [];
for (let i = 0; i < FINE; i++) {
  const at = Math.min(Math.max(((i + 0.5) * MAP_SIZE) / FINE - 0.5, 0), MAP_SIZE - 1.001);
  LOW.push(Math.floor(at));
  SHARE.push(at - Math.floor(at));
}

export class MainMap {
  #app;
  #canvas;
  #base = document.createElement("canvas");
  #points = document.createElement("canvas");
  #image;
  #pointsKnown = null;
  size = 300;
  edge = EDGE;
  /** Points are not drawn while the visitor draws others. */
  hidden = false;

  constructor(app, canvas) {
    this.#app = app;
    this.#canvas = canvas;
    this.#base.width = this.#base.height = FINE;
    this.#image = new ImageData(FINE, FINE);
  }

  /** Draws map `first` (and, for classes, the `count` that follow) of all maps. */
  draw(first, count, { discrete, showTest }) {
    const { maps, theme } = this.#app.state;
    const width = this.#canvas.parentElement.clientWidth;
    if (!width) return;
    this.edge = this.#app.state.setup?.axes ? WIDE_EDGE : EDGE;
    this.size = width - this.edge;
    const area = MAP_SIZE * MAP_SIZE;
    if (maps.length >= (first + count) * area) {
      if (count > 1) this.#classes(maps, first, count, theme, discrete);
      else this.#values(maps, first * area, theme, discrete);
      this.#base.getContext("2d").putImageData(this.#image, 0, 0);
    }
    const context = sharp(this.#canvas, width, this.size + EDGE);
    context.clearRect(0, 0, width, width);
    context.save();
    context.beginPath();
    context.roundRect(this.edge, 0, this.size, this.size, 8);
    context.clip();
    context.drawImage(this.#base, this.edge, 0, this.size, this.size);
    if (!this.hidden) {
      this.#drawPoints(showTest);
      context.drawImage(this.#points, this.edge, 0, this.size, this.size);
    }
    context.restore();
    this.#axes(context, theme);
  }

  /** The place of a mouse or finger in the data's coordinates. */
  place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left - this.edge) / this.size) * 12 - 6;
    const y = 6 - ((event.clientY - box.top) / this.size) * 12;
    return { x, y, inside: Math.abs(x) <= 6 && Math.abs(y) <= 6 };
  }

  /** Points changed, or how they look. */
  forget() {
    this.#pointsKnown = null;
  }

  /** The engine's value of a map at a place. */
  value(map, x, y) {
    const at = (v) => Math.min(MAP_SIZE - 1, Math.max(0, Math.round(((v + 6) / 12) * MAP_SIZE - 0.5)));
    return this.#app.state.maps[map * MAP_SIZE * MAP_SIZE + at(-y) * MAP_SIZE + at(x)];
  }

  #values(maps, offset, theme, discrete) {
    const table = scale(theme);
    const pixels = new Uint32Array(this.#image.data.buffer);
    for (let row = 0; row < FINE; row++) {
      const [above, down] = [offset + LOW[row] * MAP_SIZE, SHARE[row]];
      for (let column = 0; column < FINE; column++) {
        const [at, right] = [above + LOW[column], SHARE[column]];
        const top = maps[at] + (maps[at + 1] - maps[at]) * right;
        const bottom = maps[at + MAP_SIZE] + (maps[at + MAP_SIZE + 1] - maps[at + MAP_SIZE]) * right;
        const value = top + (bottom - top) * down;
        pixels[row * FINE + column] =
          table[discrete ? (value >= 0 ? 255 : 0) : value >= 1 ? 255 : value > -1 ? (value * 127.5 + 127.5) | 0 : value <= -1 ? 0 : 128];
      }
    }
  }

  #classes(maps, first, count, theme, discrete) {
    const shades = classShades(theme, count, discrete);
    const pixels = new Uint32Array(this.#image.data.buffer);
    const area = MAP_SIZE * MAP_SIZE;
    for (let row = 0; row < FINE; row++) {
      const [above, down] = [first * area + LOW[row] * MAP_SIZE, SHARE[row]];
      for (let column = 0; column < FINE; column++) {
        const right = SHARE[column];
        let at = above + LOW[column];
        let best = 0;
        let most = -Infinity;
        for (let c = 0; c < count; c++, at += area) {
          const top = maps[at] + (maps[at + 1] - maps[at]) * right;
          const bottom = maps[at + MAP_SIZE] + (maps[at + MAP_SIZE + 1] - maps[at + MAP_SIZE]) * right;
          const score = top + (bottom - top) * down;
          if (score > most) {
            most = score;
            best = c;
          }
        }
        pixels[row * FINE + column] = shades[best * 64 + Math.min(63, Math.max(0, ((most + 1) * 32) | 0))];
      }
    }
  }

  /** Points change seldom: they are kept as a picture. */
  #drawPoints(showTest) {
    const { points, theme, setup } = this.#app.state;
    const known = `${this.edge} ${showTest} ${theme} ${this.size} ${setup?.problem} ${setup?.classes}`;
    if (this.#pointsKnown === known) return;
    this.#pointsKnown = known;
    const context = sharp(this.#points, this.size, this.size);
    context.clearRect(0, 0, this.size, this.size);
    drawPoints(context, points, this.size, theme, setup?.problem === "regression", {
      showTest,
      radius: setup?.problem === "regression" ? 2.6 : this.size > 260 ? 3.4 : 2.8,
    });
  }

  #axes(context, theme) {
    const { muted } = palette(theme);
    context.fillStyle = muted;
    context.font = "11px system-ui, sans-serif";
    const { axes } = this.#app.state.setup ?? {};
    const [across, up] = [axes?.x1, axes?.x2].map((axis) => axis ?? { low: -6, high: 6 });
    for (let v = -6; v <= 6; v += 3) {
      const share = (v + 6) / 12;
      const at = share * this.size;
      const words = short(across.low + share * (across.high - across.low));
      context.textAlign = v === -6 ? "left" : v === 6 ? "right" : "center";
      context.textBaseline = "top";
      context.fillText(words, this.edge + at, this.size + 7);
      context.textAlign = "right";
      context.textBaseline = v === -6 ? "bottom" : v === 6 ? "top" : "middle";
      context.fillText(short(up.low + share * (up.high - up.low)), this.edge - 5, this.size - at);
    }
  }
}

/** A number in few letters. */
function short(value) {
  const size = Math.abs(value);
  const text =
    size !== 0 && size < 0.01
      ? value.toExponential(0)
      : new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 2 }).format(value);
  return text.replaceAll("-", "−");
}

/** Points as the engine gives them, on a square: a shape and colour for each class, a colour from the scale for values; points to test with are hollow. */
export function drawPoints(context, points, size, theme, regression, { showTest = true, radius = 3.4 } = {}) {
  const { classes, edge } = palette(theme);
  const table = scale(theme);
  const hex = (packed) => `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;
  const faint = theme === "dark" ? "rgb(190 198 210 / 50%)" : "rgb(28 36 48 / 38%)";
  const draw = (test) => {
    for (let i = 0; i + 3 < points.length; i += 4) {
      if ((points[i + 3] !== 0) !== test) continue;
      const [x, y] = [((points[i] + 6) / 12) * size, ((6 - points[i + 1]) / 12) * size];
      const label = points[i + 2];
      const colour = regression ? hex(table[Math.round(Math.min(1, Math.max(-1, label)) * 127.5 + 127.5)]) : (classes[label] ?? classes[0]);
      mark(context, regression ? 0 : label, x, y, radius);
      if (test) {
        context.fillStyle = edge;
        context.fill();
        context.lineWidth = 1.7;
        context.strokeStyle = colour;
      } else {
        context.fillStyle = colour;
        context.fill();
        context.lineWidth = 1;
        context.strokeStyle = regression ? faint : edge;
      }
      context.stroke();
    }
  };
  draw(false);
  if (showTest) draw(true);
}

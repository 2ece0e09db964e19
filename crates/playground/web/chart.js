// Curves of the loss, with the values under the mouse, the finger or the arrow keys.

import { palette } from "./colours.js";
import { sharp } from "./dom.js";

const HEIGHT = 116;
const PAD = { left: 40, right: 10, top: 10, bottom: 20 };

export class Chart {
  #app;
  #canvas;
  #say;
  #at = null;
  log = false;

  /** `say(text)` is told the values at the cursor, or "" when there is none. */
  constructor(app, canvas, say) {
    this.#app = app;
    this.#canvas = canvas;
    this.#say = say;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "slider");
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => this.#leave());
    canvas.addEventListener("blur", () => this.#leave());
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  draw() {
    const { curve, theme, stepsPerEpoch } = this.#app.state;
    const colours = palette(theme);
    const width = this.#canvas.parentElement.clientWidth;
    if (!width) return;
    const context = sharp(this.#canvas, width, HEIGHT);
    context.clearRect(0, 0, width, HEIGHT);
    const [w, h] = [width - PAD.left - PAD.right, HEIGHT - PAD.top - PAD.bottom];
    const n = Math.floor(curve.length / 3);
    const last = n ? curve[(n - 1) * 3] : 0;
    let [most, least] = [0, Infinity];
    for (let i = 0; i < n; i++) {
      for (const value of [curve[i * 3 + 1], curve[i * 3 + 2]]) {
        if (!Number.isFinite(value)) continue;
        most = Math.max(most, value);
        if (value > 0) least = Math.min(least, value);
      }
    }
    if (!(most > 0)) most = 1;
    const [top, bottom] = this.log
      ? [Math.ceil(Math.log10(most)), Math.floor(Math.log10(Math.max(Math.min(least, most / 10), most * 1e-8)))]
      : [nice(most), 0];
    const y = (value) => PAD.top + h - (((this.log ? Math.log10(Math.max(value, 1e-30)) : value) - bottom) / (top - bottom || 1)) * h;
    const x = (step) => PAD.left + (last > 0 ? step / last : 0) * w;

    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    const marks = this.log ? decades(bottom, top) : [0, top / 2, top];
    for (const value of marks) {
      const at = Math.round(y(value)) + 0.5;
      context.strokeStyle = colours.line;
      line(context, [
        [PAD.left, at],
        [PAD.left + w, at],
      ]);
      context.fillStyle = colours.muted;
      context.fillText(this.#app.number(value, 3), PAD.left - 6, at);
    }
    context.textBaseline = "top";
    const epochs = last / (stepsPerEpoch || 1);
    context.textAlign = "left";
    context.fillText("0", PAD.left, HEIGHT - 14);
    context.textAlign = "right";
    if (last > 0) context.fillText(this.#app.texts("epochAt", { epoch: this.#app.number(epochs, 1) }), PAD.left + w, HEIGHT - 14);

    const series = (which) => {
      const out = [];
      for (let i = 0; i < n; i++) {
        const value = curve[i * 3 + which];
        if (Number.isFinite(value)) out.push([x(curve[i * 3]), Math.min(PAD.top + h, Math.max(PAD.top, y(value)))]);
      }
      return thinned(out, w * 2);
    };
    context.lineJoin = "round";
    context.lineWidth = 2;
    context.strokeStyle = colours.muted;
    context.setLineDash([5, 3]);
    line(context, series(1));
    context.setLineDash([]);
    context.strokeStyle = colours.ink;
    line(context, series(2));

    if (this.#at !== null && n) {
      const i = (this.#at = Math.min(this.#at, n - 1));
      const at = x(curve[i * 3]);
      context.lineWidth = 1;
      context.strokeStyle = colours.muted;
      line(context, [
        [at, PAD.top],
        [at, PAD.top + h],
      ]);
      for (const [which, colour] of [
        [1, colours.muted],
        [2, colours.ink],
      ]) {
        context.beginPath();
        context.arc(at, Math.min(PAD.top + h, y(curve[i * 3 + which])), 3.5, 0, 2 * Math.PI);
        context.fillStyle = colour;
        context.fill();
      }
    }
    this.#tell(n, last);
  }

  #tell(n, last) {
    const { curve, stepsPerEpoch } = this.#app.state;
    const i = this.#at ?? n - 1;
    const words = n
      ? this.#app.texts("curveAt", {
          epoch: this.#app.number(curve[i * 3] / (stepsPerEpoch || 1), 1),
          train: this.#app.number(curve[i * 3 + 1], 4),
          test: this.#app.number(curve[i * 3 + 2], 4),
        })
      : this.#app.texts("curveNone");
    const set = (name, value) => this.#canvas.setAttribute(name, value);
    set("aria-label", this.#app.texts("curves"));
    set("aria-valuemin", "0");
    set("aria-valuemax", String(last));
    set("aria-valuenow", String(n ? curve[i * 3] : 0));
    set("aria-valuetext", words);
    this.#say(this.#at === null ? "" : words);
  }

  #point(event) {
    const { curve } = this.#app.state;
    const n = Math.floor(curve.length / 3);
    if (!n) return;
    const box = this.#canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - PAD.left) / (box.width - PAD.left - PAD.right);
    const step = share * curve[(n - 1) * 3];
    let best = 0;
    for (let i = 1; i < n; i++) if (Math.abs(curve[i * 3] - step) < Math.abs(curve[best * 3] - step)) best = i;
    this.#at = best;
    this.draw();
  }

  #leave() {
    if (this.#at === null) return;
    this.#at = null;
    this.draw();
  }

  #key(event) {
    const n = Math.floor(this.#app.state.curve.length / 3);
    const now = this.#at ?? n - 1;
    const to = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - 10,
      PageUp: now + 10,
      Home: 0,
      End: n - 1,
    }[event.key];
    if (to === undefined || !n) return;
    event.preventDefault();
    this.#at = Math.min(n - 1, Math.max(0, to));
    this.draw();
  }
}

function line(context, places) {
  context.beginPath();
  for (const [x, y] of places) context.lineTo(x, y);
  context.stroke();
}

/** So many places at most, the last among them. */
function thinned(places, most) {
  if (places.length <= most) return places;
  const each = Math.ceil(places.length / most);
  return places.filter((_, i) => i % each === 0 || i === places.length - 1);
}

function decades(low, high) {
  const out = [];
  const each = Math.max(1, Math.ceil((high - low) / 4));
  for (let power = low; power <= high; power += each) out.push(10 ** power);
  return out;
}

/** A round number not below `value`. */
function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((m) => m * unit).find((m) => m >= value * 0.999) ?? value;
}

// The loss along two directions through the present weights, as a map with contour lines and the path of the optimizer.

import { el, sharp } from "./dom.js";
import { calmly, dot, heights, words } from "./lab-kit.js";

const MARGIN = 8;

export class Surface {
  #app;
  #kit;
  #found = null;
  #step = -1;
  #busy = false;
  #fits = true;
  #cursor = null;
  #nodes = {};
  #soon = calmly(120, () => this.compute());

  constructor(app, kit) {
    this.#app = app;
    this.#kit = kit;
    const nodes = this.#nodes;
    nodes.size = el("select", { onchange: () => this.compute() });
    kit.options(nodes.size, [["17", "coarse"], ["33", "medium"], ["65", "fine"]], "33");
    nodes.span = el("input", { type: "range", min: -1.5, max: 1.5, step: 0.125, value: 0, onchange: () => this.compute(), oninput: () => this.#own() });
    nodes.spanValue = el("output");
    nodes.compute = kit.button("compute", () => this.compute(), { class: "button main" });
    nodes.map = el("canvas", { class: "lab-map", tabindex: 0, role: "slider", "aria-valuenow": 0, "data-own-label": "mapLabel" });
    nodes.at = el("p", { class: "hint lab-at" });
    nodes.says = el("p", { class: "hint", "aria-live": "polite" });
    nodes.low = el("output");
    nodes.high = el("output");
    nodes.bar = el("canvas", { class: "lab-bar", "aria-hidden": "true" });
    nodes.directions = el("p", { class: "hint" });
    const span = kit.field("span", nodes.span);
    span.firstElementChild.append(nodes.spanValue);
    const legend = el(
      "p",
      { class: "hint lab-legend" },
      ...["path", "start", "here"].map((key) => el("span", {}, el("span", { class: `lab-${key}`, "aria-hidden": "true" }), kit.text(key))),
    );
    this.node = el(
      "section",
      { class: "card stack" },
      kit.title("surface", "h2"),
      el("div", { class: "lab-fields three" }, kit.field("size", nodes.size), span, nodes.compute),
      el("div", { class: "lab-plot" }, nodes.map),
      el("div", { class: "lab-scale" }, kit.text("valley", "span", { class: "hint" }), nodes.low, nodes.bar, nodes.high, kit.text("hill", "span", { class: "hint" })),
      legend,
      nodes.at,
      nodes.says,
      nodes.directions,
    );
    const { map } = nodes;
    map.addEventListener("pointermove", (event) => this.#point(event));
    map.addEventListener("pointerdown", (event) => this.#point(event));
    map.addEventListener("pointerleave", () => this.#look(null));
    map.addEventListener("blur", () => this.#look(null));
    map.addEventListener("keydown", (event) => this.#key(event));
    this.#spanText();
  }

  get #span() {
    return 10 ** Number(this.#nodes.span.value);
  }

  /** The visitor's own extent, from now on. */
  #own() {
    this.#fits = false;
    this.#spanText();
  }

  /** Whether the extent was changed so that the path fits. */
  #fitted() {
    if (!this.#fits || this.#found.path.length < 2) return false;
    const reach = this.#found.path.reduce((most, [a, b]) => Math.max(most, Math.abs(a), Math.abs(b)), 0) * 1.2;
    if (!(reach > 0)) return false;
    const { span } = this.#nodes;
    const place = Math.min(Number(span.max), Math.max(Number(span.min), Math.ceil(Math.log10(reach) / 0.125) * 0.125));
    if (place === Number(span.value)) return false;
    span.value = String(place);
    this.#spanText();
    return true;
  }

  #spanText() {
    const text = `± ${this.#kit.digits(this.#span, 2)}`;
    this.#nodes.spanValue.textContent = text;
    this.#nodes.span.setAttribute("aria-valuetext", text);
  }

  reset() {
    this.#step = -1;
    this.#soon();
  }

  /** The weights have changed. A map of standing weights is drawn anew, one of moving weights is called old. */
  moved() {
    if (this.#app.state.playing) this.#tell();
    else this.#soon();
  }

  renamed() {
    this.#spanText();
    this.draw();
  }

  async compute() {
    if (this.#busy || !this.#app.state.weights?.length) return;
    this.#busy = true;
    const { compute, says, size } = this.#nodes;
    compute.disabled = true;
    says.textContent = this.#kit.texts("computing");
    try {
      this.#step = this.#app.state.step;
      this.#found = await this.#app.engine.surface(Number(size.value), this.#span);
      if (this.#fitted()) this.#found = await this.#app.engine.surface(Number(size.value), this.#span);
      this.#cursor = null;
    } catch (error) {
      this.#app.say(words(error), "error");
    }
    this.#busy = false;
    compute.disabled = false;
    this.draw();
  }

  #tell() {
    const { says, at, directions } = this.#nodes;
    const kit = this.#kit;
    if (!this.#found) return;
    const { losses, size, path, explained } = this.#found;
    const finite = losses.filter(Number.isFinite);
    const here = losses[Math.floor(size / 2) * size + Math.floor(size / 2)];
    const fresh = this.#step === this.#app.state.step;
    says.textContent = fresh
      ? kit.texts("surfaceSays", { low: kit.digits(Math.min(...finite), 3), high: kit.digits(Math.max(...finite), 3), size, here: kit.digits(here, 3), count: path.length }) + (path.length > 1 ? "" : ` ${kit.texts("noPath")}`)
      : kit.texts("stale");
    const words = this.#cursor === null ? "" : kit.texts("at", this.#values());
    at.textContent = words;
    directions.textContent = Number.isFinite(explained) ? kit.texts("explained", { share: kit.percent(explained, 0) }) : kit.texts("random");
    const set = (name, value) => this.#nodes.map.setAttribute(name, String(value));
    set("aria-valuemin", 0);
    set("aria-valuemax", size * size - 1);
    set("aria-valuenow", this.#cursor === null ? Math.floor((size * size) / 2) : this.#cursor.row * size + this.#cursor.column);
    set("aria-valuetext", words || says.textContent);
  }

  #values() {
    const { size, span, losses } = this.#found;
    const { row, column } = this.#cursor;
    const along = (place) => this.#kit.digits(-span + (2 * span * place) / (size - 1), 2);
    return { a: along(column), b: along(row), loss: this.#kit.digits(losses[row * size + column], 4) };
  }

  #look(cursor) {
    if (!this.#found || (!cursor && !this.#cursor)) return;
    this.#cursor = cursor;
    this.draw();
  }

  #point(event) {
    if (!this.#found) return;
    const { size } = this.#found;
    const box = this.#nodes.map.getBoundingClientRect();
    const place = (at, from, room) => Math.round(Math.min(1, Math.max(0, (at - from - MARGIN) / (room - 2 * MARGIN))) * (size - 1));
    // Rows go up.
    this.#look({ column: place(event.clientX, box.left, box.width), row: size - 1 - place(event.clientY, box.top, box.height) });
  }

  #key(event) {
    if (!this.#found) return;
    const { size } = this.#found;
    const now = this.#cursor ?? { row: Math.floor(size / 2), column: Math.floor(size / 2) };
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    const inside = (place) => Math.min(size - 1, Math.max(0, place));
    this.#look({ row: inside(now.row + move[0]), column: inside(now.column + move[1]) });
  }

  draw() {
    const { map, bar, low, high } = this.#nodes;
    const side = Math.min(map.parentElement.clientWidth, 520);
    if (!this.#found || !side) return;
    const kit = this.#kit;
    const { size, span, losses, path } = this.#found;
    const colours = kit.palette();
    const table = heights(this.#app.state.theme);
    const finite = losses.filter(Number.isFinite);
    // In logarithms, as valleys are narrow and hills high.
    const least = Math.min(...finite);
    const floor = Math.max(least, Math.max(...finite) * 1e-6, 1e-12);
    const [from, to] = [Math.log(floor), Math.log(Math.max(...finite, floor * 1.0001))];
    const height = (loss) => (Number.isFinite(loss) ? Math.min(1, Math.max(0, (Math.log(Math.max(loss, floor)) - from) / (to - from))) : 1);
    const level = losses.map(height);

    map.style.width = map.style.height = `${side}px`;
    const context = sharp(map, side, side);
    context.clearRect(0, 0, side, side);
    const room = side - 2 * MARGIN;
    const x = (column) => MARGIN + (column / (size - 1)) * room;
    const y = (row) => side - MARGIN - (row / (size - 1)) * room;
    this.#ground(context, level, size, table, room);
    this.#contours(context, level, size, x, y, colours);

    const place = ([a, b]) => [x(((a + span) / (2 * span)) * (size - 1)), y(((b + span) / (2 * span)) * (size - 1))];
    context.save();
    context.beginPath();
    context.roundRect(MARGIN, MARGIN, room, room, 8);
    context.clip();
    context.lineJoin = context.lineCap = "round";
    for (const [colour, thick] of [[colours.surface, 5], [colours.ink, 2.2]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.beginPath();
      for (const point of path) context.lineTo(...place(point));
      context.stroke();
    }
    if (path.length > 1) dot(context, place(path[0]), 5, colours.surface, colours.ink);
    dot(context, place([0, 0]), 6.5, colours.ink, colours.surface);
    if (this.#cursor) dot(context, [x(this.#cursor.column), y(this.#cursor.row)], 5, "transparent", colours.ink);
    context.restore();

    low.textContent = kit.digits(least, 3);
    high.textContent = kit.digits(Math.max(...finite), 3);
    const strip = sharp(bar, 160, 10);
    const image = new ImageData(256, 1);
    new Uint32Array(image.data.buffer).set(table);
    strip.drawImage(bitmap(image), 0, 0, 160, 10);
    this.#tell();
  }

  /** The heights as colours, each pixel between the four values around it. */
  #ground(context, level, size, table, room) {
    const fine = Math.round(room);
    const image = new ImageData(fine, fine);
    const pixels = new Uint32Array(image.data.buffer);
    for (let v = 0; v < fine; v++) {
      const row = (1 - v / (fine - 1)) * (size - 1);
      const r = Math.min(size - 2, Math.floor(row));
      for (let u = 0; u < fine; u++) {
        const column = (u / (fine - 1)) * (size - 1);
        const c = Math.min(size - 2, Math.floor(column));
        const [s, t] = [column - c, row - r];
        const at = r * size + c;
        const value = (level[at] * (1 - s) + level[at + 1] * s) * (1 - t) + (level[at + size] * (1 - s) + level[at + size + 1] * s) * t;
        pixels[v * fine + u] = table[(value * 255) | 0];
      }
    }
    context.save();
    context.beginPath();
    context.roundRect(MARGIN, MARGIN, room, room, 8);
    context.clip();
    context.drawImage(bitmap(image), MARGIN, MARGIN, room, room);
    context.restore();
  }

  /** Lines of equal height: in each square between four values, a line from edge to edge (marching squares). */
  #contours(context, level, size, x, y, colours) {
    context.strokeStyle = colours.ink;
    context.globalAlpha = 0.28;
    context.lineWidth = 1;
    context.beginPath();
    for (let line = 1; line < 12; line++) {
      const at = line / 12;
      for (let r = 0; r < size - 1; r++) {
        for (let c = 0; c < size - 1; c++) {
          const corners = [[r, c], [r, c + 1], [r + 1, c + 1], [r + 1, c]];
          const values = corners.map(([row, column]) => level[row * size + column] - at);
          const cuts = [];
          for (let e = 0; e < 4; e++) {
            const [p, q] = [values[e], values[(e + 1) % 4]];
            if (p < 0 === q < 0) continue;
            const share = p / (p - q);
            const [[r0, c0], [r1, c1]] = [corners[e], corners[(e + 1) % 4]];
            cuts.push([x(c0 + (c1 - c0) * share), y(r0 + (r1 - r0) * share)]);
          }
          for (let i = 0; i + 1 < cuts.length; i += 2) {
            context.moveTo(...cuts[i]);
            context.lineTo(...cuts[i + 1]);
          }
        }
      }
    }
    context.stroke();
    context.globalAlpha = 1;
  }
}

function bitmap(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// Drawing one's own points on the large map, with mouse, finger or keys.

import { mark, palette } from "./colours.js";
import { el, sharp, text, translate } from "./dom.js";

const APART = 0.4;
const NEAR = 0.5;
const MOST = 1000;
const CLASSES = 6;

export class Drawing {
  #app;
  #canvas;
  #map;
  #redraw;
  #points = [];
  #class = 0;
  #erase = false;
  #cross = { x: 0, y: 0 };
  #keys = false;
  #box;
  #applied = "";
  active = false;

  constructor(app, canvas, map, redraw) {
    [this.#app, this.#canvas, this.#map, this.#redraw] = [app, canvas, map, redraw];
    this.#box = el("div", { class: "draw-tools stack tight", hidden: true, role: "group", "data-label": "draw" });
    canvas.closest("figure").before(this.#box);
    let down = false;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.active) return;
      down = true;
      this.#keys = false;
      canvas.setPointerCapture(event.pointerId);
      this.#put(map.place(event));
    });
    canvas.addEventListener("pointermove", (event) => this.active && down && this.#put(map.place(event)));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => {
        if (this.active && down) this.#apply();
        down = false;
      });
    }
    canvas.addEventListener("keydown", (event) => this.active && this.#key(event));
    app.on("theme", () => this.#chips());
    app.on("language", () => this.#chips());
    app.on("setup", ({ setup }) => this.active && setup.data !== "own" && this.#points.length && this.#applied && this.stop());
  }

  start() {
    const { state } = this.#app;
    this.#app.show("play");
    this.active = true;
    this.#map.hidden = true;
    this.#points = [];
    this.#applied = "";
    if (state.setup.data === "own")
      for (let i = 0; i < state.points.length; i += 4) this.#points.push([state.points[i], state.points[i + 1], state.points[i + 2]]);
    this.#canvas.classList.add("drawing");
    this.#canvas.tabIndex = 0;
    this.#box.hidden = false;
    this.#chips();
    this.#app.emit("drawing");
    this.#canvas.focus({ preventScroll: true });
    this.#box.scrollIntoView({ block: "nearest" });
  }

  stop() {
    this.active = false;
    this.#map.hidden = false;
    this.#canvas.classList.remove("drawing");
    this.#canvas.removeAttribute("tabindex");
    this.#box.hidden = true;
    this.#app.emit("drawing");
  }

  /** Draws what was drawn so far over the map. */
  draw() {
    if (!this.active) return;
    const { size } = this.#map;
    const { theme } = this.#app.state;
    const { classes, edge, ink } = palette(theme);
    const context = sharp(this.#canvas, this.#canvas.parentElement.clientWidth, this.#canvas.parentElement.clientWidth);
    const at = (x, y) => [this.#map.edge + ((x + 6) / 12) * size, ((6 - y) / 12) * size];
    for (const [x, y, label] of this.#points) {
      mark(context, label, ...at(x, y), 4);
      context.fillStyle = classes[label];
      context.fill();
      context.strokeStyle = edge;
      context.lineWidth = 1;
      context.stroke();
    }
    if (this.#keys) {
      const [x, y] = at(this.#cross.x, this.#cross.y);
      context.strokeStyle = ink;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x - 9, y);
      context.lineTo(x + 9, y);
      context.moveTo(x, y - 9);
      context.lineTo(x, y + 9);
      context.stroke();
    }
  }

  #put({ x, y, inside }) {
    if (!inside) return;
    if (this.#erase) {
      this.#points = this.#points.filter(([px, py]) => Math.hypot(px - x, py - y) > NEAR);
    } else {
      const last = this.#points.at(-1);
      if (this.#points.length >= MOST || (last && last[2] === this.#class && Math.hypot(last[0] - x, last[1] - y) < APART)) return;
      this.#points.push([x, y, this.#class]);
    }
    this.#redraw();
  }

  /** Gives the points to the engine, as soon as there are two classes of them. */
  async #apply() {
    const points = this.#points;
    this.#say();
    if (!this.#enough()) return;
    const values = Float32Array.from(points.flat());
    if (this.#applied === values.join()) return;
    this.#applied = values.join();
    const playing = this.#app.state.playing;
    await this.#app.attempt(async () => {
      await this.#app.engine.setPoints(values);
      await this.#app.refresh();
      if (playing) this.#app.play();
    });
  }

  #enough() {
    return new Set(this.#points.map(([, , label]) => label)).size > 1 && this.#points.length >= 6;
  }

  #say() {
    const count = this.#box.querySelector("output");
    if (count)
      count.textContent = this.#app.texts(this.#enough() ? "drawCount" : "drawMore", { points: this.#app.number(this.#points.length, 0) });
  }

  #key(event) {
    const step = event.shiftKey ? 1 : 0.25;
    const move = { ArrowUp: [0, step], ArrowDown: [0, -step], ArrowLeft: [-step, 0], ArrowRight: [step, 0] }[event.key];
    const inside = (v) => Math.min(6, Math.max(-6, v));
    if (move) {
      this.#keys = true;
      this.#cross = { x: inside(this.#cross.x + move[0]), y: inside(this.#cross.y + move[1]) };
    } else if (event.key === " " || event.key === "Enter") {
      this.#put({ ...this.#cross, inside: true });
      this.#apply();
    } else if (event.key >= "1" && event.key <= "6") {
      this.#class = Number(event.key) - 1;
      this.#erase = false;
      this.#chips();
    } else if (event.key === "Escape") this.stop();
    else return;
    event.preventDefault();
    this.#redraw();
  }

  #chips() {
    if (!this.active) return;
    const { texts, state } = this.#app;
    const chips = palette(state.theme)
      .classes.slice(0, CLASSES)
      .map((colour, i) => {
        const chip = el("canvas", { "aria-hidden": "true", class: "chip" });
        const context = sharp(chip, 20, 20);
        mark(context, i, 10, 10, 6.5);
        context.fillStyle = colour;
        context.fill();
        const chosen = !this.#erase && this.#class === i;
        return el(
          "button",
          {
            type: "button",
            class: "button small square",
            "aria-pressed": String(chosen),
            "aria-label": texts("drawClass", { number: i + 1 }),
            onclick: () => this.#choose(i, false),
          },
          chip,
        );
      });
    const tool = (key, onclick, props = {}) => el("button", { type: "button", class: "button small", onclick, ...props }, text(key));
    this.#box.replaceChildren(
      el("div", { class: "row chips" }, ...chips),
      el(
        "div",
        { class: "row" },
        tool("drawErase", () => this.#choose(this.#class, true), { "aria-pressed": String(this.#erase) }),
        tool("drawClear", () => {
          this.#points = [];
          this.#applied = "";
          this.#say();
          this.#redraw();
        }),
        tool("drawDone", () => this.stop(), { class: "button small main" }),
        el("output", { class: "hint" }),
      ),
    );
    translate(this.#box, texts.orNothing);
    this.#say();
  }

  #choose(label, erase) {
    this.#class = label;
    this.#erase = erase;
    this.#chips();
  }
}

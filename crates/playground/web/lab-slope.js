// The loss as a function of one weight, with the tangent that back-propagation gives and the secants of the numerical slope.

import { el, sharp } from "./dom.js";
import { axes, calmly, dot, stroke, words } from "./lab-kit.js";

const HEIGHT = 320;

export class Slope {
  #app;
  #kit;
  #chosen = { parameter: 0, index: 0 };
  #found = null;
  #h = 0;
  #nodes = {};
  #refresh;

  constructor(app, kit) {
    this.#app = app;
    this.#kit = kit;
    if (app.weight) this.#chosen = app.weight;
    const nodes = this.#nodes;
    nodes.weight = el("select", { onchange: () => this.#pick() });
    nodes.h = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, oninput: () => this.#setH(Number(nodes.h.value)) });
    const figures = ["value", "lossNow", "backpropagated", "numerical", "difference"].map((key) => (nodes[key] = kit.figure(key)));
    nodes.plot = el("canvas", { role: "img", "data-own-label": "plot" });
    nodes.says = el("p", { class: "hidden-text" });
    nodes.downhill = el("p", { class: "lab-downhill" });
    nodes.rows = el("tbody");
    nodes.why = el("p", { class: "hint" });
    nodes.hValue = el("output", { class: "lab-h" });
    const hField = kit.field("h", nodes.h);
    hField.firstElementChild.append(nodes.hValue);
    const legend = el("p", { class: "hint lab-legend" }, ...["tangent", "secant", "others"].map((key) => el("span", {}, el("span", { class: `lab-${key}`, "aria-hidden": "true" }), kit.text(key))));
    this.node = el(
      "section",
      { class: "card stack" },
      kit.title("slope", "h2"),
      el("div", { class: "lab-fields" }, kit.field("weight", nodes.weight), hField),
      el("div", { class: "lab-figures" }, ...figures.map((f) => f.node)),
      el("div", { class: "lab-plot" }, nodes.plot, nodes.says),
      legend,
      nodes.downhill,
      el(
        "details",
        { open: true },
        kit.text("table", "summary"),
        el(
          "div",
          { class: "lab-scroll", tabindex: 0, role: "group", "data-own-label": "table" },
          el("table", { class: "matrix lab-table" }, el("thead", {}, el("tr", {}, ...["byH", "numerical", "difference"].map((key) => kit.text(key, "th", { scope: "col" })), el("td", { class: "lab-empty" }))), nodes.rows),
        ),
      ),
      nodes.why,
    );
    this.#refresh = calmly(200, () => this.#read());
  }

  /** A weight was chosen elsewhere. */
  choose(weight) {
    if (!weight) return;
    this.#chosen = weight;
    this.#options();
    this.#refresh();
  }

  reset() {
    this.#options();
    this.#refresh();
  }

  moved() {
    this.#refresh();
  }

  renamed() {
    this.#options();
    this.draw();
  }

  #pick() {
    const [parameter, index] = this.#nodes.weight.value.split(".").map(Number);
    this.#chosen = { parameter, index };
    this.#app.choose?.(parameter, index);
    this.#refresh();
  }

  #setH(place) {
    this.#h = place;
    this.draw();
  }

  /** Fills the list of weights, by layer. */
  #options() {
    const { weight } = this.#nodes;
    const all = this.#app.state.weights ?? [];
    const last = Math.max(...all.map((p) => p.layer));
    const groups = all.map(({ parameter, layer, kind, values }) => {
      const label = this.#kit.texts(kind === "bias" ? "biases" : "weights", { where: this.#kit.texts(layer === last ? "toOutput" : "toLayer", { layer: layer + 1 }) });
      const options = values.map((_, index) => el("option", { value: `${parameter}.${index}` }, this.#app.weightName(parameter, index)));
      return el("optgroup", { label }, ...options);
    });
    weight.replaceChildren(...groups);
    const there = all.find((p) => p.parameter === this.#chosen.parameter);
    if (!there || this.#chosen.index >= there.values.length) this.#chosen = { parameter: all[0]?.parameter ?? 0, index: 0 };
    weight.value = `${this.#chosen.parameter}.${this.#chosen.index}`;
  }

  async #read() {
    if (!this.#app.state.weights?.length) return;
    const { parameter, index } = this.#chosen;
    try {
      this.#found = await this.#app.engine.slope(parameter, index);
    } catch (error) {
      // Another network may have come in between; what is wrong otherwise is told once.
      if (this.#app.state.weights[parameter]?.values.length > index) this.#app.say(words(error), "error");
      return;
    }
    const { h } = this.#nodes;
    const most = this.#found.numerical.length - 1;
    if (Number(h.max) !== most) {
      h.max = String(most);
      this.#h = Math.min(this.#h, most);
      h.value = String(this.#h);
    }
    this.draw();
  }

  draw() {
    const { plot, hValue, says, downhill, why, rows, value, lossNow, backpropagated, numerical, difference } = this.#nodes;
    const kit = this.#kit;
    const found = this.#found;
    if (!found) return;
    const slope = found.backpropagated;
    const now = found.numerical[this.#h];
    const loss = lossAt(found.curve, found.value);
    value.output.textContent = kit.digits(found.value, 5);
    lossNow.output.textContent = kit.digits(loss, 5);
    backpropagated.output.textContent = kit.digits(slope, 6);
    numerical.output.textContent = now ? kit.digits(now.slope, 6) : "–";
    difference.output.textContent = now ? kit.digits(now.slope - slope, 2) : "–";
    hValue.textContent = now ? `h = ${kit.digits(now.h, 3)}` : "";
    this.#nodes.h.setAttribute("aria-valuetext", hValue.textContent);
    const setup = this.#app.state.setup ?? {};
    const rate = Number(setup.rate);
    downhill.textContent = Math.abs(slope) < 1e-9
      ? kit.texts("flat")
      : kit.texts("downhill", { slope: kit.digits(slope, 3), direction: kit.texts(slope > 0 ? "smaller" : "larger"), rate: kit.number(rate, 6), move: kit.digits(-rate * slope, 2) });
    why.textContent = kit.texts("why", { count: (this.#app.state.weights ?? []).reduce((sum, p) => sum + p.values.length, 0) });
    this.#rows(rows, found);
    if (plot.parentElement.clientWidth) this.#plot(found, loss);
    const [low, high] = [found.curve[0]?.[0], found.curve.at(-1)?.[0]];
    says.textContent = kit.texts("plotSays", { value: kit.digits(found.value, 3), loss: kit.digits(loss, 3), slope: kit.digits(slope, 3), low: kit.digits(low, 3), high: kit.digits(high, 3) });
  }

  #rows(rows, { numerical, backpropagated }) {
    const kit = this.#kit;
    const gaps = numerical.map(({ slope }) => Math.abs(slope - backpropagated));
    const best = gaps.indexOf(Math.min(...gaps));
    if (rows.childElementCount !== numerical.length) {
      rows.replaceChildren(...numerical.map((_, i) => el("tr", { onclick: () => this.#choosesH(i) }, el("th", { scope: "row" }), el("td"), el("td"), el("td", { class: "lab-empty" }))));
    }
    numerical.forEach(({ h, slope }, i) => {
      const cells = rows.children[i].children;
      cells[0].textContent = kit.digits(h, 2);
      cells[1].textContent = kit.digits(slope, 7);
      cells[2].textContent = kit.digits(slope - backpropagated, 2);
      cells[3].textContent = i === best ? `← ${kit.texts("best")}` : "";
      rows.children[i].classList.toggle("now", i === this.#h);
    });
  }

  #choosesH(place) {
    this.#nodes.h.value = String(place);
    this.#setH(place);
  }

  #plot(found, loss) {
    const kit = this.#kit;
    const { plot } = this.#nodes;
    const width = plot.parentElement.clientWidth;
    const context = sharp(plot, width, HEIGHT);
    const { curve, value, backpropagated, numerical } = found;
    const losses = curve.map(([, l]) => l).filter(Number.isFinite);
    const [x0, x1] = [curve[0][0], curve.at(-1)[0]];
    let [y0, y1] = [Math.min(...losses, loss), Math.max(...losses, loss)];
    if (y1 - y0 < 1e-6 * Math.max(1, Math.abs(y1))) [y0, y1] = [y0 - 0.05, y1 + 0.05];
    const room = (y1 - y0) * 0.08;
    const { x, y, w, h } = axes(context, kit, width, HEIGHT, [x0, x1], [y0 - room, y1 + room], { below: kit.texts("lossAxis") });
    const colours = kit.palette();
    context.save();
    context.beginPath();
    context.rect(x(x0), y(y1 + room), w, h);
    context.clip();
    const line = (slope, through, colour, thick, dash = []) => {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.setLineDash(dash);
      stroke(context, [x0, x1].map((at) => [x(at), y(through + (at - value) * slope)]));
      context.setLineDash([]);
    };
    numerical.forEach(({ h: wide, slope }, i) => {
      // Those that cannot be told from the tangent by eye are left out.
      if (i !== this.#h && wide > (x1 - x0) / 400) line(slope, middle(curve, value, wide), `${colours.muted}66`, 1.5);
    });
    context.lineJoin = "round";
    context.strokeStyle = colours.ink;
    context.lineWidth = 2.5;
    stroke(context, curve.filter(([, l]) => Number.isFinite(l)).map(([at, l]) => [x(at), y(l)]));
    line(backpropagated, loss, colours.positive, 2.5);
    const now = numerical[this.#h];
    if (now) {
      const through = middle(curve, value, now.h);
      line(now.slope, through, colours.negative, 2.5, [7, 5]);
      // The two points that it goes through.
      for (const by of [-now.h, now.h]) dot(context, [x(value + by), y(through + by * now.slope)], 5, colours.negative, colours.surface);
    }
    dot(context, [x(value), y(loss)], 6, colours.positive, colours.surface);
    context.restore();
  }
}

/** Where the secant of a width passes above the weight: between its two points of the curve. */
function middle(curve, value, wide) {
  return (lossAt(curve, value - wide) + lossAt(curve, value + wide)) / 2;
}

/** The loss at a weight, between the nearest two of the curve. */
function lossAt(curve, value) {
  const right = curve.findIndex(([w]) => w >= value);
  if (right <= 0) return (curve[0] ?? [0, NaN])[1];
  const [[a, from], [b, to]] = [curve[right - 1], curve[right]];
  return from + ((to - from) * (value - a)) / (b - a || 1);
}

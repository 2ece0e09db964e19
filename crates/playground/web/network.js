// The network: features, hidden layers and outputs as heat maps, joined by the weights.

import { paint } from "./colours.js";
import { el, help, select, svg, text, translate } from "./dom.js";
import { MAP_SIZE } from "./map.js";
import { columns, featureMap, neuronName } from "./neurons.js";

const MOST_LAYERS = 6;
const MOST_NEURONS = 8;
export function mountNetwork(app, box, tools) {
  return new Network(app, box, tools);
}

class Network {
  constructor(app, box, tools) {
    this.app = app;
    this.area = el("div", { class: "net-area", role: "group", "data-label": "networkHow" });
    this.links = svg("svg", { class: "links", "aria-hidden": "true" });
    this.heads = el("div", { class: "heads" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.area.append(this.links, this.tip);
    box.append(this.heads, this.area);
    this.count = el("output", {});
    this.fewer = el(
      "button",
      { type: "button", class: "tick", "data-label": "layerFewer", onclick: () => this.layers((all) => all.slice(0, -1)) },
      "−",
    );
    this.more = el(
      "button",
      {
        type: "button",
        class: "tick",
        "data-label": "layerMore",
        onclick: () => this.layers((all) => [...all, { neurons: 4, activation: all.at(-1)?.activation ?? "tanh" }]),
      },
      "+",
    );
    tools.append(el("div", { class: "stepper", "data-control": "layers" }, this.fewer, this.count, this.more, help(app, "layers")));
    this.nodes = [];
    this.paths = [];
    this.shape = "";
    this.image = new ImageData(MAP_SIZE, MAP_SIZE);
    for (const event of ["setup", "language"]) app.on(event, () => this.build());
    for (const event of ["maps", "theme"]) app.on(event, () => this.drawMaps());
    for (const event of ["weights", "theme"]) app.on(event, () => this.drawWeights());
    app.on("discrete", () => this.drawMaps());
    app.on("weight", () => this.markWeight());
    new ResizeObserver(() => this.layout()).observe(box);
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.links.addEventListener("pointermove", (event) => this.tell(event));
    this.links.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.links.addEventListener("click", (event) => this.pick(event));
  }

  /** Changes the hidden layers. */
  layers(change) {
    const { layers } = this.app.state.setup;
    const wanted = change(layers.map((layer) => ({ ...layer }))).slice(0, MOST_LAYERS);
    return this.app.change("layers", wanted.map((layer) => `${layer.neurons}${layer.activation}`).join(","));
  }

  /** Makes the elements, where the network's shape is not what they show. */
  build() {
    const { setup, choices } = this.app.state;
    if (!setup) return;
    const shape = JSON.stringify([setup.features, setup.layers, setup.outputs, this.app.language, this.app.state.classNames]);
    if (shape === this.shape) return;
    this.shape = shape;
    const focused = document.activeElement?.dataset?.place;
    this.count.textContent = this.app.texts("layerCount", { count: setup.layers.length });
    this.fewer.disabled = setup.layers.length === 0;
    this.more.disabled = setup.layers.length === MOST_LAYERS;
    for (const { node } of this.nodes) node.remove();
    this.nodes = [];
    let map = 0;
    choices.features.forEach((name, row) => {
      const chosen = setup.features.includes(name);
      this.add({ column: 0, row, index: setup.features.indexOf(name), feature: name, chosen, map: chosen ? map++ : null });
    });
    setup.layers.forEach((layer, l) => {
      for (let row = 0; row < layer.neurons; row++) this.add({ column: l + 1, row, index: row, map: map++ });
    });
    for (let row = 0; row < setup.outputs; row++) this.add({ column: setup.layers.length + 1, row, index: row, map: map++, out: true });
    this.buildHeads(setup, choices);
    this.buildLinks(setup);
    translate(this.heads, this.app.texts.orNothing);
    this.layout();
    this.rove(this.nodes.find(({ node }) => node.dataset.place === focused) ?? this.nodes[0], Boolean(focused));
  }

  add(spec) {
    const { app } = this;
    const canvas = el("canvas", { width: MAP_SIZE, height: MAP_SIZE });
    const kind = spec.feature ? "feature" : spec.out ? "output" : "hidden";
    const node = el(
      "button",
      { type: "button", class: `node ${kind}`, "data-place": `${spec.column}-${spec.row}`, tabindex: "-1" },
      canvas,
    );
    if (spec.feature) {
      node.append(el("span", { class: "node-name" }, app.texts(`feature-${spec.feature}`)));
      node.setAttribute("aria-pressed", String(spec.chosen));
      node.setAttribute("aria-label", app.texts("featureNode", { name: app.texts(`feature-${spec.feature}`) }));
      // A lesson that hides the choice shows what was chosen.
      if (!spec.chosen) node.setAttribute("data-control", "features");
      node.addEventListener("click", () => this.toggleFeature(spec.feature));
    } else {
      node.append(el("span", { class: "bias" }));
      if (spec.out && app.state.setup.outputs > 1) {
        node.append(el("span", { class: "node-name" }, app.state.classNames[spec.index] ?? String(spec.index + 1)));
        node.classList.add(`class-${spec.index}`);
      }
      node.setAttribute("aria-haspopup", "dialog");
      node.addEventListener("click", () => app.emitEdit({ column: spec.column, index: spec.index, anchor: node }));
    }
    const show = () => {
      if (spec.map === null) return;
      const name = spec.feature ? app.texts(`feature-${spec.feature}`) : neuronName(app, spec.column, spec.index);
      app.state.shown = { map: spec.map, name };
      app.emit("shown");
    };
    const leave = () => {
      app.state.shown = null;
      app.emit("shown");
    };
    node.addEventListener("pointerenter", show);
    node.addEventListener("pointerleave", leave);
    node.addEventListener("focus", () => {
      this.rove(entry, false);
      if (node.matches(":focus-visible")) show();
    });
    node.addEventListener("blur", leave);
    const entry = { ...spec, node, canvas };
    this.nodes.push(entry);
    this.area.append(node);
  }

  toggleFeature(name) {
    const { setup, choices } = this.app.state;
    if (this.app.view("hide").split(",").includes("features")) return undefined;
    const chosen = new Set(setup.features);
    if (!chosen.delete(name)) chosen.add(name);
    if (chosen.size === 0) return this.app.say(this.app.texts("featureLast"), "note");
    return this.app.change("features", choices.features.filter((f) => chosen.has(f)).join(","));
  }

  buildHeads(setup, choices) {
    const { app } = this;
    const heads = [
      el("div", { class: "head", "data-column": 0 }, el("div", { class: "head-name" }, text("features", "h3"), help(app, "features"))),
    ];
    setup.layers.forEach((layer, l) => {
      const change = (by) => this.layers((all) => all.map((other, i) => (i === l ? { ...other, neurons: other.neurons + by } : other)));
      const button = (sign, by, key, off) =>
        el(
          "button",
          { type: "button", class: "tick", "aria-label": app.texts(key, { layer: l + 1 }), disabled: off, onclick: () => change(by) },
          sign,
        );
      const options = choices.activation.map((name) => [name, `activation-${name}`]);
      const activation = select(
        app,
        options,
        layer.activation,
        (value) => this.layers((all) => all.map((other, i) => (i === l ? { ...other, activation: value } : other))),
        {
          "aria-label": app.texts("activationOf", { layer: l + 1 }),
          class: "small-select",
          "data-control": "activation",
        },
      );
      heads.push(
        el(
          "div",
          { class: "head", "data-column": l + 1 },
          el("span", { class: "head-layer hint" }, app.texts("layerAt", { layer: l + 1 })),
          el(
            "div",
            { class: "stepper", "data-control": "layers" },
            button("−", -1, "neuronFewer", layer.neurons === 1),
            el("output", { "aria-label": app.texts("neurons", { count: layer.neurons }) }, String(layer.neurons)),
            button("+", 1, "neuronMore", layer.neurons === MOST_NEURONS),
          ),
          activation,
        ),
      );
    });
    const last = setup.layers.length + 1;
    heads.push(el("div", { class: "head", "data-column": last }, el("div", { class: "head-name" }, text("output", "h3"))));
    this.heads.replaceChildren(...heads);
  }

  buildLinks(setup) {
    const sizes = columns(setup);
    this.paths = [];
    const [seen, touched] = [[], []];
    for (let layer = 0; layer + 1 < sizes.length; layer++) {
      for (let to = 0; to < sizes[layer + 1]; to++) {
        for (let from = 0; from < sizes[layer]; from++) {
          const link = {
            layer,
            to,
            from,
            index: to * sizes[layer] + from,
            line: svg("path", { class: "link" }),
            wide: svg("path", { class: "touch" }),
          };
          link.wide.link = link;
          this.paths.push(link);
          seen.push(link.line);
          touched.push(link.wide);
        }
      }
    }
    this.links.replaceChildren(...seen, ...touched);
  }

  entry(column, index) {
    return this.nodes.find((entry) => entry.column === column && entry.index === index);
  }

  /** Puts everything in its place. */
  layout() {
    const { setup } = this.app.state;
    const width = this.area.clientWidth;
    if (!setup || !width || !this.nodes.length) return;
    const count = setup.layers.length + 2;
    const size = width >= 620 ? 44 : width >= 440 ? 38 : count > 6 ? 27 : 32;
    const left = width >= 440 ? 54 : 0;
    const apart = (width - left - size) / (count - 1);
    // Heads stand over their columns where those are wide enough, and are a list where not.
    const roomy = left > 0 && apart >= 90;
    this.heads.classList.toggle("list", !roomy);
    const rows = (column) => this.nodes.filter((entry) => entry.column === column).length;
    const most = Math.max(...Array.from({ length: count }, (_, column) => rows(column)));
    const down = size + (width >= 620 ? 16 : 12);
    const height = most * down;
    this.area.style.height = `${height}px`;
    const x = (column) => left + column * apart;
    for (const entry of this.nodes) {
      const own = rows(entry.column);
      entry.x = x(entry.column);
      entry.y = (height - own * down) / 2 + entry.row * down + (down - size) / 2;
      Object.assign(entry.node.style, { left: `${entry.x}px`, top: `${entry.y}px`, width: `${size}px`, height: `${size}px` });
    }
    this.area.classList.toggle("narrow", left === 0);
    for (const head of this.heads.children) head.style.left = roomy ? `${x(Number(head.dataset.column)) + size / 2}px` : "";
    this.links.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const link of this.paths) {
      const [from, to] = [this.entry(link.layer, link.from), this.entry(link.layer + 1, link.to)];
      if (!from || !to) continue;
      const [x1, y1, x2, y2] = [from.x + size, from.y + size / 2, to.x, to.y + size / 2];
      const bend = (x2 - x1) * 0.45;
      const d = `M${x1},${y1.toFixed(1)}C${x1 + bend},${y1.toFixed(1)} ${x2 - bend},${y2.toFixed(1)} ${x2},${y2.toFixed(1)}`;
      link.line.setAttribute("d", d);
      link.wide.setAttribute("d", d);
    }
    this.drawMaps();
    this.drawWeights();
  }

  drawMaps() {
    const { maps, theme } = this.app.state;
    const discrete = this.app.view("discretize") === "1";
    if (!this.area.offsetParent) return;
    for (const entry of this.nodes) {
      const context = entry.canvas.getContext("2d");
      if (entry.feature) {
        paint(this.image, featureMap(entry.feature), 0, theme, discrete);
      } else {
        const offset = entry.map * MAP_SIZE * MAP_SIZE;
        if (maps.length < offset + MAP_SIZE * MAP_SIZE) continue;
        paint(this.image, maps, offset, theme, discrete);
      }
      context.putImageData(this.image, 0, 0);
    }
  }

  drawWeights() {
    const { weights, setup } = this.app.state;
    if (!setup || !this.area.offsetParent) return;
    const of = (layer, kind) => weights.find((weight) => weight.layer === layer && weight.kind === kind);
    const sizes = columns(setup);
    // Many lines are drawn finer.
    const fine = sizes.slice(1).map((to, layer) => Math.min(1, Math.sqrt(20 / (to * sizes[layer]))));
    for (const link of this.paths) {
      const found = of(link.layer, "weight");
      const value = found?.values[link.index] ?? 0;
      link.parameter = found?.parameter;
      link.value = value;
      const size = Math.abs(value);
      link.line.setAttribute("class", value < 0 ? "link minus" : "link plus");
      link.line.setAttribute("stroke-width", (0.7 + Math.min(size, 4) * 1.6 * fine[link.layer]).toFixed(2));
      link.line.setAttribute("stroke-opacity", Math.min(0.5 + 0.5 * fine[link.layer], 0.2 + size * 0.75 * fine[link.layer]).toFixed(2));
    }
    for (const entry of this.nodes) {
      if (entry.feature) continue;
      const value = of(entry.column - 1, "bias")?.values[entry.index] ?? 0;
      const mark = entry.node.querySelector(".bias");
      mark.className = value < 0 ? "bias minus" : "bias plus";
      mark.style.opacity = Math.min(1, 0.25 + Math.abs(value) * 0.75).toFixed(2);
      entry.bias = value;
    }
    if (!this.app.state.playing) this.nameNodes();
  }

  /** Names for screen readers, with the bias: not while it moves. */
  nameNodes() {
    for (const entry of this.nodes) {
      if (!entry.feature)
        entry.node.setAttribute(
          "aria-label",
          this.app.texts("neuronNode", { name: neuronName(this.app, entry.column, entry.index), bias: this.app.number(entry.bias) }),
        );
    }
  }

  markWeight() {
    const { weight } = this.app;
    for (const link of this.paths)
      link.line.classList.toggle("chosen", Boolean(weight) && link.parameter === weight.parameter && link.index === weight.index);
  }

  tell(event) {
    const link = event.target.link;
    this.tip.hidden = !link;
    if (!link) return;
    const box = this.area.getBoundingClientRect();
    const name = this.app.texts("weightOf", {
      from: neuronName(this.app, link.layer, link.from),
      to: neuronName(this.app, link.layer + 1, link.to),
    });
    this.tip.replaceChildren(el("strong", {}, this.app.number(link.value)), el("span", {}, name));
    const x = Math.min(Math.max(event.clientX - box.left, 90), box.width - 90);
    this.tip.style.left = `${x}px`;
    this.tip.style.top = `${event.clientY - box.top - 14}px`;
  }

  pick(event) {
    const link = event.target.link;
    if (!link || link.parameter === undefined) return;
    this.tip.hidden = true;
    this.app.choose(link.parameter, link.index);
    this.app.emitEdit({ column: link.layer + 1, index: link.to, from: link.from, anchor: { x: event.clientX, y: event.clientY } });
  }

  // One stop for the tab key; arrows move between neurons.
  rove(entry, focus) {
    if (!entry) return;
    for (const other of this.nodes) other.node.tabIndex = other === entry ? 0 : -1;
    this.at = entry;
    if (focus) entry.node.focus({ preventScroll: true });
  }

  key(event) {
    const move = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!move || !this.at) return;
    event.preventDefault();
    const { column, row, y } = this.at;
    let to;
    if (move[0] === 0) to = this.nodes.find((entry) => entry.column === column && entry.row === row + move[1]);
    else {
      const beside = this.nodes.filter((entry) => entry.column === column + move[0]);
      to = beside.sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y))[0];
    }
    this.rove(to, true);
  }
}

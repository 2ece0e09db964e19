// The tab "Digits": a network learns to read MNIST in the page, reads what one draws, and shows what is inside of it.

import { el } from "./dom.js";
import { calmly, makeKit, words } from "./lab-kit.js";
import { TEXTS } from "./digits-texts.js";
import { Learner } from "./digits-learner.js";
import { Pad, SIDE } from "./digits-pad.js";
import { Curve, Grid, drawImage, inked } from "./digits-views.js";

const PAGE = 24;

export async function mount(section, app) {
  const kit = makeKit(app, section, TEXTS);
  const view = new View(section, app, kit);
  await view.open();
  return { shown: () => view.drawAll(), hidden: () => view.pause() };
}

class View {
  #app;
  #kit;
  #learner = new Learner((digits) => this.#after(digits));
  #data = null;
  #Digits = null;
  /** Whether a GPU has failed. */
  #onCpu = false;
  /** What is read: {pixels, index, label}; a drawing has no index. */
  #item = null;
  #probabilities = null;
  #activations = null;
  #filters = null;
  #votes = null;
  #labels = new Uint8Array();
  #predictions = new Uint8Array();
  #testedAt = null;
  #filtersAt = 0;
  #first = 0;
  #nodes = {};
  #bars = [];
  #cells = [];

  constructor(section, app, kit) {
    this.#app = app;
    this.#kit = kit;
    this.#build(section);
    app.on("language", () => this.drawAll());
    app.on("theme", () => this.drawAll());
    window.addEventListener("resize", calmly(150, () => this.drawAll()));
    document.addEventListener("visibilitychange", () => document.hidden && this.pause());
  }

  // What there is

  #build(section) {
    const kit = this.#kit;
    const nodes = this.#nodes;
    nodes.play = kit.button("train", () => this.#toggle(), { class: "button main digits-play" });
    nodes.again = kit.button("again", () => this.#restart());
    nodes.model = el("select", { onchange: () => this.#attempt(() => this.open()) });
    kit.options(nodes.model, [["mlp", "mlp"], ["cnn", "cnn"]], "mlp");
    const figures = ["accuracy", "loss", "epoch", "speed"].map((key) => (nodes[key] = kit.figure(key)));
    nodes.about = el("p", { class: "hint" });
    const top = el(
      "div",
      { class: "card digits-top" },
      kit.text("intro", "p", { class: "digits-intro" }),
      el("div", { class: "digits-controls" }, el("div", { class: "row" }, nodes.play, nodes.again), kit.field("model", nodes.model), el("div", { class: "digits-figures" }, ...figures.map((f) => f.node))),
      nodes.about,
    );

    nodes.pad = el("canvas", { class: "digits-pad", role: "img", "data-own-label": "pad" });
    nodes.seen = el("canvas", { class: "digits-seen", role: "img", "data-own-label": "seen" });
    nodes.what = el("p", { class: "hint" });
    this.pad = new Pad(kit, nodes.pad, (drawing) => this.#drawn(drawing));
    nodes.undo = kit.button("undo", () => this.pad.undo(), { class: "button small" });
    const draw = el(
      "section",
      { class: "card stack" },
      kit.title("draw", "h2"),
      el("div", { class: "digits-draw" }, nodes.pad, el("div", { class: "stack digits-beside" }, el("div", {}, kit.text("seen", "p", { class: "hint" }), nodes.seen), nodes.what)),
      el("div", { class: "row" }, kit.button("clear", () => this.pad.clear(), { class: "button small" }), nodes.undo, kit.button("next", () => this.#nextImage(), { class: "button small" })),
    );

    nodes.verdict = el("p", { class: "digits-verdict" });
    nodes.live = el("p", { class: "hidden-text", "aria-live": "polite" });
    const bars = el("ol", { class: "digits-bars" });
    for (let digit = 0; digit < 10; digit++) {
      const fill = el("span", { class: "digits-fill" });
      const share = el("span", { class: "digits-share" });
      const row = el("li", {}, el("span", { class: "digits-digit" }, String(digit)), el("span", { class: "digits-track", "aria-hidden": "true" }, fill), share);
      this.#bars.push({ row, fill, share });
      bars.append(row);
    }
    const says = el("section", { class: "card stack" }, kit.title("says", "h2"), bars, nodes.verdict, nodes.live);

    nodes.curve = el("canvas", { class: "digits-curve" });
    nodes.at = el("p", { class: "hint digits-at" });
    this.curve = new Curve(kit, nodes.curve, (text) => (nodes.at.textContent = text));
    const kinds = ["showAccuracy", "showLoss"].map((key, i) =>
      kit.button(key, () => this.#showCurve(i === 0 ? "accuracy" : "loss"), { class: "button small", "aria-pressed": String(i === 0) }),
    );
    nodes.kinds = kinds;
    const legend = el("p", { class: "hint digits-legend" }, el("span", { class: "digits-solid", "aria-hidden": "true" }), kit.text("test"), el("span", { class: "digits-dashed", "aria-hidden": "true" }), kit.text("training"));
    const learning = el("section", { class: "card stack" }, kit.title("learning", "h2"), el("div", { class: "row" }, ...kinds, legend), el("div", { class: "digits-plot" }, nodes.curve), nodes.at);

    nodes.inside = el("div", { class: "stack" });
    const inside = el("section", { class: "card stack" }, kit.title("inside", "h2"), nodes.inside);

    nodes.filters = el("canvas");
    this.filters = new Grid(kit, nodes.filters, "filters", () => this.#showFilters());
    nodes.large = el("canvas", { class: "digits-large", role: "img", "data-own-label": "filters" });
    nodes.neuron = el("p", {});
    nodes.votes = el("div", { class: "digits-votes" });
    nodes.detail = el("div", { class: "digits-detail stack" }, nodes.large, nodes.neuron, nodes.votes);
    const filters = el("section", { class: "card stack" }, kit.title("filters", "h2"), el("div", { class: "digits-filters" }, el("div", { class: "digits-grid" }, nodes.filters), nodes.detail));

    nodes.only = el("select", { onchange: () => this.#page(0) });
    kit.options(nodes.only, [["all", "all"], ["mistakes", "mistakes"]], "all");
    nodes.gallery = el("ul", { class: "digits-gallery" });
    nodes.none = kit.text("noMistakes", "p", { class: "hint", hidden: true });
    const gallery = el(
      "section",
      { class: "card stack" },
      el("div", { class: "digits-head" }, kit.title("gallery", "h2"), el("div", { class: "row" }, kit.field("only", nodes.only, false), kit.button("more", () => this.#page(this.#first + PAGE), { class: "button small" }))),
      nodes.gallery,
      nodes.none,
    );

    section.append(
      top,
      el("div", { class: "digits-main" }, draw, says, learning),
      el("div", { class: "digits-insides" }, inside, filters),
      gallery,
      kit.text("source", "p", { class: "hint digits-source" }),
    );
    kit.translate();
  }

  // What happens

  async open() {
    const { model, about, play } = this.#nodes;
    this.pause();
    about.textContent = this.#kit.texts("loading");
    play.disabled = true;
    this.#data ??= fetch("digits.bin").then((answer) => {
      if (!answer.ok) throw new Error(`digits.bin: ${answer.status} ${answer.statusText}`);
      return answer.arrayBuffer();
    });
    try {
      const [buffer, glue] = await Promise.all([this.#data, this.#app.engine.glue()]);
      this.#Digits = glue.Digits;
      const make = (device) => this.#learner.open(() => glue.Digits.open(new Uint8Array(buffer), model.value, device, 1));
      const device = this.#onCpu ? "cpu" : this.#app.state.deviceKind || "auto";
      await make(device).catch((error) => {
        if (device === "cpu") throw error;
        this.#leaveGpu(error);
        return make("cpu");
      });
    } catch (error) {
      this.#data = null;
      about.textContent = "";
      throw error;
    }
    play.disabled = false;
    await this.#fresh();
  }

  #leaveGpu(error) {
    this.#onCpu = true;
    this.#app.say(this.#kit.texts("noGpu", { why: words(error) }), "error");
  }

  /** Does what may fail. What a GPU cannot do is begun again on the CPU. */
  async #attempt(work) {
    try {
      await work();
    } catch (error) {
      if (this.#learner.figures?.deviceKind !== "gpu" || this.#onCpu) return this.#app.say(words(error), "error");
      this.#leaveGpu(error);
      await this.open().catch((error) => this.#app.say(words(error), "error"));
    }
  }

  /** A network that has not learned yet: shows it. */
  async #fresh() {
    this.#testedAt = null;
    delete this.#nodes.speed.output.dataset.known;
    this.#filtersAt = 0;
    await this.#learner.together(async (digits) => {
      this.#labels = digits.labels();
      this.#predictions = digits.predictions();
      this.#votes = null;
      if (!this.#item) this.#item = { pixels: digits.image(0), index: 0, label: this.#labels[0] };
      this.curve.values = digits.curve();
      await this.#look(digits, true);
    });
    if (this.#item.index !== undefined) this.pad.show(this.#item.pixels);
    this.#stages();
    this.#page(this.#first);
    this.drawAll();
  }

  async #toggle() {
    if (this.#learner.playing) return this.pause();
    this.#playing(true);
    await this.#attempt(() => this.#learner.play());
    this.#playing(false);
    this.drawAll();
  }

  pause() {
    this.#learner.pause();
  }

  #playing(on) {
    const { play } = this.#nodes;
    play.dataset.own = on ? "pause" : "train";
    play.textContent = this.#kit.texts(play.dataset.own);
  }

  async #restart() {
    this.pause();
    await this.#attempt(async () => {
      // Other weights each time.
      await this.#learner.restart((this.#learner.figures.seed % 1000) + 1);
      await this.#fresh();
    });
  }

  /** After each slice of training. */
  async #after(digits) {
    const { figures } = this.#learner;
    const tested = figures.testedAt !== this.#testedAt;
    if (tested) {
      this.#testedAt = figures.testedAt;
      this.#predictions = digits.predictions();
      this.curve.values = digits.curve();
    }
    // Filters change slowly, and are much to draw.
    const now = performance.now();
    const filters = now - this.#filtersAt > 250;
    if (filters) this.#filtersAt = now;
    await this.#look(digits, filters);
    this.#showFigures();
    this.#showReading();
    if (filters) this.#showFilters();
    if (tested) {
      this.curve.draw();
      this.#badges();
    }
  }

  /** Reads the present image, and looks at the filters. */
  async #look(digits, filters) {
    if (this.#item) {
      this.#probabilities = await digits.classify(this.#item.pixels);
      this.#activations = digits.activations();
    }
    if (filters) {
      this.#filters = await digits.filters();
      this.#votes = await digits.votes();
    }
  }

  #read = calmly(0, async () => {
    await this.#attempt(() => this.#learner.together((digits) => this.#look(digits, false)));
    this.#showReading();
    this.#showFilters();
  });

  #drawn(drawing) {
    // Nobody reads yet.
    if (!this.#learner.figures) return;
    const pixels = drawing ? this.#Digits.centred(drawing, SIDE) : [];
    this.#item = pixels.length ? { pixels } : null;
    if (!this.#item) this.#probabilities = this.#activations = null;
    this.#mark();
    this.#read();
  }

  #choose(index) {
    this.#learner.together((digits) => {
      this.#item = { pixels: digits.image(index), index, label: this.#labels[index] };
      this.pad.show(this.#item.pixels);
      this.#mark();
      this.#read();
    });
  }

  #nextImage() {
    const here = this.#item?.index ?? -1;
    this.#choose((here + 1 + Math.floor(Math.random() * (this.#labels.length - 1))) % this.#labels.length);
  }

  // What is shown

  drawAll() {
    const { figures } = this.#learner;
    if (!figures) return;
    const kit = this.#kit;
    this.#nodes.about.textContent = kit.texts("about", {
      words: figures.words, weights: kit.number(figures.weights, 0), train: kit.number(figures.trainImages, 0), test: kit.number(figures.testImages, 0), batch: figures.batch, device: figures.device,
    });
    this.pad.draw();
    this.#showFigures();
    this.#stageTitles();
    this.#showReading();
    this.#showFilters();
    this.curve.draw();
    this.#badges();
    this.#paintGallery();
  }

  #showFigures() {
    const { accuracy, loss, epoch, speed } = this.#nodes;
    const { figures, pace, playing } = this.#learner;
    const kit = this.#kit;
    accuracy.output.textContent = kit.percent(figures.testAccuracy ?? NaN);
    loss.output.textContent = kit.number(figures.testLoss ?? NaN, 3);
    epoch.output.textContent = new Intl.NumberFormat(kit.language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(figures.epoch);
    if (playing || !speed.output.dataset.known) speed.output.textContent = Number.isFinite(pace) ? kit.number(Number(pace.toPrecision(3)), 0) : "–";
    if (Number.isFinite(pace)) speed.output.dataset.known = "yes";
  }

  #showReading() {
    const kit = this.#kit;
    const { verdict, seen, what, undo } = this.#nodes;
    const [item, all] = [this.#item, this.#probabilities];
    undo.disabled = !this.pad.canUndo;
    let best = 0;
    for (let digit = 1; digit < 10; digit++) if (all && all[digit] > all[best]) best = digit;
    this.#bars.forEach(({ row, fill, share }, digit) => {
      const value = all?.[digit] ?? 0;
      fill.style.width = `${value * 100}%`;
      share.textContent = all ? kit.percent(value, 0) : "–";
      row.classList.toggle("best", Boolean(all) && digit === best);
    });
    const label = item?.label;
    const known = label === undefined ? "" : ` ${kit.texts(label === best ? "right" : "wrong", { label })}`;
    const text = all ? kit.texts("verdict", { digit: best, sure: kit.percent(all[best], 0) }) + known : kit.texts("nothing");
    verdict.textContent = text;
    verdict.dataset.right = label === undefined || !all ? "" : String(label === best);
    this.#announce(text);
    what.textContent = !item ? "" : item.index === undefined ? kit.texts("drawing") : kit.texts("testImage", { index: item.index, label });
    drawImage(seen, item?.pixels ?? new Float32Array(784), 28, 84, ...inked(this.#app.state.theme));
    this.#showStages();
  }

  #said = "";
  #announcing = 0;
  /** Tells screen readers, when it has not changed for a while. */
  #announce(text) {
    if (text === this.#said) return;
    this.#said = text;
    clearTimeout(this.#announcing);
    this.#announcing = setTimeout(() => (this.#nodes.live.textContent = this.#said), 1200);
  }

  /** Makes a canvas for each hidden layer. */
  #stages() {
    const { inside } = this.#nodes;
    this.grids = this.#learner.figures.stages.map((stage) => {
      const canvas = el("canvas");
      const title = el("p", { class: "hint" });
      return { stage, canvas, title, grid: new Grid(this.#kit, canvas, "inside", null) };
    });
    inside.replaceChildren(...this.grids.map(({ canvas, title }) => el("div", { class: "stack digits-stage" }, title, el("div", {}, canvas))));
  }

  #stageTitles() {
    this.grids?.forEach(({ stage, title }, i) => {
      title.textContent = this.#kit.texts(stage.width > 1 ? "maps" : "layer", { layer: i + 1, count: stage.count, side: stage.width });
    });
  }

  #showStages() {
    if (!this.grids) return;
    let from = 0;
    const total = this.grids.reduce((sum, { stage }) => sum + stage.count * stage.height * stage.width, 0);
    const all = this.#activations ?? new Float32Array(total);
    for (const { stage, grid } of this.grids) {
      const values = all.subarray(from, (from += stage.count * stage.height * stage.width));
      const most = values.reduce((a, b) => Math.max(a, b), 1e-6);
      const [colour, table] = inked(this.#app.state.theme);
      const one = stage.width === 1;
      grid.draw(stage, values, (value) => colour(value / most), table, { columns: one ? 8 : stage.count > 8 ? 8 : 4, most: one ? 40 : stage.count > 8 ? 58 : 120 });
    }
  }

  #showFilters() {
    const { figures } = this.#learner;
    if (!this.#filters || !figures) return;
    const kit = this.#kit;
    const mlp = figures.model === "mlp";
    const [count, side] = mlp ? [64, 28] : [8, 5];
    let square = 0;
    for (const value of this.#filters) square += value * value;
    const unit = 1 / (2.6 * Math.sqrt(square / this.#filters.length) || 1);
    const colour = (value) => Math.min(255, Math.max(0, (value * unit * 127.5 + 128) | 0));
    const given = this.#given(count);
    const most = given.reduce((a, b) => Math.max(a, b), 1e-6);
    this.filters.draw({ count, height: side, width: side }, this.#filters, colour, kit.scale(), { columns: mlp ? 8 : 4, most: mlp ? 58 : 120, ring: mlp ? (i) => given[i] / most : null });
    this.#showDetail(mlp, side, colour, given);
  }

  /** What each of the first layer's neurons gives for the present image; of a map, the most. */
  #given(count) {
    const { stages } = this.#learner.figures;
    const size = stages[0].height * stages[0].width;
    return Array.from({ length: count }, (_, i) => {
      let most = 0;
      for (let at = i * size; this.#activations && at < (i + 1) * size; at++) most = Math.max(most, this.#activations[at]);
      return most;
    });
  }

  #showDetail(mlp, side, colour, given) {
    const kit = this.#kit;
    const { large, neuron, votes, detail } = this.#nodes;
    const at = this.filters.at !== null && this.filters.at < given.length ? this.filters.at : null;
    detail.classList.toggle("none", at === null);
    large.hidden = at === null;
    if (at === null) {
      neuron.textContent = kit.texts("choose");
      votes.replaceChildren();
      this.filters.tell(kit.texts("choose"));
      return;
    }
    drawImage(large, this.#filters.subarray(at * side * side, (at + 1) * side * side), side, 150, colour, kit.scale());
    const text = `${kit.texts(mlp ? "neuron" : "filter", { index: at + 1 })} ${kit.texts("answers", { value: kit.number(given[at], 2) })}`;
    neuron.textContent = text;
    this.filters.tell(text);
    if (!this.#votes?.length) return votes.replaceChildren();
    const weights = Array.from({ length: 10 }, (_, digit) => this.#votes[digit * given.length + at]);
    const most = Math.max(...this.#votes.map(Math.abs), 1e-6);
    if (votes.childElementCount !== 2) {
      const rows = weights.map((_, digit) => el("li", {}, el("span", { class: "digits-digit" }, String(digit)), el("span", { class: "digits-vote", "aria-hidden": "true" }, el("span")), el("span", { class: "digits-share" })));
      votes.replaceChildren(el("p", { class: "hint", "data-own": "votes" }, kit.texts("votes")), el("ol", {}, ...rows));
    }
    [...votes.querySelectorAll("li")].forEach((row, digit) => {
      const [value, fill] = [weights[digit], row.querySelector(".digits-vote span")];
      const share = (Math.abs(value) / most) * 50;
      fill.style.width = `${share}%`;
      fill.style.left = `${value < 0 ? 50 - share : 50}%`;
      fill.dataset.sign = value < 0 ? "negative" : "positive";
      row.lastChild.textContent = kit.fixed(value, 2);
    });
  }

  #showCurve(what) {
    this.curve.what = what;
    this.#nodes.kinds.forEach((button, i) => button.setAttribute("aria-pressed", String((i === 0) === (what === "accuracy"))));
    this.curve.draw();
  }

  // The gallery

  #page(first) {
    const wrong = this.#nodes.only.value === "mistakes";
    const all = Array.from(this.#labels.keys()).filter((i) => !wrong || (i < this.#predictions.length && this.#predictions[i] !== this.#labels[i]));
    this.#first = first >= all.length ? 0 : first;
    const shown = all.slice(this.#first, this.#first + PAGE);
    this.#nodes.none.hidden = shown.length > 0;
    this.#learner.together((digits) => {
      this.#cells = shown.map((index) => {
        const canvas = el("canvas", { "aria-hidden": "true" });
        const badge = el("span", { class: "digits-badge", "aria-hidden": "true" });
        const button = el("button", { type: "button", class: "digits-item", onclick: () => this.#choose(index) }, canvas, badge);
        return { index, canvas, badge, button, pixels: digits.image(index) };
      });
      this.#nodes.gallery.replaceChildren(...this.#cells.map(({ button }) => el("li", {}, button)));
      this.#paintGallery();
      this.#badges();
      this.#mark();
    });
  }

  #paintGallery() {
    for (const { canvas, pixels } of this.#cells) drawImage(canvas, pixels, 28, 56, ...inked(this.#app.state.theme));
  }

  #badges() {
    for (const { index, badge, button } of this.#cells) {
      const [label, read] = [this.#labels[index], this.#predictions[index]];
      const known = read !== undefined;
      badge.textContent = known ? (read === label ? String(read) : `✗ ${read}`) : "";
      button.classList.toggle("wrong", known && read !== label);
      button.setAttribute("aria-label", this.#kit.texts(known ? "itemRead" : "item", { index, label, read }));
    }
  }

  #mark() {
    for (const { index, button } of this.#cells) button.setAttribute("aria-pressed", String(this.#item?.index === index));
  }
}

// The right column: the large map, losses and their curves, accuracy, what is taken for what, and what can be taken home.

import { el, help, sharp, text, translate } from "./dom.js";
import { Chart } from "./chart.js";
import { MainMap } from "./map.js";
import { mark, palette } from "./colours.js";
import { Drawing } from "./drawing.js";
import { openCode, saveWeights } from "./share.js";

export function mountOutput(app, box, more) {
  const figure = (key, helpKey) => {
    const out = el("output", {}, "–");
    const line = key === "trainLoss" ? el("i", { class: "dash" }) : key === "testLoss" ? el("i", { class: "dash solid" }) : null;
    return {
      out,
      box: el(
        "div",
        { class: "figure" },
        el("span", { class: "hint figure-name" }, text(key), helpKey && help(app, helpKey)),
        el("span", { class: "figure-value" }, out, line),
      ),
    };
  };
  const [test, train, right] = [figure("testLoss", "losses"), figure("trainLoss"), figure("accuracy", "accuracy")];
  right.box.dataset.control = "accuracy";
  const canvas = el("canvas", { role: "img", class: "main-map" });
  const caption = el("p", { class: "hint map-caption" });
  const legend = el("div", { class: "legend" });
  const map = new MainMap(app, canvas);
  const check = (key, name, now) => {
    const input = el("input", { type: "checkbox", id: `check-${name}` });
    input.addEventListener("change", async () => {
      await app.change(name, input.checked ? "1" : "0");
      app.emit("discrete");
      draw();
    });
    app.on("setup", () => (input.checked = now()));
    return el("div", { class: "check", "data-control": name }, input, text(key, "label", { for: `check-${name}` }), help(app, key));
  };
  const hover = el("p", { class: "hint curve-values" });
  const curve = el("canvas", { class: "curve" });
  const chart = new Chart(app, curve, (words) => (hover.textContent = words || app.texts("curveHow")));
  const log = el("input", {
    type: "checkbox",
    id: "check-log",
    onchange: () => {
      chart.log = log.checked;
      chart.draw();
    },
  });
  const matrix = el("div", { class: "matrix-box", "data-control": "confusion" });
  box.append(
    el("div", { class: "figures" }, test.box, train.box, right.box),
    el(
      "div",
      { class: "curve-part", "data-control": "curve" },
      el("div", { class: "canvas-box" }, curve),
      el("div", { class: "row spread" }, hover, el("div", { class: "check" }, log, text("logScale", "label", { for: "check-log" }))),
    ),
    el(
      "div",
      { class: "stack map-part" },
      el("figure", { class: "stack tight" }, el("div", { class: "canvas-box" }, canvas), el("figcaption", {}, caption, legend)),
      el(
        "div",
        { class: "row" },
        check("showTest", "showTest", app.showsTest),
        check("discretize", "discretize", () => app.view("discretize") === "1"),
      ),
    ),
  );
  more.append(
    matrix,
    el(
      "div",
      { class: "stack tight", "data-control": "export" },
      el("div", { class: "matrix-name hint" }, text("export"), help(app, "export")),
      el(
        "div",
        { class: "row" },
        el("button", { type: "button", class: "button small", onclick: () => saveWeights(app) }, text("saveWeights")),
        el("button", { type: "button", class: "button small", onclick: () => openCode(app) }, text("showCode")),
      ),
    ),
  );
  app.drawing = new Drawing(app, canvas, map, () => draw());

  function draw() {
    const { setup, shown } = app.state;
    if (!setup || !canvas.offsetParent) return;
    const first = setup.features.length + setup.layers.reduce((sum, layer) => sum + layer.neurons, 0);
    map.draw(shown ? shown.map : first, shown ? 1 : setup.outputs, { discrete: app.view("discretize") === "1", showTest: app.showsTest() });
    app.drawing.draw();
  }

  function describe() {
    const { setup, shown, figures } = app.state;
    if (!setup) return;
    caption.textContent = app.drawing.active
      ? app.texts("drawHow")
      : shown
        ? app.texts("mapOf", { name: shown.name })
        : app.texts(setup.problem === "regression" ? "mapValues" : "mapClasses");
    canvas.setAttribute(
      "aria-label",
      app.texts("mapLabel", {
        what: shown ? shown.name : app.texts("output"),
        test: app.number(figures?.testLoss ?? NaN),
        points: app.state.points.length / 4,
      }),
    );
  }

  function drawLegend() {
    const { setup, classNames, theme } = app.state;
    if (!setup) return;
    if (setup.problem === "regression") {
      legend.replaceChildren(el("span", {}, "−1"), el("span", { class: "gradient" }), el("span", {}, "1"));
      return;
    }
    legend.replaceChildren(
      ...classNames.map((name, i) => {
        const chip = el("canvas", { class: "chip", "aria-hidden": "true" });
        const context = sharp(chip, 14, 14);
        mark(context, i, 7, 7, 4.6);
        context.fillStyle = palette(theme).classes[i];
        context.fill();
        return el("span", { class: "legend-class" }, chip, name);
      }),
    );
  }

  function showFigures({ figures, classNames }) {
    if (!figures) return;
    test.out.textContent = app.number(figures.testLoss);
    train.out.textContent = app.number(figures.trainLoss);
    const classes = typeof figures.testAccuracy === "number";
    right.box.hidden = !classes;
    if (classes) right.out.textContent = percent(figures.testAccuracy);
    matrix.hidden = !figures.confusion;
    if (figures.confusion) showMatrix(figures.confusion, classNames);
    describe();
  }

  const percent = (share) => new Intl.NumberFormat(app.language, { style: "percent", maximumFractionDigits: 1 }).format(share);

  let matrixShape = "";
  function showMatrix(counts, names) {
    const shape = JSON.stringify([names, counts.length, app.language]);
    if (shape !== matrixShape) {
      matrixShape = shape;
      const head = el("tr", {}, el("td", { class: "corner" }), ...names.map((name) => el("th", { scope: "col", title: name }, name)));
      const rows = counts.map((row, i) =>
        el("tr", {}, el("th", { scope: "row", title: names[i] }, names[i]), ...row.map(() => el("td", {}))),
      );
      const table = el("table", { class: "matrix", "aria-labelledby": "matrix-name" }, el("thead", {}, head), el("tbody", {}, ...rows));
      matrix.replaceChildren(
        el(
          "p",
          { class: "hint matrix-name" },
          text("confusion", "span", { id: "matrix-name" }),
          help(app, "confusion"),
          text("confusionHow"),
        ),
        el("div", { class: "scroll", tabindex: "0", role: "group", "data-label": "confusion" }, table),
      );
      translate(matrix, app.texts.orNothing);
    }
    const total = counts.map((row) => row.reduce((a, b) => a + b, 0));
    matrix.querySelectorAll("tbody tr").forEach((row, i) => {
      row.querySelectorAll("td").forEach((cell, j) => {
        const share = total[i] ? counts[i][j] / total[i] : 0;
        cell.textContent = app.number(counts[i][j], 0);
        cell.className = i === j ? "right" : counts[i][j] ? "wrong" : "";
        cell.style.setProperty("--share", `${Math.round(share * 45)}%`);
      });
    });
  }

  // A table's columns have names and ranges of their own.
  const axis = (i) => app.state.setup?.axes?.[["x1", "x2"][i]] ?? { name: "", low: -6, high: 6 };
  const axisName = (i) => axis(i).name || ["x₁", "x₂"][i];
  const along = (i, at) => app.number(axis(i).low + ((at + 6) / 12) * (axis(i).high - axis(i).low), 1);

  canvas.addEventListener("pointermove", (event) => {
    const { setup, shown, classNames } = app.state;
    const { x, y, inside } = map.place(event);
    if (!setup || !inside || app.drawing.active) return;
    const first = setup.features.length + setup.layers.reduce((sum, layer) => sum + layer.neurons, 0);
    let answer;
    if (shown || setup.outputs === 1) answer = app.number(map.value(shown ? shown.map : first, x, y), 2);
    else {
      const scores = Array.from({ length: setup.outputs }, (_, i) => map.value(first + i, x, y));
      answer = classNames[scores.indexOf(Math.max(...scores))] ?? "";
    }
    caption.textContent = app.texts("mapAt", { x: along(0, x), y: along(1, y), x1: axisName(0), x2: axisName(1), answer });
  });
  canvas.addEventListener("pointerleave", describe);

  let resized = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(resized);
    resized = requestAnimationFrame(() => {
      draw();
      chart.draw();
    });
  }).observe(box);
  app.on("maps", draw);
  app.on("points", () => {
    map.forget();
    draw();
  });
  app.on("shown", () => {
    draw();
    describe();
  });
  app.on("drawing", () => {
    draw();
    describe();
  });
  app.on("figures", showFigures);
  app.on("curve", () => chart.draw());
  app.on("setup", () => {
    drawLegend();
    describe();
  });
  for (const event of ["theme", "language"]) {
    app.on(event, () => {
      map.forget();
      draw();
      chart.draw();
      drawLegend();
      showFigures(app.state);
      if (!hover.textContent) hover.textContent = app.texts("curveHow");
    });
  }
}

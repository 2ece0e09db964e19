// The left column: what to learn from, generated or one's own.

import { el, field, help, sharp, text } from "./dom.js";
import { drawPoints } from "./map.js";

const CLASSES = ["circle", "xor", "gaussians", "spiral"];
const VALUES = ["plane", "multi-gaussian"];
/** Data that can have more than two classes. */
const MANY = ["gaussians", "spiral"];
const THUMB = 68;

export function mountData(app, box) {
  const sets = el("div", { class: "thumbs", role: "radiogroup", "aria-labelledby": "data-title", "data-control": "dataset" });
  const buttons = [...CLASSES, ...VALUES, "own"].map((name) => {
    const canvas = el("canvas", { "aria-hidden": "true" });
    const button = el(
      "button",
      { type: "button", role: "radio", class: "thumb", "data-name": name, onclick: () => app.change("data", name) },
      canvas,
      text(`data-${name}`),
    );
    sets.append(button);
    return { name, canvas, button };
  });
  sets.addEventListener("keydown", (event) => {
    const seen = buttons.filter(({ button }) => !button.hidden);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = seen.findIndex(({ button }) => button === document.activeElement);
    if (!by || at < 0) return;
    event.preventDefault();
    const next = seen[(at + by + seen.length) % seen.length];
    next.button.focus();
    app.change("data", next.name);
  });

  const sliders = [];
  const slider = (name, key, step, words) => {
    const input = el("input", { type: "range", step, "data-key": name });
    const out = el("output", { for: `field-${key}` });
    const show = () => {
      out.textContent = words(Number(input.value));
      input.setAttribute("aria-valuetext", out.textContent);
    };
    input.addEventListener("input", show);
    input.addEventListener("change", () => app.change(name, input.value));
    const whole = field(app, key, input, key, name);
    whole.querySelector(".field-head").append(out);
    sliders.push({ name, input, show, whole });
    return whole;
  };
  const percent = (value) => new Intl.NumberFormat(app.language, { style: "percent" }).format(value / 100);
  const plain = (value) => app.number(value, 0);
  const action = (key, control, onclick) =>
    el("button", { type: "button", class: "button small", "data-control": control, onclick }, text(key));
  box.append(
    sets,
    slider("classes", "classes", 1, plain),
    slider("train", "trainShare", 10, percent),
    slider("noise", "noise", 5, plain),
    slider("batch", "batch", 1, plain),
    el(
      "div",
      { class: "own" },
      action("regenerate", "regenerate", () =>
        again(() => app.engine.regenerate(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000)),
      ),
      action("draw", "own", () => app.drawing.start()),
      action("table", "own", () => openTable(app)),
      help(app, "own"),
    ),
    el("p", { class: "hint", id: "own-about" }),
  );

  async function again(work) {
    app.pause();
    await app.attempt(async () => {
      await work();
      await app.refresh();
    });
  }

  function show({ setup, choices, points }) {
    if (!setup) return;
    const regression = setup.problem === "regression";
    const shown = regression && setup.data !== "own" ? VALUES : CLASSES;
    for (const { name, button } of buttons) {
      button.hidden = name === "own" ? !setup.hasOwn : !shown.includes(name);
      const chosen = setup.data === name;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    const ranges = choices.ranges ?? {};
    const usual = { classes: [2, 6], train: [10, 90], noise: [0, 50], batch: [1, 100] };
    for (const { name, input, show, whole } of sliders) {
      [input.min, input.max] = ranges[name] ?? usual[name];
      input.value = setup[name] ?? 2;
      show();
      if (name === "classes") whole.hidden = !MANY.includes(setup.data);
      if (name === "noise") whole.hidden = setup.data === "own";
    }
    const about = document.getElementById("own-about");
    about.hidden = setup.data !== "own";
    if (setup.data === "own")
      about.textContent = app.texts("ownAbout", { points: app.number(points.length / 4, 0), classes: app.state.classNames.join(", ") });
  }

  // One's own points are kept for their picture while other data is learnt.
  let ownPoints = new Float32Array();
  let ownValues = false;
  app.on("points", ({ setup, points }) => {
    if (setup.data !== "own") return;
    const each = Math.max(1, Math.ceil(points.length / 4 / 120));
    ownPoints = points.filter((_, i) => Math.floor(i / 4) % each === 0);
    ownValues = setup.problem === "regression";
    drawThumbs();
  });

  function drawThumbs() {
    for (const { name, canvas } of buttons) {
      const context = sharp(canvas, THUMB, THUMB);
      context.clearRect(0, 0, THUMB, THUMB);
      drawPoints(
        context,
        name === "own" ? ownPoints : sample(name),
        THUMB,
        app.state.theme,
        name === "own" ? ownValues : VALUES.includes(name),
        { radius: 2 },
      );
    }
  }

  app.on("setup", show);
  app.on("points", show);
  app.on("language", () => show(app.state));
  app.on("theme", drawThumbs);
  setUpDrop(app);
}

/** A few points of a data set, for its picture: the engine makes the true ones. */
function sample(name) {
  let seed = 7;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const out = [];
  const put = (x, y, label) => out.push(x, y, label, 0);
  const cones = [
    [-4, 2.5, 1],
    [0, 2.5, -1],
    [4, 2.5, 1],
    [-4, -2.5, -1],
    [0, -2.5, 1],
    [4, -2.5, -1],
  ];
  for (let i = 0; i < 90; i++) {
    const label = i % 2;
    if (name === "circle") {
      const [r, a] = [label ? random() * 2.5 : 3.7 + random() * 1.6, random() * 2 * Math.PI];
      put(r * Math.cos(a), r * Math.sin(a), label);
    } else if (name === "xor") {
      const far = () => (0.5 + random() * 4.6) * (random() < 0.5 ? -1 : 1);
      const [x, y] = [far(), far()];
      put(x, y, x * y >= 0 ? 1 : 0);
    } else if (name === "gaussians") {
      const at = label ? 2.1 : -2.1;
      put(at + normal(), at + normal(), label);
    } else if (name === "spiral") {
      const t = Math.floor(i / 2) / 44;
      const a = 1.75 * t * 2 * Math.PI + (label ? 0 : Math.PI);
      put(t * 5.4 * Math.sin(a), t * 5.4 * Math.cos(a), label);
    } else {
      const [x, y] = [random() * 11 - 5.5, random() * 11 - 5.5];
      const near = cones.map(([cx, cy, sign]) => sign * Math.max(0, 1 - Math.hypot(x - cx, y - cy) / 2.4));
      put(x, y, name === "plane" ? (x + y) / 10 : near.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0));
    }
  }
  return Float32Array.from(out);
}

/** Takes a table as the data; the error, if it is none. */
async function take(app, content) {
  app.pause();
  try {
    await app.engine.setCsv(content);
    await app.refresh();
    document.getElementById("messages").replaceChildren();
    document.getElementById("status").textContent = app.texts("tableTaken", { points: app.number(app.state.points.length / 4, 0) });
    return null;
  } catch (error) {
    return app.words(error);
  }
}

function openTable(app) {
  const area = el("textarea", { id: "table-text", rows: "9", spellcheck: "false", "aria-describedby": "table-how table-fault" });
  area.placeholder = "x1,x2,label\n1.5,2,cat\n-3,0.5,dog";
  const fault = el("p", { id: "table-fault", class: "fault", role: "alert" });
  const file = el("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv,text/plain", "aria-label": app.texts("tableFile") });
  file.addEventListener("change", async () => (area.value = (await file.files[0]?.text()) ?? area.value));
  const dialog = el(
    "dialog",
    { class: "table-dialog", "aria-labelledby": "table-title" },
    el(
      "div",
      { class: "stack" },
      el("h2", { id: "table-title" }, app.texts("tableTitle")),
      el("p", { id: "table-how" }, app.texts("tableHow")),
      el("label", { for: "table-text", class: "hidden-text" }, app.texts("tableTitle")),
      area,
      file,
      fault,
      el(
        "div",
        { class: "row" },
        el("button", { type: "button", class: "button main", onclick: use }, app.texts("tableUse")),
        el("button", { type: "button", class: "button", onclick: () => dialog.close() }, app.texts("cancel")),
      ),
    ),
  );
  async function use() {
    const wrong = await take(app, area.value);
    if (wrong) fault.textContent = wrong;
    else dialog.close();
  }
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  area.focus();
}

/** A file dropped anywhere on the page is taken as a table. */
function setUpDrop(app) {
  const root = document.documentElement;
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    root.classList.add("dropping");
  });
  window.addEventListener("dragleave", (event) => event.relatedTarget === null && root.classList.remove("dropping"));
  window.addEventListener("drop", async (event) => {
    if (!files(event)) return;
    event.preventDefault();
    root.classList.remove("dropping");
    const file = event.dataTransfer.files[0];
    if (!file) return;
    if (file.size > 4e6) return app.say(app.texts("tableLarge", { name: file.name }), "error");
    const wrong = await take(app, await file.text());
    if (wrong) app.say(`${file.name}: ${wrong}`, "error");
  });
}

// The head's tools (language, theme, share), the bar that starts and stops training, and the choices of how it learns.

import { el, field, fillSelect, help, select, svg, text, translate } from "./dom.js";
import { SPEEDS, USUAL_SPEED } from "./loop.js";
import { languages } from "./texts.js";
import { openShare } from "./share.js";

const RATES = [0.00001, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const PENALTY_RATES = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const DROPOUTS = [0, 0.1, 0.2, 0.3, 0.5];
const STOPS = [0.1, 0.05, 0.01, 0.001];

const ICONS = {
  play: "M8 5.2v13.6c0 .8.9 1.3 1.5.8l10-6.8c.6-.4.6-1.2 0-1.6l-10-6.8c-.6-.5-1.5 0-1.5.8z",
  pause:
    "M7 4.5h3.2c.4 0 .8.4.8.8v13.4c0 .4-.4.8-.8.8H7c-.4 0-.8-.4-.8-.8V5.3c0-.4.4-.8.8-.8zm6.8 0H17c.4 0 .8.4.8.8v13.4c0 .4-.4.8-.8.8h-3.2c-.4 0-.8-.4-.8-.8V5.3c0-.4.4-.8.8-.8z",
  reset: "M12 5V2.2L7.2 6.5 12 10.8V7.2a5.6 5.6 0 1 1-5.6 5.6H4.2A7.8 7.8 0 1 0 12 5z",
  step: "M6 6.2v11.6c0 .7.8 1.1 1.4.7l7.6-5.5V18c0 .5.4.8.8.8h1.2c.5 0 .8-.4.8-.8V6c0-.5-.4-.8-.8-.8h-1.2c-.5 0-.8.4-.8.8v5L7.4 5.5C6.8 5.1 6 5.5 6 6.2z",
  epoch:
    "M3.5 6.2v11.6c0 .7.8 1.1 1.4.7L11 14v3.8c0 .7.8 1.1 1.4.7l5.6-4V18c0 .5.4.8.8.8h.9c.5 0 .8-.4.8-.8V6c0-.5-.4-.8-.8-.8h-.9c-.5 0-.8.4-.8.8v3.5l-5.6-4c-.6-.4-1.4 0-1.4.7V10L4.9 5.5c-.6-.4-1.4 0-1.4.7z",
  share: "M14 4.5v4C7.8 9.3 5 13.5 4 18.5c2.3-3.5 5.3-5.1 10-5.1v4.1l7-6.5-7-6.5z",
};

/** An icon as an SVG element that assistive technology passes over. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

export function mountTools(app, box) {
  const language = el("div", { class: "switch", role: "group", "data-label": "language", "data-control": "lang" });
  for (const code of languages) {
    const button = el(
      "button",
      { type: "button", lang: code, title: { en: "English", fr: "Français" }[code], onclick: () => choose(code) },
      code.toUpperCase(),
    );
    language.append(button);
    app.on("language", () => button.setAttribute("aria-pressed", String(app.language === code)));
  }
  async function choose(code) {
    app.setLanguage(code, true);
    await app.engine.set("lang", code).catch(() => {});
    app.keep();
  }
  const themes = [
    ["auto", "themeAuto"],
    ["light", "themeLight"],
    ["dark", "themeDark"],
  ];
  const theme = select(
    app,
    themes,
    "auto",
    async (value) => {
      app.setTheme(value, true);
      await app.engine.set("theme", value === "auto" ? "" : value).catch(() => {});
      app.keep();
    },
    { "data-label": "theme", class: "theme", "data-control": "theme" },
  );
  app.on("theme", () => (theme.value = document.documentElement.dataset.theme ?? "auto"));
  const share = el(
    "button",
    { type: "button", class: "button", "data-control": "share", onclick: () => openShare(app) },
    icon("share"),
    text("share", "span", { class: "share-name" }),
  );
  box.append(language, theme, share);
}

export function mountBar(app, box) {
  const round = (name, key, onclick, props = {}) =>
    el(
      "button",
      { type: "button", class: "round", "data-label": key, "data-title": key, onclick, "data-control": key, ...props },
      icon(name),
    );
  const play = round("play", "play", () => (app.state.playing ? app.pause() : app.play()), { class: "round big" });
  const reset = round("reset", "reset", () => again(() => app.engine.reset()));
  const step = round("step", "step", () => app.advance(1));
  const epoch = round("epoch", "epoch", () => app.advance(app.state.stepsPerEpoch - (app.state.step % app.state.stepsPerEpoch)));
  async function again(work) {
    app.pause();
    await app.attempt(async () => {
      await work();
      await app.refresh();
    });
  }
  const figure = (key) => {
    const out = el("output", { for: "network" }, "0");
    return { out, box: el("div", { class: "figure" }, text(key, "span", { class: "hint" }), out) };
  };
  const [epochs, steps, rate] = ["epochs", "steps", "stepsPerSecond"].map(figure);
  const speed = select(
    app,
    SPEEDS.map(({ key }, i) => [i, key]),
    USUAL_SPEED,
    async (value) => {
      app.state.speed = Number(value);
      await app.engine.set("speed", Number(value) === USUAL_SPEED ? "" : value).catch(() => {});
      app.keep();
    },
  );
  const device = select(
    app,
    [
      ["auto", "deviceAuto"],
      ["gpu", "deviceGpu"],
      ["cpu", "deviceCpu"],
    ],
    "auto",
    async (value) => {
      app.pause();
      await app.attempt(async () => {
        await app.engine.useDevice(value);
        await app.engine.set("device", value === "auto" ? "" : value);
        await app.refresh();
      });
    },
  );
  const deviceField = field(app, "device", device, "device", "device");
  const deviceName = el("span", { class: "hint device-name" });
  const progress = el("progress", { max: 1, value: 0, "data-label": "restoring" });
  const progressBox = el("div", { class: "restoring", hidden: true }, text("restoring", "span", { class: "hint" }), progress);
  const end = el("div", { class: "bar-end" }, field(app, "speed", speed, "speed", "speed"), deviceField, deviceName);
  box.append(
    el("div", { class: "transport" }, reset, play, step, epoch),
    el("div", { class: "counts" }, epochs.box, steps.box, el("div", { class: "figure rate" }, rate.box.firstChild, rate.out)),
    progressBox,
  );
  // The bar stays in sight; on a phone it has no room for these.
  const phone = matchMedia("(max-width: 640px)");
  const settle = () => (phone.matches ? document.getElementById("choices") : box).append(end);
  phone.addEventListener("change", settle);
  settle();
  translate(box, app.texts.orNothing);

  const show = (state) => {
    epochs.out.textContent = app.number(Math.floor(state.epoch), 0);
    steps.out.textContent = app.number(state.step, 0);
    rate.out.textContent = state.rate > 0 ? app.number(Math.round(state.rate), 0) : "–";
  };
  const showPlaying = (state) => {
    play.replaceChildren(icon(state.playing ? "pause" : "play"));
    play.dataset.label = play.dataset.title = state.playing ? "pause" : "play";
    play.classList.toggle("on", state.playing);
    translate(play.parentElement, app.texts.orNothing);
    show(state);
  };
  app.on("step", show);
  app.on("playing", showPlaying);
  app.on("language", () => showPlaying(app.state));
  app.on("setup", (state) => {
    const at = Number(app.view("speed") || USUAL_SPEED);
    state.speed = SPEEDS[at] ? at : USUAL_SPEED;
    speed.value = String(state.speed);
    device.value = app.view("device") || "auto";
    // Browsers often keep an adapter's name to themselves.
    const name = state.device.replace(/\(webgpu\)/i, "").trim();
    deviceName.classList.toggle("cpu", state.deviceKind === "cpu");
    deviceName.textContent = state.deviceKind === "gpu" ? ["WebGPU", name].filter(Boolean).join(" · ") : state.device;
  });
  app.on("restoring", (state) => {
    const going = typeof state.restoring === "number";
    progressBox.hidden = !going;
    for (const button of [play, reset, step, epoch]) button.disabled = going;
    if (going) progress.value = state.restoring;
  });
  document.addEventListener("keydown", (event) => {
    // The space bar plays and pauses where it does nothing else.
    const free = event.target === document.body || event.target.id === "main";
    if (event.code === "Space" && free && !box.hidden) {
      event.preventDefault();
      play.click();
    }
  });
}

/** Numbers to choose from, with the present one among them. */
function numbers(app, list, chosen, none = null) {
  const all = list.includes(chosen) || chosen === null ? list : [...list, chosen].sort((a, b) => a - b);
  const plain = (value) => new Intl.NumberFormat(app.language, { maximumFractionDigits: 8 }).format(value);
  return [...(none ? [["", none]] : []), ...all.map((value) => [value, plain(value)])];
}

export function mountChoices(app, box) {
  const make = (name, key) => {
    const control = el("select", { onchange: () => app.change(name, control.value) });
    box.append(field(app, key, control, key, name));
    return control;
  };
  const problem = el("select", { onchange: () => app.change("data", problem.value === "regression" ? "plane" : "circle") });
  box.append(field(app, "problem", problem, "problem", "problem"));
  const rate = make("rate", "rate");
  const optimizer = make("optimizer", "optimizer");
  const loss = make("loss", "loss");
  const penalty = make("penalty", "penalty");
  const penaltyRate = make("penaltyRate", "penaltyRate");
  const dropout = make("dropout", "dropout");
  const stop = make("stop", "stop");

  const show = (state) => {
    const { setup, choices } = state;
    if (!setup) return;
    fillSelect(
      app,
      problem,
      [
        ["classification", "classification"],
        ["regression", "regression"],
      ],
      setup.problem,
    );
    problem.disabled = setup.data === "own";
    fillSelect(app, rate, numbers(app, RATES, setup.rate), setup.rate);
    fillSelect(
      app,
      optimizer,
      choices.optimizer.map((name) => [name, `optimizer-${name}`]),
      setup.optimizer,
    );
    const costs = setup.problem === "regression" ? ["squared"] : choices.loss;
    fillSelect(
      app,
      loss,
      costs.map((name) => [name, `loss-${name}`]),
      costs.includes(setup.loss) ? setup.loss : costs[0],
    );
    fillSelect(
      app,
      penalty,
      choices.penalty.map((name) => [name, `penalty-${name}`]),
      setup.penalty,
    );
    fillSelect(app, penaltyRate, numbers(app, PENALTY_RATES, setup.penaltyRate), setup.penaltyRate);
    penaltyRate.disabled = setup.penalty === "none";
    fillSelect(app, dropout, numbers(app, DROPOUTS, setup.dropout), setup.dropout);
    const stopAt = typeof setup.stop === "number" ? setup.stop : null;
    fillSelect(app, stop, numbers(app, STOPS, stopAt, "never"), stopAt ?? "");
  };
  app.on("setup", show);
  app.on("language", () => show(app.state));
}

// Start, state, tabs and messages. Every module is given the one `app` that is made here; web/README.md says what it has.

import { Engine } from "./engine.js";
import { words } from "./errors.js";
import { el, setUpHelp, translate } from "./dom.js";
import { Loop } from "./loop.js";
import { languages, makeTexts } from "./texts.js";
import { mountBar, mountChoices, mountTools } from "./controls.js";
import { mountData } from "./data.js";
import { mountNetwork } from "./network.js";
import { weightName } from "./neurons.js";
import { mountEditor } from "./editor.js";
import { mountOutput } from "./output.js";
import { MAP_SIZE } from "./map.js";

const handlers = new Map();

/** Keys of the address that are the page's own. */
const VIEW = ["lang", "theme", "hide", "tab", "discretize", "showTest", "speed", "device"];

const app = {
  engine: new Engine(),
  texts: makeTexts("en"),
  language: "en",
  state: {
    setup: null,
    choices: null,
    figures: null,
    weights: [],
    points: new Float32Array(),
    classNames: [],
    curve: new Float64Array(),
    maps: new Float32Array(),
    mapSize: MAP_SIZE,
    step: 0,
    epoch: 0,
    stepsPerEpoch: 1,
    playing: false,
    device: "",
    deviceKind: "cpu",
    theme: "light",
    tab: "play",
    rate: 0,
  },
  weight: null,

  on(event, handler) {
    if (!handlers.has(event)) handlers.set(event, new Set());
    handlers.get(event).add(handler);
    return () => handlers.get(event).delete(handler);
  },

  emit(...events) {
    for (const event of events) for (const handler of handlers.get(event) ?? []) handler(app.state);
  },

  /** What an error says, in the page's language. */
  words: (error) => words(error, app.language),

  number(value, digits = 3) {
    if (!Number.isFinite(value)) return value === Infinity ? "∞" : value === -Infinity ? "−∞" : "–";
    const size = Math.abs(value);
    const style =
      size === 0 || size >= 10 ** -digits
        ? { maximumFractionDigits: digits }
        : size >= 1e-6
          ? { maximumSignificantDigits: 2 }
          : { notation: "scientific", maximumFractionDigits: 1 };
    return new Intl.NumberFormat(app.language, style).format(value).replaceAll("-", "−");
  },

  /** A choice of the page itself, from the address. */
  view(key, otherwise = "") {
    return app.state.setup?.view?.[key] ?? otherwise;
  },

  /** What the page's address holds after its `#`: choices of the page that are as usual are left out. */
  async address() {
    const address = await app.engine.address();
    return address
      .split("&")
      .filter((part) => !VIEW.some((key) => part === `${key}=`))
      .join("&");
  },

  /** Whether points to test with are shown: one's own are, unless the visitor says no. */
  showsTest() {
    const said = app.view("showTest");
    return said ? said === "1" : app.state.setup?.data === "own";
  },

  /** Sets a choice, and shows all that follows from it. */
  async change(key, value) {
    await app.attempt(async () => {
      const again = await app.engine.set(key, String(value));
      await (again ? app.refresh() : app.refreshSetup());
    });
  },

  /** Does something that may fail; a failure is told, and what the page shows is read again. */
  async attempt(work) {
    try {
      await work();
    } catch (error) {
      app.say(app.words(error), "error");
      // A list or slider goes back to what holds.
      await app.refreshSetup().catch(() => {});
    }
  },

  /** Reads the setup and where training is. */
  async refreshSetup() {
    await app.engine.together((page) => {
      const { state } = app;
      state.setup = JSON.parse(page.setup());
      if (Array.isArray(state.setup.view)) state.setup.view = Object.fromEntries(state.setup.view);
      state.classNames = page.classNames().map((name) => name.replace(/^-(?=\d)/, "−"));
      readPlace(page);
    });
    app.emit("setup");
    app.keep();
  },

  /** Reads all, after training has begun anew or weights were changed by hand. */
  async refresh(anew = true) {
    await app.refreshSetup();
    const { state, engine } = app;
    if (anew) {
      state.points = await engine.points();
      app.emit("points", "reset");
    }
    await app.readMaps();
    await app.readWeights();
    await app.readFigures();
    app.emit("step");
  },

  async readMaps() {
    app.state.maps = await app.engine.maps(MAP_SIZE);
    app.emit("maps");
  },

  async readWeights() {
    app.state.weights = await app.engine.weights();
    app.emit("weights");
  },

  async readFigures() {
    app.state.figures = await app.engine.figures();
    app.state.curve = await app.engine.curve();
    app.emit("figures", "curve");
  },

  play: () => loop.play(),
  pause: () => loop.pause(),
  /** A number of steps, then all is shown. */
  advance: (steps) => loop.advance(steps),

  show,
  say,
  keep,

  /** Chooses a weight or bias: other tabs follow. */
  choose(parameter, index) {
    app.weight = { parameter, index };
    app.emit("weight");
  },

  weightName: (parameter, index) => weightName(app, parameter, index),
  setLanguage,
  setTheme,
  reopen,
};

const loop = new Loop(app);

function readPlace(page) {
  const { state } = app;
  state.step = page.step();
  state.epoch = page.epoch();
  state.stepsPerEpoch = page.stepsPerEpoch();
  state.device = page.device();
  state.deviceKind = page.deviceKind();
  const notice = page.notice?.();
  if (notice) say(app.words(notice), "note");
}
app.readPlace = readPlace;

/** A message that stays until it is dismissed. The same text is not shown twice. */
function say(text, kind = "note") {
  const box = document.getElementById("messages");
  for (const old of box.children) if (old.dataset.says === text) return;
  const close = el(
    "button",
    { type: "button", class: "button quiet small", "data-text": "dismiss", onclick: () => message.remove() },
    app.texts("dismiss"),
  );
  const message = el("div", { class: `message ${kind}`, "data-says": text }, el("p", {}, text), close);
  box.append(message);
  while (box.children.length > 4) box.firstElementChild.remove();
}

let keeping = 0;

/** Writes the state into the page's address, a moment later. */
function keep() {
  clearTimeout(keeping);
  keeping = setTimeout(async () => {
    if (app.state.playing) return;
    const address = await app.address();
    if (`#${address}` !== location.hash) history.replaceState(null, "", `#${address}`);
  }, 250);
}

// Tabs

const modules = { lab: null, digits: null, speed: null };
const TABS = ["play", "lab", "digits", "speed"];

async function show(tab, focus = false) {
  if (!TABS.includes(tab)) return;
  const before = app.state.tab;
  app.state.tab = tab;
  for (const name of TABS) {
    const button = document.getElementById(`tab-${name}`);
    button.setAttribute("aria-selected", String(name === tab));
    button.tabIndex = name === tab ? 0 : -1;
    if (name === tab && focus) button.focus();
    document.getElementById(name).hidden = name !== tab;
  }
  const trains = tab === "play" || tab === "lab";
  document.getElementById("bar").hidden = !trains;
  if (!trains) loop.pause();
  if (before !== tab) (await modules[before])?.hidden?.();
  if (tab !== "play") {
    const first = !modules[tab];
    modules[tab] ??= import(`./${tab}.js`).then((module) => module.mount(document.getElementById(tab), app));
    try {
      const mounted = await modules[tab];
      if (!first) mounted?.shown?.();
      translate(document.getElementById(tab), app.texts.orNothing);
      hide();
    } catch (error) {
      modules[tab] = null;
      say(app.words(error), "error");
    }
  } else {
    app.emit("maps", "weights", "curve", "step");
  }
  if (app.state.setup && before !== tab) {
    await app.engine.set("tab", tab === "play" ? "" : tab).catch(() => {});
    keep();
  }
}

function setUpTabs() {
  for (const name of TABS) document.getElementById(`tab-${name}`).addEventListener("click", () => show(name));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const open = TABS.filter((name) => !document.getElementById(`tab-${name}`).hidden);
    const at = open.indexOf(app.state.tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + open.length, Home: 0, End: open.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(open[to % open.length], true);
  });
}

// Language and theme: the address first, then what was chosen last, then the browser.

function remembered(key) {
  try {
    return localStorage.getItem(`playground-${key}`);
  } catch {
    return null; // storage may be forbidden
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`playground-${key}`, value);
  } catch {
    // The choice then holds for this visit.
  }
}

function setLanguage(language, chosen = false) {
  app.language = languages.includes(language) ? language : "en";
  app.texts = makeTexts(app.language);
  document.documentElement.lang = app.language;
  document.title = app.texts("title");
  translate(document, app.texts.orNothing);
  if (chosen) remember("lang", app.language);
  app.emit("language");
}

const darkScreen = matchMedia("(prefers-color-scheme: dark)");

function setTheme(theme, chosen = false) {
  const own = theme === "light" || theme === "dark";
  if (own) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  app.state.theme = own ? theme : darkScreen.matches ? "dark" : "light";
  if (chosen) remember("theme", theme);
  app.emit("theme");
}

darkScreen.addEventListener("change", () => setTheme(document.documentElement.dataset.theme ?? "auto"));

/** Which controls the address hides, for a lesson. */
function hide() {
  const hidden = new Set(app.view("hide").split(",").filter(Boolean));
  for (const node of document.querySelectorAll("[data-control]")) {
    const hides = node.dataset.control.split(" ").some((name) => hidden.has(name));
    node.classList.toggle("lesson-hides", hides);
  }
  const names = { lab: "gradient", digits: "digits", speed: "speedtab" };
  for (const [tab, name] of Object.entries(names)) document.getElementById(`tab-${tab}`).hidden = hidden.has(name);
}

/** Opens an address: first at step 0, then so far as it says. */
async function reopen(address) {
  loop.pause();
  app.state.rate = 0;
  document.getElementById("messages").replaceChildren();
  const view = new URLSearchParams(address);
  await app.engine.open(address, view.get("device") || "auto");
  app.state.choices = await app.engine.choices();
  for (const fault of await app.engine.faults()) say(app.words(fault), "error");
  await app.refreshSetup();
  if (languages.includes(app.view("lang"))) setLanguage(app.view("lang"));
  if (app.view("theme")) setTheme(app.view("theme"));
  hide();
  const target = await app.engine.target();
  await app.refresh();
  if (target > 0) await loop.restore(target);
}

async function start() {
  const wish = new URLSearchParams(location.hash.slice(1));
  const browser = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => languages.includes(tag));
  setUpHelp();
  setUpTabs();
  mountTools(app, document.getElementById("tools"));
  mountBar(app, document.getElementById("bar"));
  mountChoices(app, document.getElementById("choices"));
  mountData(app, document.getElementById("data"));
  mountNetwork(app, document.getElementById("network"), document.getElementById("net-tools"));
  mountOutput(app, document.getElementById("output"), document.getElementById("more"));
  mountEditor(app, document.getElementById("editor"));
  setTheme(wish.get("theme") || remembered("theme") || "auto");
  setLanguage(wish.get("lang") || remembered("lang") || browser || "en");
  app.on("setup", hide);
  app.on("language", hide);
  window.addEventListener("hashchange", () => app.attempt(() => reopen(location.hash.slice(1))));
  try {
    await reopen(location.hash.slice(1));
    document.documentElement.dataset.ready = "true";
    performance.mark("ready");
  } catch (error) {
    say(app.texts("noStart", { why: app.words(error) }), "error");
    return;
  }
  if (TABS.includes(app.view("tab"))) show(app.view("tab"));
}

await start();

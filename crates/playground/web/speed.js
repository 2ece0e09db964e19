// The tab "Speed": steps a second on WebGPU and on the CPU, side by side, measured on click.

import { el } from "./dom.js";
import { makeKit, words } from "./lab-kit.js";
import { SPEED } from "./lab-texts.js";

const ROUNDS = 5;
const MILLISECONDS = 250;

export function mount(section, app) {
  const kit = makeKit(app, section, SPEED);
  const results = new Map();
  const rows = new Map();
  const table = el("div", { class: "speed-rows" });
  for (const what of ["gpu", "cpu"]) {
    const row = { fill: el("span", { class: "speed-fill" }), value: el("output", { class: "speed-value" }), about: el("p", { class: "hint" }) };
    rows.set(what, row);
    const track = el("div", { class: "speed-track", "aria-hidden": "true" }, row.fill);
    table.append(el("section", { class: "speed-row" }, kit.text(what, "h3"), track, el("p", { class: "speed-figure" }, row.value, kit.text("aSecond", "span", { class: "hint" })), row.about));
  }
  const button = kit.button("measure", () => measure(), { class: "button main" });
  const status = el("p", { class: "hint", role: "status" });
  const verdict = el("p", { class: "speed-verdict" });
  const how = el("p", { class: "hint" });
  section.append(
    el(
      "div",
      { class: "speed-cards" },
      el("div", { class: "card stack" }, kit.text("intro", "p"), el("div", { class: "row" }, button, status), table, verdict, how),
      el("div", { class: "card stack" }, kit.text("why", "h3"), kit.text("whyText", "p", { class: "speed-text" })),
    ),
  );

  kit.translate();

  function show() {
    const most = Math.max(...[...results.values()].map((result) => result.stepsPerSecond ?? 0), 1);
    for (const [what, { fill, value, about }] of rows) {
      const result = results.get(what);
      fill.style.width = `${((result?.stepsPerSecond ?? 0) / most) * 100}%`;
      value.textContent = result?.stepsPerSecond ? kit.number(Number(result.stepsPerSecond.toPrecision(3)), 0) : "–";
      about.textContent = !result ? kit.texts("notYet") : result.none ? kit.texts("none") : result.why ? kit.texts("failed", { why: result.why }) : result.device;
    }
    const [gpu, cpu] = ["gpu", "cpu"].map((what) => results.get(what)?.stepsPerSecond ?? 0);
    const what = gpu > cpu ? "gpu" : "cpu";
    verdict.textContent = gpu && cpu ? kit.texts("faster", { what: kit.texts(what), times: kit.number(Math.max(gpu, cpu) / Math.min(gpu, cpu), 1) }) : "";
    how.textContent = kit.texts("how", { rounds: ROUNDS, milliseconds: MILLISECONDS });
  }

  async function measure() {
    button.disabled = true;
    app.pause();
    try {
      const { speed } = await app.engine.glue();
      for (const what of ["cpu", "gpu"]) {
        status.textContent = kit.texts("measuring", { what: kit.texts(what) });
        // The page shows it before the processor is busy.
        await new Promise((next) => requestAnimationFrame(() => setTimeout(next, 20)));
        results.set(what, await measured(speed, what));
        show();
      }
    } catch (error) {
      app.say(words(error), "error");
    }
    status.textContent = "";
    button.disabled = false;
    show();
  }

  async function measured(speed, what) {
    if (what === "gpu" && !(await navigator.gpu?.requestAdapter().catch(() => null))) return { none: true };
    try {
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) {
        rounds.push(JSON.parse(await speed(what, MILLISECONDS)));
        await new Promise((next) => setTimeout(next, 0));
      }
      rounds.sort((a, b) => a.stepsPerSecond - b.stepsPerSecond);
      return rounds[Math.floor(ROUNDS / 2)];
    } catch (error) {
      return { why: words(error) };
    }
  }

  app.on("language", show);
  navigator.gpu?.requestAdapter().catch(() => null).then((adapter) => {
    if (!adapter && !results.has("gpu")) results.set("gpu", { none: true });
    show();
  });
  if (!navigator.gpu) results.set("gpu", { none: true });
  show();
}

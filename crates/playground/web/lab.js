// The tab "Gradient": the slope of one weight, numerical against back-propagated, and the hills that the optimizer walks down.

import { el } from "./dom.js";
import { calmly, makeKit } from "./lab-kit.js";
import { LAB } from "./lab-texts.js";
import { Slope } from "./lab-slope.js";
import { Surface } from "./lab-surface.js";

export function mount(section, app) {
  const kit = makeKit(app, section, LAB);
  const slope = new Slope(app, kit);
  const surface = new Surface(app, kit);
  section.append(el("div", { class: "lab-cards" }, slope.node, surface.node));
  kit.translate();
  const visible = () => !section.hidden;
  const both = (each) => visible() && [slope, surface].forEach(each);
  app.on("theme", () => both((part) => part.draw()));
  app.on("language", () => both((part) => part.renamed()));
  app.on("setup", () => both((part) => part.renamed()));
  app.on("weights", () => both((part) => part.moved()));
  app.on("playing", () => both((part) => part.moved()));
  app.on("reset", () => both((part) => part.reset()));
  app.on("weight", () => slope.choose(app.weight));
  window.addEventListener("resize", calmly(150, () => both((part) => part.draw())));
  const shown = () => [slope, surface].forEach((part) => part.reset());
  shown();
  return { shown };
}

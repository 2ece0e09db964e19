// The small editor of a neuron: its bias and the weights that come in, as numbers.

import { el, popup } from "./dom.js";
import { neuronName } from "./neurons.js";

export function mountEditor(app, box) {
  let anchor = null;
  app.emitEdit = open;
  box.addEventListener("toggle", (event) => {
    if (event.newState === "closed" && anchor?.focus && (!document.activeElement || document.activeElement === document.body))
      anchor.focus();
  });
  app.on("language", () => box.matches(":popover-open") && box.hidePopover());
  app.on("reset", () => box.matches(":popover-open") && box.hidePopover());

  function open({ column, index, from = null, anchor: at }) {
    const layer = column - 1;
    const of = (kind) => app.state.weights.find((weight) => weight.layer === layer && weight.kind === kind);
    const [weights, biases] = [of("weight"), of("bias")];
    if (!weights) return;
    anchor = at;
    const rows = [];
    let wanted = null;
    const add = (weight, place, name) => {
      const input = el("input", { type: "number", step: "0.1", value: round(weight.values[place]) });
      input.addEventListener("focus", () => app.choose(weight.parameter, place));
      input.addEventListener("change", () => change(weight.parameter, place, input));
      input.addEventListener("keydown", (event) => event.key === "Enter" && change(weight.parameter, place, input));
      rows.push(el("label", { class: "edit-row" }, el("span", {}, name), input));
      return input;
    };
    if (biases) wanted = add(biases, index, app.texts("bias"));
    for (let j = 0; j < weights.columns; j++) {
      const input = add(weights, index * weights.columns + j, app.texts("from", { name: neuronName(app, layer, j) }));
      if (j === from) wanted = input;
      wanted ??= input;
    }
    const slope = el(
      "button",
      {
        type: "button",
        class: "button small",
        "data-control": "gradient",
        onclick: () => {
          box.hidePopover();
          app.show("lab", true);
        },
      },
      app.texts("seeSlope"),
    );
    const close = el("button", { type: "button", class: "button quiet small", onclick: () => box.hidePopover() }, app.texts("close"));
    box.replaceChildren(
      el("h2", { id: "editor-title" }, neuronName(app, column, index)),
      el("p", { class: "hint" }, app.texts("editorHow")),
      el("div", { class: "edit-rows" }, ...rows),
      el("div", { class: "row" }, slope, close),
    );
    popup(box, at);
    wanted?.focus({ preventScroll: true });
    wanted?.select();
  }

  async function change(parameter, place, input) {
    const value = input.valueAsNumber;
    const known = app.state.weights.find((weight) => weight.parameter === parameter)?.values[place];
    if (!Number.isFinite(value)) {
      input.value = round(known);
      return;
    }
    if (value === Number(round(known))) return;
    await app.attempt(async () => {
      await app.engine.edit(parameter, place, value);
      await app.refresh(false);
    });
  }
}

const round = (value) => String(Number(Number(value).toPrecision(4)));

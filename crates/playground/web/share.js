// What can be taken along: a link that holds everything, a link for a lesson, the weights, the model as a program.

import { download, el } from "./dom.js";

/** What a lesson can hide: the name in the address, and its text. */
const HIDEABLE = [
  ["play", "play"],
  ["step", "step"],
  ["epoch", "epoch"],
  ["reset", "reset"],
  ["speed", "speed"],
  ["device", "device"],
  ["problem", "problem"],
  ["rate", "rate"],
  ["optimizer", "optimizer"],
  ["loss", "loss"],
  ["penalty", "penalty"],
  ["penaltyRate", "penaltyRate"],
  ["dropout", "dropout"],
  ["stop", "stop"],
  ["dataset", "data"],
  ["classes", "classes"],
  ["train", "trainShare"],
  ["noise", "noise"],
  ["batch", "batch"],
  ["regenerate", "regenerate"],
  ["own", "own"],
  ["features", "features"],
  ["layers", "layers"],
  ["activation", "activation"],
  ["curve", "curves"],
  ["accuracy", "accuracy"],
  ["confusion", "confusion"],
  ["showTest", "showTest"],
  ["discretize", "discretize"],
  ["export", "export"],
  ["share", "share"],
  ["lang", "language"],
  ["theme", "theme"],
  ["gradient", "tabLab"],
  ["digits", "tabDigits"],
  ["speedtab", "tabSpeed"],
];

function open(app, key, ...children) {
  const title = `dialog-${key}`;
  const dialog = el(
    "dialog",
    { "aria-labelledby": title },
    el(
      "div",
      { class: "stack" },
      el("h2", { id: title }, app.texts(key)),
      ...children,
      el("div", { class: "row" }, el("button", { type: "button", class: "button", onclick: () => dialog.close() }, app.texts("close"))),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A button that copies, and says so. */
function copier(app, key, content) {
  const button = el(
    "button",
    {
      type: "button",
      class: "button main",
      onclick: async () => {
        let done = true;
        try {
          await navigator.clipboard.writeText(content());
        } catch {
          done = false; // no permission, or no secure address: the text can still be selected
        }
        button.textContent = app.texts(done ? "copied" : "copyFailed");
        setTimeout(() => (button.textContent = app.texts(key)), 2000);
      },
    },
    app.texts(key),
  );
  return button;
}

/** The dialog with the link. */
export async function openShare(app) {
  const address = await app.address();
  const now = new Set(app.view("hide").split(",").filter(Boolean));
  const link = el("input", { type: "text", readonly: true, id: "share-link", "aria-label": app.texts("share") });
  const show = () => {
    const parts = address.split("&").filter((part) => !part.startsWith("hide="));
    if (now.size) parts.push(`hide=${[...now].join(",")}`);
    link.value = `${location.origin}${location.pathname}#${parts.join("&")}`;
  };
  show();
  link.addEventListener("focus", () => link.select());
  const boxes = HIDEABLE.map(([name, key]) => {
    const input = el("input", {
      type: "checkbox",
      id: `hide-${name}`,
      onchange: () => {
        if (input.checked) now.add(name);
        else now.delete(name);
        show();
      },
    });
    input.checked = now.has(name);
    return el("div", { class: "check" }, input, el("label", { for: input.id }, app.texts(key)));
  });
  const lesson = el(
    "details",
    {},
    el("summary", {}, app.texts("lesson")),
    el("p", { class: "hint" }, app.texts("lessonHow")),
    el("div", { class: "hideable" }, ...boxes),
  );
  open(
    app,
    "share",
    el("p", {}, app.texts("shareHow")),
    el(
      "div",
      { class: "copy-row" },
      link,
      copier(app, "copyLink", () => link.value),
    ),
    lesson,
  );
}

/** The dialog with the program. */
export async function openCode(app) {
  await app.attempt(async () => {
    const code = await app.engine.code();
    open(
      app,
      "showCode",
      el("p", {}, app.texts("codeHow")),
      el("pre", { tabindex: "0", "aria-label": app.texts("showCode") }, code),
      el(
        "div",
        { class: "row" },
        copier(app, "copyCode", () => code),
        el("button", { type: "button", class: "button", onclick: () => download("main.rs", code, "text/plain") }, app.texts("saveCode")),
      ),
    );
  });
}

/** Saves the weights as a file. */
export async function saveWeights(app) {
  await app.attempt(async () => download("playground.safetensors", await app.engine.safetensors(), "application/octet-stream"));
}

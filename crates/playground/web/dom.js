// Small helpers for making elements. Text that depends on the language is named, not written: `translate` fills it in.

/** An element. `props`: attributes; `on..` are handlers; false and null leave an attribute out. */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** An SVG element. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function filled(node, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text by its key in texts.js. */
export function text(key, tag = "span", props = {}) {
  return el(tag, { "data-text": key, ...props });
}

/** Fills in all named texts below `root`. */
export function translate(root, texts) {
  const each = (name, put) => {
    for (const node of root.querySelectorAll(`[data-${name}]`)) {
      const value = texts(node.dataset[name]);
      // Not known: the text of a tab that has its own table.
      if (value !== undefined) put(node, value);
    }
  };
  each("text", (node, value) => (node.textContent = value));
  each("label", (node, value) => node.setAttribute("aria-label", value));
  each("title", (node, value) => node.setAttribute("title", value));
  each("placeholder", (node, value) => node.setAttribute("placeholder", value));
}

/** A 2D context whose unit is a CSS pixel, on a canvas as fine as the screen. Sizing a canvas clears it, so this does it only when the size changed. */
export function sharp(canvas, width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** A label above a control, with its explanation behind a `?`. `name` is what `hide=` in the address calls it. */
export function field(app, labelKey, control, helpKey = labelKey, name = null) {
  control.id ||= `field-${labelKey}`;
  const label = text(labelKey, "label", { for: control.id });
  return el(
    "div",
    { class: "field", "data-control": name },
    el("div", { class: "field-head" }, label, helpKey && help(app, helpKey)),
    control,
  );
}

/** A select; `options`: [value, text key or text]. Known keys of texts.js follow the language. */
export function select(app, options, chosen, onchange, props = {}) {
  const control = el("select", { ...props, onchange: () => onchange(control.value) });
  fillSelect(app, control, options, chosen);
  return control;
}

/** Gives a select new options. */
export function fillSelect(app, control, options, chosen) {
  const wanted = JSON.stringify([options, app.language]);
  if (control.dataset.options !== wanted) {
    control.dataset.options = wanted;
    control.replaceChildren(
      ...options.map(([value, key]) =>
        app.texts.has(key) ? el("option", { value, "data-text": key }, app.texts(key)) : el("option", { value }, key),
      ),
    );
  }
  control.value = String(chosen);
}

let opener = null;
let closed = { button: null, at: 0 };

/** The button `?` that shows the text `key` + "Help" of texts.js. */
export function help(app, key) {
  const button = el("button", { type: "button", class: "help", "aria-haspopup": "dialog", "aria-expanded": "false" }, "?");
  const name = () => button.setAttribute("aria-label", app.texts("about", { what: app.texts(key) }));
  name();
  app.on("language", name);
  button.addEventListener("click", () => {
    // The press that closed the explanation shall not open it again.
    if (closed.button === button && performance.now() - closed.at < 250) return;
    const box = document.getElementById("help");
    box.querySelector("h2").textContent = app.texts(key);
    box.querySelector("p").textContent = app.texts(`${key}Help`);
    opener = button;
    button.setAttribute("aria-expanded", "true");
    popup(box, button);
  });
  return button;
}

/** Readies the box that `help` shows. */
export function setUpHelp() {
  const box = document.getElementById("help");
  box.addEventListener("toggle", (event) => {
    if (event.newState !== "closed" || !opener) return;
    opener.setAttribute("aria-expanded", "false");
    closed = { button: opener, at: performance.now() };
    if (!document.activeElement || document.activeElement === document.body) opener.focus();
    opener = null;
  });
  box.querySelector("button").addEventListener("click", () => box.hidePopover());
}

/** Shows a popover beside an element, or beside a point {x, y} of the window, and keeps it inside the window. */
export function popup(box, anchor) {
  if (!box.matches(":popover-open")) box.showPopover();
  const at = anchor.getBoundingClientRect ? anchor.getBoundingClientRect() : new DOMRect(anchor.x, anchor.y, 0, 0);
  const [wide, high, gap] = [box.offsetWidth, box.offsetHeight, 8];
  const [roomX, roomY] = [document.documentElement.clientWidth, window.innerHeight];
  const below = at.bottom + gap + high <= roomY - gap;
  const top = below ? at.bottom + gap : Math.max(gap, at.top - gap - high);
  const left = Math.min(Math.max(gap, at.left + at.width / 2 - wide / 2), roomX - wide - gap);
  box.style.left = `${Math.max(gap, left)}px`;
  box.style.top = `${top}px`;
  box.focus({ preventScroll: true });
}

/** Offers bytes or text as a file. */
export function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

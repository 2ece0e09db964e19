// The only module that knows the wasm. Its async methods must not be entered twice, so that all calls wait for each other here.

const JSON_RESULTS = new Set(["setup", "choices", "figures", "weights", "slope", "surface"]);
const METHODS = [
  "target",
  "faults",
  "notice",
  "address",
  "device",
  "deviceKind",
  "useDevice",
  "setup",
  "choices",
  "set",
  "reset",
  "regenerate",
  "run",
  "step",
  "epoch",
  "stepsPerEpoch",
  "figures",
  "curve",
  "points",
  "classNames",
  "maps",
  "weights",
  "edit",
  "slope",
  "surface",
  "safetensors",
  "code",
  "setCsv",
  "setPoints",
];

let loaded = null;

/** The wasm module, loaded once. */
export function glue() {
  loaded ??= import("./pkg/noyau_playground.js").then(async (module) => {
    await module.default({ module_or_path: new URL("./pkg/noyau_playground_bg.wasm", import.meta.url) });
    return module;
  });
  return loaded;
}

/** The playground's engine: the methods of the contract as promises, one at a time, in the order in which they were called. */
export class Engine {
  #page = null;
  #last = Promise.resolve();

  constructor() {
    for (const name of METHODS)
      this[name] = (...args) =>
        this.together((page) => page[name](...args)).then((value) => (JSON_RESULTS.has(name) ? JSON.parse(value) : value));
  }

  glue() {
    return glue();
  }

  /** Opens an address in place of what was open. */
  open(address, device) {
    return this.#queue(async () => {
      const { Playground } = await glue();
      const page = await Playground.open(address, device);
      this.#page?.free();
      this.#page = page;
    });
  }

  /** Does several calls with nothing in between; `work` is given the bare wasm object. */
  together(work) {
    return this.#queue(() => {
      if (!this.#page) throw new Error("The engine has not started.");
      return work(this.#page);
    });
  }

  #queue(work) {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

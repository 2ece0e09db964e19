// Training in slices of a frame. A frame does some steps and one reading (maps,
// weights or figures, in turn), in less than the 16 ms that a frame has.

/** How fast training runs: steps of one frame, from the steps of an epoch. `every`: only so many milliseconds after the last. */
export const SPEEDS = [
  { key: "speedSlow", steps: () => 1, every: 95 },
  { key: "speedSteps", steps: () => 1, every: 0 },
  { key: "speedEpoch", steps: (epoch) => epoch, every: 0 },
  { key: "speedEpochs", steps: (epoch) => 10 * epoch, every: 0 },
  { key: "speedMost", steps: () => Infinity, every: 0 },
];
export const USUAL_SPEED = 2;

// What is left of a frame is the browser's, to draw.
const FRAME = 11;
// A GPU works beside the page, and most of a slice is waiting for what is read.
const GPU_SLICE = 24;
const GPU_LEAST = 10;
const LEAST = 3;
const TURNS = ["maps", "weights", "figures"];

export class Loop {
  #app;
  #allowed = TURNS.map(() => 25);
  #cost = 0.1;
  #frame = 0;
  #last = 0;
  #busy = false;
  #timed = { at: 0, step: 0 };
  #said = 0;
  #playing = null;

  constructor(app) {
    this.#app = app;
  }

  play() {
    const { app, state } = this.#both();
    if (state.playing || !state.setup) return;
    state.playing = true;
    this.#timed = { at: performance.now(), step: state.step };
    app.emit("playing");
    const token = (this.#playing = {});
    const next = () => {
      if (this.#playing !== token) return;
      requestAnimationFrame(next);
      this.#slice(token);
    };
    requestAnimationFrame(next);
  }

  pause() {
    const { app, state } = this.#both();
    if (!state.playing) return;
    state.playing = false;
    this.#playing = null;
    app.emit("playing");
    app.attempt(() => this.#showAll());
  }

  /** So many steps at once, in slices, then all is shown. */
  async advance(steps) {
    const { app } = this.#both();
    this.pause();
    await app.attempt(async () => {
      await this.#run(steps);
      await this.#showAll();
    });
  }

  /** Trains from step 0 to where an address says, with progress. */
  async restore(target) {
    const { app, state } = this.#both();
    state.restoring = 0;
    app.emit("restoring");
    try {
      while (state.step < target) {
        const begun = performance.now();
        let done = 0;
        let go = true;
        while (go && state.step < target && performance.now() - begun < 40) {
          const before = state.step;
          go = await this.#run(Math.min(target - state.step, 500));
          done += state.step - before;
        }
        state.restoring = state.step / target;
        app.emit("restoring", "step");
        if (done === 0) break;
        await new Promise((next) => setTimeout(next));
      }
    } finally {
      state.restoring = null;
      app.emit("restoring");
    }
    await this.#showAll();
  }

  #both() {
    return { app: this.#app, state: this.#app.state };
  }

  async #run(steps) {
    const { app } = this.#both();
    return app.engine.together(async (page) => {
      const go = await page.run(steps);
      app.readPlace(page);
      return go;
    });
  }

  async #showAll() {
    const { app } = this.#both();
    await app.readMaps();
    await app.readWeights();
    await app.readFigures();
    app.emit("step");
    app.keep();
    this.#tell();
  }

  async #slice(token) {
    if (this.#busy) return;
    const { app, state } = this.#both();
    const speed = SPEEDS[state.speed ?? USUAL_SPEED];
    if (performance.now() - this.#last < speed.every) return;
    this.#last = performance.now();
    this.#frame += 1;
    this.#busy = true;
    const turn = this.#frame % TURNS.length;
    const begun = performance.now();
    try {
      const wanted = speed.steps(state.stepsPerEpoch);
      // A CPU may always learn for a few milliseconds, however dear the reading is.
      const cpu = state.deviceKind === "cpu";
      const least = cpu ? LEAST / this.#cost : GPU_LEAST;
      const steps = Math.floor(Math.max(1, Math.min(wanted, Math.max(least, this.#allowed[turn]))));
      const before = state.step;
      const go = await this.#run(steps);
      if (state.step < before && (await app.engine.target()) > state.step) return await this.#again();
      const ran = performance.now() - begun;
      if (steps > 4) this.#cost = Math.max(1e-4, this.#cost * 0.9 + (ran / steps) * 0.1);
      if (TURNS[turn] === "maps") await app.readMaps();
      else if (TURNS[turn] === "weights") await app.readWeights();
      else await app.readFigures();
      const taken = performance.now() - begun;
      // Steps a slice follow what the last slice of this kind took: quickly down, gently up.
      const factor = Math.min(1.3, Math.max(0.4, (cpu ? FRAME : GPU_SLICE) / Math.max(taken, 0.5)));
      if (factor < 1 || steps >= Math.floor(this.#allowed[turn]))
        this.#allowed[turn] = Math.min(50_000, Math.max(1, this.#allowed[turn] * factor));
      this.#count();
      if (this.#playing === token) app.emit("step");
      if (performance.now() - this.#said > 5000) this.#tell();
      if (!go && this.#playing === token) {
        await app.readFigures();
        this.pause();
        app.say(app.texts("stopped", { step: app.number(state.step), loss: app.number(state.figures?.testLoss ?? NaN) }), "note");
      }
    } catch (error) {
      this.pause();
      app.say(app.words(error), "error");
    } finally {
      this.#busy = false;
    }
  }

  /** A device was lost and training has begun again on the CPU: it comes back to where it was, then goes on. */
  async #again() {
    const { app } = this.#both();
    this.pause();
    const target = await app.engine.target();
    await app.refresh();
    await this.restore(target);
    this.play();
  }

  #count() {
    const { state } = this.#both();
    const now = performance.now();
    if (now - this.#timed.at < 500) return;
    state.rate = ((state.step - this.#timed.step) * 1000) / (now - this.#timed.at);
    this.#timed = { at: now, step: state.step };
  }

  /** Figures for screen readers, at a calm pace. */
  #tell() {
    const { app, state } = this.#both();
    this.#said = performance.now();
    if (!state.figures) return;
    const { trainLoss, testLoss } = state.figures;
    document.getElementById("status").textContent = app.texts("statusLine", {
      epoch: app.number(state.epoch, 1),
      train: app.number(trainLoss),
      test: app.number(testLoss),
    });
  }
}

// Training in slices: so much work a frame that the page stays quick, one call of the engine at a time.

/** A frame should be done after so many milliseconds: what is left of 16 is the browser's. */
const SLICE = 10;
const MOST_UNITS = 2000;

export class Learner {
  #digits = null;
  #last = Promise.resolve();
  #units = 1;
  #playing = false;
  #done;
  figures = null;
  /** The images of the last second or so: [time, images done by then]. */
  #pace = [];
  slices = [];

  /** `done(digits)` is called after each slice, within the queue: it may use the engine, and await it. */
  constructor(done) {
    this.#done = done;
  }

  /** Opens a network. */
  async open(make) {
    await this.together(async () => {
      const digits = await make();
      this.#digits?.free();
      this.#digits = digits;
      this.#begin();
    });
  }

  restart(seed) {
    return this.together(async (digits) => {
      await digits.restart(seed);
      this.#begin();
    });
  }

  #begin() {
    this.#units = 1;
    this.#pace = [];
    this.slices = [];
    this.#read();
  }

  #read() {
    this.figures = JSON.parse(this.#digits.figures());
  }

  /** Uses the engine when nobody else does. */
  together(work) {
    const done = this.#last.then(() => work(this.#digits));
    this.#last = done.catch(() => {});
    return done;
  }

  get playing() {
    return this.#playing;
  }

  /** Images a second, lately. */
  get pace() {
    const [first, last] = [this.#pace[0], this.#pace.at(-1)];
    return first && last[0] > first[0] ? ((last[1] - first[1]) / (last[0] - first[0])) * 1000 : NaN;
  }

  /** Trains until `pause` or an error, which it throws. */
  async play() {
    if (this.#playing) return;
    this.#playing = true;
    this.#pace = [];
    try {
      while (this.#playing) {
        await this.#slice();
        await new Promise((next) => requestAnimationFrame(next));
      }
    } finally {
      this.#playing = false;
    }
  }

  pause() {
    this.#playing = false;
  }

  /** So many units, without adapting. */
  advance(units) {
    return this.together(async (digits) => {
      await digits.run(units);
      this.#read();
      await this.#done(digits);
    });
  }

  #slice() {
    return this.together(async (digits) => {
      const begun = performance.now();
      await digits.run(this.#units);
      this.#read();
      // What is shown after it waits for the device: the time tells how much was too much.
      await this.#done(digits);
      const now = performance.now();
      const took = now - begun;
      this.slices.push(took);
      if (this.slices.length > 120) this.slices.shift();
      const wish = this.#units * Math.min(1.5, Math.max(0.5, SLICE / Math.max(took, 0.1)));
      this.#units = Math.min(MOST_UNITS, Math.max(1, took < SLICE ? Math.ceil(wish) : Math.floor(wish)));
      this.#pace.push([now, this.figures.step * this.figures.batch]);
      while (now - this.#pace[0][0] > 1500) this.#pace.shift();
    });
  }
}

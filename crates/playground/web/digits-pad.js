// The drawing pad: strokes of a pointer, as ink on a square of so many values.

import { sharp } from "./dom.js";

/** Values along a side of the drawing. */
export const SIDE = 140;
const BRUSH = 11;

export class Pad {
  #kit;
  #canvas;
  #strokes = [];
  #drawing = null;
  #image = null;
  #raster = document.createElement("canvas");
  #changed;

  /** `changed(drawing)` is told when the drawing changed: SIDE x SIDE values from 0 to 1, or null when it was cleared. */
  constructor(kit, canvas, changed) {
    this.#kit = kit;
    this.#canvas = canvas;
    this.#changed = changed;
    this.#raster.width = this.#raster.height = SIDE;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      this.#image = null;
      this.#drawing = [this.#place(event)];
      this.#strokes.push(this.#drawing);
      this.#redraw();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.#drawing) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.#drawing.push(this.#place(part));
      this.#redraw();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(end, () => (this.#drawing = null));
  }

  get isEmpty() {
    return this.#strokes.length === 0 && !this.#image;
  }

  get canUndo() {
    return this.#strokes.length > 0;
  }

  clear() {
    this.#strokes = [];
    this.#image = null;
    this.#redraw();
  }

  undo() {
    this.#strokes.pop();
    this.#redraw();
  }

  /** Shows an image of 28 x 28 values in place of a drawing. */
  show(image) {
    this.#strokes = [];
    this.#image = image;
    this.draw();
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  #redraw() {
    this.draw();
    if (!this.#strokes.length) return this.#changed(null);
    const context = this.#raster.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIDE, SIDE);
    context.strokeStyle = context.fillStyle = "#fff";
    this.#paint(context, 1);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    this.#changed(Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[i * 4] / 255));
  }

  #paint(context, unit) {
    context.lineWidth = BRUSH * unit;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.#strokes) {
      context.beginPath();
      for (const [x, y] of stroke) context.lineTo(x * unit, y * unit);
      // A tap is a dot.
      if (stroke.length === 1) context.lineTo(stroke[0][0] * unit + 0.01, stroke[0][1] * unit);
      context.stroke();
    }
  }

  draw() {
    const size = this.#canvas.clientWidth;
    if (!size) return;
    const context = sharp(this.#canvas, size, size);
    const colours = this.#kit.palette();
    context.clearRect(0, 0, size, size);
    // The box that a digit will be made to fit.
    context.strokeStyle = colours.line;
    context.setLineDash([4, 5]);
    context.lineWidth = 1;
    const edge = Math.round(size / 7) + 0.5;
    context.strokeRect(edge, edge, size - 2 * edge, size - 2 * edge);
    context.setLineDash([]);
    if (this.#image) return this.#showImage(context, size, colours);
    context.strokeStyle = colours.ink;
    if (this.#strokes.length) return this.#paint(context, size / SIDE);
    context.fillStyle = colours.muted;
    context.font = "15px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(this.#kit.texts("drawHere"), size / 2, size / 2);
  }

  #showImage(context, size, colours) {
    context.clearRect(0, 0, size, size);
    const pixel = size / 28;
    context.fillStyle = colours.ink;
    for (let i = 0; i < 784; i++) {
      if (!this.#image[i]) continue;
      context.globalAlpha = this.#image[i];
      const [x, y] = [Math.floor((i % 28) * pixel), Math.floor(Math.floor(i / 28) * pixel)];
      context.fillRect(x, y, Math.ceil(pixel), Math.ceil(pixel));
    }
    context.globalAlpha = 1;
  }
}

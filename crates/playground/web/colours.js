// Colours of data: orange and blue, which colour-blind people tell apart,
// and ten classes that begin with them. Classes also differ by shape.

const PALETTES = {
  light: {
    ink: "#1c2430",
    muted: "#5a6473",
    line: "#dfe2e6",
    surface: "#ffffff",
    edge: "#ffffff",
    negative: "#e07b16",
    middle: "#f4f3ef",
    positive: "#1f77c4",
    classes: ["#e07b16", "#1f77c4", "#0a9373", "#c4559a", "#b79a00", "#6b54c8", "#5a6473", "#a0522d", "#0b8fb3", "#b3321f"],
  },
  dark: {
    ink: "#e9ecf1",
    muted: "#a4adbb",
    line: "#323a46",
    surface: "#1b2028",
    edge: "#12151a",
    negative: "#f39a3d",
    middle: "#262c36",
    positive: "#4aa3ef",
    classes: ["#f39a3d", "#4aa3ef", "#2fc39d", "#e784bf", "#e0c341", "#a08cf5", "#a4adbb", "#d59a78", "#5fd0ee", "#ff8a75"],
  },
};

/** The colours of a theme, "light" or "dark", for canvases. */
export function palette(theme) {
  return PALETTES[theme] ?? PALETTES.light;
}

const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
const packed = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
const mixed = (a, b, share) => a.map((from, i) => Math.round(from + (b[i] - from) * share));

const scales = new Map();

/** 256 colours from -1 to 1, as an ImageData of a little-endian machine holds them. */
export function scale(theme) {
  if (!scales.has(theme)) {
    const { negative, middle, positive } = palette(theme);
    const [low, mid, high] = [negative, middle, positive].map(rgb);
    const table = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const value = (i / 255) * 2 - 1;
      // A little more colour near 0, where the eye looks for the border; never all of it, so that points stand out.
      table[i] = packed(mixed(mid, value < 0 ? low : high, Math.abs(value) ** 0.85 * 0.8));
    }
    scales.set(theme, table);
  }
  return scales.get(theme);
}

/** The place in `scale` of a value, which is cut off at -1 and 1. NaN is shown as 0. */
export const shade = (value) => (value >= 1 ? 255 : value <= -1 ? 0 : Math.round(value * 127.5 + 127.5) || (value === value ? 0 : 128));

/** Draws values (rows from above) into an ImageData of as many pixels. */
export function paint(image, values, offset, theme, discrete) {
  const table = scale(theme);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) {
    const value = values[offset + i];
    pixels[i] =
      table[discrete ? (value >= 0 ? 255 : 0) : value >= 1 ? 255 : value > -1 ? (value * 127.5 + 127.5) | 0 : value <= -1 ? 0 : 128];
  }
}

/** Colours of places for more than two classes: the class of the highest of the scores, paler where it is less sure. 64 shades of each class, one class after the other. */
export function classShades(theme, count, discrete) {
  const middle = rgb(palette(theme).middle);
  const table = new Uint32Array(count * 64);
  for (let c = 0; c < count; c++) {
    for (let i = 0; i < 64; i++) {
      // Scores are twice a share less one. At a share of 1/count nothing is known, at 1 all.
      const sure = Math.max(0, ((i + 0.5) / 64 - 1 / count) / (1 - 1 / count));
      table[c * 64 + i] = packed(mixed(middle, rgb(palette(theme).classes[c]), discrete ? 0.75 : 0.18 + 0.6 * sure));
    }
  }
  return table;
}

/** The path of a mark for a point of a class: circle, diamond, triangle, square, triangle on its head, cross. */
export function mark(context, kind, x, y, r) {
  context.beginPath();
  switch (kind % 6) {
    case 0:
      context.arc(x, y, r, 0, 2 * Math.PI);
      return;
    case 1:
      return polygon(context, x, y, r * 1.25, [
        [0, -1],
        [1, 0],
        [0, 1],
        [-1, 0],
      ]);
    case 2:
      return polygon(context, x, y, r * 1.25, [
        [0, -1],
        [0.95, 0.75],
        [-0.95, 0.75],
      ]);
    case 3:
      return polygon(context, x, y, r * 0.95, [
        [-1, -1],
        [1, -1],
        [1, 1],
        [-1, 1],
      ]);
    case 4:
      return polygon(context, x, y, r * 1.25, [
        [0, 1],
        [0.95, -0.75],
        [-0.95, -0.75],
      ]);
    default:
      return polygon(context, x, y, r * 1.2, [
        [-0.35, -1],
        [0.35, -1],
        [0.35, -0.35],
        [1, -0.35],
        [1, 0.35],
        [0.35, 0.35],
        [0.35, 1],
        [-0.35, 1],
        [-0.35, 0.35],
        [-1, 0.35],
        [-1, -0.35],
        [-0.35, -0.35],
      ]);
  }
}

function polygon(context, x, y, r, corners) {
  for (const [dx, dy] of corners) context.lineTo(x + dx * r, y + dy * r);
  context.closePath();
}

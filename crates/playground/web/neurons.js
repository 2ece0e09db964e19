// Neurons and weights in words, and what features show.

import { MAP_SIZE } from "./map.js";

/** What a feature shows of a place, scaled to -1..1, for those that the network is not given (the engine has maps of those that it is). */
const FEATURES = {
  x1: (x) => x / 6,
  x2: (x, y) => y / 6,
  x1sq: (x) => (x * x) / 18 - 1,
  x2sq: (x, y) => (y * y) / 18 - 1,
  x1x2: (x, y) => (x * y) / 18,
  sinx1: (x) => Math.sin(x),
  sinx2: (x, y) => Math.sin(y),
};

/** The columns of the network: names of features, then counts of neurons. */
export function columns(setup) {
  return [setup.features.length, ...setup.layers.map((layer) => layer.neurons), setup.outputs];
}

/** A neuron in words. `column` 0: features, then hidden layers, then outputs. */
export function neuronName(app, column, index) {
  const { setup, classNames } = app.state;
  if (column === 0) return app.texts(`feature-${setup.features[index]}`);
  if (column > setup.layers.length)
    return setup.outputs > 1 ? app.texts("outputOf", { name: classNames[index] ?? index + 1 }) : app.texts("output");
  return app.texts("neuronOf", { neuron: index + 1, layer: column });
}

/** A weight or bias in words. */
export function weightName(app, parameter, index) {
  const weight = app.state.weights.find((w) => w.parameter === parameter);
  if (!weight) return "";
  const per = weight.kind === "weight" ? weight.columns : 1;
  const to = neuronName(app, weight.layer + 1, Math.floor(index / per));
  return weight.kind === "weight"
    ? app.texts("weightOf", { from: neuronName(app, weight.layer, index % per), to })
    : app.texts("biasOf", { to });
}

const featureMaps = new Map();

/** A feature's values on the grid of the maps. */
export function featureMap(name) {
  if (!featureMaps.has(name)) {
    const values = new Float32Array(MAP_SIZE * MAP_SIZE);
    const at = (i) => ((i + 0.5) / MAP_SIZE) * 12 - 6;
    for (let row = 0; row < MAP_SIZE; row++)
      for (let column = 0; column < MAP_SIZE; column++)
        values[row * MAP_SIZE + column] = (FEATURES[name] ?? (() => 0))(at(column), -at(row));
    featureMaps.set(name, values);
  }
  return featureMaps.get(name);
}

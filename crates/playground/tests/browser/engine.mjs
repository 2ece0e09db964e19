// The engine as the page has it: compiled to wasm, on the CPU and, through WebGPU, on a GPU in software.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { close, engine, open, root } from "./kit.mjs";

/** An address whose spiral is learnt: `SPIRAL` of src/tests.rs. */
export const SPIRAL = "data=spiral&features=x1,x2,sinx1,sinx2&layers=8tanh,8tanh&optimizer=adam&rate=0.01&seed=1";

/** Trains until the test loss is below `least`, 20,000 steps at most. Gives the figures and the time. */
async function learn(playground, { least }, json) {
  const begun = performance.now();
  let figures = await json("figures");
  while (figures.testLoss > least && playground.step() < 20000) {
    await playground.run(500);
    figures = await json("figures");
  }
  return { ...figures, device: playground.device(), kind: playground.deviceKind(), seconds: (performance.now() - begun) / 1000 };
}

const TABLE = ["x,y,kind", ...Array.from({ length: 60 }, (_, i) => `${((i * 7) % 11) - 5},${((i * 3) % 11) - 5},${((i * 7) % 11) - 5 > 0 ? "cat" : "dog"}`)].join("\n");

for (const device of ["cpu", "gpu"]) {
  describe(`the engine on the ${device.toUpperCase()}`, () => {
    let page;
    before(async () => (page = await open(device)));
    after(() => close(page));
    const on = (work, given = {}) => engine(page, work, { device, ...given });

    for (const [name, address, least] of [["circle", "seed=1", 0.05], ["spiral", SPIRAL, 0.1]]) {
      test(`learns the ${name}`, async (t) => {
        const end = await on(learn, { address, least });
        t.diagnostic(`${name}: test loss ${end.testLoss.toFixed(4)} after ${end.step} steps, ${end.seconds.toFixed(1)} s, ${end.device}`);
        assert.equal(end.kind, device);
        assert.ok(end.testLoss < least, `test loss ${end.testLoss} after ${end.step} steps`);
        assert.ok(end.testAccuracy > 0.9, `accuracy ${end.testAccuracy}`);
      });
    }

    test("learns three classes by cross-entropy", async (t) => {
      const address = "data=spiral&classes=3&features=x1,x2,sinx1,sinx2&layers=8tanh,8tanh&loss=cross-entropy&optimizer=adam&rate=0.01&seed=1";
      const [first, end] = await on(
        async (playground, _, json) => {
          const first = await json("figures");
          await playground.run(1500);
          return [first, await json("figures")];
        },
        { address },
      );
      t.diagnostic(`three spirals: test loss ${first.testLoss.toFixed(3)} -> ${end.testLoss.toFixed(3)}, ${(100 * end.testAccuracy).toFixed(1)} % right`);
      assert.ok(end.testLoss < first.testLoss / 2 && end.testAccuracy > 0.8, JSON.stringify(end));
      assert.deepEqual(end.confusion.map((row) => row.length), [3, 3, 3]);
    });

    test("the same seed gives the same curve in any slices, another seed another one", async () => {
      const curve = async (playground, { slices }) => {
        for (const steps of slices) await playground.run(steps);
        // On a GPU what was recorded is read with the figures.
        await playground.figures();
        return [...playground.curve()];
      };
      const [whole, sliced, other] = [await on(curve, { slices: [600] }), await on(curve, { slices: [1, 99, 37, 463] }), await on(curve, { slices: [600], address: "seed=8" })];
      assert.ok(whole.length >= 9 && whole.length % 3 === 0 && whole.every(Number.isFinite), String(whole.slice(0, 9)));
      assert.deepEqual(sliced, whole);
      assert.notDeepEqual(other, whole);
    });

    test("an address brings the exact state back: steps, an edit and a change of rate on the way", async () => {
      const address = await on(async (playground, _, json) => {
        await playground.run(120);
        await playground.edit(0, 1, 0.75);
        await playground.run(80);
        await playground.set("rate", "0.1");
        await playground.run(100);
        await playground.figures();
        return [playground.address(), await json("weights"), [...playground.curve()], [...(await playground.maps(12))]];
      });
      const again = await on(
        async (playground, _, json) => {
          while (playground.step() < playground.target()) await playground.run(Math.min(70, playground.target() - playground.step()));
          await playground.figures();
          return [playground.address(), await json("weights"), [...playground.curve()], [...(await playground.maps(12))]];
        },
        { address: address[0] },
      );
      assert.match(address[0], /steps=300/);
      assert.deepEqual(again, address);
    });

    test("editing a weight changes the maps behind it, and no other", async () => {
      const [before, after, setup] = await on(async (playground, _, json) => {
        await playground.run(50);
        const before = [...(await playground.maps(8))];
        const [weight] = await json("weights");
        await playground.edit(weight.parameter, 0, weight.values[0] + 1);
        return [before, [...(await playground.maps(8))], await json("setup")];
      });
      const changed = (map) => before.slice(map * 64, map * 64 + 64).some((value, i) => value !== after[map * 64 + i]);
      const features = setup.features.length;
      assert.ok(!changed(0) && changed(features) && !changed(features + 1), "the first neuron's map, and not its neighbour's");
      assert.ok(changed(before.length / 64 - 1), "the output's map");
    });

    test("reads digits", async () => {
      const found = await page.evaluate(
        async ([device]) => {
          const { Digits } = await import("/pkg/noyau_playground.js");
          const data = new Uint8Array(await (await fetch("/digits.bin")).arrayBuffer());
          const digits = await Digits.open(data, "mlp", device, 1);
          for (let done = 0; done < 40; done += 10) await digits.run(10);
          const [figures, sure] = [JSON.parse(digits.figures()), await digits.classify(digits.image(0))];
          digits.free();
          return { figures, sum: sure.reduce((a, b) => a + b), count: sure.length };
        },
        [device],
      );
      assert.ok(found.figures.step > 0 && found.figures.deviceKind === device && Number.isFinite(found.figures.testLoss), JSON.stringify(found));
      assert.ok(found.count === 10 && Math.abs(found.sum - 1) < 1e-4, JSON.stringify(found));
    });

    test("a table trains, a malformed one says which line and why", async () => {
      const [points, names, first, end, fault] = await on(
        async (playground, { table, broken }, json) => {
          await playground.setCsv(table);
          const first = await json("figures");
          await playground.run(500);
          const found = [playground.points().length / 4, playground.classNames(), first.trainLoss, (await json("figures")).trainLoss];
          const fault = await playground.setCsv(broken).then(() => null, (error) => error.message);
          return [...found, fault];
        },
        { table: TABLE, broken: "x,y,kind\n1,2,cat\n3,four,dog\n" },
      );
      assert.deepEqual([points, [...names].sort()], [60, ["cat", "dog"]]);
      assert.ok(end < first / 2, `${first} -> ${end}`);
      assert.match(fault ?? "taken", /line 3.*four/s);
    });
  });
}

describe("the engine without WebGPU", () => {
  let page;
  before(async () => (page = await open("cpu")));
  after(() => close(page));

  test("goes on on the CPU, and says so", async () => {
    const [kind, notice] = await engine(page, (playground) => [playground.deviceKind(), playground.notice()], { device: "gpu" });
    assert.equal(kind, "cpu");
    assert.match(notice, /CPU/);
  });

  test("weights come out as safetensors, the model as a program", async () => {
    const [bytes, code] = await engine(page, async (playground) => [[...(await playground.safetensors())], playground.code()], { device: "cpu" });
    const length = Number(new DataView(Uint8Array.from(bytes).buffer).getBigUint64(0, true));
    const header = JSON.parse(Buffer.from(bytes.slice(8, 8 + length)).toString());
    const numbers = Object.entries(header).filter(([name]) => name !== "__metadata__");
    assert.ok(numbers.length >= 6 && bytes.length > 8 + length, JSON.stringify(header));
    assert.match(code, /fn main\(\)/);
    assert.match(code, /Linear::new\(2, 4\)/);
  });

  for (const model of ["mlp", "cnn"]) {
    test(`digits: the ${model} learns and reads`, async (t) => {
      const data = [...readFileSync(join(root, "crates/playground/web/digits.bin"))];
      assert.ok(data.length < 1_000_000);
      // Steps, and parts of the tests between them.
      const units = model === "mlp" ? 200 : 240;
      const found = await page.evaluate(
        async ([model, units]) => {
          const { Digits } = await import("/pkg/noyau_playground.js");
          const data = new Uint8Array(await (await fetch("/digits.bin")).arrayBuffer());
          const digits = await Digits.open(data, model, "cpu", 1);
          const begun = performance.now();
          for (let done = 0; done < units; done += 10) await digits.run(10);
          const seconds = (performance.now() - begun) / 1000;
          const figures = JSON.parse(digits.figures());
          const labels = digits.labels();
          let right = 0;
          for (let i = 0; i < 100; i++) {
            const sure = await digits.classify(digits.image(i));
            if (sure.indexOf(Math.max(...sure)) === labels[i]) right += 1;
          }
          const [sure, inside, filters] = [await digits.classify(digits.image(3)), digits.activations(), await digits.filters()];
          return { figures, right, seconds, sum: sure.reduce((a, b) => a + b), count: sure.length, inside: inside.length, filters: filters.length };
        },
        [model, units],
      );
      const rate = (found.figures.step * found.figures.batch) / found.seconds;
      t.diagnostic(`${model}: ${found.right} of 100 after ${found.figures.step} steps, ${rate.toFixed(0)} images a second`);
      assert.ok(found.right >= (model === "mlp" ? 80 : 60), `${found.right} of 100 are right after ${found.figures.step} steps`);
      assert.ok(found.count === 10 && Math.abs(found.sum - 1) < 1e-4 && found.inside > 0 && found.filters > 0, JSON.stringify(found));
    });
  }

  test("steps a second are measured", async (t) => {
    const { stepsPerSecond } = JSON.parse(await page.evaluate(async () => (await import("/pkg/noyau_playground.js")).speed("cpu", 500)));
    t.diagnostic(`CPU: ${Math.round(stepsPerSecond)} steps a second of the MLP 2-8-8-1, batch 32`);
    assert.ok(stepsPerSecond > 1000);
  });
});

// Who reads the page with a phone, a keyboard, a screen reader or little contrast: axe-core's rules in all tabs, themes and widths; no sideways scrolling; pictures for people.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { close, open, shoot } from "./kit.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = { wide: { width: 1440, height: 900 }, phone: { width: 360, height: 740 } };
const TABS = ["play", "lab", "digits", "speed"];

/** What is wrong by axe-core, a line each. */
async function violations(page) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, nodes }) => nodes.slice(0, 4).map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.split("\n").slice(1).join(" ").trim()}`));
}

async function show(page, tab) {
  await page.locator(`#tab-${tab}`).click();
  await page.locator(`#${tab}`).waitFor();
  await page.waitForTimeout(tab === "play" ? 300 : 900);
}

for (const [width, viewport] of Object.entries(WIDTHS)) {
  describe(`the page on a ${width} screen`, () => {
    let page;
    before(async () => {
      page = await open("cpu", "/#device=cpu&seed=1&steps=600", { viewport, hasTouch: width === "phone" });
      // Not by a script element, which the page's policy forbids.
      await page.evaluate(axe);
    });
    after(() => close(page));

    for (const [theme, language] of [["light", "en"], ["dark", "fr"]]) {
      for (const tab of TABS) {
        test(`${tab}, ${theme}, ${language}`, async () => {
          await page.locator("#tools select").selectOption(theme);
          await page.locator(`#tools button[lang=${language}]`).click();
          await show(page, tab);
          await shoot(page, `${tab}-${width}-${theme}-${language}`, { fullPage: true });
          const room = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
          assert.ok(room[0] <= room[1], `${room[0]} pixels wide in ${room[1]}`);
          assert.deepEqual(await violations(page), []);
        });
      }
    }
  });
}

describe("the page by keyboard", () => {
  let page;
  before(async () => (page = await open("cpu", "/#device=cpu")));
  after(() => close(page));
  const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.dataset.control || document.activeElement.dataset.place || document.activeElement.className);

  test("tabs, training and neurons are reached and used", async () => {
    await page.locator("#tab-play").focus();
    await page.keyboard.press("ArrowRight");
    assert.equal(await focus(), "tab-lab");
    await page.locator("#lab").waitFor();
    await page.keyboard.press("ArrowLeft");
    await page.locator('#bar [data-control="step"]').focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll("#bar .counts output")[1].textContent === "1");
    const neuron = page.locator("#network .node.hidden").first();
    await neuron.focus();
    await page.keyboard.press("ArrowDown");
    assert.match(await focus(), /^1-1/);
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#editor").isVisible(), true);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#editor").isVisible(), false);
    assert.match(await focus(), /^1-1/, "the focus goes back to the neuron");
  });

  test("reduced motion, a forced palette and a large font do no harm", async () => {
    const calm = await open("cpu", "/#device=cpu", { viewport: WIDTHS.phone, reducedMotion: "reduce", forcedColors: "active", colorScheme: "dark" });
    await calm.evaluate(() => (document.documentElement.style.fontSize = "130%"));
    const room = await calm.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    await close(calm);
    assert.ok(room[0] <= room[1], `${room[0]} pixels wide in ${room[1]}`);
  });
});

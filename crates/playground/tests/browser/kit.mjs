// What all checks of the page use: a server, two browsers (with WebGPU on SwiftShader, and without), and pages that are watched for faults.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
export const shots = join(root, "target/playground-shots");
mkdirSync(shots, { recursive: true });

const QUIET = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

let server = null;
let origin = null;
const browsers = new Map();

/** Serves what was built, as a visitor of this machine sees it. Gives the origin. */
export async function serve() {
  if (origin) return origin;
  const xtask = process.env.XTASK ?? join(root, "target/debug/xtask");
  server = spawn(xtask, ["playground", "--no-build", "--port", "0"], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await Promise.race([once(server.stdout, "data"), once(server, "exit").then(([code]) => { throw new Error(`the server ended with ${code}`); })]);
  origin = String(line).trim().replace(/\/$/, "");
  return origin;
}

/** A browser: `gpu` has WebGPU, by a driver in software; `cpu` has none. */
export async function browser(kind) {
  if (!browsers.has(kind)) {
    const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
    if (!executablePath) throw new Error("there is no Chromium; CHROMIUM says where it is");
    browsers.set(kind, chromium.launch({ executablePath, args: kind === "gpu" ? [...QUIET, "--enable-unsafe-webgpu"] : QUIET }));
  }
  return browsers.get(kind);
}

/** Ends all of it. */
export async function end() {
  for (const one of browsers.values()) await (await one).close();
  server?.kill();
}

/**
 * Opens the page (or another file) in a context of its own. What a page of ours must not do is collected in `page.faults`: errors and warnings on the console, requests to anywhere
 * else, answers that are no success, breaches of the content security policy.
 */
export async function open(kind, path = "/", options = {}) {
  await serve();
  const context = await (await browser(kind)).newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("console", (message) => {
    // Chromium's own words where there is no GPU, which is what the CPU's browser is for.
    if (kind === "cpu" && message.text() === "No available adapters.") return;
    if (["error", "warning"].includes(message.type())) page.faults.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.faults.push(`uncaught: ${error.stack ?? error}`));
  page.on("response", (response) => response.status() >= 400 && page.faults.push(`${response.status()}: ${response.url()}`));
  await context.route(/.*/, (route) => {
    const url = route.request().url();
    if (url.startsWith(`${origin}/`)) return route.continue();
    page.faults.push(`request to ${url}`);
    return route.abort();
  });
  await page.exposeFunction("breach", (what) => page.faults.push(`content security policy: ${what}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => window.breach(`${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(origin + path);
  await page.locator("html[data-ready]").waitFor({ timeout: 60_000 });
  return page;
}

/** Closes a page, after which nothing may be wrong with it. */
export async function close(page) {
  const { faults } = page;
  await page.context().close();
  if (faults.length) throw new Error(`the page had faults:\n${faults.join("\n")}`);
}

/** Runs a function in the page with `playground`: the engine's own class, opened at an address on a device. */
export function engine(page, work, { address = "", device, ...given } = {}) {
  const body = `async ([address, device, given]) => {
    const { Playground } = await import("/pkg/noyau_playground.js");
    const playground = await Playground.open(address, device);
    const json = async (name, ...args) => JSON.parse(await playground[name](...args));
    try { return await (${work})(playground, given, json); } finally { playground.free(); }
  }`;
  return page.evaluate(`(${body})(${JSON.stringify([address, device, given])})`);
}

/** The median of some numbers. */
export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/** A picture of the page, for people to look at: target/playground-shots/NAME.png. */
export async function shoot(page, name, options = {}) {
  await page.screenshot({ path: join(shots, `${name}.png`), ...options });
}

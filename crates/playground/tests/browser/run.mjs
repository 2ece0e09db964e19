// All checks of the playground's page, one after the other: `scripts/browser` builds what they need and runs them.

import { after } from "node:test";
import "./engine.mjs";
import "./page.mjs";
import "./access.mjs";
import { end } from "./kit.mjs";

after(end);

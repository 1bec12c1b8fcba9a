// The connect page in headless Chromium: connect.mjs <address of the application>.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { chromium } = require("playwright-core");

const APP = process.argv[2].replace(/\/$/, "");
const SHOTS = process.env.SCREENSHOTS;
const PATIENCE = 10_000;
const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 375, height: 740 };

mkdirSync(SHOTS, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

const checks = [];
const check = (name, options, work) => checks.push({ name, options, work });

/** What a page must not say: any warning or error of the console, any exception, any failed request. */
function complaints(context) {
  const heard = [];
  context.on("page", (page) => {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) heard.push(message.text());
    });
    page.on("pageerror", (error) => heard.push(String(error)));
  });
  return heard;
}

async function signIn(context, user = "ada") {
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.shifts = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(`${APP}/`);
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Password").fill("demo");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/connect");
  await page.locator('#platforms[aria-busy="false"]').waitFor({ timeout: PATIENCE });
  return page;
}

const card = (page, platform) => page.locator(`li.card[data-platform="${platform}"]`);
const state = (page, platform, text) =>
  card(page, platform).locator(".state", { hasText: text }).waitFor({ timeout: PATIENCE });

async function disconnect(page, platform) {
  await card(page, platform).getByRole("button", { name: /^Disconnect/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await state(page, platform, /^Not connected$/);
}

check("telegram_is_connected_by_its_link_and_taken_back", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context);
  const opened = context.waitForEvent("page");
  await card(page, "telegram").getByRole("button", { name: "Connect: Telegram" }).click();
  const phone = await opened;
  await phone.waitForLoadState();
  assert.equal(await phone.evaluate(() => window.opener), null, "the link has no way back");
  assert.match(await phone.getByLabel("Message", { exact: true }).inputValue(), /^\/start [A-Za-z0-9_-]{22}$/);
  const paint = (locator) => locator.evaluate((it) => getComputedStyle(it).backgroundColor);
  const opens = card(page, "telegram").getByRole("link", { name: "Open Telegram" });
  assert.equal(await paint(opens), await paint(card(page, "standard").getByRole("button", { name: /^Connect/ })));
  await page.screenshot({ path: join(SHOTS, "connect-link.png"), fullPage: true });
  await phone.getByRole("button", { name: "Start / Send" }).click();
  await state(page, "telegram", /^Connected$/);
  await page.getByText("Connected as Ada Lovelace.").waitFor();
  assert.ok(await page.evaluate(() => window.shifts) < 0.001, "nothing moved by itself");
  await page.getByRole("button", { name: "Done" }).click();
  await card(page, "telegram").getByRole("button", { name: "Disconnect Ada Lovelace on Telegram" }).waitFor();
  await phone.getByLabel("Message", { exact: true }).fill("who am I?");
  await phone.getByRole("button", { name: "Start / Send" }).click();
  for (let tries = 0; tries < 50 && !(await phone.getByText("Hello ada, you said: who am I?").count()); tries += 1) {
    await phone.waitForTimeout(100);
    await phone.reload();
  }
  await phone.getByText("Hello ada, you said: who am I?").waitFor({ timeout: 1000 });
  await disconnect(page, "telegram");
});

check("the_chat_client_is_connected_by_a_code", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context, "bob");
  const phone = await context.newPage();
  await phone.goto(`${APP}/phone/chat`);
  await phone.locator("#state", { hasText: "connected" }).waitFor({ timeout: PATIENCE });
  await phone.getByLabel("Message", { exact: true }).fill("hello");
  await phone.getByRole("button", { name: "Send" }).click();
  await phone.getByText("This account is not connected yet.").waitFor({ timeout: PATIENCE });
  await card(page, "standard").getByRole("button", { name: "Connect: Chat" }).click();
  const code = await card(page, "standard").locator("code").textContent();
  assert.match(code, /^\/connect [A-Za-z0-9_-]{22}$/);
  assert.match(await card(page, "standard").locator(".left").textContent(), /^(10:00|9:5\d) left$/);
  await page.screenshot({ path: join(SHOTS, "connect-code.png"), fullPage: true });
  await phone.getByLabel("Message", { exact: true }).fill(code);
  await phone.getByRole("button", { name: "Send" }).click();
  await phone.getByText("Connected to Acme.").waitFor({ timeout: PATIENCE });
  await state(page, "standard", /^Connected$/);
  assert.ok(await page.evaluate(() => window.shifts) < 0.001, "nothing moved by itself");
  await page.getByRole("button", { name: "Done" }).click();
  await page.screenshot({ path: join(SHOTS, "connect-done.png"), fullPage: true });
  await disconnect(page, "standard");
});

check("the_code_can_be_copied", { viewport: DESKTOP, permissions: ["clipboard-read", "clipboard-write"] }, async (context) => {
  const page = await signIn(context, "bob");
  await card(page, "standard").getByRole("button", { name: "Connect: Chat" }).click();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.locator("#news", { hasText: "Copied." }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await card(page, "standard").locator("code").textContent());
});

check("the_keyboard_is_enough", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context, "bob");
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.textContent);
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Connect: Telegram");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Connect: Chat");
  await page.keyboard.press("Enter");
  await card(page, "standard").locator("code").waitFor();
  assert.equal(await focused(), "Copy");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Cancel");
  await page.keyboard.press("Enter");
  await card(page, "standard").locator("code").waitFor({ state: "detached" });
  assert.equal(await focused(), "Connect: Chat");
});

check("a_screen_reader_is_told_what_there_is_and_what_happens", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context, "bob");
  const tree = () => page.locator("body").ariaSnapshot();
  const has = (text, parts) => {
    let at = 0;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      assert.ok(found >= 0, `${part} behind ${text.slice(0, at)} in ${text}`);
      at = found + part.length;
    }
  };
  has(await tree(), ["- main:", 'heading "Connected accounts" [level=1]', "- status", 'list "Platforms"',
    'heading "Telegram" [level=2]', "Not connected", `'button "Connect: Telegram"'`, 'list "Accounts on Telegram"',
    'heading "Chat" [level=2]', "Not connected", `'button "Connect: Chat"'`, 'list "Accounts on Chat"']);
  await card(page, "standard").getByRole("button", { name: "Connect: Chat" }).click();
  await card(page, "standard").locator("code").waitFor();
  has(await tree(), ["- status: A code is ready. It holds for ten minutes.", 'list "Accounts on Chat"',
    "Send this to the bot in a direct chat:", "code: /connect ", 'button "Copy"', 'button "Cancel"']);
  // A clock that is read aloud each second would be all that is heard.
  const live = await card(page, "standard").locator(".left").evaluate((it) => it.closest("[aria-live], [role=status], [role=alert]"));
  assert.equal(live, null, "the countdown is silent");
  const code = await card(page, "standard").locator("code").textContent();
  const phone = await context.newPage();
  await phone.goto(`${APP}/phone/chat`);
  await phone.locator("#state", { hasText: "connected" }).waitFor({ timeout: PATIENCE });
  await phone.getByLabel("Message", { exact: true }).fill(code);
  await phone.getByRole("button", { name: "Send" }).click();
  await state(page, "standard", /^Connected$/);
  has(await tree(), ['- status: "Connected: ', 'heading "Chat" [level=2]', "Connected", 'button "Done"']);
  await page.getByRole("button", { name: "Done" }).click();
  await card(page, "standard").getByRole("button", { name: /^Disconnect/ }).waitFor();
  has(await tree(), ['heading "Chat" [level=2]', "Connected", 'list "Accounts on Chat"', 'button "Disconnect Laptop on Chat"']);
  await card(page, "standard").getByRole("button", { name: /^Disconnect/ }).click();
  has(await page.getByRole("dialog").ariaSnapshot(), ['dialog "', 'button "Disconnect"']);
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await state(page, "standard", /^Not connected$/);
  has(await tree(), ["- status: ", 'heading "Chat" [level=2]', "Not connected"]);
});

for (const [theme, size, viewport] of [
  ["light", "desktop", DESKTOP], ["dark", "desktop", DESKTOP], ["light", "phone", PHONE], ["dark", "phone", PHONE],
]) {
  check(`fits_${theme}_${size}`, { viewport, colorScheme: theme }, async (context) => {
    const page = await signIn(context, "ada");
    await card(page, "standard").getByRole("button", { name: /^Connect/ }).click();
    await card(page, "standard").locator("code").waitFor({ timeout: PATIENCE });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, "nothing to scroll sideways");
    await page.screenshot({ path: join(SHOTS, `connect-${theme}-${size}.png`), fullPage: true });
  });
}

/** Answers that the page gets about a fresh code, changed on their way. */
const offers = (page, change) => page.route("**/api/platforms/*/connect", async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, json: change(await response.json()) });
});

check("the_page_asks_every_two_seconds_and_once_at_a_time", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context, "bob");
  // A value that cannot be read counts as ten minutes.
  await offers(page, (offer) => ({ ...offer, expires_in: "soon" }));
  const asked = [];
  const connect = card(page, "standard").getByRole("button", { name: "Connect: Chat" });
  await connect.click();
  await card(page, "standard").locator("code").waitFor();
  await connect.click();
  await card(page, "standard").locator(".left", { hasText: /^(10:00|9:5\d) left$/ }).waitFor();
  await page.waitForTimeout(300);
  page.on("request", (request) => {
    if (request.method() === "GET" && request.url().endsWith("/api/platforms/standard")) asked.push(Date.now());
  });
  await page.waitForTimeout(7000);
  assert.ok(asked.length >= 3 && asked.length <= 4, `asked ${asked.length} times in 7 s`);
  const pauses = asked.slice(1).map((at, index) => at - asked[index]);
  assert.ok(pauses.every((pause) => pause > 1900 && pause < 2900), String(pauses));
  await card(page, "standard").getByRole("button", { name: "Cancel" }).click();
  const before = asked.length;
  await page.waitForTimeout(2500);
  assert.equal(asked.length, before, "nobody waits, nobody asks");
});

check("an_expired_code_ends_the_wait", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context, "bob");
  await offers(page, (offer) => ({ ...offer, expires_in: 3 }));
  await card(page, "standard").getByRole("button", { name: "Connect: Chat" }).click();
  await card(page, "standard").getByText("The code has expired. Connect again for a new one.").waitFor({ timeout: PATIENCE });
  let asked = 0;
  page.on("request", () => { asked += 1; });
  await page.waitForTimeout(2500);
  assert.equal(asked, 0, "the wait is over");
});

check("a_sixth_code_is_refused_in_words", { viewport: DESKTOP }, async (context) => {
  const page = await signIn(context, "ada");
  for (let tries = 0; tries < 6; tries += 1) {
    await card(page, "standard").getByRole("button", { name: "Connect: Chat" }).click();
    await page.waitForTimeout(150);
  }
  await page.locator("#news", { hasText: "Five codes are waiting already." }).waitFor({ timeout: PATIENCE });
});

let passed = 0;
let failed = 0;
for (const { name, options, work } of checks) {
  const context = await browser.newContext(options);
  const heard = complaints(context);
  try {
    await work(context);
    // The browser itself reports the refusal that is looked for there.
    const odd = heard.filter((line) => !(name.includes("sixth") && line.includes("429")));
    assert.deepEqual(odd, [], "the console is silent");
    console.log(`ok browser/connect/${name}`);
    passed += 1;
  } catch (error) {
    console.log(`FAIL browser/connect/${name}: ${String(error.message).split("\n").slice(0, 6).join(" | ")}`);
    failed += 1;
  }
  await context.close();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

// The demo page in headless Chromium: demo.mjs <page address>.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { chromium } = require("playwright-core");

const PAGE = process.argv[2];
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

/** Platforms with words and buttons: webhook, sockets, gateway, long connections. */
const OTHERS = ["line", "slack", "discord", "feishu", "wecom", "dingtalk"];

const checks = [];
const check = (name, options, work) => checks.push({ name, options, work });

/** What the page must not say: any warning or error of the console, any exception, any failed request. */
function complaints(page) {
  const heard = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) heard.push(message.text());
  });
  page.on("pageerror", (error) => heard.push(String(error)));
  page.on("requestfailed", (request) => {
    // The feed ends when the page goes.
    if (!request.url().includes("/api/events")) heard.push(`${request.url()} failed`);
  });
  return heard;
}

async function ready(page) {
  await page.goto(PAGE);
  for (const platform of ["telegram", "standard"]) {
    await page.locator(`#tab-${platform}[data-state="ready"]`).waitFor({ timeout: PATIENCE });
  }
  // The welcome of every chat, so that counts begin after it.
  for (const platform of ["telegram", "standard"]) {
    await page.locator(`#panel-${platform} .msg.bot`).first().waitFor({ state: "attached", timeout: PATIENCE });
  }
}

const panel = (page, platform) => page.locator(`#panel-${platform}`);
const open = (page, platform) => page.locator(`#tab-${platform}`).click();

async function say(page, platform, text) {
  await panel(page, platform).locator(".text").fill(text);
  await panel(page, platform).locator(".text").press("Enter");
}

const fromBot = (page, platform, text) => panel(page, platform).locator(".msg.bot .words", { hasText: text }).last();

for (const platform of ["telegram", "standard"]) {
  check(`${platform}_echoes_a_typed_message`, {}, async (page) => {
    await open(page, platform);
    await say(page, platform, "good morning");
    await fromBot(page, platform, "echo: good morning").waitFor({ timeout: PATIENCE });
  });

  check(`${platform}_shows_the_way_of_a_message`, {}, async (page) => {
    await open(page, platform);
    await say(page, platform, "follow me");
    await fromBot(page, platform, "echo: follow me").waitFor({ timeout: PATIENCE });
    const steps = page.locator("#steps");
    await steps.locator("h3", { hasText: "Reply" }).waitFor({ timeout: PATIENCE });
    await page.locator("#wire-summary", { hasText: "handled in" }).waitFor({ timeout: PATIENCE });
    const said = await steps.innerText();
    const reason = platform === "telegram" ? "allowlist" : "role";
    for (const words of ["follow me", reason, "Allowed", "echo: follow me"]) assert.ok(said.includes(words), words);
    await page.locator("#view-raw").click();
    const raw = await steps.innerText();
    assert.ok(raw.includes('"text":"follow me"'), "the bytes as they were");
    assert.ok(!/bot\d+:[0-9a-f]{32}/.test(raw), "the token is not shown");
  });

  check(`${platform}_answers_a_pressed_button`, {}, async (page) => {
    await open(page, platform);
    await say(page, platform, "/buttons");
    await panel(page, platform).locator(".press", { hasText: "Coffee" }).last().click({ timeout: PATIENCE });
    await fromBot(page, platform, "pressed Coffee").waitFor({ timeout: PATIENCE });
    await page.locator("#toast", { hasText: "Coffee it is" }).waitFor({ timeout: PATIENCE });
    await panel(page, platform).locator(".note", { hasText: "You pressed" }).first().waitFor({ timeout: PATIENCE });
  });

  check(`${platform}_streams_an_answer_in_one_message`, {}, async (page) => {
    await open(page, platform);
    const bots = panel(page, platform).locator(".msg.bot");
    const before = await bots.count();
    await say(page, platform, "/stream 12");
    await fromBot(page, platform, "1 2 3 4 5 6 7 8 9 10 11 12").waitFor({ timeout: PATIENCE });
    assert.equal(await bots.count(), before + 1);
  });

  check(`${platform}_renders_markdown`, {}, async (page) => {
    await open(page, platform);
    await say(page, platform, "/markdown");
    await fromBot(page, platform, "One source").waitFor({ timeout: PATIENCE });
    const words = panel(page, platform).locator(".msg.bot").last();
    assert.equal(await words.locator("strong", { hasText: "bold" }).count(), 1);
    assert.equal(await words.locator('a[href="https://example.com"]').count(), 1);
    assert.ok(await words.locator("pre", { hasText: "fn main() {}" }).count());
  });

  check(`${platform}_offers_a_file_and_takes_one`, {}, async (page) => {
    await open(page, platform);
    await say(page, platform, "/file");
    const link = panel(page, platform).locator("a.file-card", { hasText: "hello.txt" }).last();
    await link.waitFor({ timeout: PATIENCE });
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    assert.equal(download.suggestedFilename(), "hello.txt");
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), "hello from channel-kit\n");
    await panel(page, platform).locator("input.file").setInputFiles({
      name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("seven b"),
    });
    await panel(page, platform).locator(".send").click();
    await fromBot(page, platform, "received notes.txt, 7 bytes").waitFor({ timeout: PATIENCE });
  });

  check(`${platform}_shows_edits_replies_and_reactions`, {}, async (page) => {
    await open(page, platform);
    await say(page, platform, "first words");
    const echo = fromBot(page, platform, "echo: first words");
    await echo.waitFor({ timeout: PATIENCE });
    await panel(page, platform).locator(".text").press("ArrowUp");
    await say(page, platform, "second words");
    await fromBot(page, platform, "edited: second words").waitFor({ timeout: PATIENCE });
    await echo.click();
    await panel(page, platform).getByRole("button", { name: "Reply" }).click();
    await say(page, platform, "I quote you");
    await panel(page, platform).locator(".msg.mine .quote", { hasText: "echo: first words" }).last().waitFor({ timeout: PATIENCE });
    await say(page, platform, "/react");
    await panel(page, platform).locator(".msg.mine").last().locator(".reaction").waitFor({ timeout: PATIENCE });
  });

  check(`${platform}_survives_every_attack`, {}, async (page) => {
    await open(page, platform);
    await panel(page, platform).locator(".attacks summary").click();
    const attacks = panel(page, platform).locator(".attack");
    const count = await attacks.count();
    assert.ok(count >= 3);
    for (let index = 0; index < count; index += 1) {
      const label = await attacks.nth(index).locator("b").innerText();
      await attacks.nth(index).click();
      await page.locator("#wire-summary", { hasText: label }).waitFor({ timeout: PATIENCE });
      await page.locator("#steps .badge", { hasText: "Held" }).waitFor({ timeout: PATIENCE });
    }
    const accused = panel(page, platform).locator(".msg.mine .inspect", { hasText: "refused" });
    assert.equal(await accused.count(), 0, "what strangers did is not put down to the user");
    await say(page, platform, "still there?");
    await fromBot(page, platform, "echo: still there?").waitFor({ timeout: PATIENCE });
  });
}

for (const platform of OTHERS) {
  check(`${platform}_echoes_a_typed_message_and_shows_its_way`, {}, async (page) => {
    await page.locator(`#tab-${platform}[data-state="ready"]`).waitFor();
    await open(page, platform);
    await fromBot(page, platform, "I am one small bot").waitFor();
    await say(page, platform, "follow me");
    await fromBot(page, platform, "echo: follow me").waitFor();
    await page.locator("#wire-summary", { hasText: "handled in" }).waitFor();
    const steps = page.locator("#steps");
    const said = await steps.innerText();
    for (const words of ["follow me", "allowlist", "Allowed", "echo: follow me"]) assert.ok(said.includes(words), words);
    await page.locator("#view-raw").click();
    const raw = await steps.innerText();
    assert.ok(!/xoxb-|xapp-|line-[0-9a-f]{8}|demo\.discord\.|Bearer (?!<)/.test(raw), "the token is not shown");
    assert.equal(await panel(page, platform).locator(".promises tbody tr").count() > 0, true, "what is promised");
  });

  check(`${platform}_answers_a_pressed_button_and_streams`, {}, async (page) => {
    await page.locator(`#tab-${platform}[data-state="ready"]`).waitFor();
    await open(page, platform);
    await fromBot(page, platform, "I am one small bot").waitFor();
    await say(page, platform, "/buttons");
    await panel(page, platform).locator(".press", { hasText: "Coffee" }).last().click();
    await fromBot(page, platform, "pressed Coffee").waitFor();
    const bots = panel(page, platform).locator(".msg.bot");
    const before = await bots.count();
    await say(page, platform, "/stream 12");
    await fromBot(page, platform, "1 2 3 4 5 6 7 8 9 10 11 12").waitFor();
    assert.equal(await bots.count(), before + 1);
  });
}

check("arrows_reach_every_platform_on_a_phone", { viewport: PHONE }, async (page) => {
  await page.locator("#tab-telegram").focus();
  for (const platform of ["standard", ...OTHERS]) {
    await page.keyboard.press("ArrowRight");
    const tab = page.locator(`#tab-${platform}`);
    assert.equal(await tab.getAttribute("aria-selected"), "true");
    const box = await tab.boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= PHONE.width, `${platform} is at ${box.x} px`);
    assert.ok(await panel(page, platform).locator(".text").isVisible());
  }
});

// Connected accounts: the page opens beside the demo, signed in as its one owner.

/** What the page moves by itself, without anybody touching it. */
const WATCH_SHIFTS = () => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
};

async function accounts(page) {
  const context = page.context();
  await context.addInitScript(WATCH_SHIFTS);
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: "Connected accounts" }).click();
  const connect = await opened;
  const heard = complaints(connect);
  connect.setDefaultTimeout(PATIENCE);
  await connect.locator('#platforms[aria-busy="false"]').waitFor();
  assert.equal(await connect.evaluate(() => window.opener), null, "the link has no way back");
  return [connect, heard];
}

const card = (page, platform) => page.locator(`li.card[data-platform="${platform}"]`);
const cardSays = (page, platform, text) => card(page, platform).locator(".state", { hasText: text }).waitFor();

async function disconnect(page, platform) {
  await page.getByRole("button", { name: "Done" }).click();
  await card(page, platform).getByRole("button", { name: /^Disconnect/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await cardSays(page, platform, /^Not connected$/);
}

check("the_owner_connects_telegram_by_deep_link_and_takes_it_back", {}, async (page) => {
  await say(page, "telegram", "/whoami");
  await fromBot(page, "telegram", "I do not know whose account this is.").waitFor();
  const [connect, heard] = await accounts(page);
  const link = page.context().waitForEvent("page");
  await card(connect, "telegram").getByRole("button", { name: "Connect: Telegram" }).click();
  const phone = await link;
  const heardThere = complaints(phone);
  phone.setDefaultTimeout(PATIENCE);
  await phone.locator('#tab-telegram[data-state="ready"]').waitFor();
  await phone.locator("#toast", { hasText: "it is what Start does on Telegram" }).waitFor();
  assert.equal(new URL(phone.url()).search, "", "the code does not stay in the address");
  const prepared = panel(phone, "telegram").locator(".text");
  assert.match(await prepared.inputValue(), /^\/start [A-Za-z0-9_-]{22}$/);
  await prepared.press("Enter");
  await fromBot(phone, "telegram", "Connected to channel-kit demo.").waitFor();
  await phone.locator("#steps .badge", { hasText: "Answered" }).waitFor();
  await phone.screenshot({ path: join(SHOTS, "demo-connected.png") });
  await cardSays(connect, "telegram", /^Connected$/);
  await connect.getByText("Connected as Ada.").waitFor();
  assert.ok(await connect.evaluate(() => window.shifts) < 0.001, "nothing moved by itself");
  await say(page, "telegram", "/whoami");
  await fromBot(page, "telegram", "You are ada: this account is connected.").waitFor();
  await disconnect(connect, "telegram");
  const before = await panel(page, "telegram").locator(".msg.bot .words", { hasText: "I do not know whose" }).count();
  await say(page, "telegram", "/whoami");
  await panel(page, "telegram").locator(".msg.bot .words", { hasText: "I do not know whose" }).nth(before).waitFor();
  assert.deepEqual([...heard, ...heardThere], [], "the console is silent");
});

check("the_owner_connects_a_websocket_client_by_code", {}, async (page) => {
  await open(page, "standard");
  const [connect, heard] = await accounts(page);
  await card(connect, "standard").getByRole("button", { name: "Connect: Standard" }).click();
  const code = await card(connect, "standard").locator("code").textContent();
  assert.match(code, /^\/connect [A-Za-z0-9_-]{22}$/);
  assert.match(await card(connect, "standard").locator(".left").textContent(), /^(10:00|9:5\d) left$/);
  await say(page, "standard", code);
  await fromBot(page, "standard", "Connected to channel-kit demo.").waitFor();
  await cardSays(connect, "standard", /^Connected$/);
  assert.ok(await connect.evaluate(() => window.shifts) < 0.001, "nothing moved by itself");
  await say(page, "standard", "/whoami");
  await fromBot(page, "standard", "You are ada: this account is connected.").waitFor();
  await say(page, "standard", code);
  await fromBot(page, "standard", "This code is not valid.").waitFor();
  await disconnect(connect, "standard");
  assert.deepEqual(heard, [], "the console is silent");
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    check(`connected_accounts_fit_${colorScheme}_${size}`, { viewport, colorScheme }, async (page) => {
      const [connect, heard] = await accounts(page);
      await card(connect, "standard").getByRole("button", { name: /^Connect/ }).click();
      await card(connect, "standard").locator("code").waitFor();
      const wide = await connect.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, "nothing to scroll sideways");
      await connect.screenshot({ path: join(SHOTS, `accounts-${size}-${colorScheme}.png`), fullPage: true });
      assert.deepEqual(heard, [], "the console is silent");
    });
  }
}

check("works_with_the_keyboard_only", {}, async (page) => {
  // From the top of the page: tab to the platforms, choose one by arrow, go on to the words, write, send.
  const focused = (selector) => page.evaluate((wanted) => document.activeElement?.matches(wanted), selector);
  await page.evaluate(() => {
    const top = document.querySelector("h1");
    top.tabIndex = -1;
    top.focus();
  });
  for (let steps = 0; steps < 5 && !(await focused('[role="tab"]')); steps += 1) await page.keyboard.press("Tab");
  assert.ok(await focused("#tab-telegram"), "the first stop is the chosen platform");
  await page.keyboard.press("ArrowRight");
  assert.ok(await focused("#tab-standard"), "arrows move between platforms");
  assert.equal(await page.locator("#tab-standard").getAttribute("aria-selected"), "true");
  for (let steps = 0; steps < 25 && !(await focused("#panel-standard .text")); steps += 1) {
    await page.keyboard.press("Tab");
    const isVisible = await page.evaluate(() => {
      const outline = getComputedStyle(document.activeElement);
      return outline.outlineStyle !== "none" && parseFloat(outline.outlineWidth) >= 2;
    });
    assert.ok(isVisible, "the focus can be seen");
  }
  assert.ok(await focused("#panel-standard .text"), "the words can be reached");
  await page.keyboard.type("/buttons");
  await page.keyboard.press("Enter");
  const tea = panel(page, "standard").locator(".press", { hasText: "Tea" }).last();
  await tea.waitFor({ timeout: PATIENCE });
  for (let steps = 0; steps < 40 && !(await focused(".press")); steps += 1) await page.keyboard.press("Shift+Tab");
  assert.ok(await focused(".press"), "the buttons of a message can be reached");
  await page.keyboard.press("Enter");
  await fromBot(page, "standard", "pressed").waitFor({ timeout: PATIENCE });
  // Up and down walk through the messages, and the inspector follows.
  await page.locator("#panel-standard .log").focus();
  await page.keyboard.press("End");
  await page.keyboard.press("Home");
  await page.locator("#wire-summary", { hasText: "message" }).waitFor({ timeout: PATIENCE });
  assert.ok(await focused(".inspect"), "a message has the focus");
});

check("keeps_the_composer_in_sight_on_a_phone", { viewport: PHONE }, async (page) => {
  for (let index = 0; index < 6; index += 1) {
    await panel(page, "telegram").locator(".chip", { hasText: "hello" }).click();
  }
  await fromBot(page, "telegram", "echo: hello").waitFor({ timeout: PATIENCE });
  await page.evaluate(() => scrollTo(0, 0));
  const box = await panel(page, "telegram").locator(".send").boundingBox();
  assert.ok(box.y + box.height <= PHONE.height, `the button ends at ${box.y + box.height} px`);
});

check("has_no_horizontal_scroll_on_a_phone", { viewport: PHONE }, async (page) => {
  for (const platform of ["telegram", "standard", ...OTHERS]) {
    await open(page, platform);
    await say(page, platform, `/markdown`);
    await fromBot(page, platform, "One source").waitFor({ timeout: PATIENCE });
    await say(page, platform, "a-word-without-an-end-".repeat(12));
    await fromBot(page, platform, "without-an-end").waitFor({ timeout: PATIENCE });
    const attacks = panel(page, platform).locator(".attacks summary");
    if (await attacks.count()) await attacks.click();
    for (const view of ["#view-raw", "#view-pretty"]) {
      await page.locator(view).click();
      const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(wide <= room, `${wide} px in ${room} px`);
    }
  }
});

check("loads_nothing_from_elsewhere", {}, async (page) => {
  const hosts = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => new URL(entry.name).host));
  assert.deepEqual([...new Set(hosts)], [new URL(PAGE).host]);
});

check("a_page_of_another_site_is_refused", { silent: true }, async (page) => {
  await page.goto("data:text/html,<title>elsewhere</title>");
  const answer = await page.evaluate(async (url) => {
    const response = await fetch(url, { mode: "cors" }).then((it) => it.status, () => "refused");
    const socket = await new Promise((resolve) => {
      const opened = new WebSocket(`${url.replace("http", "ws").replace("api/start", "standard/ws")}`, ["channel-kit.v1"]);
      opened.onopen = () => resolve("open");
      opened.onerror = () => resolve("refused");
    });
    return [response, socket];
  }, `${PAGE}api/start`);
  assert.deepEqual(answer, ["refused", "refused"]);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    check(`screenshots_${colorScheme}_${size}`, { viewport, colorScheme }, async (page) => {
      const isPhone = size === "phone";
      // On a phone what is behind the message is further down.
      const shot = async (name) => {
        await page.screenshot({ path: join(SHOTS, `${name}-${size}-${colorScheme}.png`) });
        if (!isPhone) return;
        await page.locator(".wire").evaluate((wire) => wire.scrollIntoView({ behavior: "instant" }));
        await page.screenshot({ path: join(SHOTS, `${name}-${size}-${colorScheme}-wire.png`) });
        await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
      };
      await shot("welcome");
      for (const platform of ["standard", "telegram"]) {
        await open(page, platform);
        await say(page, platform, "/markdown");
        await fromBot(page, platform, "One source").waitFor({ timeout: PATIENCE });
        await shot(`${platform}-markdown`);
        await say(page, platform, "/buttons");
        await panel(page, platform).locator(".press", { hasText: "Tea" }).last().click({ timeout: PATIENCE });
        await fromBot(page, platform, "pressed Tea").waitFor({ timeout: PATIENCE });
        await say(page, platform, "hello there");
        await fromBot(page, platform, "echo: hello there").waitFor({ timeout: PATIENCE });
        await page.locator("#wire-summary", { hasText: "handled in" }).waitFor({ timeout: PATIENCE });
        await shot(platform);
        await panel(page, platform).locator(".attacks summary").click();
        await panel(page, platform).locator(".attack").first().click();
        await page.locator("#steps .badge", { hasText: "Held" }).waitFor({ timeout: PATIENCE });
        await shot(`${platform}-attack`);
      }
      for (const platform of OTHERS) {
        await page.locator(`#tab-${platform}[data-state="ready"]`).waitFor();
        await open(page, platform);
        await say(page, platform, "/markdown");
        await fromBot(page, platform, "One source").waitFor();
        await say(page, platform, "hello there");
        await fromBot(page, platform, "echo: hello there").waitFor();
        await page.locator("#wire-summary", { hasText: "handled in" }).waitFor();
        await shot(platform);
      }
    });
  }
}

let failed = false;
for (const { name, options, work } of checks) {
  const context = await browser.newContext({ viewport: options.viewport || DESKTOP, colorScheme: options.colorScheme || "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const heard = complaints(page);
  try {
    await ready(page);
    await work(page);
    if (!options.silent) assert.deepEqual(heard, [], "the console is silent");
    console.log(`ok browser/${name}`);
  } catch (error) {
    failed = true;
    await page.screenshot({ path: join(SHOTS, `failed-${name}.png`) }).catch(() => {});
    console.log(`FAIL browser/${name}: ${String(error.message).split("\n").slice(0, 4).join(" ")}${heard.length ? ` (console: ${heard.join("; ")})` : ""}`);
  }
  await context.close();
}
await browser.close();
process.exit(failed ? 1 : 0);

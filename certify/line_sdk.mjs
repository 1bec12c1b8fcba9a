// @line/bot-sdk against the emulated LINE: line_sdk.mjs <emulator address>, with the data host in CERTIFY_LINE_DATA.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { HTTPFetchError, LineBotClient, middleware, SignatureValidationFailed, validateSignature } = require("@line/bot-sdk");

const EMULATOR = process.argv[2];
const DATA = process.env.CERTIFY_LINE_DATA;
const checks = [];
const check = (scenario) => checks.push(scenario);

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/line/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

/** An account of its own behind the SDK's middleware, and a person. */
class World {
  static async new(number) {
    const world = new World();
    world.secret = `secret-${number}`;
    world.token = `node-token-${number}`;
    world.bodies = [];
    world.refused = [];
    await world.listen();
    const url = `http://127.0.0.1:${world.server.address().port}/callback`;
    const account = { secret: world.secret, token: world.token, name: "Kit", webhook: url, quota: 20 };
    world.bot = (await control("POST", "bots", account)).bot;
    world.ada = (await control("POST", "users", { name: "Ada" })).user;
    world.client = world.connect(world.token);
    return world;
  }

  connect(channelAccessToken) {
    return LineBotClient.fromChannelAccessToken({ channelAccessToken, apiBaseURL: EMULATOR, dataApiBaseURL: DATA });
  }

  async listen() {
    const verify = middleware({ channelSecret: this.secret });
    this.server = http.createServer((request, response) => {
      verify(request, response, (error) => {
        if (error) this.refused.push(error);
        else this.bodies.push(request.body);
        response.writeHead(error ? 401 : 200).end();
      });
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
  }

  act(action, fields) {
    return control("POST", "actions", { action, bot: this.bot, ...fields });
  }

  async say(text, post = {}, chat = undefined) {
    return (await this.act("post", { user: this.ada, chat, post: { text, ...post } })).message;
  }

  fault(method, fault, details = {}) {
    return control("POST", "faults", { method, fault: { fault, ...details } });
  }

  /** The one event of the next body. */
  async event() {
    const body = await until(() => this.bodies.shift());
    assert.equal(body.destination, this.bot);
    assert.equal(body.events.length, 1);
    return body.events[0];
  }

  push(text, key) {
    return this.client.pushMessage({ to: this.ada, messages: [{ type: "text", text }] }, key);
  }

  sent() {
    return control("GET", `bots/${this.bot}/sent`);
  }
}

async function until(probe, patience = 20_000) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited in vain for ${probe}`);
    await pause(20);
  }
}

async function refused(promise, status, words = "") {
  const error = await promise.then(() => assert.fail("was not refused"), (error) => error);
  assert.ok(error instanceof HTTPFetchError, String(error));
  assert.equal(error.status, status, error.body);
  assert.ok(error.body.includes(words), error.body);
  assert.ok(error.headers.get("x-line-request-id"));
  return error;
}

check(async function names_itself(world) {
  const info = await world.client.getBotInfo();
  assert.deepEqual([info.userId, info.displayName, info.chatMode], [world.bot, "Kit", "bot"]);
  await refused(world.connect("nonsense").getBotInfo(), 401, "Authentication failed");
});

check(async function passes_the_middleware_and_replies(world) {
  await world.say("hi 你好 🍎");
  const event = await world.event();
  assert.deepEqual([event.type, event.message.text, event.source.userId], ["message", "hi 你好 🍎", world.ada]);
  const request = { replyToken: event.replyToken, messages: [{ type: "text", text: "hello" }] };
  const { sentMessages } = await world.client.replyMessage(request);
  assert.ok(sentMessages[0].id && sentMessages[0].quoteToken);
  await refused(world.client.replyMessage(request), 400, "Invalid reply token");
  assert.deepEqual((await world.sent()).map((sent) => sent.message.text), ["hello"]);
});

check(async function stops_at_the_middleware_with_a_wrong_signature(world) {
  await control("POST", "faults", { wrong_signatures: 1 });
  await world.say("hello");
  await until(() => world.refused.length === 1);
  assert.ok(world.refused[0] instanceof SignatureValidationFailed);
  assert.deepEqual(world.bodies, []);
  assert.equal(validateSignature("{}", world.secret, "nonsense"), false);
});

check(async function pushes_once_per_retry_key(world) {
  const key = crypto.randomUUID();
  const first = await world.client.pushMessageWithHttpInfo(
    { to: world.ada, messages: [{ type: "text", text: "once" }] }, key);
  const again = await refused(world.push("once", key), 409, "already accepted");
  assert.equal(again.headers.get("x-line-accepted-request-id"), first.httpResponse.headers.get("x-line-request-id"));
  assert.deepEqual(JSON.parse(again.body).sentMessages, first.body.sentMessages);
  assert.equal((await world.sent()).length, 1);
  await refused(world.push("once", "nonsense"), 400);
});

check(async function a_lost_answer_is_found_by_its_key(world) {
  const key = crypto.randomUUID();
  await world.fault("push", "lose_answer");
  await assert.rejects(world.push("once", key), (error) => !(error instanceof HTTPFetchError));
  await refused(world.push("once", key), 409);
  assert.equal((await world.sent()).length, 1);
});

check(async function names_what_is_wrong_with_a_message(world) {
  const messages = (count) => Array.from({ length: count }, () => ({ type: "text", text: "a" }));
  // The official client leaves it to the platform to count them.
  const six = await refused(world.client.pushMessage({ to: world.ada, messages: messages(6) }), 400);
  assert.deepEqual(JSON.parse(six.body).details.map((detail) => detail.property), ["messages"]);
  const long = await refused(world.push("🍎".repeat(2501)), 400, "The request body has 1 error(s)");
  assert.deepEqual(JSON.parse(long.body).details.map((detail) => detail.property), ["messages[0].text"]);
  await world.push("🍎".repeat(2500));
  const odd = [{ type: "hologram" }];
  await refused(world.client.pushMessage({ to: world.ada, messages: odd }), 400, "Must be one of the following values");
});

check(async function streams_content_from_the_data_host(world) {
  const picture = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
  const post = { kind: "image", mime: "image/png", base64: picture.toString("base64"), preparing: 1 };
  const id = await world.say("", post);
  const first = await world.client.getMessageContentWithHttpInfo(id);
  assert.equal(first.httpResponse.status, 202);
  const chunks = [];
  for await (const chunk of await world.client.getMessageContent(id)) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(picture));
  await refused(world.client.getMessageContent("1"), 404);
});

check(async function keeps_counts_and_profiles(world) {
  await refused(world.client.getProfile(world.ada), 404);
  await world.say("hello");
  assert.equal((await world.client.getProfile(world.ada)).displayName, "Ada");
  await world.push("one");
  assert.deepEqual(await world.client.getMessageQuota(), { type: "limited", value: 20 });
  assert.equal((await world.client.getMessageQuotaConsumption()).totalUsage, 1);
  const group = (await control("POST", "groups", { name: "Team", bot: world.bot, members: [world.ada] })).chat;
  assert.equal((await world.client.getGroupSummary(group)).groupName, "Team");
  await refused(world.client.getGroupMembersIds(group), 403);
});

check(async function shows_the_loading_animation(world) {
  await world.client.showLoadingAnimation({ chatId: world.ada, loadingSeconds: 10 });
  assert.equal((await control("GET", `bots/${world.bot}/loadings`))[0].seconds, 10);
  await refused(world.client.showLoadingAnimation({ chatId: world.ada, loadingSeconds: 7 }), 400, "loadingSeconds");
});

check(async function answers_limits_and_failures_of_its_own(world) {
  await world.fault("push", "too_many_requests");
  await refused(world.push("x"), 429, "rate limit");
  await world.fault("push", "monthly_limit");
  await refused(world.push("x"), 429, "You have reached your monthly limit.");
  await world.fault("push", "server_error", { status: 503 });
  await refused(world.push("x"), 503);
  await world.push("x");
});

for (const [index, scenario] of checks.entries()) {
  let world;
  try {
    world = await World.new(index + 1);
    await Promise.race([
      scenario(world),
      pause(60_000, undefined, { ref: false }).then(() => assert.fail("took more than a minute")),
    ]);
    console.log(`ok line/node/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL line/node/${scenario.name}: ${error.message.replaceAll("\n", " ")}`);
    await control("DELETE", "faults");
  } finally {
    world?.server.close();
    world?.server.closeAllConnections();
  }
}
process.exit(0);

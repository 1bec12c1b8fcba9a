// @wecom/aibot-node-sdk against the emulated WeCom: wecom_aibot.mjs <emulator address>.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { generateReqId, WecomCrypto, WSClient } = require("@wecom/aibot-node-sdk");

const EMULATOR = process.argv[2];
const LINK = `${EMULATOR.replace("http", "ws")}/wecom/link`;
const PICTURE = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(700_000, 7)]);
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const checks = [];
const check = (scenario) => checks.push(scenario);

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/wecom/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
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

/** A bot of its own on a long connection, and a person. */
class World {
  static async new(number) {
    const world = new World();
    world.id = `aib${number}`;
    world.user = `ZhangSan${number}`;
    world.clients = [];
    await control("POST", "users", { id: world.user, name: "Zhang San" });
    await control("POST", "bots", { product: "link", id: world.id, secret: `secret-${number}` });
    world.secret = `secret-${number}`;
    world.client = await world.connect();
    return world;
  }

  /** A client that keeps what it hears. */
  start(secret = this.secret, options = {}) {
    const client = new WSClient({
      botId: this.id, secret, wsUrl: LINK, heartbeatInterval: 200, reconnectInterval: 50, logger: SILENT, ...options,
    });
    this.clients.push(client);
    client.heard = [];
    client.errors = [];
    client.ends = [];
    client.on("message", (frame) => client.heard.push(frame));
    client.on("event", (frame) => client.heard.push(frame));
    client.on("error", (error) => client.errors.push(error));
    client.on("disconnected", (reason) => client.ends.push(reason));
    client.on("authenticated", () => (client.authenticated = (client.authenticated ?? 0) + 1));
    client.connect();
    return client;
  }

  async connect() {
    const client = this.start();
    await until(() => client.authenticated);
    return client;
  }

  act(action, fields) {
    return control("POST", "actions", { action, bot: this.id, user: this.user, ...fields });
  }

  fault(method, fault, details = {}, count = 1) {
    return control("POST", "faults", { method, count, fault: { fault, ...details } });
  }

  /** Lets the person write; gives the frame. */
  async say(text, post = {}, chat = undefined) {
    const { message } = await this.act("post", { chat, post: { text, ...post } });
    return until(() => this.client.heard.find((frame) => frame.body.msgid === message));
  }

  async open() {
    const before = this.client.heard.length;
    await this.act("open");
    return until(() => this.client.heard[before]);
  }

  sent() {
    return control("GET", `bots/${this.id}/sent`);
  }

  close() {
    for (const client of this.clients) client.disconnect();
  }
}

async function refused(promise, code) {
  const answer = await promise.then(() => assert.fail("was not refused"), (answer) => answer);
  assert.equal(answer.errcode, code, String(answer.errmsg ?? answer));
}

const card = (task, more = {}) => ({
  card_type: "button_interaction",
  main_title: { title: "Deploy?" },
  task_id: task,
  button_list: [{ text: "Yes", key: "yes" }, { text: "No", key: "no" }],
  ...more,
});

check(async function subscribes_and_is_heard(world) {
  assert.ok((await control("GET", `bots/${world.id}/connected`)).connected);
  const frame = await world.say("hi 你好 🍎");
  assert.equal(frame.cmd, "aibot_msg_callback");
  assert.deepEqual(
    [frame.body.msgtype, frame.body.text.content, frame.body.from.userid, frame.body.chattype, frame.body.aibotid],
    ["text", "hi 你好 🍎", world.user, "single", world.id]);
  assert.equal(frame.body.chatid, undefined);
});

check(async function refuses_a_wrong_secret(world) {
  const stranger = world.start("nonsense", { maxAuthFailureAttempts: 1 });
  await until(() => stranger.errors.some((error) => error.message.includes("853000")));
  await until(() => stranger.errors.some((error) => error.code === "WS_AUTH_FAILURE_EXHAUSTED"));
  assert.ok(world.client.isConnected);
});

check(async function answers_pings(world) {
  const pings = () => control("GET", `calls?method=ping&bot=${world.id}`);
  await until(async () => (await pings()).length >= 4);
  assert.deepEqual(world.client.ends, []);
});

check(async function hears_groups_by_mention(world) {
  const { chat } = await control("POST", "groups", { name: "Team", bots: [world.id], members: [world.user] });
  const frame = await world.say("hello", { quote: "earlier" }, chat);
  assert.deepEqual(
    [frame.body.chattype, frame.body.chatid, frame.body.text.content, frame.body.quote.text.content],
    ["group", chat, "@Kit hello", "earlier"]);
  await world.client.replyStream(frame, generateReqId("stream"), "hello all", true);
  assert.equal((await world.sent())[0].chat, chat);
});

check(async function streams_a_reply_to_its_end(world) {
  const frame = await world.say("count");
  const id = generateReqId("stream");
  for (const text of ["one", "one two"]) {
    assert.equal((await world.client.replyStream(frame, id, text, false)).errcode, 0);
  }
  let [shown] = await world.sent();
  assert.deepEqual([shown.body.stream.content, shown.is_finished], ["one two", false]);
  await world.client.replyStream(frame, id, "one two three", true, undefined, { id: "f1" });
  [shown] = await world.sent();
  assert.deepEqual([shown.body.stream.content, shown.is_finished, shown.via], ["one two three", true, "respond"]);
  await refused(world.client.replyStream(frame, id, "more", true), 846608);
});

check(async function streams_end_after_six_minutes(world) {
  const frame = await world.say("long");
  const id = generateReqId("stream");
  await world.client.replyStream(frame, id, "a", false);
  await control("POST", "clock", { advance_ms: 359_000 });
  await world.client.replyStream(frame, id, "b", false);
  await control("POST", "clock", { advance_ms: 2000 });
  await refused(world.client.replyStream(frame, id, "c", true), 846608);
  await world.client.sendMessage(world.user, { msgtype: "markdown", markdown: { content: "c" } });
  assert.deepEqual((await world.sent()).map((sent) => sent.via), ["respond", "push"]);
});

check(async function limits_a_stream(world) {
  const frame = await world.say("long");
  await refused(world.client.replyStream(frame, "s", "好".repeat(6827), true), 40058);
  await world.client.replyStream(frame, "s", "好".repeat(6826), true);
});

check(async function streams_with_a_card(world) {
  const frame = await world.say("card");
  const id = generateReqId("stream");
  const first = card(`${world.id}-1`);
  await world.client.replyStreamWithCard(frame, id, "working", false, { templateCard: first });
  await refused(world.client.replyStreamWithCard(frame, id, "x", false, { templateCard: card(`${world.id}-2`) }), 40058);
});

check(async function welcomes_who_comes(world) {
  const frame = await world.open();
  assert.equal(frame.body.event.eventtype, "enter_chat");
  await refused(world.client.replyStream(frame, "s", "no", true), 846605);
  await world.client.replyWelcome(frame, { msgtype: "text", text: { content: "welcome" } });
  const late = await world.open();
  await control("POST", "clock", { advance_ms: 5000 });
  await refused(world.client.replyWelcome(late, { msgtype: "text", text: { content: "late" } }), 846605);
  assert.deepEqual((await world.sent()).map((sent) => sent.body.text.content), ["welcome"]);
});

check(async function changes_a_pressed_card(world) {
  const frame = await world.say("card");
  await world.client.replyTemplateCard(frame, card(`${world.id}-task`));
  const [{ id: message }] = await world.sent();
  await world.act("press", { message, key: "yes", chosen: [["q", ["o1"]]] });
  const event = await until(() => world.client.heard.find((frame) => frame.cmd === "aibot_event_callback"));
  const pressed = event.body.event.template_card_event;
  assert.deepEqual([pressed.event_key, pressed.task_id], ["yes", `${world.id}-task`]);
  assert.deepEqual(pressed.selected_items.selected_item, [{ question_key: "q", option_ids: { option_id: ["o1"] } }]);
  const fresh = card(`${world.id}-task`, { main_title: { title: "Deployed" } });
  await refused(world.client.updateTemplateCard(event, card("another")), 40058);
  await world.client.updateTemplateCard(event, fresh);
  assert.equal((await world.sent())[0].body.template_card.main_title.title, "Deployed");
});

check(async function hears_feedback(world) {
  const fields = { id: "f1", type: 2, content: "no", inaccurate_reason_list: [1] };
  await world.act("event", { name: "feedback_event", fields });
  const frame = await until(() => world.client.heard[0]);
  assert.deepEqual(frame.body.event.feedback_event, fields);
});

check(async function pushes_where_somebody_has_spoken(world) {
  const push = (chat, body) => world.client.sendMessage(chat, body);
  const markdown = { msgtype: "markdown", markdown: { content: "**news**" } };
  await refused(push(world.user, markdown), 93006);
  await world.say("hi");
  await push(world.user, markdown);
  await refused(push(world.user.toLowerCase(), markdown), 93006);
  await refused(push(world.user, { msgtype: "text", text: { content: "no" } }), 40008);
  assert.deepEqual((await world.sent()).map((sent) => sent.body.msgtype), ["markdown"]);
});

check(async function uploads_in_pieces_and_sends(world) {
  const frame = await world.say("a picture, please");
  const { media_id } = await world.client.uploadMedia(PICTURE, { type: "image", filename: "图.png" });
  await world.client.replyMedia(frame, "image", media_id);
  await world.client.sendMediaMessage(world.user, "image", media_id);
  await refused(world.client.replyMedia(frame, "file", media_id), 40007);
  const kept = await control("GET", `media/${media_id}`);
  assert.deepEqual([kept.type, kept.name], ["image", "图.png"]);
  assert.ok(Buffer.from(kept.base64, "base64").equals(PICTURE));
  assert.equal((await world.sent()).length, 2);
  await refused(world.client.uploadMedia(Buffer.from("tiny"), { type: "file", filename: "a" }), 40006);
  await refused(world.client.uploadMedia(Buffer.alloc(100, 1), { type: "voice", filename: "a.amr" }), 40005);
});

check(async function hands_out_encrypted_files(world) {
  const frame = await world.say("", { kind: "file", name: "报告 1.bin", base64: PICTURE.toString("base64") });
  const raw = Buffer.from(await (await fetch(frame.body.file.url)).arrayBuffer());
  assert.ok(raw.length % 32 === 0 && !raw.equals(PICTURE));
  const { buffer, filename } = await world.client.downloadFile(frame.body.file.url, frame.body.file.aeskey);
  assert.ok(buffer.equals(PICTURE));
  assert.equal(filename, "报告 1.bin");
  const other = await world.say("", { kind: "image", base64: PICTURE.toString("base64") });
  assert.notEqual(other.body.image.aeskey, frame.body.file.aeskey);
  await assert.rejects(world.client.downloadFile(frame.body.file.url, other.body.image.aeskey));
  await control("POST", "clock", { advance_ms: 300_000 });
  assert.equal((await fetch(frame.body.file.url)).status, 404);
  const mixed = await world.say("look", { kind: "mixed", base64: PICTURE.toString("base64") });
  const [text, image] = mixed.body.mixed.msg_item;
  assert.equal(text.text.content, "look");
  assert.ok((await world.client.downloadFile(image.image.url, image.image.aeskey)).buffer.equals(PICTURE));
});

check(async function lets_only_the_newest_connection_live(world) {
  const first = world.client;
  const second = world.start();
  await until(() => second.authenticated && !first.isConnected);
  const told = await until(() => first.heard.at(-1));
  assert.equal(told.body.event.eventtype, "disconnected_event");
  world.client = second;
  await world.say("who hears?");
  assert.equal(first.heard.length, 1);
  // The official client does not come back by itself.
  assert.equal(first.authenticated, 1);
});

check(async function forgets_requests_of_a_lost_connection(world) {
  const frame = await world.say("before");
  await world.act("drop_link");
  await until(() => world.client.authenticated === 2);
  await refused(world.client.replyStream(frame, "s", "late", true), 846605);
  const next = await world.say("after");
  await world.client.replyStream(next, "s2", "here", true);
});

check(async function limits_replies_and_pushes(world) {
  await world.say("hi");
  const push = () => world.client.sendMessage(world.user, { msgtype: "markdown", markdown: { content: "x" } });
  for (let count = 0; count < 30; count += 1) await push();
  await refused(push(), 45009);
  await control("POST", "clock", { advance_ms: 60_000 });
  await push();
});

check(async function fails_on_demand(world) {
  const frame = await world.say("hi");
  await world.fault("aibot_respond_msg", "refuse", { errcode: 6000 });
  await refused(world.client.replyStream(frame, "s", "x", true), 6000);
  await world.fault("aibot_respond_msg", "lose_answer");
  await assert.rejects(world.client.replyStream(frame, "s", "lost", true));
  await until(() => world.client.authenticated === 2);
  assert.deepEqual((await world.sent()).map((sent) => sent.body.stream.content), ["lost"]);
  await control("POST", "faults", { noisy_frames: 1, duplicate_deliveries: 1 });
  const { message } = await world.act("post", { post: { text: "noise" } });
  await until(() => world.client.heard.filter((frame) => frame.body.msgid === message).length === 2);
});

check(async function agrees_about_the_cipher(world) {
  // The same vectors as the emulator's own tests.
  const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const crypto = new WecomCrypto("synthetic_token_1", key, "");
  const sealed = "4j/AuRx71kQlxVlzbpsMWFM3FLIlE7+Rr0vpqUk+32s=";
  assert.equal(crypto.decrypt(sealed), "ok");
  assert.equal(
    crypto.computeSignature("1760000000", "nonce42", sealed), "00e3a158a418829e199d1763cd26555c7a1f0053");
  assert.equal(createHash("md5").update(crypto.encrypt("x", "1", "2").encrypt).digest("hex").length, 32);
  // An AI bot with a callback: its posts are read, and its passive reply written, by the SDK.
  const { createServer } = await import("node:http");
  const asked = [];
  const server = createServer(async (request, response) => {
    const query = new URL(request.url, "http://x").searchParams;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { encrypt } = JSON.parse(Buffer.concat(chunks));
    const [stamp, nonce] = [query.get("timestamp"), query.get("nonce")];
    if (!crypto.verifySignature(query.get("msg_signature"), stamp, nonce, encrypt)) return response.writeHead(403).end();
    asked.push(JSON.parse(crypto.decrypt(encrypt)));
    const stream = { id: "s", finish: asked.length === 2, content: "x".repeat(asked.length) };
    const reply = crypto.encrypt(JSON.stringify({ msgtype: "stream", stream }), stamp, nonce);
    response.end(JSON.stringify({
      encrypt: reply.encrypt, msgsignature: reply.signature, timestamp: Number(stamp), nonce,
    }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/`;
  const id = `${world.id}-callback`;
  await control("POST", "bots", { product: "ai", id, callback: [url, "synthetic_token_1", key] });
  await control("POST", "actions", { action: "post", bot: id, user: world.user, post: { text: "hi" } });
  const shown = await until(async () => (await control("GET", `bots/${id}/sent`)).find((sent) => sent.is_finished));
  assert.equal(shown.body.stream.content, "xx");
  server.close();
  server.closeAllConnections();
});

for (const [index, scenario] of checks.entries()) {
  let world;
  try {
    world = await World.new(index + 1);
    await Promise.race([
      scenario(world),
      pause(60_000, undefined, { ref: false }).then(() => assert.fail("took more than a minute")),
    ]);
    console.log(`ok wecom/aibot-node-sdk/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL wecom/aibot-node-sdk/${scenario.name}: ${String(error.message ?? error).replaceAll("\n", " ")}`);
    await control("DELETE", "faults");
  } finally {
    world?.close();
  }
}
process.exit(0);

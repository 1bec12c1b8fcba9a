// @larksuiteoapi/node-sdk against the emulated Feishu: feishu_sdk.mjs <emulator address>.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const lark = require("@larksuiteoapi/node-sdk");

const EMULATOR = process.argv[2];
const PATIENCE_MS = 20_000;
const silent = { error() {}, warn() {}, info() {}, debug() {}, trace() {} };
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const checks = [];
const check = (scenario) => checks.push(scenario);

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/feishu/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

async function until(found) {
  const ends = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await found();
    if (value) return value;
    if (Date.now() > ends) throw new Error("nothing came in time");
    await pause(20);
  }
}

/** An app of its own and a person. */
class World {
  static async new(number, settings = {}) {
    const world = new World();
    world.app = `cli_${number.toString(16).padStart(16, "0")}`;
    world.secret = `node-secret-${number}`;
    const app = { app_id: world.app, secret: world.secret, name: "Kit", ...settings };
    world.bot = (await control("POST", "apps", app)).open_id;
    const ada = await control("POST", "users", { name: "Ada", app: world.app });
    world.ada = ada.user;
    world.adaOpenId = ada.open_id;
    const settled = { appId: world.app, appSecret: world.secret, domain: EMULATOR, logger: silent };
    world.client = new lark.Client(settled);
    world.settled = settled;
    world.events = [];
    world.answers = {};
    return world;
  }

  /** Opens the long connection and waits until the platform knows it. */
  async connect() {
    const keep = (kind) => (event) => {
      this.events.push({ kind, event });
      return this.answers[kind];
    };
    const kinds = ["im.message.receive_v1", "card.action.trigger", "im.message.reaction.created_v1", "im.message.recalled_v1", "im.chat.member.bot.added_v1"];
    const dispatcher = new lark.EventDispatcher({ logger: silent });
    dispatcher.register(Object.fromEntries(kinds.map((kind) => [kind, keep(kind)])));
    this.socket = new lark.WSClient(this.settled);
    this.socket.start({ eventDispatcher: dispatcher });
    await until(() => this.connections());
  }

  connections() {
    return control("GET", `apps/${this.app}/connections`);
  }

  act(action, fields) {
    return control("POST", "actions", { action, ...fields });
  }

  async say(text, post = {}) {
    return (await this.act("post", { app: this.app, user: this.ada, post: { text, ...post } })).message_id;
  }

  async event(kind) {
    return until(() => {
      const at = this.events.findIndex((one) => one.kind === kind);
      return at < 0 ? undefined : this.events.splice(at, 1)[0].event;
    });
  }

  send(msg_type, content, more = {}) {
    return this.client.im.v1.message.create({
      params: { receive_id_type: "open_id" },
      data: { receive_id: this.adaOpenId, msg_type, content: JSON.stringify(content), ...more },
    });
  }

  fault(method, fault, details = {}) {
    return control("POST", "faults", { method, fault: { fault, ...details } });
  }

  sent() {
    return control("GET", `apps/${this.app}/sent`);
  }

  close() {
    this.socket?.close({ force: true });
    this.server?.close();
  }
}

/** The code of a refused call. */
async function refused(call) {
  try {
    const answer = await call;
    return answer.code;
  } catch (error) {
    return error.response?.data?.code ?? error.code ?? error;
  }
}

check(async function sends_with_a_token_of_its_own(world) {
  const answer = await world.send("text", { text: "hello" });
  assert.equal(answer.code, 0, JSON.stringify(answer));
  assert.match(answer.data.message_id, /^om_/);
  const [message] = await world.sent();
  assert.equal(message.content.text, "hello");
});

check(async function knows_itself(world) {
  const answer = await world.client.request({ method: "GET", url: "/open-apis/bot/v3/info" });
  assert.equal(answer.bot.open_id, world.bot);
});

check(async function a_wrong_secret_gets_no_token(world) {
  const client = new lark.Client({ ...world.settled, appSecret: "wrong", cache: undefined });
  const code = await refused(client.im.v1.message.create({
    params: { receive_id_type: "open_id" },
    data: { receive_id: world.adaOpenId, msg_type: "text", content: '{"text":"x"}' },
  }));
  assert.notEqual(code, 0);
  assert.equal((await world.sent()).length, 0);
});

check(async function receives_over_the_long_connection(world) {
  await world.connect();
  const id = await world.say("hi there");
  const event = await world.event("im.message.receive_v1");
  assert.equal(event.message.message_id, id);
  assert.equal(JSON.parse(event.message.content).text, "hi there");
  assert.equal(event.message.chat_type, "p2p");
  assert.equal(event.sender.sender_id.open_id, world.adaOpenId);
  const tries = await until(async () => {
    const all = await control("GET", "deliveries");
    const own = all.filter((one) => one.app === world.app);
    return own.length ? own : undefined;
  });
  assert.deepEqual(tries.map((one) => [one.attempt, one.status]), [[1, 200]]);
});

check(async function joins_fragments_in_any_order(world) {
  await world.connect();
  await control("POST", "faults", { reorder_fragments: 1 });
  const text = "long ".repeat(20_000);
  await world.say(text);
  const event = await world.event("im.message.receive_v1");
  assert.equal(JSON.parse(event.message.content).text, text);
});

check(async function comes_back_after_a_cut_and_loses_nothing(world) {
  await world.connect();
  await world.act("cut", { app: world.app });
  const id = await world.say("in the dark");
  await until(() => world.connections());
  const event = await world.event("im.message.receive_v1");
  assert.equal(event.message.message_id, id);
});

check(async function mentions_in_groups(world) {
  await world.connect();
  const { chat } = await control("POST", "groups", { name: "Team", apps: [world.app], members: [world.ada] });
  await world.act("post", { chat, user: world.ada, post: { text: "@Kit build it" } });
  const event = await world.event("im.message.receive_v1");
  assert.equal(event.message.chat_type, "group");
  assert.equal(event.message.mentions[0].id.open_id, world.bot);
  assert.equal(JSON.parse(event.message.content).text, "@_user_1 build it");
});

check(async function replies_in_a_thread(world) {
  const id = await world.say("question");
  const answer = await world.client.im.v1.message.reply({
    path: { message_id: id },
    data: { msg_type: "text", content: '{"text":"answer"}', reply_in_thread: true },
  });
  assert.equal(answer.data.parent_id, id);
  assert.match(answer.data.thread_id, /^omt_/);
});

check(async function the_same_uuid_shows_once(world) {
  const first = await world.send("text", { text: "once" }, { uuid: "u-1" });
  const second = await world.send("text", { text: "once" }, { uuid: "u-1" });
  assert.equal(first.data.message_id, second.data.message_id);
  assert.equal((await world.sent()).length, 1);
});

check(async function edits_and_recalls(world) {
  const { data } = await world.send("text", { text: "one" });
  const path = { message_id: data.message_id };
  const edited = await world.client.im.v1.message.update({ path, data: { msg_type: "text", content: '{"text":"two"}' } });
  assert.equal(edited.code, 0);
  assert.equal((await world.sent())[0].content.text, "two");
  assert.equal((await world.client.im.v1.message.delete({ path })).code, 0);
  assert.equal(await refused(world.client.im.v1.message.delete({ path })), 230011);
});

check(async function reacts_and_takes_it_back(world) {
  const id = await world.say("look");
  const added = await world.client.im.v1.messageReaction.create({
    path: { message_id: id },
    data: { reaction_type: { emoji_type: "Typing" } },
  });
  assert.ok(added.data.reaction_id);
  const listed = await world.client.im.v1.messageReaction.list({ path: { message_id: id } });
  assert.equal(listed.data.items.length, 1);
  const removed = await world.client.im.v1.messageReaction.delete({
    path: { message_id: id, reaction_id: added.data.reaction_id },
  });
  assert.equal(removed.code, 0);
});

check(async function uploads_and_sends_files(world) {
  const image = await world.client.im.v1.image.create({ data: { image_type: "message", image: PNG } });
  assert.ok(image.image_key, JSON.stringify(image));
  assert.equal((await world.send("image", { image_key: image.image_key })).code, 0);
  const file = await world.client.im.v1.file.create({
    data: { file_type: "stream", file_name: "hello.txt", file: Buffer.from("hello") },
  });
  assert.equal((await world.send("file", { file_key: file.file_key })).code, 0);
});

check(async function downloads_what_a_person_sent(world) {
  const bytes = Buffer.from("the file").toString("base64");
  const id = await world.say("", { kind: "file", name: "a.txt", base64: bytes });
  const message = await world.client.im.v1.message.get({ path: { message_id: id } });
  const { file_key } = JSON.parse(message.data.items[0].body.content);
  const resource = await world.client.im.v1.messageResource.get({ path: { message_id: id, file_key }, params: { type: "file" } });
  const parts = [];
  for await (const part of resource.getReadableStream()) parts.push(part);
  assert.equal(Buffer.concat(parts).toString(), "the file");
});

check(async function streams_a_card(world) {
  const card = {
    schema: "2.0",
    config: { streaming_mode: true, update_multi: true },
    body: { elements: [{ tag: "markdown", element_id: "md", content: "" }] },
  };
  const made = await world.client.cardkit.v1.card.create({ data: { type: "card_json", data: JSON.stringify(card) } });
  const { card_id } = made.data;
  await world.send("interactive", { type: "card", data: { card_id } });
  for (const [sequence, content] of [[1, "one"], [2, "one two"]]) {
    const answer = await world.client.cardkit.v1.cardElement.content({
      path: { card_id, element_id: "md" },
      data: { content, sequence },
    });
    assert.equal(answer.code, 0, JSON.stringify(answer));
  }
  const stale = world.client.cardkit.v1.cardElement.content({ path: { card_id, element_id: "md" }, data: { content: "x", sequence: 2 } });
  assert.equal(await refused(stale), 300317);
  const settings = JSON.stringify({ config: { streaming_mode: false } });
  const ended = await world.client.cardkit.v1.card.settings({ path: { card_id }, data: { settings, sequence: 3 } });
  assert.equal(ended.code, 0);
  const [shown] = await control("GET", `apps/${world.app}/cards`);
  assert.deepEqual(shown.texts, ["one", "one two"]);
});

check(async function answers_a_press(world) {
  await world.connect();
  const card = {
    schema: "2.0",
    body: {
      elements: [{
        tag: "button",
        text: { tag: "plain_text", content: "Approve" },
        behaviors: [{ type: "callback", value: { k: "v" } }],
      }],
    },
  };
  const { data } = await world.send("interactive", card);
  world.answers["card.action.trigger"] = { toast: { type: "success", content: "done" } };
  const { token } = await world.act("press", { message: data.message_id, user: world.ada, wanted: "Approve" });
  const event = await world.event("card.action.trigger");
  assert.equal(event.action.value.k, "v");
  assert.equal(event.context.open_message_id, data.message_id);
  const press = await until(async () => (await control("GET", "presses")).find((one) => one.token === token && one.answer));
  assert.equal(press.answer.toast.content, "done");
});

check(async function waits_out_a_rate_limit(world) {
  await world.send("text", { text: "first" });
  await world.fault("send", "rate_limited");
  assert.equal(await refused(world.send("text", { text: "second" })), 99991400);
  assert.equal((await world.send("text", { text: "third" })).code, 0);
});

check(async function a_token_that_ended_is_refused(world) {
  await world.send("text", { text: "before" });
  await world.act("revoke", { app: world.app });
  assert.equal(await refused(world.send("text", { text: "after" })), 99991663);
});

check(async function webhooks_are_signed_and_encrypted(world, number) {
  const encryptKey = "ek-0123456789abcdef";
  const verificationToken = "vt-synthetic-0001";
  const received = [];
  const dispatcher = new lark.EventDispatcher({ encryptKey, verificationToken, logger: silent });
  dispatcher.register({ "im.message.receive_v1": (event) => { received.push(event); } });
  world.server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = JSON.parse(Buffer.concat(parts).toString());
    const { isChallenge, challenge } = lark.generateChallenge(body, { encryptKey });
    const data = Object.assign(Object.create({ headers: request.headers }), body);
    const result = isChallenge ? challenge : await dispatcher.invoke(data);
    response.writeHead(isChallenge || result !== undefined ? 200 : 401, { "content-type": "application/json" });
    response.end(JSON.stringify(result ?? {}));
  });
  world.server.listen(0, "127.0.0.1");
  await once(world.server, "listening");
  const url = `http://127.0.0.1:${world.server.address().port}/feishu/events`;
  const hooked = await World.new(number + 1000, { encrypt_key: encryptKey, verification_token: verificationToken, events_url: url });
  const verified = await control("POST", "verify", { app: hooked.app, challenge: "c0ffee" });
  assert.deepEqual(verified, { status: 200, answer: { challenge: "c0ffee" } });
  await hooked.say("signed");
  const event = await until(() => received.shift());
  assert.equal(JSON.parse(event.message.content).text, "signed");
});

let number = 0;
for (const scenario of checks) {
  number += 1;
  const world = await World.new(number);
  try {
    await scenario(world, number);
    console.log(`ok feishu/node/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL feishu/node/${scenario.name}: ${String(error.stack ?? error).replaceAll("\n", " ").slice(0, 600)}`);
    await control("DELETE", "faults");
  } finally {
    world.close();
  }
}
process.exit(0);

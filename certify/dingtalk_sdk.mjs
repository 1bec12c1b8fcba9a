// dingtalk-stream (npm) against the emulated DingTalk: dingtalk_sdk.mjs <emulator address>.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const sdk = require.resolve("dingtalk-stream");
const { DWClient, EventAck, TOPIC_AI_GRAPH_API, TOPIC_CARD, TOPIC_ROBOT } = require("dingtalk-stream");
// The addresses are written out in the SDK; its own instance of axios leads them to the emulator.
const axios = createRequire(sdk)("axios");

const EMULATOR = process.argv[2];
const PATIENCE_MS = 20_000;
axios.interceptors.request.use((config) => {
  config.url = config.url.replace(/^https:\/\/o?api\.dingtalk\.com/, EMULATOR);
  return config;
});
console.info = () => {};
console.warn = () => {};
const checks = [];
const check = (scenario) => checks.push(scenario);

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/dingtalk/${path}`, {
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
    world.app = `dingnode${number}`;
    world.secret = `node-secret-${number}`;
    await control("POST", "apps", { client_id: world.app, secret: world.secret, name: "Kit", ...settings });
    world.ada = `nodeada${number}`;
    await control("POST", "users", { id: world.ada, name: "Ada" });
    world.frames = [];
    world.events = [];
    world.acks = true;
    world.eventAck = () => ({ status: EventAck.SUCCESS });
    world.clients = [];
    return world;
  }

  client(secret = this.secret, more = {}) {
    const client = new DWClient({ clientId: this.app, clientSecret: secret, ...more });
    this.clients.push(client);
    return client;
  }

  /** Opens a connection and waits until the platform knows it. */
  async connect(count = 1, more = {}) {
    const client = this.client(this.secret, more);
    for (const topic of [TOPIC_ROBOT, TOPIC_CARD, TOPIC_AI_GRAPH_API]) {
      client.registerCallbackListener(topic, (frame) => {
        this.frames.push(frame);
        if (this.acks) client.socketCallBackResponse(frame.headers.messageId, this.answer ?? { status: "SUCCESS" });
      });
    }
    client.registerAllEventListener((event) => {
      this.events.push(event);
      return this.eventAck(event);
    });
    client.connect();
    await until(async () => (await this.look("connections")).open === count);
    return client;
  }

  look(what) {
    return control("GET", `${what}?app=${this.app}`);
  }

  act(action, fields) {
    return control("POST", "actions", { action, ...fields });
  }

  async say(text, post = {}) {
    return (await this.act("post", { app: this.app, user: this.ada, post: { text, ...post } })).message;
  }

  async frame() {
    const frame = await until(() => this.frames.shift());
    return { ...frame, body: JSON.parse(frame.data) };
  }

  async deliveries(count) {
    return until(async () => {
      const all = await this.look("deliveries");
      return all.length >= count ? all : undefined;
    });
  }

  calls(method) {
    return control("GET", `calls?method=${method}&bot=${this.app}`);
  }

  /** Calls the API with a token, as an application beside the SDK does. */
  async call(method, path, data, token) {
    const headers = { "x-acs-dingtalk-access-token": token };
    const answer = await axios({ method, url: `https://api.dingtalk.com${path}`, data, headers, validateStatus: () => true });
    return { status: answer.status, body: answer.data };
  }

  close() {
    for (const client of this.clients) client.disconnect();
  }
}

check(async function connects_and_answers_pings(world) {
  const client = await world.connect();
  await until(() => client.registered);
  await until(async () => (await world.look("connections")).pongs >= 2);
  const [opened] = await world.calls("open");
  assert.deepEqual(opened.body.subscriptions.map((one) => one.topic), ["*", TOPIC_ROBOT, TOPIC_CARD, TOPIC_AI_GRAPH_API]);
});

check(async function keeps_itself_alive_with_pings_of_its_own(world) {
  const client = world.client(world.secret, { keepAlive: true });
  client.heartbeat_interval = 200;
  client.connect();
  await until(async () => (await world.look("connections")).open === 1);
  await pause(1500);
  // A pong that stays away would have ended the connection.
  assert.equal((await world.calls("connect")).length, 1);
});

check(async function a_wrong_secret_is_refused(world) {
  const client = world.client("wrong");
  await assert.rejects(client.getEndpoint(), (error) => error.response.status === 401 && error.response.data.code === "authFailed");
  await assert.rejects(client.getAccessToken(), /get access_token failed/);
  await assert.rejects(client.connect().then(() => { throw new Error(String(client.connected)); }), /false/);
});

check(async function the_old_token_endpoint_gives_the_same_token(world) {
  const client = world.client();
  const token = await client.getAccessToken();
  const data = { appKey: world.app, appSecret: world.secret };
  const answer = await world.call("POST", "/v1.0/oauth2/accessToken", data);
  assert.equal(answer.body.accessToken, token);
  assert.ok(answer.body.expireIn <= 7200 && answer.body.expireIn > 7100);
});

check(async function receives_and_acknowledges(world) {
  await world.connect();
  const id = await world.say("hi there");
  const { type, headers, body, specVersion } = await world.frame();
  assert.deepEqual([type, specVersion, headers.topic], ["CALLBACK", "1.0", TOPIC_ROBOT]);
  for (const name of ["appId", "connectionId", "messageId", "time", "contentType"]) assert.equal(typeof headers[name], "string");
  assert.equal(body.msgId, id);
  assert.equal(body.text.content, "hi there");
  assert.equal(body.senderStaffId, world.ada);
  const [delivery] = await world.deliveries(1);
  assert.deepEqual([delivery.attempt, delivery.status, delivery.error], [1, 200, null]);
  assert.deepEqual(delivery.data, { response: { status: "SUCCESS" } });
});

check(async function what_is_not_acknowledged_comes_again(world) {
  await world.connect();
  world.acks = false;
  const id = await world.say("again");
  const first = await world.frame();
  world.acks = true;
  const second = await world.frame();
  assert.deepEqual([first.body.msgId, second.body.msgId], [id, id]);
  assert.notEqual(first.headers.messageId, second.headers.messageId);
  const ends = (await world.deliveries(2)).map((one) => [one.attempt, one.error]);
  assert.deepEqual(ends, [[1, "timeout"], [2, null]]);
});

check(async function an_event_that_shall_come_later_comes_again(world) {
  await world.connect();
  world.eventAck = () => ({ status: world.events.length > 1 ? EventAck.SUCCESS : EventAck.LATER, message: "x" });
  const { event } = await world.act("event", { app: world.app, kind: "chat_disband", data: { k: "v" } });
  await until(() => world.events.length === 2);
  for (const one of world.events) {
    assert.deepEqual([one.type, one.headers.eventId, one.headers.eventType], ["EVENT", event, "chat_disband"]);
    assert.deepEqual(JSON.parse(one.data), { k: "v" });
  }
  const ends = (await world.deliveries(2)).map((one) => one.error);
  assert.deepEqual(ends, ["later", null]);
});

check(async function comes_back_after_the_disconnect_notice(world) {
  const client = await world.connect();
  await world.act("drain", { app: world.app });
  // The SDK waits until the server closes the connection.
  await until(() => !client.connected);
  const id = await world.say("meanwhile");
  assert.equal((await world.frame()).body.msgId, id);
  assert.equal((await world.calls("connect")).length, 2);
});

check(async function comes_back_after_a_cut_and_loses_nothing(world) {
  await world.connect();
  await world.act("cut", { app: world.app });
  const ids = [];
  for (const text of ["one", "two"]) ids.push(await world.say(text));
  const seen = [(await world.frame()).body.msgId, (await world.frame()).body.msgId];
  assert.deepEqual(seen.sort(), ids.sort());
});

check(async function comes_back_after_a_long_life(world) {
  await world.connect();
  await world.act("close", { app: world.app });
  const id = await world.say("later");
  assert.equal((await world.frame()).body.msgId, id);
});

check(async function a_ticket_and_a_gateway_can_be_refused(world) {
  const fault = (method, fault) => control("POST", "faults", { method, fault });
  await fault("open", { fault: "too_many_requests" });
  await fault("open", { fault: "server_error", status: 503 });
  await fault("connect", { fault: "refuse", status: 401, code: "invalidTicket", message: "no" });
  await world.connect();
  const statuses = async (method) => (await world.calls(method)).map((call) => call.status);
  assert.deepEqual((await statuses("open")).slice(0, 4), [429, 503, 200, 200]);
  // After a refused upgrade the SDK comes back twice: for the error and for the close.
  assert.deepEqual((await statuses("connect")).slice(0, 2), [401, 101]);
});

check(async function two_connections_share_the_load(world) {
  await world.connect();
  await world.connect(2);
  for (let number = 0; number < 20; number += 1) await world.say(String(number));
  const deliveries = await world.deliveries(20);
  assert.equal(new Set(deliveries.map((one) => one.connection)).size, 2);
  assert.equal(new Set(world.frames.map((one) => JSON.parse(one.data).msgId)).size, 20);
});

check(async function duplicates_and_wrong_orders_reach_the_client(world) {
  await world.connect();
  await control("POST", "faults", { duplicate_frames: 1 });
  const id = await world.say("twice");
  assert.deepEqual([(await world.frame()).body.msgId, (await world.frame()).body.msgId], [id, id]);
  await control("POST", "faults", { reorder_frames: 1 });
  const [first, second] = [await world.say("first"), await world.say("second")];
  assert.deepEqual([(await world.frame()).body.msgId, (await world.frame()).body.msgId], [second, first]);
});

check(async function groups_mention_the_robot(world) {
  await world.connect();
  const { chat } = await control("POST", "groups", { title: "Team", apps: [world.app], members: [world.ada] });
  await world.act("post", { chat, user: world.ada, post: { text: "@Kit build it" } });
  const { body } = await world.frame();
  assert.deepEqual([body.conversationType, body.conversationTitle, body.conversationId], ["2", "Team", chat]);
  assert.equal(body.text.content, " build it");
  assert.equal(body.atUsers[0].dingtalkId, body.chatbotUserId);
});

check(async function replies_through_the_session(world) {
  await world.connect();
  await world.say("question");
  const { body } = await world.frame();
  const data = { msgtype: "text", text: { content: `@${world.ada} hello` }, at: { atUserIds: [body.senderStaffId] } };
  const { data: answer } = await axios.post(body.sessionWebhook, data);
  assert.equal(answer.errcode, 0);
  const [sent] = await world.look("sent");
  assert.deepEqual([sent.via, sent.content.content, sent.mentions], ["session", `@${world.ada} hello`, [world.ada]]);
});

check(async function a_press_is_answered_and_changes_the_card(world) {
  await world.connect();
  const token = await world.client().getAccessToken();
  const card = {
    cardTemplateId: "tpl.schema",
    outTrackId: `card-${world.app}`,
    cardData: { cardParamMap: { status: "open" } },
    callbackType: "STREAM",
    imRobotOpenSpaceModel: { supportForward: true },
    openSpaceId: `dtv1.card//IM_ROBOT.${world.ada}`,
    imRobotOpenDeliverModel: { spaceType: "IM_ROBOT", robotCode: world.app },
  };
  const made = await world.call("POST", "/v1.0/card/instances/createAndDeliver", card, token);
  assert.deepEqual([made.status, made.body.result.deliverResults[0].success], [200, true]);
  world.answer = { cardUpdateOptions: { updateCardDataByKey: true }, cardData: { cardParamMap: { status: "done" } } };
  await world.act("press", { card: card.outTrackId, user: world.ada, wanted: "approve", params: { k: "v" } });
  const { headers, body } = await world.frame();
  assert.equal(headers.topic, TOPIC_CARD);
  assert.deepEqual(JSON.parse(body.content).cardPrivateData, { actionIds: ["approve"], params: { k: "v" } });
  await until(async () => (await world.look("cards"))[0].variables.status === "done");
});

check(async function plugins_are_called_over_their_own_topic(world) {
  const client = world.client();
  client.registerCallbackListener(TOPIC_AI_GRAPH_API, (frame) => {
    client.sendGraphAPIResponse(frame.headers.messageId, { response: { statusLine: { code: 200, reasonPhrase: "OK" }, headers: {}, body: "{}" } });
  });
  client.connect();
  await until(async () => (await world.look("connections")).open === 1);
  await world.act("callback", { app: world.app, topic: TOPIC_AI_GRAPH_API, data: { body: "{}" } });
  const [delivery] = await world.deliveries(1);
  assert.deepEqual([delivery.status, delivery.data.response.statusLine.code], [200, 200]);
});

check(async function a_robot_in_http_mode_has_no_stream(world) {
  await world.act("webhook", { app: world.app, url: "http://127.0.0.1:9/dingtalk" });
  const client = world.client();
  client.registerCallbackListener(TOPIC_ROBOT, () => {});
  await assert.rejects(client.getEndpoint(), (error) => error.response.data.code === "subscription.notPermitted");
});

check(async function proactive_messages_are_sent_and_taken_back(world) {
  const token = await world.client().getAccessToken();
  const message = { robotCode: world.app, userIds: [world.ada, "nobody"], msgKey: "sampleMarkdown", msgParam: JSON.stringify({ title: "T", text: "**b**" }) };
  const { body } = await world.call("POST", "/v1.0/robot/oToMessages/batchSend", message, token);
  assert.deepEqual(body.invalidStaffIdList, ["nobody"]);
  const keys = { robotCode: world.app, processQueryKeys: [body.processQueryKey] };
  const recalled = await world.call("POST", "/v1.0/robot/otoMessages/batchRecall", keys, token);
  assert.deepEqual(recalled.body.successResult, [body.processQueryKey]);
  assert.equal((await world.look("sent"))[0].recalled, true);
  await world.act("revoke", { app: world.app });
  assert.equal((await world.call("POST", "/v1.0/robot/oToMessages/batchSend", message, token)).status, 401);
});

let number = 0;
for (const scenario of checks) {
  number += 1;
  const world = await World.new(number);
  try {
    await scenario(world, number);
    console.log(`ok dingtalk/node/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL dingtalk/node/${scenario.name}: ${String(error.stack ?? error).replaceAll("\n", " ").slice(0, 600)}`);
    await control("DELETE", "faults");
  } finally {
    world.close();
  }
}
process.exit(0);

// @slack/web-api, @slack/socket-mode and @slack/bolt against the emulated Slack: slack_node.mjs <emulator address>.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { App, HTTPReceiver, LogLevel } = require("@slack/bolt");
const { SocketModeClient } = require("@slack/socket-mode");
const { WebClient, WebClientEvent, retryPolicies } = require("@slack/web-api");

const EMULATOR = process.argv[2];
const API = { slackApiUrl: `${EMULATOR}/api/` };
const checks = [];
const check = (scenario, options = {}) => checks.push([scenario, options]);

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/slack/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

const act = (action, fields) => control("POST", "actions", { action, ...fields });

async function until(probe, patience = 25_000) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited in vain for ${probe}`);
    await pause(20);
  }
}

/** A workspace with an app of its own behind Bolt's HTTP receiver, or by socket; a person and a channel. */
class World {
  static async new(number, { socket = false } = {}) {
    const world = new World();
    world.token = `xoxb-node-${number}`;
    world.appToken = `xapp-node-${number}`;
    world.secret = `node-secret-${number}`;
    const options = { token: world.token, clientOptions: API, logLevel: LogLevel.ERROR };
    const fields = { name: "Kit", signing_secret: world.secret, client_id: `${number}.9`, client_secret: "secret" };
    if (socket) {
      world.app = (await control("POST", "apps", { ...fields, app_token: world.appToken })).app;
    } else {
      const receiver = new HTTPReceiver({ signingSecret: world.secret, endpoints: ["/slack/events"] });
      world.server = http.createServer((request, response) => {
        world.requests.push(request.headers);
        const status = world.statuses.shift();
        if (status) {
          request.resume();
          response.writeHead(status).end();
          return;
        }
        response.on("finish", () => world.answers.push(response.statusCode));
        receiver.requestListener(request, response);
      });
      world.requests = [];
      world.answers = [];
      world.statuses = [];
      world.server.listen(0, "127.0.0.1");
      await once(world.server, "listening");
      world.url = `http://127.0.0.1:${world.server.address().port}/slack/events`;
      for (const kind of ["events", "interactions", "options", "commands"]) fields[`${kind}_url`] = world.url;
      world.app = (await control("POST", "apps", fields)).app;
      options.receiver = receiver;
    }
    world.team = (await control("POST", "workspaces", { name: `Node ${number}` })).team;
    world.install = await act("install", { app: world.app, team: world.team, token: world.token });
    world.ada = (await control("POST", "users", { team: world.team, name: "Ada" })).user;
    const members = [world.ada, world.install.bot_user];
    world.general = (await control("POST", "channels", { team: world.team, name: "general", members })).channel;
    world.direct = (await act("direct", { app: world.app, user: world.ada })).channel;
    world.client = new WebClient(world.token, { ...API, logLevel: LogLevel.ERROR });
    world.number = number;
    if (!socket) world.bolt = new App(options);
    return world;
  }

  async say(text, channel = this.direct, post = {}) {
    return (await act("say", { channel, user: this.ada, post: { text, ...post } })).ts;
  }

  fault(method, fault, details = {}) {
    return control("POST", "faults", { method, fault: { fault, ...details } });
  }

  history(channel = this.general) {
    return control("GET", `channels/${channel}/history`);
  }

  settled(interaction) {
    return until(async () => {
      const one = await control("GET", `interactions?number=${interaction}`);
      return one.settled && one;
    });
  }

  sockets() {
    return control("GET", `apps/${this.app}/sockets`);
  }

  close() {
    this.server?.close();
    this.server?.closeAllConnections();
  }
}

async function refused(promise, code) {
  const error = await promise.then(() => assert.fail("was not refused"), (error) => error);
  assert.equal(error.data?.error, code, String(error));
  return error;
}

check(async function names_itself(world) {
  const answer = await world.client.auth.test();
  assert.deepEqual([answer.user_id, answer.bot_id, answer.team_id],
    [world.install.bot_user, world.install.bot_id, world.team]);
  assert.ok(answer.response_metadata.scopes.includes("chat:write"));
  await refused(new WebClient("xoxb-nonsense", API).auth.test(), "invalid_auth");
});

check(async function hears_and_answers_in_the_thread(world) {
  world.bolt.message(async ({ message, say }) => {
    await say({ text: `echo: ${message.text}`, thread_ts: message.ts });
  });
  const ts = await world.say("hi 你好 🍎");
  const reply = await until(async () => (await world.history(world.direct)).find((m) => m.via === "chat.postMessage"));
  assert.deepEqual([reply.text, reply.thread_ts], ["echo: hi 你好 🍎", ts]);
});

check(async function hears_a_mention_and_not_itself(world) {
  const heard = [];
  world.bolt.event("app_mention", async ({ event }) => heard.push(["app_mention", event.ts]));
  world.bolt.event("message", async ({ event }) => heard.push(["message", event.ts]));
  const ts = await world.say(`<@${world.install.bot_user}> hello`, world.general);
  await until(() => heard.length === 2);
  assert.deepEqual(heard.toSorted(), [["app_mention", ts], ["message", ts]]);
  await world.client.chat.postMessage({ channel: world.general, text: "mine" });
  await until(() => world.answers.length === 3);
  assert.equal(heard.length, 2);
});

check(async function refuses_a_wrong_signature(world) {
  await control("POST", "faults", { wrong_signatures: 1 });
  await world.say("forged");
  await until(() => world.answers.includes(401));
});

check(async function answers_the_challenge(world) {
  const body = JSON.stringify({ type: "url_verification", token: "x", challenge: "ch4ll3ng3" });
  const now = Math.floor(Date.now() / 1000);
  const signature = `v0=${createHmac("sha256", world.secret).update(`v0:${now}:${body}`).digest("hex")}`;
  const answer = await fetch(world.url, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", "x-slack-signature": signature, "x-slack-request-timestamp": `${now}` },
  });
  assert.deepEqual(await answer.json(), { challenge: "ch4ll3ng3" });
});

check(async function is_delivered_again(world) {
  const heard = [];
  world.bolt.event("message", async ({ context }) => heard.push([context.retryNum, context.retryReason]));
  world.statuses.push(503);
  await world.say("hello");
  await until(() => heard.length === 1);
  assert.deepEqual(heard, [[1, "http_error"]]);
});

check(async function writes_edits_deletes_and_reacts(world) {
  const { channel, ts } = await world.client.chat.postMessage({ channel: world.general, text: "one" });
  const edit = await world.client.chat.update({ channel, ts, text: "two" });
  assert.equal(edit.message.text, "two");
  await world.client.reactions.add({ channel, timestamp: ts, name: "eyes" });
  await refused(world.client.reactions.add({ channel, timestamp: ts, name: "eyes" }), "already_reacted");
  await world.client.reactions.remove({ channel, timestamp: ts, name: "eyes" });
  await world.client.chat.postEphemeral({ channel, user: world.ada, text: "psst" });
  assert.equal((await control("GET", `channels/${channel}/ephemerals`))[0].text, "psst");
  await world.client.chat.delete({ channel, ts });
  await refused(world.client.chat.delete({ channel, ts }), "message_not_found");
});

check(async function uploads_in_a_form_and_downloads(world) {
  const file = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
  const done = await world.client.filesUploadV2({ channel_id: world.general, filename: "a.bin", file, title: "A" });
  const id = done.files[0].files[0].id;
  const info = (await world.client.files.info({ file: id })).file;
  assert.equal(info.size, file.length);
  const headers = { authorization: `Bearer ${world.token}` };
  const answer = await fetch(info.url_private_download, { headers });
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(file));
  const page = await fetch(info.url_private);
  assert.deepEqual([page.status, page.headers.get("content-type").split(";")[0]], [200, "text/html"]);
});

const button = { type: "button", action_id: "go", value: "1", text: { type: "plain_text", text: "Go" } };
const blocks = [{ type: "actions", block_id: "b1", elements: [button] }];

check(async function acknowledges_a_press_and_responds(world) {
  world.bolt.action("go", async ({ ack, respond, body }) => {
    await ack();
    await respond({ text: `done by ${body.user.id}`, replace_original: true });
  });
  const { ts } = await world.client.chat.postMessage({ channel: world.general, text: "Run it?", blocks });
  const { interaction } = await act("press", { channel: world.general, user: world.ada, ts, wanted: "1" });
  assert.equal((await world.settled(interaction)).error, null);
  await until(async () => (await world.history()).find((m) => m.text === `done by ${world.ada}`));
});

check(async function opens_and_submits_a_modal(world) {
  const text = (text) => ({ type: "plain_text", text });
  const element = { type: "plain_text_input", action_id: "value" };
  const view = {
    type: "modal", callback_id: "form", title: text("Form"), submit: text("Send"),
    blocks: [{ type: "input", block_id: "name", label: text("Name"), element }],
  };
  const names = [];
  world.bolt.shortcut("start", async ({ ack, body, client }) => {
    await ack();
    await client.views.open({ trigger_id: body.trigger_id, view });
  });
  world.bolt.view("form", async ({ ack, view }) => {
    names.push(view.state.values.name.value.value);
    await ack(names.length === 1 ? { response_action: "errors", errors: { name: "again" } } : undefined);
  });
  await act("shortcut", { app: world.app, user: world.ada, callback_id: "start" });
  const shown = await until(async () => (await control("GET", `users/${world.ada}/views`))[0]);
  for (const value of ["x", "Ada"]) {
    const values = { name: { value: { type: "plain_text_input", value } } };
    const { interaction } = await act("submit", { view: shown.id, values });
    assert.equal((await world.settled(interaction)).error, null);
  }
  assert.deepEqual(names, ["x", "Ada"]);
  assert.deepEqual(await control("GET", `users/${world.ada}/views`), []);
});

check(async function answers_a_command(world) {
  world.bolt.command("/kit", async ({ ack, command }) => {
    await ack({ response_type: "in_channel", text: `got ${command.text}` });
  });
  const { interaction } = await act("command",
    { app: world.app, channel: world.general, user: world.ada, command: "/kit", text: "a b" });
  assert.equal((await world.settled(interaction)).error, null);
  assert.ok((await world.history()).some((m) => m.text === "got a b"));
});

check(async function obeys_a_rate_limit(world) {
  const seen = [];
  world.client.on(WebClientEvent.RATE_LIMITED, (seconds) => seen.push(seconds));
  await world.fault("chat.postMessage", "rate_limited", { retry_after: 1 });
  await world.client.chat.postMessage({ channel: world.general, text: "after all" });
  assert.deepEqual(seen, [1]);
  const hasty = new WebClient(world.token, { ...API, rejectRateLimitedCalls: true });
  await world.fault("chat.postMessage", "rate_limited", { retry_after: 7 });
  const error = await hasty.chat.postMessage({ channel: world.general, text: "x" }).catch((error) => error);
  assert.equal(error.retryAfter, 7);
  const once = new WebClient(world.token, { ...API, retryConfig: { retries: 0 }, logLevel: LogLevel.ERROR });
  await world.fault("chat.postMessage", "server_error", { status: 503 });
  await assert.rejects(once.chat.postMessage({ channel: world.general, text: "x" }));
  assert.ok(retryPolicies);
});

check(async function streams(world) {
  const thread_ts = await world.say("tell me", world.general);
  const stream = world.client.chatStream({
    channel: world.general, thread_ts, recipient_user_id: world.ada, recipient_team_id: world.team, buffer_size: 4,
  });
  for (const markdown_text of ["one ", "two ", "three"]) await stream.append({ markdown_text });
  await stream.stop();
  const message = (await world.history()).find((m) => m.via === "chat.startStream");
  assert.deepEqual([message.text, message.streaming], ["one two three", false]);
});

check(async function installs_and_refreshes(world) {
  const client = { client_id: `${world.number}.9`, client_secret: "secret" };
  const redirect_uri = "http://127.0.0.1:9/callback";
  const query = new URLSearchParams({ client_id: client.client_id, scope: "chat:write", state: "s", redirect_uri, team: world.team });
  const agreed = await fetch(`${EMULATOR}/oauth/v2/authorize?${query}`, { redirect: "manual" });
  const code = new URL(agreed.headers.get("location")).searchParams.get("code");
  const web = new WebClient(undefined, API);
  const granted = await web.oauth.v2.access({ ...client, code, redirect_uri });
  assert.deepEqual([granted.team.id, granted.bot_user_id, granted.token_type], [world.team, world.install.bot_user, "bot"]);
  assert.equal((await new WebClient(granted.access_token, API).auth.test()).team_id, world.team);
  await refused(web.oauth.v2.access({ ...client, code, redirect_uri }), "invalid_code");
  const rotated = await web.oauth.v2.exchange({ ...client, token: granted.access_token });
  const refresh = { ...client, grant_type: "refresh_token", refresh_token: rotated.refresh_token };
  const renewed = await web.oauth.v2.access(refresh);
  assert.ok(renewed.access_token.startsWith("xoxe.xoxb-") && renewed.expires_in === 43200);
  await refused(web.oauth.v2.access(refresh), "invalid_refresh_token");
});

check(async function socket_mode_greets_and_acknowledges(world) {
  const client = new SocketModeClient({ appToken: world.appToken, clientOptions: API, logLevel: LogLevel.ERROR });
  const heard = [];
  client.on("message", async ({ ack, event, retry_num }) => {
    await ack();
    heard.push([event.text, retry_num]);
  });
  client.on("slash_commands", async ({ ack, body }) => ack({ text: `got ${body.text}` }));
  await client.start();
  assert.equal((await world.sockets()).open, 1);
  await world.say("hello");
  await until(() => heard.length === 1);
  assert.equal(heard[0][0], "hello");
  const { interaction } = await act("command",
    { app: world.app, channel: world.general, user: world.ada, command: "/kit", text: "x" });
  assert.deepEqual((await world.settled(interaction)).answer, { text: "got x" });
  await until(async () => (await world.sockets()).pending === 0);
  await client.disconnect();
}, { socket: true });

check(async function socket_mode_comes_back_after_a_refresh(world) {
  const client = new SocketModeClient({ appToken: world.appToken, clientOptions: API, logLevel: LogLevel.ERROR });
  const heard = [];
  client.on("message", async ({ ack, event }) => {
    await ack();
    heard.push(event.text);
  });
  await client.start();
  await act("disconnect", { app: world.app, reason: "refresh_requested" });
  // This client closes first and opens 5 s later; what comes in between waits.
  await until(async () => (await world.sockets()).open === 0);
  await world.say("in the gap");
  await until(() => heard.length === 1);
  assert.deepEqual(heard, ["in the gap"]);
  await client.disconnect();
}, { socket: true });

check(async function bolt_runs_by_socket(world) {
  const bolt = new App({
    token: world.token, appToken: world.appToken, socketMode: true, clientOptions: API, logLevel: LogLevel.ERROR,
  });
  bolt.message(async ({ message, say }) => {
    await say(`echo: ${message.text}`);
  });
  await bolt.start();
  await world.say("hello");
  await until(async () => (await world.history(world.direct)).some((m) => m.text === "echo: hello"));
  await bolt.stop();
}, { socket: true });

for (const [index, [scenario, options]] of checks.entries()) {
  let world;
  try {
    world = await World.new(index + 1, options);
    await Promise.race([
      scenario(world),
      pause(60_000, undefined, { ref: false }).then(() => assert.fail("took more than a minute")),
    ]);
    console.log(`ok slack/node/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL slack/node/${scenario.name}: ${error.message.replaceAll("\n", " ")}`);
    await control("DELETE", "faults");
  } finally {
    world?.close();
  }
}
process.exit(0);

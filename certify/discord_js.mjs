// discord.js against the emulated Discord: discord_js.mjs <emulator address>.

import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const {
  ActionRowBuilder, AttachmentBuilder, ButtonBuilder, ButtonStyle, Client, DiscordAPIError, Events, GatewayIntentBits,
  MessageFlags, ModalBuilder, Partials, StringSelectMenuBuilder, TextDisplayBuilder, TextInputBuilder, TextInputStyle,
} = require("discord.js");
const { verifyKey, InteractionResponseType, InteractionType } = require("discord-interactions");

const [EMULATOR, ...ONLY] = process.argv.slice(2);
const SEND = "POST /channels/{channel}/messages";
const checks = [];
const check = (scenario) => checks.push(scenario);

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/discord/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

/** One bot of its own, a person, and a guild around both. */
class World {
  constructor(number) {
    this.token = `TOKEN.${number}.discord-js`;
    this.name = `js_${number}`;
    this.clients = [];
  }

  async build() {
    this.bot = (await control("POST", "bots", { token: this.token, name: this.name })).bot;
    this.ada = (await control("POST", "users", { name: "Ada" })).user;
    const made = await control("POST", "guilds", { name: "Team", bots: [this.bot], members: [this.ada] });
    this.guild = made.guild;
    this.channel = made.channel;
  }

  act(action, fields) {
    return control("POST", "actions", { action, ...fields });
  }

  async say(text, { channel = this.channel, ...post } = {}) {
    return (await this.act("post", { channel, user: this.ada, post: { text, ...post } })).message;
  }

  async ask(ask, fields) {
    const place = { bot: this.bot, channel: this.channel, user: this.ada };
    return (await this.act("ask", { ask, ...place, ...fields })).interaction;
  }

  fault(method, fault, { count = 1, ...details } = {}) {
    return control("POST", "faults", { method, count, fault: { fault, ...details } });
  }

  history(channel = this.channel) {
    return control("GET", `channels/${channel}/history`);
  }

  connections() {
    return control("GET", `connections?bot=${this.bot}`);
  }

  async resumed() {
    return (await this.connections()).filter((at) => at.how === "resume" && at.session);
  }

  calls(method) {
    return control("GET", `calls?bot=${this.bot}&method=${encodeURIComponent(method)}`);
  }

  client(options = {}) {
    const { Guilds, GuildMessages, GuildMessageReactions, GuildMessageTyping, DirectMessages, MessageContent } =
      GatewayIntentBits;
    const client = new Client({
      intents: [Guilds, GuildMessages, GuildMessageReactions, GuildMessageTyping, DirectMessages, MessageContent],
      partials: [Partials.Channel, Partials.Message, Partials.Reaction],
      rest: { api: `${EMULATOR}/api`, ...options.rest },
      waitGuildTimeout: 200,
      ...options.client,
    });
    this.clients.push(client);
    return client;
  }

  async ready(options) {
    const client = this.client(options);
    const ready = new Promise((resolve) => client.once(Events.ClientReady, resolve));
    await client.login(this.token);
    await ready;
    return client;
  }

  async close() {
    await Promise.all(this.clients.map((client) => client.destroy()));
  }
}

async function until(probe, patience = 30_000) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited in vain for ${probe}`);
    await pause(20);
  }
}

async function refused(promise, code) {
  const error = await promise.then(() => assert.fail("was not refused"), (error) => error);
  assert.ok(error instanceof DiscordAPIError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

const collect = (client, event) => {
  const seen = [];
  client.on(event, (...what) => seen.push(what.length === 1 ? what[0] : what));
  return seen;
};

check(async function login(world) {
  const client = await world.ready();
  assert.deepEqual([client.user.id, client.user.bot, client.user.username], [world.bot, true, world.name]);
  assert.deepEqual(client.guilds.cache.map((guild) => guild.name), ["Team"]);
  assert.equal((await client.application.fetch()).id, world.bot);
  const [connection] = await world.connections();
  assert.deepEqual([connection.path, connection.how], ["/gateway", "identify"]);
  await assert.rejects(world.client().login("NOT.A.TOKEN"), { code: "TokenInvalid" });
});

check(async function receives_text_and_downloads_its_attachment(world) {
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  const base64 = Buffer.from("hello file").toString("base64");
  const said = await world.say("look", { files: [{ name: "a.txt", base64 }] });
  await until(() => seen.length === 1);
  const [message] = seen;
  assert.deepEqual([message.id, message.content, message.author.id], [said, "look", world.ada]);
  const file = message.attachments.first();
  assert.deepEqual([file.name, file.size], ["a.txt", 10]);
  assert.equal(await (await fetch(file.url)).text(), "hello file");
  assert.equal((await fetch(file.url.replace("hm=", "hm=0"))).status, 404);
});

check(async function replies_edits_reacts_and_deletes(world) {
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  const said = await world.say("hi");
  await until(() => seen.length === 1);
  const answer = await seen[0].reply("echo: hi");
  assert.equal(answer.reference.messageId, said);
  assert.equal((await answer.edit("echo: hi!")).content, "echo: hi!");
  await seen[0].react("🔥");
  const [first, second] = await world.history();
  assert.deepEqual(first.reactions, [{ emoji: "🔥", by: [world.bot] }]);
  assert.deepEqual([second.text, second.reply_to, second.edited], ["echo: hi!", said, true]);
  await answer.delete();
  assert.equal((await world.history()).length, 1);
  await refused(client.channels.cache.get(world.channel).messages.fetch({ message: answer.id, force: true }), 10008);
  await refused(client.channels.cache.get(world.channel).send({ content: "?", reply: { messageReference: "1" } }), 50035);
});

check(async function hears_of_edits_deletions_reactions_and_typing(world) {
  const client = await world.ready();
  const edits = collect(client, Events.MessageUpdate);
  const gone = collect(client, Events.MessageDelete);
  const reactions = collect(client, Events.MessageReactionAdd);
  const typing = collect(client, Events.TypingStart);
  const message = await world.say("helo");
  const place = { channel: world.channel, message };
  await world.act("edit", { ...place, text: "hello" });
  await world.act("react", { ...place, user: world.ada, emoji: "🔥" });
  await world.act("typing", { channel: world.channel, user: world.ada });
  await world.act("delete", place);
  await until(() => edits.length && gone.length && reactions.length && typing.length);
  assert.equal(edits[0][1].content, "hello");
  assert.equal(gone[0].id, message);
  assert.equal(reactions[0][0].emoji.name, "🔥");
  assert.equal(typing[0].user.id, world.ada);
});

check(async function types_and_uploads(world) {
  const client = await world.ready();
  const channel = client.channels.cache.get(world.channel);
  await channel.sendTyping();
  assert.equal((await control("GET", "typing")).filter((typing) => typing.user === world.bot).length, 1);
  const file = new AttachmentBuilder(Buffer.from("three"), { name: "3.txt", description: "three letters" });
  const message = await channel.send({ content: "here", files: [file] });
  const sent = message.attachments.first();
  assert.deepEqual([sent.name, sent.size, sent.description], ["3.txt", 5, "three letters"]);
  assert.equal(await (await fetch(sent.url)).text(), "three");
  const large = new AttachmentBuilder(Buffer.alloc(11 * 1024 * 1024), { name: "large.bin" });
  await refused(channel.send({ files: [large] }), 40005);
});

check(async function talks_in_direct_messages_and_threads(world) {
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  const direct = (await world.act("direct", { bot: world.bot, user: world.ada })).channel;
  await world.say("psst", { channel: direct });
  await until(() => seen.length === 1);
  assert.ok(seen[0].channel.isDMBased());
  assert.equal((await (await client.users.fetch(world.ada)).send("hey")).channelId, direct);
  const said = await world.say("start here");
  await until(() => seen.some((message) => message.id === said));
  const thread = await seen.find((message) => message.id === said).startThread({ name: "details" });
  assert.equal(thread.id, said);
  await thread.send("inside");
  await world.say("me too", { channel: thread.id });
  await until(() => seen.some((message) => message.content === "me too" && message.channel.isThread()));
});

check(async function registers_commands_and_answers_them(world) {
  const client = await world.ready();
  client.on(Events.InteractionCreate, async (interaction) => {
    if (interaction.isAutocomplete()) {
      await interaction.respond([{ name: "Red", value: "red" }]);
    } else if (interaction.commandName === "echo") {
      await interaction.reply({ content: interaction.options.getString("text") });
      await interaction.followUp({ content: "more", flags: MessageFlags.Ephemeral });
      await refused(interaction.client.rest.post(`/interactions/${interaction.id}/${interaction.token}/callback`,
        { body: { type: 4, data: { content: "again" } } }), 40060);
    } else {
      await interaction.deferReply();
      await interaction.editReply("thought");
    }
  });
  const option = { name: "text", description: "What", type: 3, required: true, autocomplete: true };
  const registered = await client.application.commands.set([
    { name: "echo", description: "Repeats", options: [option] },
    { name: "think", description: "Thinks" },
  ]);
  assert.deepEqual(registered.map((command) => command.name), ["echo", "think"]);
  await refused(client.application.commands.create({ name: "Upper", description: "no" }), 50035);
  await world.ask("command", { name: "echo", options: { text: "ab" } });
  const history = await until(async () => (await world.history()).length === 2 && world.history());
  assert.deepEqual(history.map((message) => [message.text, message.only_for]), [["ab", null], ["more", world.ada]]);
  await world.ask("command", { name: "think" });
  await until(async () => (await world.history()).some((message) => message.text === "thought"));
  const asked = await world.ask("complete", { name: "echo", option: "text", text: "r" });
  const shown = await until(async () => (await control("GET", `interactions/${asked}`)).shown);
  assert.deepEqual(shown.choices.map((choice) => choice.value), ["red"]);
});

check(async function answers_buttons_menus_and_modals(world) {
  const client = await world.ready();
  const input = new TextInputBuilder().setCustomId("name").setLabel("Name").setStyle(TextInputStyle.Short);
  const modal = new ModalBuilder().setCustomId("who").setTitle("Who?")
    .addComponents(new ActionRowBuilder().addComponents(input));
  client.on(Events.InteractionCreate, async (interaction) => {
    if (interaction.isModalSubmit()) await interaction.reply(`hello ${interaction.fields.getTextInputValue("name")}`);
    else if (interaction.isStringSelectMenu()) await interaction.reply(`chose ${interaction.values[0]}`);
    else if (interaction.customId === "ask") await interaction.showModal(modal);
    else await interaction.update("pressed A");
  });
  const button = (id) => new ButtonBuilder().setCustomId(id).setLabel(id).setStyle(ButtonStyle.Primary);
  const menu = new StringSelectMenuBuilder().setCustomId("menu").addOptions({ label: "x", value: "x" });
  const rows = [
    new ActionRowBuilder().addComponents(button("a"), button("ask")),
    new ActionRowBuilder().addComponents(menu),
  ];
  const channel = client.channels.cache.get(world.channel);
  const message = await channel.send({ content: "choose", components: rows });
  const texts = async (...wanted) =>
    (await world.history()).map((message) => message.text).join() === wanted.join();
  await world.ask("component", { message: message.id, custom_id: "a" });
  await until(() => texts("pressed A"));
  await world.ask("component", { message: message.id, custom_id: "menu", values: ["x"] });
  await until(() => texts("pressed A", "chose x"));
  const asked = await world.ask("component", { message: message.id, custom_id: "ask" });
  await until(async () => (await control("GET", `interactions/${asked}`)).answered === 9);
  await world.ask("modal", { interaction: asked, values: { name: "Ada" } });
  await until(() => texts("pressed A", "chose x", "hello Ada"));
  const twice = [new ActionRowBuilder().addComponents(button("a"), button("a"))];
  const error = await refused(channel.send({ content: "no", components: twice }), 50035);
  assert.match(error.message, /COMPONENT_CUSTOM_ID_DUPLICATED/);
});

check(async function shows_components_of_the_second_version(world) {
  const client = await world.ready();
  const channel = client.channels.cache.get(world.channel);
  const components = [new TextDisplayBuilder().setContent("# hello")];
  const message = await channel.send({ components, flags: MessageFlags.IsComponentsV2 });
  assert.equal(message.components[0].content, "# hello");
  await refused(channel.send({ content: "x", components, flags: MessageFlags.IsComponentsV2 }), 50035);
});

check(async function refuses_what_breaks_a_limit(world) {
  const client = await world.ready();
  const channel = client.channels.cache.get(world.channel);
  await channel.send("😀".repeat(2000));
  const error = await refused(channel.send("x".repeat(2001)), 50035);
  assert.match(error.message, /content\[BASE_TYPE_MAX_LENGTH\]: Must be 2000 or fewer in length\./);
  await refused(channel.send(" "), 50006);
  await world.act("deny", { bot: world.bot, channel: world.channel, permissions: 1 << 11 });
  await refused(channel.send("no"), 50013);
  await refused(client.channels.fetch("1"), 10003);
});

check(async function a_nonce_is_written_once(world) {
  const client = await world.ready();
  const channel = client.channels.cache.get(world.channel);
  const post = () => channel.send({ content: "once", nonce: "n-1", enforceNonce: true });
  assert.equal((await post()).id, (await post()).id);
  assert.equal((await world.history()).length, 1);
});

check(async function waits_out_a_rate_limit(world) {
  const client = await world.ready();
  const channel = client.channels.cache.get(world.channel);
  for (const details of [{}, { global: true }, { shared: true }]) {
    await world.fault(SEND, "too_many_requests", { retry_after_ms: 900, ...details });
    const begun = Date.now();
    await channel.send("late");
    assert.ok(Date.now() - begun >= 900);
  }
  await Promise.all(Array.from({ length: 8 }, (_, number) => channel.send(String(number))));
  const statuses = (await world.calls(SEND)).map((call) => call.status);
  assert.equal(statuses.filter((status) => status === 429).length, 3);
  assert.equal((await world.history()).length, 11);
});

check(async function cannot_tell_whether_a_lost_answer_was_sent(world) {
  const client = await world.ready({ rest: { retries: 0 } });
  const channel = client.channels.cache.get(world.channel);
  await world.fault(SEND, "lose_answer");
  await assert.rejects(channel.send("once"));
  await world.fault(SEND, "drop_before");
  await assert.rejects(channel.send("never"));
  await world.fault(SEND, "server_error", { status: 500 });
  await assert.rejects(channel.send("never"));
  assert.deepEqual((await world.history()).map((message) => message.text), ["once"]);
});

check(async function resumes_after_a_cut_without_loss(world) {
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  await world.fault("gateway.connect", "delay", { ms: 500 });
  await world.act("cut", { bot: world.bot });
  for (let number = 0; number < 50; number += 1) await world.say(String(number));
  await until(() => seen.length === 50);
  assert.deepEqual(seen.map((message) => message.content), Array.from({ length: 50 }, (_, number) => String(number)));
  const [again] = await world.resumed();
  assert.deepEqual([again.path, again.how], ["/gateway/resume", "resume"]);
});

check(async function resumes_when_told_to_reconnect(world) {
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  await world.act("reconnect", { bot: world.bot });
  await world.say("meanwhile");
  await until(() => seen.length === 1);
  const [first] = await world.connections();
  assert.deepEqual([first.closed.by, first.closed.code], ["client", 4200]);
  await until(async () => (await world.resumed()).length === 1);
  await world.act("drain");
  await world.say("after the drain");
  await until(() => seen.length === 2);
  // A dispatch that comes twice is in the cache the second time.
  await control("POST", "faults", { duplicate_dispatches: 1 });
  await world.say("twice on the wire");
  await world.say("last");
  await until(() => seen.some((message) => message.content === "last"));
});

check(async function identifies_anew_after_an_invalid_session(world) {
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  await world.act("invalidate", { bot: world.bot, resumable: false });
  await until(async () => (await world.connections()).filter((at) => at.how === "identify" && !at.closed).length === 1
    && (await world.connections()).length === 2);
  await world.say("new session");
  await until(() => seen.length === 1);
});

check(async function a_missing_ack_means_a_dead_connection(world) {
  // A half-open connection would do too, but the library waits 30 seconds for such a one to close.
  await control("POST", "faults", { heartbeat_ms: 1500 });
  const client = await world.ready();
  const seen = collect(client, Events.MessageCreate);
  await world.fault("gateway.heartbeat", "hang");
  await until(async () => (await world.resumed()).length === 1);
  const [first] = await world.connections();
  assert.deepEqual([first.closed.by, first.closed.code], ["client", 4200]);
  await world.say("still there");
  await until(() => seen.length === 1);
  await control("POST", "faults", { heartbeat_ms: 41_250 });
});

check(async function a_disallowed_intent_is_fatal(world) {
  await world.act("privileged", { bot: world.bot, intents: 0 });
  const client = world.client();
  const failed = Promise.race([
    new Promise((resolve) => client.once(Events.Error, resolve)),
    new Promise((resolve) => process.once("uncaughtException", resolve)),
    client.login(world.token).then(() => new Promise(() => {}), (error) => error),
  ]);
  assert.match(String((await failed).message), /disallowed intents/i);
});

check(async function interactions_reach_an_endpoint_with_a_signature(world) {
  const application = world.client();
  application.rest.setToken(world.token);
  const { verify_key: key } = await application.rest.get("/applications/@me");
  const statuses = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const [signature, timestamp] = ["x-signature-ed25519", "x-signature-timestamp"].map((name) => request.headers[name]);
    const valid = await verifyKey(body, signature, timestamp, key);
    const { type } = valid ? JSON.parse(body) : {};
    statuses.push(valid ? 200 : 401);
    response.writeHead(valid ? 200 : 401, { "content-type": "application/json" });
    const pong = { type: InteractionResponseType.PONG };
    const answer = { type: InteractionResponseType.CHANNEL_MESSAGE_WITH_SOURCE, data: { content: "over HTTP" } };
    response.end(valid ? JSON.stringify(type === InteractionType.PING ? pong : answer) : "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${server.address().port}/interactions`;
    await application.rest.patch("/applications/@me", { body: { interactions_endpoint_url: url } });
    assert.deepEqual(statuses, [200, 401]);
    const body = { name: "hi", description: "Greets" };
    await application.rest.post(`/applications/${world.bot}/commands`, { body });
    await world.ask("command", { name: "hi" });
    await until(async () => (await world.history()).some((message) => message.text === "over HTTP"));
    await control("POST", "faults", { wrong_signatures: 1 });
    await world.ask("command", { name: "hi" });
    await until(() => statuses.length === 4);
    assert.deepEqual(statuses.slice(2), [200, 401]);
    server.close();
    const error = await refused(
      application.rest.patch("/applications/@me", { body: { interactions_endpoint_url: "http://127.0.0.1:9/" } }), 50035);
    assert.match(error.message, /could not be verified/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

for (const [index, scenario] of checks.entries()) {
  if (ONLY.length > 0 && !ONLY.includes(scenario.name)) continue;
  const world = new World(index + 1);
  try {
    await world.build();
    await Promise.race([
      scenario(world),
      pause(60_000, undefined, { ref: false }).then(() => assert.fail("took more than a minute")),
    ]);
    console.log(`ok discord/js/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL discord/js/${scenario.name}: ${error.message.replaceAll("\n", " ")}`);
    await control("DELETE", "faults");
  }
  await world.close().catch(() => {});
}
process.exit(0);

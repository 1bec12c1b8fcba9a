// grammY against the emulated Telegram: telegram_grammy.mjs <emulator address>.

import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import zlib from "node:zlib";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { Bot, GrammyError, HttpError, InlineKeyboard, InputFile, InputMediaBuilder, webhookCallback } = require("grammy");

const EMULATOR = process.argv[2];
const ADA = 42;
const checks = [];
const check = (scenario) => checks.push(scenario);

/** A valid PNG of one colour. */
function png(width, height) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const rows = zlib.deflateSync(Buffer.alloc((width * 3 + 1) * height));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

async function control(method, path, body) {
  const answer = await fetch(`${EMULATOR}/_control/telegram/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

/** One bot of its own, and the people around it. */
class World {
  constructor(number) {
    this.id = 800000 + number;
    this.token = `${this.id}:TEST-TOKEN-${number}`;
    this.username = `grammy_${number}_bot`;
  }

  act(action, fields) {
    return control("POST", "actions", { action, bot: this.id, ...fields });
  }

  async say(text, post = {}, chat = ADA) {
    return (await this.act("post", { chat, user: ADA, post: { text, ...post } })).message_id;
  }

  fault(method, fault, more = {}) {
    const { count = 1, ...details } = more;
    return control("POST", "faults", { method, count, fault: { fault, ...details } });
  }

  history(chat = ADA) {
    return control("GET", `bots/${this.id}/history/${chat}`);
  }

  listening() {
    return control("GET", `bots/${this.id}/listening`);
  }

  async calls(method) {
    return (await control("GET", `calls?method=${method}`)).filter((call) => call.bot === this.id);
  }

  bot() {
    return new Bot(this.token, { client: { apiRoot: EMULATOR } });
  }

  /** Polls while `work` runs. */
  async polling(bot, work) {
    const running = bot.start({ timeout: 2 });
    try {
      await until(() => this.listening());
      await work();
    } finally {
      await bot.stop();
      await running;
    }
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

async function refused(promise, code, words) {
  const error = await promise.then(() => assert.fail("was not refused"), (error) => error);
  assert.ok(error instanceof GrammyError, String(error));
  assert.equal(error.error_code, code, error.description);
  assert.ok(error.description.includes(words), error.description);
  return error;
}

check(async function login(world) {
  const me = await world.bot().api.getMe();
  assert.deepEqual([me.id, me.is_bot, me.username], [world.id, true, world.username]);
  await refused(new Bot("1:NOT-KNOWN", { client: { apiRoot: EMULATOR } }).api.getMe(), 401, "Unauthorized");
});

check(async function receives_text_and_replies(world) {
  const bot = world.bot();
  bot.on("message:text", (ctx) =>
    ctx.reply(`echo: ${ctx.message.text}`, { reply_parameters: { message_id: ctx.message.message_id } }));
  await world.polling(bot, async () => {
    const said = await world.say("hello");
    const answer = await until(async () => (await world.history()).find((m) => m.text === "echo: hello"));
    assert.equal(answer.reply_to, said);
  });
});

check(async function confirms_the_last_update_when_it_stops(world) {
  const bot = world.bot();
  const seen = [];
  bot.on("message", (ctx) => void seen.push(ctx.update.update_id));
  await world.polling(bot, async () => {
    await world.say("one");
    await until(() => seen.length === 1);
  });
  const last = (await world.calls("getUpdates")).findLast((call) => call.outcome === "answered");
  assert.equal(Number(last.params.offset), seen[0] + 1);
  assert.deepEqual(await control("GET", `bots/${world.id}/pending`), []);
});

check(async function receives_a_photo_and_downloads_it(world) {
  const bot = world.bot();
  const picture = png(320, 200);
  const got = [];
  bot.on("message:photo", async (ctx) => {
    const size = ctx.message.photo.at(-1);
    const file = await ctx.getFile();
    const answer = await fetch(`${EMULATOR}/file/bot${world.token}/${file.file_path}`);
    got.push([size.width, ctx.message.caption, Buffer.from(await answer.arrayBuffer())]);
  });
  await world.polling(bot, async () => {
    await world.say("look", { file: { kind: "photo", base64: picture.toString("base64") } });
    await until(() => got.length === 1);
  });
  assert.deepEqual(got[0].slice(0, 2), [320, "look"]);
  assert.ok(picture.equals(got[0][2]));
});

check(async function receives_a_pressed_button(world) {
  const bot = world.bot();
  const pressed = [];
  bot.on("callback_query:data", async (ctx) => {
    await ctx.answerCallbackQuery("done");
    pressed.push([ctx.callbackQuery.data, ctx.from.id, ctx.callbackQuery.id]);
  });
  await world.polling(bot, async () => {
    await world.say("/start");
    const keyboard = new InlineKeyboard().text("Yes", "approve:1");
    const sent = await bot.api.sendMessage(ADA, "Run it?", { reply_markup: keyboard });
    await world.act("press", { chat: ADA, message_id: sent.message_id, user: ADA, data: "approve:1" });
    await until(() => pressed.length === 1);
    assert.deepEqual(pressed[0].slice(0, 2), ["approve:1", ADA]);
    await refused(bot.api.answerCallbackQuery(pressed[0][2]), 400, "query is too old");
    const long = new InlineKeyboard().text("x", "x".repeat(65));
    await refused(bot.api.sendMessage(ADA, "no", { reply_markup: long }), 400, "BUTTON_DATA_INVALID");
  });
});

check(async function edits_and_sees_edits(world) {
  const bot = world.bot();
  const edited = [];
  bot.on("edited_message:text", (ctx) => void edited.push(ctx.editedMessage));
  await world.polling(bot, async () => {
    const said = await world.say("helo");
    await world.act("edit", { chat: ADA, message_id: said, text: "hello" });
    await until(() => edited.length === 1);
    assert.deepEqual([edited[0].text, edited[0].message_id], ["hello", said]);
    const sent = await bot.api.sendMessage(ADA, "first");
    const changed = await bot.api.editMessageText(ADA, sent.message_id, "second");
    assert.equal(changed.text, "second");
    await refused(bot.api.editMessageText(ADA, sent.message_id, "second"), 400, "message is not modified");
    await refused(bot.api.editMessageText(ADA, said, "mine"), 400, "message can't be edited");
    assert.equal(await bot.api.deleteMessages(ADA, [sent.message_id, 9999]), true);
    await refused(bot.api.editMessageText(ADA, sent.message_id, "third"), 400, "message to edit not found");
    await refused(bot.api.deleteMessage(ADA, sent.message_id), 400, "message to delete not found");
  });
});

check(async function uploads_files(world) {
  const { api } = world.bot();
  await world.say("/start");
  const content = Buffer.from("hello".repeat(1000));
  const sent = await api.sendDocument(ADA, new InputFile(content, "hello.txt"), { caption: "a file" });
  assert.deepEqual([sent.document.file_name, sent.document.file_size], ["hello.txt", 5000]);
  const file = await api.getFile(sent.document.file_id);
  const answer = await fetch(`${EMULATOR}/file/bot${encodeURIComponent(world.token)}/${file.file_path}`);
  assert.ok(content.equals(Buffer.from(await answer.arrayBuffer())));
  const album = await api.sendMediaGroup(
    ADA,
    [10, 11, 12].map((width) => InputMediaBuilder.photo(new InputFile(png(width, 10), "p.png"))),
  );
  assert.deepEqual(album.map((message) => message.photo.at(-1).width), [10, 11, 12]);
  assert.equal(new Set(album.map((message) => message.media_group_id)).size, 1);
  await refused(api.sendPhoto(ADA, sent.document.file_id), 400, "can't use file of type Document as Photo");
  await refused(api.sendPhoto(ADA, new InputFile(content, "no.png")), 400, "IMAGE_PROCESS_FAILED");
});

check(async function formats(world) {
  const { api } = world.bot();
  await world.say("/start");
  const html = await api.sendMessage(ADA, "😀 <b>bold</b>", { parse_mode: "HTML" });
  assert.deepEqual(html.entities, [{ type: "bold", offset: 3, length: 4 }]);
  const given = await api.sendMessage(ADA, "😀 bold", { entities: [{ type: "bold", offset: 3, length: 4 }] });
  assert.deepEqual(given.entities, html.entities);
  await refused(api.sendMessage(ADA, "a.b", { parse_mode: "MarkdownV2" }), 400, "can't parse entities");
  await refused(api.sendMessage(ADA, "x".repeat(4097)), 400, "message is too long");
});

check(async function waits_when_told_to(world) {
  const { api } = world.bot();
  await world.say("/start");
  await world.fault("sendMessage", "too_many_requests", { retry_after: 7 });
  const error = await refused(api.sendMessage(ADA, "hello"), 429, "Too Many Requests: retry after 7");
  assert.equal(error.parameters.retry_after, 7);
  await control("POST", "faults", { flood_control: true });
  try {
    const burst = async () => {
      for (let n = 0; n < 10; n += 1) await api.sendMessage(ADA, `${n}`);
    };
    const flooded = await refused(burst(), 429, "Too Many Requests");
    assert.ok(flooded.parameters.retry_after >= 1);
    await control("POST", "clock", { advance_ms: 10_000 });
    await api.sendMessage(ADA, "later");
  } finally {
    await control("POST", "faults", { flood_control: false });
  }
});

check(async function conflicts_with_a_second_poller(world) {
  const { api } = world.bot();
  const older = refused(api.getUpdates({ timeout: 5 }), 409, "terminated by other getUpdates request");
  await until(() => world.listening());
  assert.deepEqual(await api.getUpdates({ timeout: 0 }), []);
  await older;
  await api.setWebhook("https://example.test/tg");
  await refused(api.getUpdates({ timeout: 0 }), 409, "webhook is active");
});

check(async function learns_of_a_migration(world) {
  const { api } = world.bot();
  const group = -world.id;
  await control("POST", "groups", { id: group, title: "Kit", bots: [world.id] });
  await api.sendMessage(group, "before");
  const { chat } = await world.act("migrate", { chat: group, by: ADA });
  const error = await refused(api.sendMessage(group, "after"), 400, "group chat was upgraded");
  assert.equal(error.parameters.migrate_to_chat_id, chat);
  await api.sendMessage(chat, "after");
  const service = (await api.getUpdates()).map((update) => update.message.migrate_to_chat_id ?? update.message.migrate_from_chat_id);
  assert.deepEqual(service, [chat, group]);
});

check(async function is_refused_where_it_may_not_write(world) {
  const { api } = world.bot();
  await control("POST", "users", { id: 79, first_name: "Bo" });
  await refused(api.sendMessage(79, "hello"), 403, "bot can't initiate conversation with a user");
  await world.say("/start");
  await world.act("stand", { chat: ADA, by: ADA, standing: "kicked" });
  await refused(api.sendMessage(ADA, "hello"), 403, "bot was blocked by the user");
  const updates = await api.getUpdates();
  assert.equal(updates.at(-1).my_chat_member.new_chat_member.status, "kicked");
});

check(async function receives_by_webhook_and_refuses_a_wrong_secret(world) {
  const bot = world.bot();
  const seen = [];
  bot.on("message:text", async (ctx) => {
    seen.push([ctx.update.update_id, ctx.message.text]);
    await ctx.reply(`got ${ctx.message.text}`);
  });
  const callback = webhookCallback(bot, "http", { secretToken: "s3cret_TOKEN-1" });
  const server = http.createServer(callback);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  try {
    const address = `http://127.0.0.1:${server.address().port}/tg`;
    await bot.api.setWebhook(address, { secret_token: "s3cret_TOKEN-1" });
    await world.say("one");
    await until(() => seen.length === 1);
    await bot.api.setWebhook(address, { secret_token: "another" });
    await world.say("two");
    const refusals = async () =>
      (await control("GET", "deliveries")).filter((d) => d.bot === world.id && d.status === 401);
    await until(async () => (await refusals()).length >= 2);
    const ids = new Set((await refusals()).map((delivery) => delivery.update_id));
    assert.equal(ids.size, 1);
    assert.equal(seen.length, 1);
    await bot.api.setWebhook(address, { secret_token: "s3cret_TOKEN-1" });
    await until(() => seen.length === 2);
    assert.deepEqual(seen[1], [[...ids][0], "two"]);
    await until(async () => (await world.history()).some((message) => message.text === "got two"));
    await bot.api.deleteWebhook();
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

check(async function answers_in_the_reply_to_a_webhook(world) {
  const bot = new Bot(world.token, {
    client: { apiRoot: EMULATOR, canUseWebhookReply: (method) => method === "sendMessage" },
  });
  bot.on("message:text", (ctx) => ctx.reply("from the reply"));
  const server = http.createServer(webhookCallback(bot, "http"));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  try {
    await bot.api.setWebhook(`http://127.0.0.1:${server.address().port}/tg`);
    await world.say("hello");
    await until(async () => (await world.history()).some((message) => message.text === "from the reply"));
    assert.ok((await world.calls("sendMessage")).every((call) => call.in_webhook_reply));
    await bot.api.deleteWebhook();
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

check(async function reconnects_after_a_dropped_connection(world) {
  const bot = world.bot();
  const seen = [];
  bot.on("message:text", (ctx) => void seen.push([ctx.update.update_id, ctx.message.text]));
  await world.polling(bot, async () => {
    await world.say("one");
    await until(() => seen.length === 1);
    await world.fault("getUpdates", "drop_before");
    await until(async () => (await world.calls("getUpdates")).some((call) => call.outcome === "dropped"));
    await world.say("two");
    await until(() => seen.length === 2);
    // The poll that waits now still answers; the answer of the one after it is lost, and comes again.
    await world.fault("getUpdates", "lose_answer");
    await world.say("three");
    await until(() => seen.length === 3);
    await until(() => world.listening());
    await world.say("four");
    await until(() => seen.length === 4);
  });
  assert.deepEqual(seen.map(([, text]) => text), ["one", "two", "three", "four"]);
  assert.equal(new Set(seen.map(([id]) => id)).size, 4);
  const lost = (await world.calls("getUpdates")).filter((call) => call.outcome === "answer_lost");
  assert.deepEqual(lost.map((call) => call.answer.result.length), [1]);
});

check(async function cannot_tell_whether_a_lost_answer_was_sent(world) {
  const { api } = world.bot();
  await world.say("/start");
  await world.fault("sendMessage", "lose_answer");
  await assert.rejects(api.sendMessage(ADA, "once"), HttpError);
  await world.fault("sendMessage", "drop_before");
  await assert.rejects(api.sendMessage(ADA, "never"), HttpError);
  const texts = (await world.history()).map((message) => message.text);
  assert.deepEqual(texts, ["/start", "once"]);
});

await control("POST", "users", { id: ADA, first_name: "Ada", username: "ada_t" });
for (const [index, scenario] of checks.entries()) {
  const world = new World(index + 1);
  await control("POST", "bots", { token: world.token, username: world.username });
  try {
    await Promise.race([
      scenario(world),
      pause(60_000, undefined, { ref: false }).then(() => assert.fail("took more than a minute")),
    ]);
    console.log(`ok telegram/grammy/${scenario.name}`);
  } catch (error) {
    console.log(`FAIL telegram/grammy/${scenario.name}: ${error.message.replaceAll("\n", " ")}`);
    await control("DELETE", "faults");
  }
}
process.exit(0);

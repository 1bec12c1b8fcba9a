// npm ws and undici's WebSocket against the echo bot's standard channel: standard_ws.mjs ws|undici <echo binary>.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { bearer, Echo, entry, libraries, Peer, PROTOCOL, TOKEN, within } from "./standard_peer.mjs";

const library = libraries[process.argv[2]];
const BINARY = process.argv[3];
const ORIGIN = "https://app.example";
const checks = [];
const check = (scenario) => checks.push(scenario);
/** A check of what a page cannot do. */
const native = (scenario) => library === libraries.ws && checks.push(scenario);

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
const seq = (cursor) => Number(cursor.slice(cursor.lastIndexOf(".") + 1));
const start = (options) => Echo.start(BINARY, library, options);

native(async function opens_with_a_bearer_header({ plain }) {
  const bare = await plain.opens();
  assert.equal(bare.protocol, "");
  assert.equal(bare.headers["sec-websocket-extensions"], undefined);
  assert.equal((await plain.opens({ protocols: [PROTOCOL] })).protocol, PROTOCOL);
});

check(async function opens_with_a_subprotocol_token_and_does_not_echo_it({ plain }) {
  const link = await plain.opens({ headers: {}, protocols: [PROTOCOL, entry(TOKEN)] });
  assert.equal(link.protocol, PROTOCOL);
  if (link.headers) {
    assert.equal(link.headers["sec-websocket-protocol"], PROTOCOL);
    assert.ok(!JSON.stringify(link.headers).includes("bearer"));
  }
});

check(async function a_wrong_or_missing_token_is_401({ plain }) {
  const ways = [{ headers: {}, protocols: [PROTOCOL, entry("wrong")] }, { headers: {}, protocols: [PROTOCOL] }];
  if (library === libraries.ws) {
    ways.push({ headers: bearer("wrong") }, { headers: { Authorization: `Basic ${TOKEN}` } }, { headers: {} });
  }
  for (const how of ways) {
    const headers = await plain.refused(401, how);
    assert.match(headers["www-authenticate"], /^Bearer\b/);
  }
});

check(async function two_credentials_have_to_agree({ plain, listed }) {
  await plain.refused(401, { headers: {}, protocols: [PROTOCOL, entry(TOKEN), entry("wrong")] });
  await listed.refused(401, { query: "?token=wrong" });
  if (library === libraries.ws) {
    await plain.refused(401, { protocols: [PROTOCOL, entry("wrong")] });
    await plain.opens({ protocols: [PROTOCOL, entry(TOKEN)] });
  } else {
    await listed.opens({ query: `?token=${encodeURIComponent(TOKEN)}` });
  }
});

check(async function a_token_in_the_query_counts_only_when_allowed({ plain, listed }) {
  const query = `?token=${encodeURIComponent(TOKEN)}`;
  const without = { headers: {}, protocols: [PROTOCOL] };
  await plain.refused(401, { ...without, query });
  await plain.opens({ query: "?token=ignored" });
  assert.equal((await listed.opens({ ...without, query })).protocol, PROTOCOL);
  await listed.refused(401, { ...without, query: "?token=wrong" });
});

check(async function a_wrong_origin_is_403_and_an_absent_one_passes({ plain, listed }) {
  for (const origin of ["https://evil.example", "http://app.example", "https://app.example:8443", "null"]) {
    await listed.refused(403, { origin });
  }
  // The origin is looked at before the token.
  await listed.refused(403, { origin: "https://evil.example", headers: {}, protocols: [] });
  for (const origin of [undefined, ORIGIN, "HTTPS://APP.example:443"]) await listed.opens({ origin });
  await plain.opens({ origin: "https://any.example" });
});

check(async function what_is_no_upgrade_is_426({ plain, listed }) {
  for (const headers of [bearer(TOKEN), {}, { Origin: "https://evil.example" }]) {
    const answer = await listed.http("GET", "/standard/ws", { headers });
    assert.equal(answer.status, 426);
    // RFC 9110, 15.5.22: the answer says what to upgrade to.
    assert.match(answer.headers.get("upgrade") ?? "", /^websocket$/i);
  }
  assert.equal((await plain.http("POST", "/standard/ws", { headers: bearer(TOKEN) })).status, 405);
  assert.equal((await plain.http("GET", "/standard/other", { headers: bearer(TOKEN) })).status, 404);
});

check(async function info_tells_a_page_what_an_upgrade_would({ plain, listed }) {
  const good = await plain.http("GET", "/standard/info", { headers: bearer(TOKEN) });
  assert.deepEqual([good.status, await good.json()], [200, { protocol: PROTOCOL, ok: true }]);
  const bad = await listed.http("GET", "/standard/info", { headers: { Origin: ORIGIN } });
  assert.deepEqual([bad.status, typeof (await bad.json())], [401, "object"]);
  // A page can only read what names its origin, and asks first before it sends the token.
  assert.equal(bad.headers.get("access-control-allow-origin"), ORIGIN);
  const wish = { "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization" };
  const asks = { Origin: ORIGIN, ...wish };
  const preflight = await listed.http("OPTIONS", "/standard/info", { headers: asks });
  assert.ok(preflight.ok, `${preflight.status}`);
  assert.equal(preflight.headers.get("access-control-allow-origin"), ORIGIN);
  assert.match(preflight.headers.get("access-control-allow-headers"), /\bauthorization\b/i);
  const foreign = { Origin: "https://evil.example", ...wish };
  const refusal = await listed.http("OPTIONS", "/standard/info", { headers: foreign });
  assert.equal(refusal.headers.get("access-control-allow-origin"), null);
});

check(async function hello_is_welcomed({ plain, name }) {
  const peer = await plain.peer(name);
  const { welcome } = peer;
  assert.deepEqual([welcome.id, welcome.client_id, welcome.verified], ["h-1", name, false]);
  assert.deepEqual([welcome.heartbeat, welcome.max_frame_bytes], [30, 1048576]);
  assert.ok(welcome.session && welcome.bot.id && welcome.server.startsWith("channel-kit/"));
  peer.put({ type: "hello", id: "h-2", client_id: name });
  await peer.error("already_open", "h-2");
  await peer.stays();
});

check(async function a_missing_hello_closes_with_4400({ plain }) {
  const peer = new Peer(await plain.opens());
  peer.say("too early");
  assert.equal((await peer.frame({ type: "error", code: "hello_required" })).fatal, true);
  assert.equal(await peer.closed(), 4400);
});

check(async function another_version_closes_with_4400({ plain, name }) {
  const peer = new Peer(await plain.opens());
  peer.put({ v: 2, type: "hello", id: "h-1", client_id: name });
  assert.deepEqual((await peer.frame({ type: "error", code: "unsupported_version" })).supported, [1]);
  assert.equal(await peer.closed(), 4400);
});

check(async function a_message_is_acknowledged_and_answered({ plain, name }) {
  const peer = await plain.peer(name);
  const id = peer.say("hello", { thread: "t1" });
  const ack = await peer.frame({ type: "ack", of: id });
  assert.deepEqual([ack.conversation, ack.duplicate], ["default", false]);
  const answer = await peer.frame({ type: "message", in_reply_to: id });
  const said = [answer.text, answer.from.kind, answer.final, answer.thread];
  assert.deepEqual(said, ["echo: hello", "bot", true, "t1"]);
  const after = await peer.ask("again");
  assert.ok(after.seq > answer.seq && after.id !== answer.id);
});

check(async function a_duplicate_is_answered_once({ plain, name }) {
  const once = { type: "message", id: "m-once", conversation: "default", text: "once" };
  const first = await plain.peer(name);
  first.put(once);
  assert.equal((await first.frame({ type: "ack", of: "m-once" })).duplicate, false);
  first.put(once);
  assert.equal((await first.frame({ type: "ack", of: "m-once" })).duplicate, true);
  first.link.end();
  const peer = await plain.peer(name, { resume: { default: first.welcome.resume.default.cursor } });
  peer.put(once);
  assert.equal((await peer.frame({ type: "ack", of: "m-once" })).duplicate, true);
  // A conversation is answered in order: what was to come before this answer has come.
  await peer.ask("last");
  await peer.frame({ type: "message", text: "echo: once" });
  assert.deepEqual(peer.backlog.filter((frame) => frame.text === "echo: once"), []);
});

check(async function an_id_with_other_content_is_a_conflict({ plain, name }) {
  const peer = await plain.peer(name);
  const id = peer.say("one");
  await peer.frame({ type: "message", in_reply_to: id });
  peer.put({ type: "message", id, conversation: "default", text: "two" });
  assert.equal((await peer.error("id_conflict", id)).fatal, false);
  assert.equal((await peer.ask("three")).text, "echo: three");
  assert.deepEqual(peer.backlog.filter((frame) => frame.text === "echo: two"), []);
});

check(async function a_stream_ends_with_all_words({ plain, name }) {
  const peer = await plain.peer(name);
  const words = Array.from({ length: 20 }, (_, index) => index + 1).join(" ");
  peer.say("/stream 20");
  const shown = [];
  while (!shown.at(-1)?.final) {
    const frame = await peer.next();
    if (["message", "edit"].includes(frame.type)) shown.push(frame);
  }
  assert.equal(shown.at(-1).text, words);
  assert.ok(shown.length > 2);
  assert.equal(new Set(shown.map((frame) => frame.id)).size, 1);
  assert.ok(shown.every((frame) => words.startsWith(frame.text)));
  const revs = shown.filter((frame) => frame.type === "edit").map((frame) => frame.rev);
  assert.ok(revs.every((rev, index) => index === 0 || rev > revs[index - 1]), `${revs}`);
});

check(async function a_pressed_button_is_answered({ plain, name }) {
  const peer = await plain.peer(name);
  const offer = await peer.ask("/buttons");
  const [a, b] = offer.buttons.flat();
  assert.deepEqual([a.label, b.label], ["A", "B"]);
  const press = { type: "action", conversation: "default", message: offer.id };
  peer.put({ ...press, id: "a-1", button: a.id, value: a.value });
  await peer.frame({ type: "ack", of: "a-1" });
  await peer.frame({ type: "message", text: "pressed A" });
  peer.put({ ...press, id: "a-2", button: "no-such-button" });
  await peer.error("unknown_button", "a-2");
  peer.put({ ...press, id: "a-3", message: "s-none", button: a.id });
  await peer.error("unknown_message", "a-3");
  await peer.stays();
});

check(async function attachments_arrive_byte_by_byte({ plain, name }) {
  const file = (name, content) =>
    ({ kind: "file", name, mime: "application/x", size: content.length, data: content.toString("base64") });
  const peer = await plain.peer(name);
  const small = Buffer.from(Array.from({ length: 769 }, (_, index) => index % 256));
  const large = randomBytes(256 * 1024);
  for (const [name, content] of [["a b.bin", small], ["ü.bin", large]]) {
    const answer = await peer.ask("", { attachments: [file(name, content)] });
    assert.equal(answer.text, `file ${name} ${content.length} ${hash(content)}`);
  }
  const larger = Buffer.concat([large, Buffer.from("!")]);
  const id = peer.say("", { attachments: [file("c.bin", larger)] });
  await peer.error("invalid_media", id);
  const posted = await plain.http("POST", "/standard/media", { headers: bearer(TOKEN), body: larger });
  const { media_id, size } = await posted.json();
  assert.equal(size, larger.length);
  const answer = await peer.ask("", { attachments: [{ kind: "file", name: "d.bin", media_id }] });
  assert.equal(answer.text, `file d.bin ${size} ${hash(larger)}`);
});

check(async function a_file_of_the_bot_can_be_read({ plain, name }) {
  const peer = await plain.peer(name);
  const { attachments } = await peer.ask("/file");
  assert.deepEqual(attachments.map((file) => [file.kind, file.name, file.size]), [["file", "hello.txt", 5]]);
  assert.equal(atob(attachments[0].data), "hello");
});

check(async function an_edit_is_seen({ plain, name }) {
  const peer = await plain.peer(name);
  const id = peer.say("helo");
  await peer.frame({ type: "message", in_reply_to: id });
  await peer.frame({ type: "ack", of: id });
  const edit = { type: "edit", rev: 2, conversation: "default", text: "hello", final: true };
  peer.put({ ...edit, id });
  await peer.frame({ type: "ack", of: id });
  await peer.frame({ type: "message", text: "edited: hello" });
  const bots = await peer.ask("whose?");
  peer.put({ ...edit, id: bots.id });
  await peer.error("not_owner", bots.id);
});

check(async function resume_replays_what_was_missed({ plain, name }) {
  const first = await plain.peer(name);
  assert.equal(first.welcome.resume.default.state, "new");
  const { cursor } = await first.ask("before");
  first.link.end();
  const other = await plain.peer(name);
  assert.equal(other.welcome.resume.default.state, "new");
  await other.ask("one");
  const { cursor: last } = await other.ask("two");
  await other.stays();
  assert.deepEqual(other.backlog.filter((frame) => frame.replay), []);
  other.link.end();
  const peer = await plain.peer(name, { resume: { default: cursor } });
  const resumed = peer.welcome.resume.default;
  assert.deepEqual([resumed.state, resumed.cursor], ["ok", last]);
  const frames = [];
  while (frames.length < resumed.replaying) frames.push(await peer.next());
  assert.ok(frames.every((frame) => frame.replay === true));
  const missed = Array.from({ length: seq(last) - seq(cursor) }, (_, index) => seq(cursor) + 1 + index);
  assert.deepEqual(frames.map((frame) => frame.seq), missed);
  const answers = frames.filter((frame) => frame.from.kind === "bot").map((frame) => frame.text);
  assert.deepEqual(answers, ["echo: one", "echo: two"]);
  const end = await peer.next();
  assert.deepEqual([end.type, end.of, end.cursor], ["ack", "resume", last]);
  assert.ok(!(await peer.ask("live")).replay);
});

check(async function an_answer_waits_for_an_absent_client({ plain, name }) {
  const first = await plain.peer(name);
  const { cursor } = await first.ask("before");
  const id = first.say("/sleep 1");
  await first.frame({ type: "ack", of: id });
  first.link.end();
  await pause(1500);
  const peer = await plain.peer(name, { resume: { default: cursor } });
  await peer.frame({ type: "message", text: "slept 1" });
});

check(async function an_unknown_epoch_is_a_gap({ plain, name }) {
  const first = await plain.peer(name);
  const { cursor } = await first.ask("before");
  const peer = await plain.peer(name, { resume: { default: "c0.9" } });
  const resumed = peer.welcome.resume.default;
  assert.deepEqual([resumed.state, resumed.cursor], ["gap", cursor]);
  const frames = [];
  while (frames.length < resumed.replaying) frames.push(await peer.next());
  assert.deepEqual([frames[0].cursor, frames.at(-1).cursor], [resumed.oldest, cursor]);
  assert.ok(frames.every((frame) => frame.replay === true));
  assert.equal((await peer.next()).of, "resume");
});

check(async function another_device_sees_both_sides_and_another_client_nothing({ plain, name }) {
  const first = await plain.peer(name);
  const second = await plain.peer(name);
  const stranger = await plain.peer(`${name}-x`);
  const id = first.say("for us");
  const mirrored = await second.frame({ type: "message", id });
  assert.deepEqual([mirrored.text, mirrored.from.kind], ["for us", "user"]);
  const there = await second.frame({ type: "message", in_reply_to: id });
  assert.equal(there.cursor, (await first.frame({ type: "message", in_reply_to: id })).cursor);
  await stranger.stays();
  assert.deepEqual(stranger.backlog, []);
});

check(async function typing_reactions_and_deletes_reach_the_other_device({ plain, name }) {
  const first = await plain.peer(name);
  const second = await plain.peer(name);
  first.put({ type: "typing", conversation: "default", state: "start", ttl: 5 });
  assert.equal((await second.frame({ type: "typing", state: "start" })).from.id, name);
  const { in_reply_to: id } = await first.ask("hello");
  first.put({ type: "reaction", id: "r-1", target: id, emoji: "👀", remove: false, conversation: "default" });
  await first.frame({ type: "ack", of: "r-1" });
  assert.equal((await second.frame({ type: "reaction", target: id })).emoji, "👀");
  first.put({ type: "delete", id, conversation: "default" });
  await first.frame({ type: "ack", of: id });
  await second.frame({ type: "delete", id });
  await first.stays();
  assert.deepEqual(first.backlog.filter((frame) => frame.type === "typing"), []);
});

check(async function a_binary_frame_closes_with_1003({ plain, name }) {
  const peer = await plain.peer(name);
  peer.link.send(new TextEncoder().encode('{"v":1,"type":"ping","id":"p"}'));
  assert.equal(await peer.closed(), 1003);
});

check(async function an_oversize_frame_closes_with_1009({ plain, name }) {
  const ping = (size) => {
    const [head, tail] = ['{"v":1,"type":"ping","id":"p-size","pad":"', '"}'];
    return head + "x".repeat(size - head.length - tail.length) + tail;
  };
  const peer = await plain.peer(name);
  peer.link.send(ping(1 << 20));
  await peer.frame({ type: "pong", id: "p-size" });
  peer.link.send(ping((1 << 20) + 1));
  assert.equal(await peer.closed(), 1009);
});

native(async function fragments_are_one_message({ plain, name }) {
  const peer = await plain.peer(name);
  peer.link.fragments(['{"v":1,"type":"pi', "", 'ng","id":"p-1"', "}"]);
  await peer.frame({ type: "pong", id: "p-1" });
  peer.link.fragments(Array(17).fill("x".repeat(65536)));
  assert.equal(await peer.closed(), 1009);
});

check(async function an_unknown_type_is_an_error_and_no_end({ plain, name }) {
  const peer = await plain.peer(name);
  peer.put({ type: "telepathy", id: "x-1", conversation: "default" });
  assert.equal((await peer.error("unknown_type", "x-1")).fatal, false);
  assert.equal((await peer.ask("still here")).text, "echo: still here");
});

check(async function the_third_bad_frame_closes_with_4400({ plain, name }) {
  const peer = await plain.peer(name);
  for (const bad of ["not json", "[1]"]) {
    peer.link.send(bad);
    await peer.error("bad_frame", undefined);
  }
  await peer.stays();
  peer.link.send('{"v":1,"type":"message","id":7,"text":[]}');
  assert.equal(await peer.closed(), 4400);
});

check(async function request_errors_leave_the_connection_open({ plain, name }) {
  const peer = await plain.peer(name);
  await peer.error("empty_message", peer.say(""));
  await peer.error("text_too_long", peer.say("😀".repeat(32769)));
  peer.put({ type: "message", id: "not an id", conversation: "default", text: "x" });
  await peer.error("invalid_id", undefined);
  peer.put({ type: "delete", id: "m-none", conversation: "default" });
  await peer.error("unknown_message", "m-none");
  const long = "😀".repeat(32000);
  assert.equal((await peer.ask(long)).text, `echo: ${long}`);
});

check(async function ping_is_answered({ plain, name }) {
  const peer = await plain.peer(name);
  peer.put({ type: "ping", id: "p-1" });
  await peer.frame({ type: "pong", id: "p-1" });
  if (library === libraries.ws) await within(10_000, () => "a pong", peer.link.ping());
});

check(async function a_burst_is_slowed_and_a_flood_closed_with_4429({ plain, name }) {
  const peer = await plain.peer(name);
  for (let number = 0; number < 70; number += 1) peer.put({ type: "ping", id: `b-${number}` });
  assert.ok((await peer.frame({ type: "error", code: "rate_limited" })).retry_after > 0);
  await pause(2000);
  await peer.stays();
  for (let number = 0; number < 1000; number += 1) peer.put({ type: "ping", id: `f-${number}` });
  assert.equal(await peer.closed(), 4429);
});

check(async function text_comes_back_unchanged({ plain, name }) {
  const peer = await plain.peer(name);
  for (const text of [
    "naïve café e\u0301 ß İ",
    "👩‍👩‍👧‍👦 🇺🇳 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "שלום \u202bעולם\u202c مرحبا",
    "漢字 ｶﾅ 한글 𠮷",
    'a\u2028b\u200bc\u00a0d\n\te \\ " </script>',
    "**bold** _it_ `code` [l](https://e.x) <b>",
  ]) {
    assert.equal((await peer.ask(text)).text, `echo: ${text}`);
  }
});

check(async function the_101st_connection_is_503() {
  const echo = await start();
  try {
    for (let number = 0; number < 100; number += 1) await echo.opens();
    assert.equal((await echo.refused(503))["retry-after"], "5");
    await echo.refused(401, { headers: {}, protocols: [PROTOCOL] });
    echo.links[0].end();
    const deadline = Date.now() + 10_000;
    while (!(await echo.open()).inbox) {
      assert.ok(Date.now() < deadline, "the place of a closed connection stays taken");
      await pause(50);
    }
  } finally {
    await echo.stop();
  }
});

check(async function sigterm_closes_with_1001({ name }) {
  const echo = await start();
  try {
    const peer = await echo.peer(name);
    await peer.ask("before");
    echo.process.kill("SIGTERM");
    assert.equal(await peer.closed(), 1001);
    assert.equal(await within(15_000, () => "the end of the echo bot", echo.exited), 0);
  } finally {
    await echo.stop();
  }
});

setTimeout(() => process.exit(1), 240_000).unref();
const plain = await start();
const listed = await start({ ALLOW_TOKEN_QUERY: "true", ALLOW_ORIGINS: `${ORIGIN},http://localhost:3000` });
for (const [index, scenario] of checks.entries()) {
  const title = `standard/${library.title}/${scenario.name}`;
  try {
    const world = { plain, listed, name: `${library.title}-${index + 1}` };
    await within(60_000, () => "the end of the check", scenario(world));
    console.log(`ok ${title}`);
  } catch (error) {
    console.log(`FAIL ${title}: ${error.message.replaceAll("\n", " ").slice(0, 600)}`);
  }
  plain.release();
  listed.release();
}
process.exit(0);

// A running echo bot, and the two sides of a connection to it: what is of one library, and what is of the protocol.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import net from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.env.CERTIFY_MODULES, "package.json"));
const { WebSocket: NodeSocket } = require("ws");
const { WebSocket: BrowserSocket, fetch: browserFetch } = require("undici");

export const PROTOCOL = "channel-kit.v1";
// It has a `-` in base64url, and characters that a query has to escape.
export const TOKEN = "tok-standard+01/~~~==";
export const bearer = (token) => ({ Authorization: `Bearer ${token}` });
/** A token as an entry of the subprotocol header. */
export const entry = (token) =>
  `bearer.${btoa(token).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;

/** Waits for a promise, but not for ever. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `waited in vain for ${what()}` })), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What arrives on a connection, in order: {text}, {binary} or, at last, {close: code}. */
class Inbox {
  #waiting = [];
  #arrived = [];

  put(item) {
    const taker = this.#waiting.shift();
    if (taker) taker(item);
    else this.#arrived.push(item);
  }

  take() {
    if (this.#arrived.length > 0) return Promise.resolve(this.#arrived.shift());
    return new Promise((taker) => this.#waiting.push(taker));
  }
}

/** npm `ws`: sends headers, and sees why it is refused. */
class Ws {
  static title = "ws";
  static credential = { headers: bearer(TOKEN), protocols: [] };

  /** Opens a connection, or gives the refusal as {status, headers}. */
  static open(url, { headers, protocols, origin }) {
    return new Promise((opened, failed) => {
      const link = new Ws();
      link.inbox = new Inbox();
      link.socket = new NodeSocket(url, protocols, { headers, origin });
      link.socket.on("upgrade", (answer) => (link.headers = answer.headers));
      link.socket.on("open", () => opened(link));
      link.socket.on("unexpected-response", (request, answer) => {
        opened({ status: answer.statusCode, headers: answer.headers });
        request.destroy();
      });
      link.socket.on("error", failed);
      link.socket.on("message", (data, binary) => link.inbox.put(binary ? { binary: data } : { text: `${data}` }));
      link.socket.on("close", (close) => link.inbox.put({ close }));
    });
  }

  get protocol() {
    return this.socket.protocol;
  }

  send(data) {
    // An error of a connection that the server is closing: the close tells.
    this.socket.send(data, () => {});
  }

  fragments(parts) {
    for (const [index, part] of parts.entries()) this.socket.send(part, { fin: index === parts.length - 1 }, () => {});
  }

  ping() {
    return new Promise((pong) => {
      this.socket.once("pong", pong);
      this.socket.ping();
    });
  }

  end() {
    this.socket.terminate();
  }
}

/** undici's WebSocket: as in a browser, the token is a subprotocol and a refusal is an error without a reason. */
class Undici {
  static title = "undici";
  static credential = { headers: {}, protocols: [PROTOCOL, entry(TOKEN)] };

  static open(url, { headers, protocols, origin }) {
    return new Promise((opened) => {
      const link = new Undici();
      link.inbox = new Inbox();
      // A browser sets the origin by itself; nothing else is a header here.
      assert.deepEqual(headers, {});
      const own = origin === undefined ? protocols : { protocols, headers: { origin } };
      link.socket = new BrowserSocket(url, own);
      link.socket.binaryType = "arraybuffer";
      let open = false;
      link.socket.onopen = () => {
        open = true;
        opened(link);
      };
      link.socket.onerror = () => {};
      link.socket.onclose = ({ code }) => (open ? link.inbox.put({ close: code }) : opened({ code }));
      link.socket.onmessage = ({ data }) =>
        link.inbox.put(typeof data === "string" ? { text: data } : { binary: data });
    });
  }

  get protocol() {
    return this.socket.protocol;
  }

  send(data) {
    this.socket.send(data);
  }

  end() {
    this.socket.close();
  }
}

export const libraries = { ws: Ws, undici: Undici };

const ID = /^[A-Za-z0-9._:-]{1,64}$/;

/** What holds for every frame of a server, whatever it answers. */
function obeys(frame) {
  const said = JSON.stringify(frame);
  assert.equal(frame.v, 1, said);
  for (const id of [frame.id, frame.conversation]) assert.ok(id === undefined || ID.test(id), said);
  if (["message", "delete", "reaction"].includes(frame.type) || (frame.type === "edit" && frame.final)) {
    assert.ok(Number.isInteger(frame.seq) && frame.seq >= 1, said);
    assert.ok(frame.cursor.endsWith(`.${frame.seq}`), said);
  } else {
    assert.equal(frame.seq, undefined, said);
  }
  if (frame.ts !== undefined) {
    assert.ok(frame.ts.endsWith("Z") && Math.abs(Date.now() - Date.parse(frame.ts)) < 300_000, said);
  }
  if (frame.type === "ack" && frame.of !== "resume") {
    assert.deepEqual([frame.status, typeof frame.duplicate, typeof frame.ts], ["accepted", "boolean", "string"], said);
  }
  if (frame.type === "message") {
    assert.ok(["bot", "user"].includes(frame.from.kind) && typeof frame.ts === "string", said);
    assert.ok(["plain", "markdown"].includes(frame.format), said);
  }
  if (frame.type === "error") {
    assert.deepEqual([typeof frame.message, typeof frame.fatal], ["string", "boolean"], said);
  }
}

let numbers = 0;
const fresh = (prefix) => `${prefix}-${(numbers += 1)}`;

/** The client's side of the protocol. */
export class Peer {
  constructor(link) {
    this.link = link;
    this.backlog = [];
  }

  put(frame) {
    this.link.send(JSON.stringify({ v: 1, ...frame }));
  }

  /** The next frame. */
  async next(wanted = "a frame") {
    const what = () => `${JSON.stringify(wanted)}, there is only ${JSON.stringify(this.backlog).slice(0, 400)}`;
    const item = await within(15_000, what, this.link.inbox.take());
    assert.ok(item.text !== undefined, `${item.close ?? "a binary frame"} instead of ${what()}`);
    const frame = JSON.parse(item.text);
    obeys(frame);
    return frame;
  }

  /** Takes the first frame with these members; others stay for later. */
  async frame(members) {
    const fits = (frame) => Object.entries(members).every(([name, value]) => frame[name] === value);
    const at = this.backlog.findIndex(fits);
    if (at >= 0) return this.backlog.splice(at, 1)[0];
    for (;;) {
      const frame = await this.next(members);
      if (fits(frame)) return frame;
      this.backlog.push(frame);
    }
  }

  /** Sends a message; its id. */
  say(text, more = {}) {
    const id = fresh("m");
    this.put({ type: "message", id, conversation: "default", text, ...more });
    return id;
  }

  /** Sends a message and takes its ack and its answer; the answer. */
  async ask(text, more) {
    const id = this.say(text, more);
    await this.frame({ type: "ack", of: id });
    return this.frame({ type: "message", in_reply_to: id });
  }

  async error(code, of) {
    const error = await this.frame({ type: "error", code });
    assert.equal(error.of, of);
    return error;
  }

  /** Proves that the connection is alive, and takes all that came before. */
  async stays() {
    const id = fresh("p");
    this.put({ type: "ping", id });
    await this.frame({ type: "pong", id });
  }

  /** The code that the server closes with. */
  async closed() {
    for (;;) {
      const { close } = await within(15_000, () => "the end of the connection", this.link.inbox.take());
      if (close !== undefined) return close;
    }
  }
}

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A running echo bot. */
export class Echo {
  static async start(binary, library, options = {}) {
    const echo = new Echo();
    echo.library = library;
    echo.links = [];
    const probe = net.createServer();
    await new Promise((done) => probe.listen(0, "127.0.0.1", done));
    echo.address = `127.0.0.1:${probe.address().port}`;
    await new Promise((done) => probe.close(done));
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CHANNEL_"));
    const given = Object.entries(options).map(([name, value]) => [`CHANNEL_STANDARD_${name}`, value]);
    const own = { CHANNEL_BIND: echo.address, CHANNEL_STANDARD_TOKEN: TOKEN };
    const env = { ...Object.fromEntries([...inherited, ...given]), ...own };
    echo.process = spawn(binary, { env, stdio: ["ignore", "pipe", "ignore"] });
    running.add(echo.process);
    echo.exited = new Promise((done) => echo.process.on("exit", done));
    void echo.exited.then(() => running.delete(echo.process));
    const ready = new Promise((done, failed) => {
      echo.process.on("error", failed);
      createInterface({ input: echo.process.stdout })
        .on("line", (line) => line === "ready standard" && done())
        .on("close", () => failed(new Error("the echo bot ended before it was ready")));
    });
    await within(20_000, () => "the echo bot", ready);
    return echo;
  }

  async open(how = {}) {
    const { query = "", ...more } = how;
    const url = `ws://${this.address}/standard/ws${query}`;
    const opening = this.library.open(url, { ...this.library.credential, ...more });
    const link = await within(15_000, () => "an upgrade", opening);
    if (link.inbox) this.links.push(link);
    return link;
  }

  async opens(how) {
    const link = await this.open(how);
    assert.ok(link.inbox, `was refused with ${link.status ?? link.code}`);
    return link;
  }

  /** The headers of the refusal, which a page learns of by asking `/info` in the same way. */
  async refused(status, how = {}) {
    const refusal = await this.open(how);
    assert.ok(!refusal.inbox, `was let in, not refused with ${status}`);
    if (refusal.code === undefined) {
      assert.equal(refusal.status, status);
      return refusal.headers;
    }
    assert.equal(refusal.code, 1006);
    const { query = "", protocols = this.library.credential.protocols, origin } = how;
    const headers = protocols.length > 0 ? { "Sec-WebSocket-Protocol": protocols.join(", ") } : {};
    if (origin !== undefined) headers.Origin = origin;
    const answer = await this.http("GET", `/standard/info${query}`, { headers });
    assert.equal(answer.status, status);
    assert.equal(typeof (await answer.json()), "object");
    return Object.fromEntries(answer.headers);
  }

  /** A connection whose hello has been answered. */
  async peer(client, { resume, ...how } = {}) {
    const peer = new Peer(await this.opens(how));
    peer.put({ type: "hello", id: "h-1", client_id: client, name: "Ada", resume });
    peer.welcome = await peer.frame({ type: "welcome" });
    return peer;
  }

  http(method, path, more = {}) {
    return browserFetch(`http://${this.address}${path}`, { method, signal: AbortSignal.timeout(15_000), ...more });
  }

  /** Ends the connections that a check has left open. */
  release() {
    for (const link of this.links.splice(0)) link.end();
  }

  async stop() {
    this.release();
    this.process.kill("SIGKILL");
    await this.exited;
  }
}

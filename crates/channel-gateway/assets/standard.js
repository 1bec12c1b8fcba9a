// A client of the standard channel, as any page could have one: protocol channel-kit.v1 over a websocket.

import { fromMarkdown } from "./richtext.js";

/** Close codes after which a client must not come back by itself. */
const FINAL = new Set([4400, 4401, 4403, 4409]);
/** Frames remembered for the inspector. */
const FRAMES = 2000;

function base64url(text) {
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function newId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return prefix + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function shown(text) {
  return { text, bytes: new TextEncoder().encode(text).length, cut: false };
}

export class Standard {
  id = "standard";
  name = "Standard";
  largestFile = 10 << 20;
  about = "Our own JSON protocol, a real websocket from this page";

  constructor(start) {
    this.start = start.standard;
    this.chatId = `${start.standard.client}/default`;
    this.cursor = null;
    this.order = 0;
    this.wait = 1000;
    this.messages = new Map();
    this.unacked = new Map();
    this.frames = [];
  }

  attach(chat) {
    this.chat = chat;
    this.connect();
  }

  connect() {
    this.chat.state("connecting");
    const url = new URL(this.start.path, location.href);
    url.protocol = "ws:";
    const socket = new WebSocket(url, [this.start.protocol, `bearer.${base64url(this.start.token)}`]);
    this.socket = socket;
    socket.onopen = () => this.write({
      type: "hello", id: newId("h-"), client_id: this.start.client, name: this.start.name,
      resume: this.cursor ? { default: this.cursor } : {},
    });
    socket.onmessage = (event) => this.read(event.data);
    socket.onclose = (event) => {
      this.chat.state(FINAL.has(event.code) ? "closed" : "reconnecting");
      if (FINAL.has(event.code)) return;
      setTimeout(() => this.connect(), this.wait * (0.5 + Math.random()));
      this.wait = Math.min(this.wait * 2, 30000);
    };
  }

  write(frame) {
    const text = JSON.stringify({ v: 1, ...frame });
    this.keep("out", frame, text);
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  keep(direction, frame, text) {
    this.frames.push({ direction, frame, text });
    if (this.frames.length > FRAMES) this.frames.shift();
    this.chat.refresh();
  }

  read(text) {
    const frame = JSON.parse(text);
    this.keep("in", frame, text);
    if (frame.cursor && frame.seq) this.processed(frame.cursor);
    const on = this[`on_${frame.type}`];
    if (on) on.call(this, frame);
  }

  /** The server may forget what has been processed. */
  processed(cursor) {
    this.cursor = cursor;
    clearTimeout(this.ackTimer);
    this.ackTimer = setTimeout(() => {
      if (this.socket.readyState === WebSocket.OPEN) {
        this.socket.send(JSON.stringify({ v: 1, type: "ack", conversation: "default", cursor: this.cursor }));
      }
    }, 1000);
  }

  on_welcome() {
    this.wait = 1000;
    this.chat.state("ready");
    for (const frame of this.unacked.values()) this.write(frame);
    // What the button of a fresh chat sends, so that there is something to see.
    if (!this.greeted) this.send("/start");
    this.greeted = true;
  }

  on_message(frame) {
    const mine = frame.from.kind === "user";
    this.put({
      id: frame.id, mine, text: frame.text, format: frame.format, replyTo: frame.in_reply_to,
      buttons: frame.buttons, files: frame.attachments, final: frame.final, rev: 0,
    });
  }

  on_edit(frame) {
    const message = this.messages.get(frame.id);
    if (!message || frame.rev <= message.rev) return;
    this.put({
      ...message, text: frame.text, format: frame.format, rev: frame.rev, final: frame.final,
      edited: message.final && frame.final,
      buttons: frame.buttons || message.buttons,
      files: frame.attachments || message.files,
    });
  }

  on_delete(frame) {
    const message = this.messages.get(frame.id);
    if (message) this.put({ ...message, deleted: true });
  }

  on_reaction(frame) {
    this.reacted(frame.target, frame.emoji, frame.remove, frame.from.kind !== "bot");
  }

  on_typing(frame) {
    if (frame.from && frame.from.kind === "bot") this.chat.typing(frame.state === "start" ? frame.ttl * 1000 : 0);
  }

  on_ack(frame) {
    this.unacked.delete(frame.of);
    if (frame.notice) this.chat.notice(frame.notice);
  }

  on_error(frame) {
    this.unacked.delete(frame.of);
    this.chat.notice(`${frame.code}: ${frame.message}`);
  }

  reacted(target, emoji, remove, mine) {
    const message = this.messages.get(target);
    if (!message) return;
    const others = (message.reactions || []).filter((it) => it.emoji !== emoji || it.mine !== mine);
    this.put({ ...message, reactions: remove ? others : [...others, { emoji, mine }] });
  }

  put(message) {
    if (!message.order) message = { ...message, order: (this.order += 1) };
    this.messages.set(message.id, message);
    const [file] = message.files || [];
    const isMarkdown = message.format === "markdown";
    this.chat.put({
      id: message.id,
      order: message.order,
      mine: message.mine,
      blocks: isMarkdown,
      content: isMarkdown ? fromMarkdown(message.text) : [message.text],
      plain: message.text,
      buttons: (message.buttons || []).map((row) => row.map((button) => ({
        label: button.label,
        url: button.url,
        press: async () => this.request({
          type: "action", id: newId("a-"), conversation: "default",
          message: message.id, button: button.id, value: button.value,
        }),
      }))),
      file: file && { name: file.name || "file", bytes: file.size, data: message.mine ? undefined : file.data },
      replyTo: message.replyTo,
      reactions: message.reactions || [],
      edited: message.edited,
      deleted: message.deleted,
      growing: message.final === false,
    });
  }

  /** Sends a frame that is answered by an ack; sent again with the same id after a lost connection. */
  request(frame) {
    this.unacked.set(frame.id, frame);
    this.write(frame);
  }

  async send(text, { replyTo, file } = {}) {
    const id = newId("m-");
    const attachments = file ? [await this.upload(file)] : undefined;
    this.put({ id, mine: true, text, format: "plain", replyTo, files: attachments, final: true, rev: 0 });
    this.request({ type: "message", id, conversation: "default", text, reply_to: replyTo, attachments });
  }

  async upload(file) {
    const response = await fetch(this.start.media, {
      method: "POST",
      headers: { authorization: `Bearer ${this.start.token}`, "content-type": "application/octet-stream" },
      body: file,
    });
    if (!response.ok) throw new Error(`the upload was answered ${response.status}`);
    const { media_id, size } = await response.json();
    return { kind: "file", name: file.name, mime: file.type || "application/octet-stream", size, media_id };
  }

  async edit(id, text) {
    const message = this.messages.get(id);
    const edit = (message.edits || 0) + 1;
    this.put({ ...message, text, edits: edit, edited: true });
    this.write({ type: "edit", id, conversation: "default", rev: edit, text });
  }

  async react(id, emoji) {
    const message = this.messages.get(id);
    const own = (message.reactions || []).find((it) => it.mine);
    const remove = emoji === null;
    if (remove && !own) return;
    this.reacted(id, remove ? own.emoji : emoji, remove, true);
    this.request({
      type: "reaction", id: newId("r-"), conversation: "default",
      target: id, emoji: remove ? own.emoji : emoji, remove,
    });
  }

  /** What brought the event, as blocks for the inspector. */
  inbound(trace) {
    const event = Object.values(trace.event.kind)[0];
    const ids = new Set([event.id, trace.kind === "action" ? event.id.split("/").pop() : trace.message]);
    const sent = this.frames.filter((it) => it.direction === "out" && (ids.has(it.frame.id)
      || (trace.kind === "reaction" && it.frame.type === "reaction" && it.frame.target === trace.message)));
    const frame = sent.filter((it) => it.frame.type === (trace.kind === "edited" ? "edit" : trace.kind)).pop() || sent.pop();
    if (!frame) return [{ title: "Payload", note: "as the channel keeps it", body: trace.native, open: true }];
    const ack = this.frames.filter((it) => it.direction === "in" && it.frame.type === "ack" && it.frame.of === frame.frame.id).pop();
    return [
      { title: "Text frame", note: "page to server", body: shown(frame.text), open: true },
      ack && { title: "Text frame", note: "server to page: acknowledged", body: shown(ack.text) },
    ].filter(Boolean);
  }

  /** What a call put on the wire. */
  outbound(call, trace) {
    const made = new Set(call.messages);
    const kinds = { react: ["reaction"], typing: ["typing"], "answer action": ["ack"] };
    const types = kinds[call.operation] || ["message", "edit", "delete"];
    const event = Object.values(trace.event.kind)[0];
    const action = event && event.id && String(event.id).split("/").pop();
    const concerns = (frame) => made.has(frame.id)
      || (frame.type === "reaction" && frame.target === trace.message)
      || (frame.type === "ack" && frame.of === action);
    let frames = this.frames.filter((it) => it.direction === "in" && types.includes(it.frame.type) && concerns(it.frame));
    if (call.operation === "typing") frames = this.frames.filter((it) => it.direction === "in" && it.frame.type === "typing").slice(-1);
    const blocks = frames.map((it) => ({
      title: "Text frame", note: `server to page: ${it.frame.type}${it.frame.final === false ? ", growing" : ""}`,
      body: shown(it.text),
    }));
    if (blocks.length) blocks[blocks.length - 1].open = true;
    return blocks.length > 6 ? [...blocks.slice(0, 3), { title: `${blocks.length - 5} more frames` }, ...blocks.slice(-2)] : blocks;
  }

  method(call) {
    return { send: "message frame", "finish stream": "edit frames", react: "reaction frame", typing: "typing frame", "answer action": "ack frame" }[call.operation] || "";
  }
}

// One chat: the log, the composer, the things to try.

import { el } from "./richtext.js";

const CHIPS = ["hello", "/help", "/buttons", "/stream 20", "/markdown", "/file", "/react", "/whoami"];

function size(bytes) {
  if (bytes === undefined || bytes === null) return "";
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}

export class Chat {
  items = new Map();
  traces = new Map();
  selected = null;

  /** `app` is told what is chosen: `inspect(chat, trace, byHand)`. */
  constructor(channel, app) {
    this.channel = channel;
    this.app = app;
    const { id, name } = channel;
    this.tab = document.getElementById("tab").content.firstElementChild.cloneNode(true);
    this.tab.id = `tab-${id}`;
    this.tab.setAttribute("aria-controls", `panel-${id}`);
    this.tab.querySelector(".tab-name").textContent = name;
    this.panel = document.getElementById("chat").content.firstElementChild.cloneNode(true);
    this.panel.id = `panel-${id}`;
    this.panel.setAttribute("aria-labelledby", this.tab.id);
    const find = (selector) => this.panel.querySelector(selector);
    this.log = find(".log");
    this.log.setAttribute("aria-label", `Messages on ${name}`);
    this.log.append(el("li", { className: "about" }, channel.about));
    this.typingSign = find(".typing");
    this.composer = find(".composer");
    this.text = find(".text");
    this.text.placeholder = `Message the bot on ${name}`;
    this.text.setAttribute("aria-label", `Message the bot on ${name}`);
    this.context = find(".context");
    this.fileInput = find(".file");
    for (const chip of channel.chips || CHIPS) {
      find(".chips").append(el("button", { type: "button", className: "chip", onclick: () => this.deliver(chip) }, chip));
    }
    this.composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("keydown", (event) => this.key(event));
    find(".context-cancel").addEventListener("click", () => this.setContext(null));
    find(".attach").addEventListener("click", () => this.fileInput.click());
    this.fileInput.addEventListener("change", () => {
      const [file] = this.fileInput.files;
      this.fileInput.value = "";
      if (!file) return;
      if (file.size > channel.largestFile) this.app.say(`A file may be ${size(channel.largestFile)} here`);
      else this.setContext({ kind: "file", file, words: `File: ${file.name}` });
    });
    this.log.addEventListener("keydown", (event) => this.walk(event));
    this.attackList = find(".attack-list");
    if (!channel.largestFile) find(".attach").remove();
  }

  offer(attacks) {
    const own = attacks.filter((it) => it.channel === this.channel.id);
    if (!own.length) this.attackList.parentElement.remove();
    for (const attack of own) {
      this.attackList.append(el("button", {
        type: "button", className: "attack", onclick: () => this.app.attack(this, attack),
      }, el("b", {}, attack.label), el("span", {}, attack.about)));
    }
  }

  show(isShown) {
    this.panel.hidden = !isShown;
    this.tab.setAttribute("aria-selected", String(isShown));
    this.tab.tabIndex = isShown ? 0 : -1;
    if (isShown) this.scroll(true);
  }

  state(state) {
    this.tab.dataset.state = state;
    this.tab.querySelector(".tab-state").textContent = state;
  }

  /** Adds a message, or changes it. */
  put(message) {
    const isAtEnd = this.isAtEnd();
    const before = this.items.get(message.id);
    const item = { ...message, element: before?.element || el("li"), trace: before?.trace };
    this.items.set(message.id, item);
    this.draw(item);
    if (!before) {
      this.place(item);
      if (!item.mine) this.typing(0);
    }
    this.link();
    if (isAtEnd) this.scroll();
  }

  place(item) {
    item.element.dataset.order = item.order;
    const after = [...this.log.children].find((other) => Number(other.dataset.order) > item.order);
    this.log.insertBefore(item.element, after || null);
  }

  draw(item) {
    const replied = item.replyTo && this.items.get(item.replyTo);
    const bubble = el("div", { className: "bubble" });
    if (replied) bubble.append(el("p", { className: "quote" }, replied.plain.slice(0, 120) || "file"));
    if (item.deleted) bubble.append(el("p", { className: "gone" }, "deleted"));
    else bubble.append(el("div", { className: item.blocks ? "words blocks" : "words" }, ...item.content));
    if (item.file && !item.deleted) bubble.append(this.file(item.file));
    for (const row of item.deleted ? [] : item.buttons || []) {
      bubble.append(el("div", { className: "buttons" }, ...row.map((button) => this.button(button))));
    }
    item.element.className = `msg ${item.mine ? "mine" : "bot"}${item.growing ? " growing" : ""}`;
    bubble.addEventListener("click", (event) => {
      if (!event.target.closest("a, button") && String(getSelection()) === "") this.choose(item);
    });
    const meta = el("div", { className: "meta" });
    for (const { emoji } of item.reactions || []) meta.append(el("span", { className: "reaction" }, emoji));
    if (item.edited && !item.growing) meta.append(el("span", {}, "edited"));
    item.meta = meta;
    item.element.replaceChildren(el("span", { className: "sr" }, item.mine ? "You: " : "Bot: "), bubble, meta);
    this.drawMeta(item);
  }

  /** What a message says about its way, and what can be done with it. */
  drawMeta(item) {
    const hadFocus = item.inspect && item.inspect === document.activeElement;
    item.meta.querySelectorAll("button").forEach((button) => button.remove());
    const isChosen = this.selected === item.id;
    item.element.classList.toggle("chosen", isChosen);
    item.inspect = el("button", {
      type: "button", className: "inspect", "aria-pressed": String(isChosen), tabindex: isChosen ? "0" : "-1",
      onclick: () => this.choose(item, true),
    }, this.label(item));
    item.meta.append(item.inspect);
    if (isChosen) {
      if (item.mine) {
        if (item.plain && this.channel.edit) item.meta.append(this.small("Edit", () => this.setContext({ kind: "edit", id: item.id, words: "Edit your message" }, item.plain)));
      } else if (!item.note && this.channel.react) {
        item.meta.append(this.small("Reply", () => this.setContext({ kind: "reply", id: item.id, words: `Reply to: ${item.plain.slice(0, 60)}` })));
        const own = (item.reactions || []).some((it) => it.mine);
        item.meta.append(this.small(own ? "Unreact" : "React 👍", () => this.run(this.channel.react(item.id, own ? null : "👍"))));
      }
    }
    if (hadFocus) item.inspect.focus();
  }

  label(item) {
    const trace = item.trace;
    if (item.report) return item.report.held ? "held" : "got through";
    if (!trace) return item.mine ? "on its way" : "sent";
    if (item.mine || item.note) {
      if (!trace.verdict.allowed) return `${trace.verdict.answered ? "answered" : "refused"}: ${trace.verdict.reason}`;
      if (trace.done?.error) return "handler failed";
      return trace.done ? `handled in ${ms(trace.done.at_ms)}` : "being handled";
    }
    const call = callOf(trace, item.id) || callOf(trace, item.alias);
    return call ? `${this.channel.method(call) || call.operation} ${ms(call.took_ms)}` : "being written";
  }

  small(label, onclick) {
    return el("button", { type: "button", className: "quiet", onclick }, label);
  }

  file(file) {
    const words = [el("span", { className: "file-name" }, file.name), el("span", {}, size(file.bytes))];
    let url = file.url;
    if (file.data) {
      const bytes = Uint8Array.from(atob(file.data), (char) => char.charCodeAt(0));
      url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    }
    if (!url) return el("p", { className: "file-card" }, ...words);
    return el("a", { className: "file-card", href: url, download: file.name }, ...words);
  }

  button(button) {
    if (button.url) return el("a", { className: "press", href: button.url, target: "_blank", rel: "noopener noreferrer" }, button.label);
    return el("button", { type: "button", className: "press", onclick: () => this.run(button.press()) }, button.label);
  }

  /** A trace is new, or has grown. */
  trace(trace) {
    const isNew = !this.traces.has(trace.number);
    this.traces.set(trace.number, trace);
    // What strangers say is in no log but this one.
    if (trace.kind !== "message" || !(trace.verdict.allowed || trace.verdict.answered)) this.note(trace);
    this.link();
    const isAtEnd = this.isAtEnd();
    if (isNew && isAtEnd) this.scroll();
    const chosen = this.items.get(this.selected);
    if (isNew && !this.pinned) this.follow(trace);
    else if (chosen?.trace?.number === trace.number) this.app.inspect(this, trace, { report: chosen.report });
  }

  /** Something that is not a message of the chat: a press, an edit, an attack. */
  note(trace) {
    const id = `trace-${trace.number}`;
    const words = describe(trace);
    if (!words || this.items.has(id)) {
      const item = this.items.get(id);
      if (item) item.trace = trace;
      return;
    }
    this.addNote(id, words, trace);
  }

  addNote(id, words, trace, report) {
    const orders = [...this.items.values()].map((item) => item.order);
    const answer = trace && [...this.items.values()].find((item) => trace.calls.some((call) => call.messages.includes(item.id)));
    const order = answer ? answer.order - 0.5 : Math.max(0, ...orders) + 0.001;
    const item = { id, order, note: true, plain: words, trace, report, element: el("li", { className: "msg note" }) };
    item.meta = el("div", { className: "meta" });
    item.element.append(el("p", { className: "note-words" }, words), item.meta);
    this.items.set(id, item);
    this.drawMeta(item);
    this.place(item);
    this.scroll();
    return item;
  }

  /** Ties messages to the traces they belong to. */
  link() {
    const byMessage = new Map();
    for (const trace of this.traces.values()) {
      // Ids of messages are unique inside their chat only.
      if (this.channel.chatId && trace.chat !== this.channel.chatId) continue;
      if (trace.kind === "message" && trace.message) byMessage.set(trace.message, trace);
      for (const call of trace.calls) for (const id of call.messages) byMessage.set(id, trace);
    }
    for (const item of this.items.values()) {
      const trace = item.note ? this.traces.get(item.trace?.number) : byMessage.get(item.id) || byMessage.get(item.alias);
      if (trace && trace !== item.linked) {
        item.trace = trace;
        item.linked = trace;
        // The words may come after their trace.
        if (item.mine && trace.number === this.followed) this.select(item);
        else this.drawMeta(item);
      }
    }
  }

  /** Selects what a new trace is about, unless something was chosen by hand. */
  follow(trace) {
    const item = [...this.items.values()].find((it) => it.trace?.number === trace.number && (it.mine || it.note));
    this.followed = trace.number;
    if (item) this.select(item);
    this.app.inspect(this, trace, { report: item?.report });
  }

  /** Shows the chosen message again: what there is to see of it has grown. */
  refresh() {
    if (this.refreshing) return;
    this.refreshing = requestAnimationFrame(() => {
      this.refreshing = null;
      const item = this.items.get(this.selected);
      if (item?.trace && !item.report) this.app.inspect(this, item.trace);
    });
  }

  choose(item, byHand = false) {
    this.followed = null;
    this.select(item);
    this.pinned = item.id !== this.newest()?.id;
    this.app.inspect(this, item.trace, { report: item.report, byHand });
  }

  newest() {
    return [...this.items.values()].sort((a, b) => a.order - b.order).pop();
  }

  select(item) {
    const before = this.items.get(this.selected);
    this.selected = item.id;
    if (before) this.drawMeta(before);
    this.drawMeta(item);
  }

  /** Arrow keys walk through the messages. */
  walk(event) {
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    const items = [...this.items.values()].sort((a, b) => a.order - b.order);
    if (!items.length) return;
    event.preventDefault();
    const at = items.findIndex((item) => item.id === this.selected);
    const to = items[Math.max(0, Math.min(items.length - 1, at + step))];
    this.choose(to);
    to.inspect.focus();
    to.element.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.key === "Escape") this.setContext(null);
    if (event.key === "ArrowUp" && this.channel.edit && !this.text.value && !this.context.value) {
      const last = [...this.items.values()].filter((item) => item.mine && item.plain).sort((a, b) => a.order - b.order).pop();
      if (last) this.setContext({ kind: "edit", id: last.id, words: "Edit your message" }, last.plain);
      event.preventDefault();
    }
  }

  /** What the next message is about: a reply, an edit, a file. */
  setContext(context, text) {
    const wasEdit = this.next?.kind === "edit";
    this.next = context;
    this.context.hidden = !context;
    this.context.querySelector(".context-text").textContent = context ? context.words : "";
    if (text !== undefined) this.text.value = text;
    else if (wasEdit && !context) this.text.value = "";
    this.text.focus();
  }

  /** Puts words into the line, to be sent by hand. */
  prepare(text, words) {
    this.setContext(null, text);
    this.app.say(words);
  }

  submit() {
    const text = this.text.value.trim();
    const next = this.next;
    if (!text && next?.kind !== "file") return;
    this.text.value = "";
    if (next) this.setContext(null);
    if (next?.kind === "edit") this.run(this.channel.edit(next.id, text));
    else this.deliver(text, { replyTo: next?.kind === "reply" ? next.id : undefined, file: next?.file });
  }

  deliver(text, options) {
    this.pinned = false;
    this.scroll(true);
    this.run(this.channel.send(text, options));
  }

  run(promise) {
    Promise.resolve(promise).catch((error) => this.app.say(error.message));
  }

  typing(milliseconds) {
    clearTimeout(this.typingTimer);
    this.typingSign.hidden = !milliseconds;
    if (milliseconds) this.typingTimer = setTimeout(() => this.typing(0), milliseconds);
  }

  notice(text) {
    this.app.say(text);
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
  }

  scroll() {
    this.log.scrollTop = this.log.scrollHeight;
  }
}

export function ms(value) {
  return value < 100 ? `${value.toFixed(1)} ms` : value < 10000 ? `${Math.round(value)} ms` : `${Math.round(value / 1000)} s`;
}

export function callOf(trace, id) {
  return trace.calls.find((call) => call.messages.includes(id));
}

function describe(trace) {
  const event = Object.values(trace.event.kind)[0] || {};
  switch (trace.kind) {
    case "action": return `You pressed “${event.value}”`;
    case "edited": return "You edited a message";
    case "reaction": return event.added?.length ? `You reacted ${event.added.join(" ")}` : "You took a reaction back";
    case "message": return `${event.sender?.name || trace.sender} wrote: ${event.text}`;
    case "unknown": return "An update that no documentation allows";
    default: return `Event: ${trace.kind}`;
  }
}

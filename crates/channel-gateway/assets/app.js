// Puts the page together: tabs, chats, the feed, the inspector.

import { Chat } from "./chat.js";
import { Platform } from "./emulated.js";
import { Inspector } from "./inspector.js";
import { Standard } from "./standard.js";
import { Telegram } from "./telegram.js";

class App {
  chats = [];

  constructor(start) {
    this.inspector = new Inspector();
    document.getElementById("version").textContent = `${start.version} demo`;
    const tabs = document.querySelector('[role="tablist"]');
    for (const channel of [new Telegram(start), new Standard(start), ...start.platforms.map((one) => new Platform(one))]) {
      const chat = new Chat(channel, this);
      chat.offer(start.attacks);
      promise(chat, start.guarantees);
      chat.state("connecting");
      tabs.append(chat.tab);
      tabs.parentElement.append(chat.panel);
      chat.tab.addEventListener("click", () => this.open(chat));
      this.chats.push(chat);
    }
    tabs.addEventListener("keydown", (event) => this.walkTabs(event));
    this.open(this.chats[0]);
    for (const chat of this.chats) chat.channel.attach(chat);
    this.listen(start.standard, start.run);
    this.follow(new URLSearchParams(location.search).get("start"));
    // On a touch screen the keyboard would cover what there is to see.
    if (matchMedia("(hover: hover)").matches) this.chats[0].text.focus();
  }

  /** A link such as t.me/<bot>?start=<code> has led here: Telegram shows its Start button. */
  follow(code) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(code || "")) return;
    history.replaceState(null, "", location.pathname);
    this.chat("telegram").prepare(`/start ${code}`, "Press Send: it is what Start does on Telegram.");
  }

  chat(id) {
    return this.chats.find((chat) => chat.channel.id === id);
  }

  open(chat) {
    this.current = chat;
    for (const other of this.chats) other.show(other === chat);
    chat.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    const item = chat.items.get(chat.selected);
    this.inspector.show(chat.channel, item?.trace, item?.report);
  }

  walkTabs(event) {
    const at = this.chats.indexOf(this.current);
    const last = this.chats.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.open(this.chats[to]);
    this.current.tab.focus();
  }

  listen({ client }, run) {
    const feed = new EventSource(`/api/events?client=${encodeURIComponent(client)}`);
    const on = (name, work) => feed.addEventListener(name, (event) => work(JSON.parse(event.data)));
    on("telegram", (news) => this.chat("telegram").channel.hear(news));
    on("platform", (news) => this.chat(news.channel)?.channel.hear(news));
    on("trace", (trace) => this.chat(trace.channel)?.trace(trace));
    on("state", ({ channel, state }) => {
      // The page's own connection says how the standard channel is.
      if (channel !== "standard") this.chat(channel)?.state(state);
    });
    feed.onerror = () => this.chat("telegram").state("reconnecting");
    feed.onopen = async () => {
      this.chat("telegram").state("ready");
      // After a restart of the demo everything of before is gone, the token too.
      const now = await ask("/api/start");
      if (now.run !== run) location.reload();
    };
  }

  /** Shows the way of a message. */
  inspect(chat, trace, { report, byHand } = {}) {
    if (chat !== this.current) return;
    this.inspector.show(chat.channel, trace, report);
    const wire = document.querySelector(".wire");
    if (byHand && matchMedia("(max-width: 60rem)").matches) wire.scrollIntoView({ block: "start", behavior: "smooth" });
  }

  async attack(chat, attack) {
    try {
      const response = await fetch("/api/attack", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: attack.name }),
      });
      const report = await response.json();
      if (!response.ok) throw new Error(report.error);
      const id = report.trace ? `trace-${report.trace.number}` : `attack-${Date.now()}-${Math.random()}`;
      const words = `${report.label}: ${report.outcome}`;
      const known = chat.items.get(id);
      const item = known || chat.addNote(id, words, report.trace, report);
      item.report = report;
      item.element.querySelector(".note-words").textContent = words;
      chat.choose(item, true);
      chat.pinned = false;
    } catch (error) {
      this.say(error.message);
    }
  }

  say(text) {
    const toast = document.getElementById("toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => { toast.hidden = true; }, 4000);
  }
}

/** Fills in what a channel promises. */
function promise(chat, guarantees) {
  const box = chat.panel.querySelector(".promises");
  const of = guarantees.find((one) => one.channel === chat.channel.id);
  if (!of) {
    box.remove();
    return;
  }
  box.querySelector(".redelivery").textContent = of.redelivery;
  box.querySelector("tbody").append(...of.calls.map(({ call, after }) => {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = call;
    const cell = document.createElement("td");
    cell.textContent = after;
    row.append(name, cell);
    return row;
  }));
}

async function ask(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`the demo answered ${response.status}`);
  return response.json();
}

try {
  new App(await ask("/api/start"));
} catch (error) {
  document.getElementById("wire-summary").textContent = `The demo does not answer: ${error.message}.`;
}

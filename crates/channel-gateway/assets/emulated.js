// The person's side of an emulated platform: asks the demo's own API, hears by server-sent events.

import { fromMarkdown } from "./richtext.js";

export async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `the demo answered ${response.status}`);
  return answer;
}

/** What all emulated platforms have in common: where they are, and how their wire is shown. */
export class Emulated {
  attach(chat) {
    this.chat = chat;
  }

  /** What brought the event, as blocks for the inspector. */
  inbound(trace) {
    const poll = trace.inbound;
    if (!poll) return [{ title: "Payload", body: trace.native, open: true }];
    return [
      { title: `${poll.method} ${poll.address}`, headers: poll.request_headers, body: poll.request },
      { title: `${poll.status}`, note: "answer to the long poll", headers: poll.response_headers, body: poll.response, open: true },
    ];
  }

  /** What a call put on the wire. */
  outbound(call) {
    return call.exchanges.flatMap((exchange) => [
      { title: `${exchange.method} ${exchange.address}`, headers: exchange.request_headers, body: exchange.request, open: true },
      exchange.error
        ? { title: "No response", note: exchange.error }
        : { title: `${exchange.status ?? "answer"}`, note: exchange.took_ms ? `after ${exchange.took_ms.toFixed(1)} ms` : "", headers: exchange.response_headers, body: exchange.response },
    ]);
  }

  method(call) {
    const last = call.exchanges[call.exchanges.length - 1];
    // A path may end in the id of a message, which is no name for what was called.
    const parts = last ? last.address.split("?")[0].split("/") : [];
    return parts.filter((part) => !/\d{6}/.test(part)).pop() || "";
  }
}

/** A platform of which the page knows what every platform has: words and buttons. */
export class Platform extends Emulated {
  chips = ["hello", "/help", "/buttons", "/stream 20", "/markdown", "/whoami"];

  constructor({ id, name, about, markdown }) {
    super();
    Object.assign(this, { id, name, about, markdown });
  }

  /** News from the feed. */
  hear(news) {
    for (const { order, message } of news.messages) {
      const isMarkdown = this.markdown && !message.mine;
      const [file] = message.files;
      this.chat.put({
        id: message.id,
        alias: message.alias,
        order,
        mine: message.mine,
        blocks: isMarkdown,
        content: isMarkdown ? fromMarkdown(message.text) : [message.text],
        plain: message.text,
        buttons: message.buttons.map((button) => [{
          label: button.label,
          url: button.url || undefined,
          press: () => post(`/api/platform/${this.id}/press`, { message: message.id, value: button.value }),
        }]),
        file: file && { name: file },
        reactions: message.reactions.map((emoji) => ({ emoji })),
        edited: message.edited,
        deleted: message.deleted,
        growing: message.growing,
      });
    }
  }

  send(text) {
    return post(`/api/platform/${this.id}/message`, { text });
  }
}

// The person's side of the emulated Telegram: asks the demo's own API, hears by server-sent events.

import { Emulated, post } from "./emulated.js";
import { fromEntities } from "./richtext.js";

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1] || "");
    reader.onerror = () => reject(new Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
}

export class Telegram extends Emulated {
  id = "telegram";
  name = "Telegram";
  largestFile = 2 << 20;
  about = "Emulated Bot API, long poll over HTTP";

  constructor(start) {
    super();
    this.chatId = String(start.telegram.person);
  }

  /** News from the feed. */
  hear(news) {
    for (const message of news.messages) {
      this.chat.put({
        id: String(message.id),
        order: message.id,
        mine: message.mine,
        content: fromEntities(message.text || "", message.entities),
        plain: message.text || "",
        buttons: (message.buttons || []).map((row) => row.map((button) => ({
          label: button.text,
          url: button.url,
          press: () => post("/api/telegram/press", { message: message.id, data: button.callback_data }),
        }))),
        file: message.file && {
          name: message.file.name || "file",
          bytes: message.file.bytes,
          url: message.mine ? undefined : `/api/telegram/file?message=${message.id}`,
        },
        replyTo: message.reply_to === null ? undefined : String(message.reply_to),
        reactions: message.reactions,
        edited: message.edited,
        deleted: message.deleted,
      });
    }
    if (news.typing_ms) this.chat.typing(news.typing_ms);
    if (news.notice) this.chat.notice(news.notice);
  }

  async send(text, { replyTo, file } = {}) {
    await post("/api/telegram/message", {
      text,
      reply_to: replyTo ? Number(replyTo) : null,
      file: file && { name: file.name, mime: file.type || "application/octet-stream", base64: await base64(file) },
    });
  }

  edit(id, text) {
    return post("/api/telegram/edit", { message: Number(id), text });
  }

  react(id, emoji) {
    return post("/api/telegram/react", { message: Number(id), emoji });
  }
}

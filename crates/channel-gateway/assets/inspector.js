// The way of one message, step by step.

import { el, pretty } from "./richtext.js";
import { ms } from "./chat.js";

const PROOFS = {
  claimed: "the sender's id is claimed, nothing proves it",
  asserted: "the platform vouches for the sender",
  verified: "the sender's identity is proven",
};

export class Inspector {
  isRaw = false;

  constructor() {
    this.steps = document.getElementById("steps");
    this.path = document.getElementById("path");
    this.summary = document.getElementById("wire-summary");
    const buttons = { false: document.getElementById("view-pretty"), true: document.getElementById("view-raw") };
    for (const [raw, button] of Object.entries(buttons)) {
      button.addEventListener("click", () => {
        this.isRaw = raw === "true";
        for (const [other, it] of Object.entries(buttons)) it.setAttribute("aria-pressed", String(other === raw));
        this.draw();
      });
    }
    this.draw();
  }

  /** Shows a trace of a channel, the report of an attack, or what will be seen here. */
  show(channel, trace, report) {
    const isSame = this.trace?.number === trace?.number && this.report === report && this.channel === channel;
    if (!isSame) this.opened = new Map();
    Object.assign(this, { channel, trace, report });
    this.draw();
  }

  draw() {
    const scrolled = [...this.steps.querySelectorAll("pre")].map((pre) => pre.scrollTop);
    if (this.report) this.drawReport();
    else if (this.trace) this.drawTrace();
    else this.drawNothing();
    this.steps.querySelectorAll("pre").forEach((pre, index) => { pre.scrollTop = scrolled[index] || 0; });
  }

  /** The steps at one glance, each a way to the step itself. */
  drawPath(cells) {
    this.path.replaceChildren(...cells.map(([title, value, tone], index) => el("button", {
      type: "button",
      className: `cell ${tone || ""}`,
      onclick: () => this.steps.children[index]?.scrollIntoView({ block: "start", behavior: "smooth" }),
    }, el("span", {}, title), el("b", {}, value))));
  }

  drawNothing() {
    this.drawPath([]);
    this.summary.textContent = "Write something, and watch it travel.";
    this.steps.replaceChildren(
      this.step("On the wire", "", el("p", { className: "lead" }, "What the platform sends, byte for byte.")),
      this.step("Verified event", "", el("p", { className: "lead" }, "The same shape, whatever the platform.")),
      this.step("Verdict", "", el("p", { className: "lead" }, "A policy decides; without a yes no handler runs.")),
      this.step("Reply", "", el("p", { className: "lead" }, "What the bot asks for, and what each platform gets.")),
    );
  }

  drawTrace() {
    const { channel, trace } = this;
    const event = Object.values(trace.event.kind)[0] || {};
    const verdict = trace.verdict;
    const no = verdict.answered ? "answered" : "refused";
    const total = trace.done ? `handled in ${ms(trace.done.at_ms)}` : verdict.allowed ? "being handled" : no;
    this.summary.textContent = `${channel.name}, ${trace.kind}, ${total}`;
    const proof = PROOFS[event.sender?.proof];
    const arrived = channel.inbound(trace).find((block) => block.open);
    const first = trace.calls.find((call) => call.messages.length) || trace.calls[0];
    const reply = first ? `${(channel.method(first) || first.operation).split(" ")[0]}${trace.calls.length > 1 ? ` +${trace.calls.length - 1}` : ""}` : trace.done ? "nothing" : "…";
    this.drawPath([
      ["On the wire", `${arrived?.body.bytes ?? 0} bytes`],
      ["Verified event", trace.kind],
      ["Verdict", verdict.allowed ? "allowed" : no, verdict.allowed ? "yes" : verdict.answered ? "" : "no"],
      ["Reply", verdict.allowed || verdict.answered ? reply : "none"],
    ]);
    const steps = [
      this.step("On the wire", "0 ms", ...this.blocks("in", channel.inbound(trace))),
      this.step(
        "Verified event", "",
        el("p", { className: "lead" }, proof ? `${/^[aeu]/.test(trace.kind) ? "An" : "A"} ${trace.kind} event; ${proof}.` : `Kind: ${trace.kind}.`),
        this.block("event", { title: "channel-kit event", body: asText(trace.event), open: true }),
      ),
      this.step(
        "Verdict", `+${ms(verdict.at_ms)}`,
        el("p", { className: "lead" },
          el("span", { className: verdict.allowed ? "badge yes" : verdict.answered ? "badge plain" : "badge no" },
            verdict.allowed ? "Allowed" : verdict.answered ? "Answered" : "Refused"),
          " ", el("code", {}, verdict.reason),
          verdict.allowed ? "" : verdict.answered ? " No handler ran: the policy itself answered." : " No handler ran, and nobody was told."),
      ),
    ];
    if (verdict.allowed || verdict.answered) steps.push(this.replyStep());
    this.steps.replaceChildren(...steps);
  }

  replyStep() {
    const { trace } = this;
    const calls = trace.calls.map((call, index) => this.call(call, index));
    if (trace.more_calls) calls.push(el("p", { className: "lead" }, `${trace.more_calls} more calls are not shown.`));
    if (!calls.length) {
      const words = trace.done ? "The bot had nothing to say." : trace.verdict.answered ? "On its way." : "The handler is at work.";
      calls.push(el("p", { className: "lead" }, words));
    }
    if (trace.done?.error) calls.push(el("p", { className: "lead error" }, trace.done.error));
    const label = trace.calls.length > 1 ? `Reply, ${trace.calls.length} calls` : "Reply";
    return this.step(label, trace.done ? `+${ms(trace.done.at_ms)}` : "", ...calls);
  }

  call(call, index) {
    const { channel, trace } = this;
    const many = trace.calls.length > 2;
    const blocks = channel.outbound(call, trace).map((block) => ({ ...block, open: block.open && !many }));
    return el("div", { className: "call" },
      el("p", { className: "call-head" },
        el("code", {}, call.operation),
        el("span", { className: "arrow", "aria-hidden": "true" }, "→"),
        el("span", { className: "sr" }, "became"),
        el("b", {}, channel.method(call) || channel.name),
        el("span", { className: call.error ? "time error" : "time" }, call.error || `${ms(call.took_ms)}`)),
      this.block(`asked-${index}`, { title: "What the bot asked for", body: asText(call.asked) }),
      ...this.blocks(`call-${index}`, blocks));
  }

  drawReport() {
    const { report } = this;
    this.summary.textContent = `${report.label}: ${report.about}`;
    this.drawPath([]);
    const lines = report.transcript.map((line, index) => this.block(`line-${index}`, {
      title: line.from === "attacker" ? "Attacker" : "Server",
      className: line.from,
      body: { text: line.text, bytes: new TextEncoder().encode(line.text).length },
      open: true,
    }));
    const steps = [
      this.step("On the wire", "", ...lines),
      this.step("Outcome", "", el("p", { className: "lead" }, el("span", { className: report.held ? "badge yes" : "badge no" }, report.held ? "Held" : "Got through"), " ", report.outcome, ".")),
      this.step("The bot afterwards", "", el("p", { className: "lead" }, el("span", { className: "badge plain" }, report.state || "unknown"), " Write to it and see.")),
    ];
    if (report.trace) {
      steps.splice(1, 0, this.step("Event", "", this.block("event", { title: "channel-kit event", body: asText(report.trace.event), open: true })));
    }
    this.steps.replaceChildren(...steps);
  }

  step(title, time, ...children) {
    return el("li", { className: "step" },
      el("div", { className: "step-head" }, el("h3", {}, title), el("span", { className: "time" }, time)),
      ...children);
  }

  blocks(key, blocks) {
    return blocks.map((block, index) => this.block(`${key}-${index}`, block));
  }

  /** Bytes under a title, to be folded. */
  block(key, { title, note, headers, body, open, className }) {
    if (!body) return el("p", { className: "fold-none" }, el("b", {}, title), note ? ` ${note}` : "");
    const details = el("details", { className: `fold ${className || ""}` });
    details.open = this.opened?.get(key) ?? Boolean(open);
    details.addEventListener("toggle", () => this.opened?.set(key, details.open));
    const head = this.isRaw && headers?.length ? `${headers.map((pair) => pair.join(": ")).join("\n")}\n\n` : "";
    const content = this.isRaw ? [head + body.text] : pretty(body.text);
    details.append(
      el("summary", {},
        el("b", {}, title),
        note ? el("span", { className: "fold-note" }, note) : null,
        el("span", { className: "bytes" }, `${body.bytes} bytes`)),
      el("pre", { tabindex: "0", role: "region", "aria-label": title }, el("code", {}, ...content, body.cut ? "\n…" : "")),
    );
    return details;
  }
}

function asText(value) {
  const text = JSON.stringify(value);
  return { text, bytes: new TextEncoder().encode(text).length };
}

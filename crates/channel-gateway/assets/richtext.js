// Rich text as elements. Text is only ever set as text, never as markup.

/** Makes an element. */
export function el(name, properties = {}, ...children) {
  const { className, ...rest } = properties;
  const element = document.createElement(name);
  if (className) element.className = className;
  for (const [key, value] of Object.entries(rest)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function link(url, ...children) {
  const isSafe = /^(https?:|mailto:)/i.test(url);
  if (!isSafe) return el("span", {}, ...children);
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

const ENTITIES = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

/** Text with Telegram's entities; their offsets count UTF-16 units, as strings here do. */
export function fromEntities(text, entities) {
  const sorted = [...(entities || [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const build = (start, end) => {
    const out = [];
    let at = start;
    while (sorted.length && sorted[0].offset < end) {
      const entity = sorted.shift();
      const from = Math.max(at, entity.offset);
      const to = Math.min(end, entity.offset + entity.length);
      if (to <= from) continue;
      out.push(text.slice(at, from));
      out.push(dress(entity, text.slice(from, to), build(from, to)));
      at = to;
    }
    out.push(text.slice(at, end));
    return out;
  };
  return build(0, text.length);
}

function dress(entity, plain, children) {
  if (entity.type === "text_link") return link(entity.url, ...children);
  if (entity.type === "url") return link(plain, ...children);
  if (entity.type === "spoiler") return el("span", { className: "spoiler", tabindex: "0" }, ...children);
  return el(ENTITIES[entity.type] || "span", {}, ...children);
}

const INLINE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|\*\*([\s\S]+?)\*\*|~~([\s\S]+?)~~|\*([^*\s][\s\S]*?)\*|\[([^\]]+)\]\(([^)\s]+)\)|\\([!-/:-@[-`{-~])/;

function inline(text) {
  const match = INLINE.exec(text);
  if (!match) return text ? [text] : [];
  const [whole, , code, bold, struck, italic, label, url, escaped] = match;
  let middle;
  if (code !== undefined) middle = el("code", {}, code.trim());
  else if (bold !== undefined) middle = el("strong", {}, ...inline(bold));
  else if (struck !== undefined) middle = el("s", {}, ...inline(struck));
  else if (italic !== undefined) middle = el("em", {}, ...inline(italic));
  else if (label !== undefined) middle = link(url, ...inline(label));
  else middle = escaped;
  return [text.slice(0, match.index), middle, ...inline(text.slice(match.index + whole.length))];
}

const ITEM = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;

/** The Markdown that a chat needs. */
export function fromMarkdown(source) {
  return blocks(source.replace(/\r\n?/g, "\n").split("\n"));
}

function blocks(lines) {
  const out = [];
  let words = [];
  const flush = () => {
    if (words.length) out.push(el("p", {}, ...inline(words.join("\n"))));
    words = [];
  };
  for (let i = 0; i < lines.length; i += 1) {
    const line = lines[i];
    const fence = /^\s*(```+|~~~+)/.exec(line);
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (fence) {
      flush();
      const code = [];
      for (i += 1; i < lines.length && !lines[i].trim().startsWith(fence[1]); i += 1) code.push(lines[i]);
      out.push(el("pre", {}, el("code", {}, code.join("\n"))));
    } else if (heading) {
      flush();
      out.push(el("p", { className: "heading" }, ...inline(heading[2])));
    } else if (/^\s*>/.test(line)) {
      flush();
      const quoted = [];
      for (; i < lines.length && /^\s*>/.test(lines[i]); i += 1) quoted.push(lines[i].replace(/^\s*>\s?/, ""));
      i -= 1;
      out.push(el("blockquote", {}, ...blocks(quoted)));
    } else if (ITEM.test(line)) {
      flush();
      const from = i;
      while (i + 1 < lines.length && (ITEM.test(lines[i + 1]) || /^\s{2,}\S/.test(lines[i + 1]))) i += 1;
      out.push(list(lines.slice(from, i + 1)));
    } else if (!line.trim()) {
      flush();
    } else {
      words.push(line);
    }
  }
  flush();
  return out;
}

function list(lines) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const items = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && item[1].length <= indent.length) items.push([item[3]]);
    else items[items.length - 1].push(line.slice(indent.length + 2));
  }
  const children = items.map((item) => {
    const [first, ...rest] = item;
    return el("li", {}, ...inline(first), ...(rest.length ? blocks(rest) : []));
  });
  return el(ordered ? "ol" : "ul", {}, ...children);
}

/** Containers that fit into so many columns, indent included, stay on one line. */
const COLUMNS = 56;

/** JSON laid out over lines and coloured; everything else as it is. Nothing is changed but white space. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return [text];
  }
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) || [];
  const flat = flatContainers(tokens);
  const out = [];
  let depth = 0;
  let flatUntil = -1;
  const newline = () => out.push("\n" + "  ".repeat(depth));
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    const before = tokens[index - 1];
    const isFlat = index <= flatUntil;
    if (token === "{" || token === "[") {
      out.push(token);
      depth += 1;
      if (!isFlat && flat.has(index)) flatUntil = flat.get(index);
      if (index <= flatUntil) out.push(token === "{" && next !== "}" ? " " : "");
      else if (next !== "}" && next !== "]") newline();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      const isEmpty = before === "{" || before === "[";
      if (!isFlat && !isEmpty) newline();
      out.push(isFlat && token === "}" && !isEmpty ? " }" : token);
    } else if (token === ",") {
      out.push(isFlat ? ", " : ",");
      if (!isFlat) newline();
    } else if (token === ":") {
      out.push(": ");
    } else if (token.startsWith('"')) {
      out.push(el("span", { className: next === ":" ? "j-key" : "j-text" }, token));
    } else {
      out.push(el("span", { className: "j-value" }, token));
    }
  });
  return out;
}

/** Where the containers that stay on one line begin and end. */
function flatContainers(tokens) {
  const flat = new Map();
  const open = [];
  let length = 0;
  tokens.forEach((token, index) => {
    if (token === "{" || token === "[") open.push({ index, length });
    length += token.length + (token === ":" || token === "," ? 1 : 0);
    if (token === "}" || token === "]") {
      const begun = open.pop();
      if (2 * open.length + length - begun.length <= COLUMNS) flat.set(begun.index, index);
    }
  });
  return flat;
}

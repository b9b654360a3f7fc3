/* One frame as fields, bytes, bits and payload, all linked; the frame arrives dissected, as plain JSON.
   frame: { title, size, hex, groups, violations, missing, payload }, positions in bits from its first bit.
   rows: the frames to choose from, oldest first, each [number, time, sender, kind, said, bytes].
   selected: the number of the frame that `frame` shows; 0 says that there is nothing to choose. */

const FOLD = 64;        // bytes shown before the fold
const BITS_FOLD = 20;   // of these as bits
const ARROWS = { client: ["client → server", "→"], server: ["server → client", "←"] };
const KEYS = "← → ↑ ↓ move · Enter pins · Esc leaves";

const HANDLED = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Enter", "Escape"];

const octets = (hex) => hex.match(/../g) ?? [];
const bitsOf = (hex) => parseInt(hex, 16).toString(2).padStart(8, "0");
const spaced = (hex) => bitsOf(hex).replace(/(....)(....)/, "$1 $2");
const isPrintable = (hex) => parseInt(hex, 16) > 32 && parseInt(hex, 16) < 127;
const character = (hex) => isPrintable(hex) ? String.fromCharCode(parseInt(hex, 16)) : hex === "20" ? "␣" : "·";
const overlaps = (a, b) => a.start < b.start + b.length && b.start < a.start + a.length;

function inspect(frame, wide, announce) {
  const parts = frame.groups.flatMap((group) => group.parts.map((part) => ({ ...part, label: group.label })));
  const bytes = octets(frame.hex);
  const rows = [];
  let opened = false;

  // Ranges, colours and words ---------------------------------------------------------------

  const partsAt = (range) => parts.filter((part) => overlaps(part, range));
  const labelsAt = (range) => [...new Set(partsAt(range).map((part) => part.label))];

  function fillOf(range) {
    const labels = labelsAt(range);
    if (labels.length < 2) return labels.length ? `var(--${labels[0]})` : "var(--line)";
    const colours = partsAt(range).map((part) => {
      const from = Math.max(part.start, range.start) - range.start;
      const to = Math.min(part.start + part.length, range.start + range.length) - range.start;
      return `var(--${part.label}) ${(100 * from) / range.length}% ${(100 * to) / range.length}%`;
    });
    return `linear-gradient(90deg, ${colours})`;
  }

  const payloadAt = (byte) => {
    const index = byte - frame.payload.start;
    return index >= 0 && index < octets(frame.payload.masked).length ? index : null;
  };

  function spokenByte(byte) {
    const range = { start: 8 * byte, length: 8 };
    const said = partsAt(range).map((part) => part.spoken).filter(Boolean).join(", ");
    const index = payloadAt(byte);
    const inside = index === null ? "" : `, byte ${index}, character ${character(octets(frame.payload.unmasked)[index])}`;
    return `byte ${byte}, hex ${bytes[byte]}: ${said || "behind the frame"}${inside}`;
  }

  // Cells -----------------------------------------------------------------------------------

  function cell(text, range, spoken, row, attributes = {}) {
    const node = element("span", { role: "gridcell", class: "cell", tabindex: "-1", "aria-label": spoken, ...attributes }, text);
    if (!attributes.style) node.style.setProperty("--fill", fillOf(range));
    const labels = labelsAt(range);
    node.classList.toggle("mixed", labels.length > 1);
    node.classList.toggle("dark", labels.length === 1 && ["DATA", "REASON"].includes(labels[0]));
    node.classList.toggle("wrong", !attributes.style && frame.violations.some((wrong) => overlaps(wrong, range)));
    row.push(Object.assign(node, { range }));
    return node;
  }

  function runs(from, to, unit) {
    const labels = [];
    for (let at = from; at < to; at++) {
      const label = labelsAt({ start: at * unit, length: unit }).join("\n");
      const last = labels.at(-1);
      if (last && last.label === label) last.size++;
      else labels.push({ label, size: 1 });
    }
    return labels.map(({ label, size }) => {
      const run = element("span", { class: "runs", "aria-hidden": "true" }, label.replaceAll("REASON", size > 2 ? "REASON" : "…"));
      run.style.cssText = `grid-column: span ${size}; white-space: pre-line`;
      return run;
    });
  }

  function row(columns, heading, ...children) {
    const node = element("div", { role: "row", class: "row" }, element("span", { class: "at", role: "rowheader" }, heading), ...children);
    node.style.setProperty("--columns", columns);
    return node;
  }

  const labelRow = (columns, ...children) => {
    const node = element("div", { class: "row", role: "presentation", "aria-hidden": "true" }, element("span"), ...children);
    node.style.setProperty("--columns", columns);
    return node;
  };

  const zone = (name, title, ...children) => element("div", { role: "rowgroup", class: name, "aria-label": title }, ...children);

  function fieldZone() {
    const cells = [];
    for (const group of frame.groups) {
      const names = group.parts.map((part) => part.name.replaceAll("_", " ")).join(", ");
      cell("", group, `${group.label} ${group.value}: ${names}`, cells).append(element("b", {}, group.label), ` ${group.value}`);
    }
    rows.push(cells);
    return zone("fields-zone", "fields", element("div", { role: "row", class: "fields" }, ...cells));
  }

  function wrongZone() {
    return frame.violations.map((wrong) => {
      const cells = [];
      cell(`✗ ${wrong.message} (RFC 6455, section ${wrong.section})`, wrong, `violation: ${wrong.message}`, cells, { style: "--fill: var(--bad)" });
      rows.push(cells);
      return element("div", { role: "row", class: "wrongs" }, ...cells);
    });
  }

  function byteZone(shown) {
    const columns = wide ? 16 : 8;
    const children = [];
    for (let from = 0; from < shown; from += columns) {
      const to = Math.min(from + columns, shown);
      const cells = [];
      for (let byte = from; byte < to; byte++) cell(bytes[byte], { start: 8 * byte, length: 8 }, spokenByte(byte), cells);
      rows.push(cells);
      children.push(row(columns, `${from}`, ...cells), labelRow(columns, ...runs(from, to, 8)));
    }
    return zone("bytes", "bytes", ...children);
  }

  function bitZone(shown) {
    const width = wide ? 4 : 2;
    const columns = 8 * width;
    const ruler = labelRow(columns, ...Array.from({ length: columns }, (_, bit) => element("span", {}, `${bit % 8 === 0 || wide && bit === 31 || bit % 4 === 0 ? bit : ""}`)));
    ruler.classList.add("ruler");
    const children = [ruler];
    for (let from = 0; from < shown; from += width) {
      const to = Math.min(from + width, shown);
      const cells = [];
      for (let byte = from; byte < to; byte++) {
        [...bitsOf(bytes[byte])].forEach((bit, index) => {
          const range = { start: 8 * byte + index, length: 1 };
          const [part] = partsAt(range);
          cell(bit, range, `bit ${range.start}, ${bit}: ${part?.name ?? "behind the frame"}`, cells);
        });
      }
      rows.push(cells);
      children.push(row(columns, `byte ${from}`, ...cells), labelRow(columns, ...runs(8 * from, 8 * to, 1)));
    }
    return zone("bits", "bits", ...children);
  }

  function payloadZone() {
    const columns = wide ? 16 : 8;
    const { start, key: keyHex } = frame.payload;
    const [masked, unmasked, key] = [frame.payload.masked, frame.payload.unmasked, keyHex].map(octets);
    const shown = Math.min(masked.length, opened ? Infinity : FOLD / 2);
    const onWire = (index) => ({ start: 8 * (start + index), length: 8 });
    const ofKey = (index) => ({ start: 8 * (start - 4 + (index % 4)), length: 8 });
    const children = [];
    for (let from = 0; from < shown; from += columns) {
      const indexes = masked.slice(from, Math.min(from + columns, shown)).map((_, index) => from + index);
      const line = (heading, range, hex, name) => {
        const cells = [];
        for (const index of indexes) cell(hex(index), range(index), name(index), cells);
        rows.push(cells);
        return row(columns, heading, ...cells);
      };
      const covered = key.length ? [
        line("masked", onWire, (index) => masked[index], (index) => `${masked[index]}: masked payload byte ${index}`),
        line("⊕ key", ofKey, (index) => key[index % 4], (index) => `${key[index % 4]}: key byte ${index % 4}`),
      ] : [];
      const clear = line(key.length ? "= payload" : "payload", onWire, (index) => unmasked[index],
        (index) => `${unmasked[index]}: payload byte ${index}, character ${character(unmasked[index])}`);
      children.push(element("div", { class: "block", role: "presentation" }, ...covered, clear,
        labelRow(columns, ...indexes.map((index) => element("span", { class: "character" }, character(unmasked[index]))))));
    }
    if (shown < masked.length) children.push(foldZone(start + shown));
    return zone("pair", "payload", ...children);
  }

  function foldZone(from) {
    const hidden = frame.size - from;
    const text = `… ${hidden.toLocaleString("en")} more bytes${opened ? "" : ": Enter or click unfolds"}`;
    const node = element("span", { role: "gridcell", class: "cell fold", tabindex: "-1" }, text);
    rows.push([Object.assign(node, { range: { start: 8 * from, length: 8 * hidden }, opens: !opened })]);
    return element("div", { role: "row", class: "folded" }, node);
  }

  function unfold() {
    opened = true;
    build();
    land(rows.flat().find((node) => node.range.start === 8 * FOLD && node.range.length === 8) ?? rows[0][0]);
  }

  // What is in focus ------------------------------------------------------------------------

  const detail = element("div", { class: "told", role: "status", "aria-live": "polite" });

  function place(range) {
    const [first, last] = [Math.floor(range.start / 8), Math.floor((range.start + range.length - 1) / 8)];
    const bits = range.length === 1 ? `bit ${range.start}` : `bits ${range.start} to ${range.start + range.length - 1}`;
    if (range.length <= 0) return "";
    return `${first === last ? `byte ${first}` : `bytes ${first} to ${last}`} · ${bits}`;
  }

  function exclusiveOr(range) {
    const index = range.length === 8 ? payloadAt(range.start / 8) : null;
    if (index === null) return [];
    const wire = octets(frame.payload.masked)[index];
    const clear = octets(frame.payload.unmasked)[index];
    if (!frame.payload.key) return [element("pre", {}, `${wire}  ${spaced(wire)}  ${character(wire)}`)];
    const key = octets(frame.payload.key)[index % 4];
    return [element("pre", {}, `  ${wire}  ${spaced(wire)}  on the wire\n⊕ ${key}  ${spaced(key)}  key byte ${index % 4} (${index} mod 4)\n= ${clear}  ${spaced(clear)}  ${character(clear)}`)];
  }

  function explain(range) {
    const described = partsAt(range).map((part) => {
      const node = element("div", { class: "part" }, element("b", {}, part.name), " = ", element("span", { class: "value" }, part.value),
        element("div", {}, part.meaning), element("div", { class: "section" }, `RFC 6455, section ${part.section}`));
      node.style.setProperty("--fill", `var(--${part.label})`);
      return node;
    });
    detail.replaceChildren(element("div", { class: "where" }, place(range)), ...described, ...exclusiveOr(range));
  }

  // Pointing --------------------------------------------------------------------------------

  let current = null;    // the cell that the keyboard is on
  let pinned = false;

  function show(range) {
    const fields = partsAt(range);
    for (const node of rows.flat()) {
      node.classList.toggle("here", overlaps(node.range, range));
      node.classList.toggle("lit", fields.some((field) => overlaps(field, node.range)));
    }
    explain(range);
  }

  function land(node, focus = true) {
    if (current) current.tabIndex = -1;
    current = node;
    node.tabIndex = 0;
    if (focus) node.focus();
    show(node.range);
  }

  function pin(on) {
    pinned = on;
    box.classList.toggle("pinned", on);
    announce(on ? "pinned: Esc lets go" : "");
  }

  const middle = (node) => node.getBoundingClientRect().left + node.getBoundingClientRect().width / 2;
  const nearest = (cells) => cells.reduce((best, node) => Math.abs(middle(node) - middle(current)) < Math.abs(middle(best) - middle(current)) ? node : best);

  function step(key, far) {
    const line = rows.findIndex((cells) => cells.includes(current));
    const all = rows.flat();
    const at = all.indexOf(current);
    switch (key) {
      case "ArrowLeft": return all[at - 1];
      case "ArrowRight": return all[at + 1];
      case "ArrowUp": return rows[line - 1] && nearest(rows[line - 1]);
      case "ArrowDown": return rows[line + 1] && nearest(rows[line + 1]);
      case "Home": return far ? all[0] : rows[line][0];
      case "End": return far ? all.at(-1) : rows[line].at(-1);
    }
  }

  function onKey(event) {
    if (!HANDLED.includes(event.key) || event.altKey || event.metaKey) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.key === "Enter") return current.opens ? unfold() : pin(!pinned);
    if (event.key === "Escape") return pinned ? pin(false) : leave(current);
    const next = step(event.key, event.ctrlKey);
    if (next) land(next);
  }

  // Put together ----------------------------------------------------------------------------

  const grid = element("div", { role: "grid", class: "frame", "aria-label": `${frame.title}: fields, bytes and bits. Arrow keys move, Enter pins, Escape leaves.` });
  const box = element("div", { class: "inspect" }, grid, element("div", { class: "detail" }, detail));

  function build() {
    rows.length = 0;
    const shown = Math.min(bytes.length, opened ? Infinity : FOLD);
    const shownBits = Math.min(bytes.length, opened ? FOLD : BITS_FOLD);
    const heading = (text) => element("h4", { role: "presentation" }, text);
    grid.replaceChildren(...wrongZone(), fieldZone(), heading("Bytes"), byteZone(shown));
    if (shown < frame.size) grid.append(foldZone(shown));
    if (frame.missing) grid.append(element("div", { class: "missing", role: "presentation" }, `missing: ${frame.missing}`));
    grid.append(heading(`Bits, ${wide ? 32 : 16} a row`), bitZone(shownBits));
    if (frame.payload.masked) grid.append(heading(frame.payload.key ? "Masked ⊕ key = payload" : "Payload, not masked"), payloadZone());
    current = null;
    const first = rows[0]?.[0];
    if (first) land(first, false);
  }

  grid.addEventListener("keydown", onKey);
  grid.addEventListener("click", (event) => {
    const node = event.target.closest(".cell");
    if (!node) return;
    if (node.opens) return unfold();
    pin(!(pinned && node === current));
    land(node);
  });
  grid.addEventListener("pointerover", (event) => {
    const node = event.target.closest(".cell");
    if (node && !pinned) show(node.range);
  });
  grid.addEventListener("pointerleave", () => pinned || !current || show(current.range));
  grid.addEventListener("focusin", (event) => event.target.range && event.target !== current && land(event.target, false));

  build();
  return box;
}

// JupyterLab takes single letters for commands of its own; here they mean nothing.
function keepLetters(event) {
  if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

function choose(model) {
  const list = element("div", { class: "rows", role: "listbox", tabindex: "0", "aria-label": "frames: up and down choose, Escape leaves" });

  function select(number) {
    if (number === undefined) return;
    model.set("selected", number);
    model.save_changes();
    mark();
  }

  function mark() {
    list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", false);
    const chosen = list.querySelector(`[data-number="${model.get("selected")}"]`);
    if (!chosen) return;
    chosen.setAttribute("aria-selected", true);
    list.setAttribute("aria-activedescendant", chosen.id);
    chosen.scrollIntoView({ block: "nearest" });
  }

  const prefix = `wslearn-${crypto.randomUUID()}`;
  const numberOf = (node) => Number(node.dataset.number);
  const choice = ([number, time, sender, kind, said, size]) => element(
    "div", { role: "option", id: `${prefix}-${number}`, "data-number": number, class: `choice ${sender}`, "aria-selected": false },
    element("span", { class: "quiet time" }, `${time} s`),
    element("span", { class: "arrow" }, ARROWS[sender][0]), element("span", { class: "arrow short", "aria-hidden": "true" }, ARROWS[sender][1]),
    element("b", {}, kind), element("span", { class: "said" }, said),
    element("span", { class: "quiet size" }, size === 1 ? "1 byte" : `${size} bytes`));

  // A conversation may grow 20 times a second: what is drawn already stays.
  function fill() {
    const rows = model.get("rows");
    const first = rows[0]?.[0] ?? Infinity;
    while (list.firstChild && numberOf(list.firstChild) < first) list.firstChild.remove();
    const last = list.lastChild ? numberOf(list.lastChild) : 0;
    list.append(...rows.filter(([number]) => number > last).map(choice));
    list.hidden = rows.length === 0;
    if (!list.querySelector("[aria-selected=true]")) mark();
  }

  list.addEventListener("click", (event) => {
    const node = event.target.closest(".choice");
    if (node) select(Number(node.dataset.number));
  });
  list.addEventListener("keydown", (event) => {
    if (!HANDLED.includes(event.key) || event.altKey || event.metaKey) return;
    event.stopPropagation();
    event.preventDefault();
    const numbers = model.get("rows").map(([number]) => number);
    const at = numbers.indexOf(model.get("selected"));
    const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: numbers.length - 1 }[event.key];
    if (event.key === "Escape") leave(list);
    else if (next !== undefined) select(numbers[next]);
  });
  return { list, fill, mark };
}

function render({ model, el }) {
  const root = element("div", { class: "wslearn wslearn-frame-inspector" });
  const { list, fill, mark } = choose(model);
  const title = element("div", { class: "title" });
  const body = element("div", { class: "body" });
  const note = element("span", { class: "keys quiet" });
  const announce = (text) => (note.textContent = text || KEYS);
  let wide = true;
  root.append(list, title, body);
  el.append(root);

  function draw() {
    const frame = model.get("frame");
    announce("");
    title.replaceChildren(element("strong", {}, frame.title ?? "no frame yet"), note);
    body.replaceChildren(...(frame.hex ? [inspect(frame, wide, announce)] : []));
  }

  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width >= 640 === wide) return;
    wide = !wide;
    draw();
  });
  const changes = { "change:frame": draw, "change:rows": fill, "change:selected": mark };
  for (const [name, act] of Object.entries(changes)) model.on(name, act);
  observer.observe(root);
  root.addEventListener("keydown", keepLetters);
  fill();
  draw();
  return () => {
    observer.disconnect();
    for (const [name, act] of Object.entries(changes)) model.off(name, act);
  };
}

export default { render };

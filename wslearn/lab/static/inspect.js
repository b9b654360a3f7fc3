/* One frame as fields, bytes, bits and payload, all linked; the frame arrives dissected, as plain JSON:
   { title, size, hex, groups, violations, missing, payload, rest }, positions in bits from its first bit.
   `edit`, where there is one, takes what is typed: { flip, bit, digit, field }, and remembers in `at` the cell
   that the keyboard is on, as each edit draws the frame anew. */

const FOLD = 64;        // bytes shown before the fold
const BITS_FOLD = 20;   // of these as bits

const HANDLED = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Enter", " ", "Escape"];

const counted = (size) => size === 1 ? "1 byte" : `${size.toLocaleString("en")} bytes`;
const octets = (hex) => hex.match(/../g) ?? [];
const bitsOf = (hex) => parseInt(hex, 16).toString(2).padStart(8, "0");
const spaced = (hex) => bitsOf(hex).replace(/(....)(....)/, "$1 $2");
const isPrintable = (hex) => parseInt(hex, 16) > 32 && parseInt(hex, 16) < 127;
const character = (hex) => isPrintable(hex) ? String.fromCharCode(parseInt(hex, 16)) : hex === "20" ? "␣" : "·";
const overlaps = (a, b) => a.start < b.start + b.length && b.start < a.start + a.length;

function inspect(frame, wide, announce, edit = null) {
  const parts = frame.groups.flatMap((group) => group.parts.map((part) => ({ ...part, label: group.label })));
  const bytes = octets(frame.hex);
  const rows = [];
  let opened = edit?.opened ?? false;

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

  function cell(text, range, spoken, row, attributes = {}, zone = "") {
    const node = element("span", { role: "gridcell", class: "cell", tabindex: "-1", "aria-label": spoken, ...attributes }, text);
    if (!attributes.style) node.style.setProperty("--fill", fillOf(range));
    const labels = labelsAt(range);
    node.classList.toggle("mixed", labels.length > 1);
    node.classList.toggle("dark", labels.length === 1 && ["DATA", "REASON"].includes(labels[0]));
    node.classList.toggle("wrong", !attributes.style && frame.violations.some((wrong) => overlaps(wrong, range)));
    row.push(Object.assign(node, { range, zone }));
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
      const node = cell("", group, `${group.label} ${group.value}: ${names}`, cells, {}, "fields");
      Object.assign(node, { group }).append(element("b", {}, group.label), ` ${group.value}`);
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
      for (let byte = from; byte < to; byte++) cell(bytes[byte], { start: 8 * byte, length: 8 }, spokenByte(byte), cells, {}, "bytes");
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
          cell(bit, range, `bit ${range.start}, ${bit}: ${part?.name ?? "behind the frame"}`, cells, {}, "bits");
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

  // Compression leaves no bit to a byte of its own: each stands for the whole payload.
  function inflatedZone() {
    const columns = wide ? 16 : 8;
    const inflated = octets(frame.payload.inflated);
    const whole = { start: 8 * frame.payload.start, length: 4 * frame.payload.masked.length };
    const shown = Math.min(inflated.length, opened ? Infinity : FOLD / 2);
    const children = [];
    for (let from = 0; from < shown; from += columns) {
      const cells = [];
      const part = inflated.slice(from, Math.min(from + columns, shown));
      part.forEach((hex, at) => cell(hex, whole, `${hex}: inflated byte ${from + at}, character ${character(hex)}`, cells));
      rows.push(cells);
      children.push(row(columns, `${from}`, ...cells), labelRow(columns, ...part.map((hex) => element("span", { class: "character" }, character(hex)))));
    }
    const hidden = frame.payload.inflated_size - shown;
    if (hidden) children.push(element("div", { class: "folded quiet", role: "presentation" }, `… ${counted(hidden)} more`));
    return zone("pair", "inflated payload", ...children);
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
    if (edit) edit.opened = true;
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
    if (edit) edit.at = { zone: node.zone, start: node.range.start };
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

  // Returns whether a key is an edit; the second digit of a byte follows the first.
  function type(key) {
    const { zone, range, group } = current;
    const enters = key === "Enter" || key === " ";
    if (current.opens) return false;
    if (zone === "fields" && enters) edit.field(group, current);
    else if (zone === "bits" && enters) edit.flip(range.start);
    else if (zone === "bits" && (key === "0" || key === "1")) {
      edit.bit(range.start, Number(key));
      forward();
    } else if (zone === "bytes" && /^[0-9a-f]$/i.test(key)) {
      const half = edit.half === range.start ? 1 : 0;
      edit.digit(range.start / 8, half, parseInt(key, 16));
      if (half) forward();
      edit.half = half ? null : range.start;
    } else return false;
    return true;
  }

  function forward() {
    const next = step("ArrowRight");
    if (next?.zone === current.zone) land(next);
  }

  function onKey(event) {
    if (event.altKey || event.metaKey) return;
    const typed = edit && current && !event.ctrlKey && type(event.key);
    if (!typed && !HANDLED.includes(event.key)) return;
    event.stopPropagation();
    event.preventDefault();
    if (typed) return;
    if (edit) edit.half = null;
    if (event.key === "Enter" || event.key === " ") return current.opens ? unfold() : edit ? null : pin(!pinned);
    if (event.key === "Escape") return pinned ? pin(false) : leave(current);
    const next = step(event.key, event.ctrlKey);
    if (next) land(next);
  }

  // Put together ----------------------------------------------------------------------------

  const grid = element("div", { role: "grid", class: "frame", "aria-label": `${frame.title}: fields, bytes and bits. Arrow keys move, ${edit ? "Enter flips a bit or opens a field, digits type" : "Enter pins"}, Escape leaves.` });
  const box = element("div", { class: "inspect" }, grid, element("div", { class: "detail" }, detail));

  function build() {
    rows.length = 0;
    const shown = Math.min(bytes.length, opened ? Infinity : FOLD);
    const shownBits = Math.min(bytes.length, opened ? FOLD : BITS_FOLD);
    const heading = (text) => element("h4", { role: "presentation" }, text);
    grid.replaceChildren(...wrongZone(), fieldZone(), heading("Bytes"), byteZone(shown));
    if (shown < frame.size) grid.append(foldZone(shown));
    if (frame.rest) grid.append(element("div", { class: "folded quiet", role: "presentation" }, `${counted(frame.rest)} behind the frame, read as the next one`));
    if (frame.missing) grid.append(element("div", { class: "missing", role: "presentation" }, `missing: ${frame.missing}`));
    grid.append(heading(`Bits, ${wide ? 32 : 16} a row`), bitZone(shownBits));
    if (frame.payload.masked) grid.append(heading(frame.payload.key ? "Masked ⊕ key = payload" : "Payload, not masked"), payloadZone());
    if (frame.payload.inflated) grid.append(heading(`Inflated, ${counted(frame.payload.inflated_size)}`), inflatedZone());
    current = null;
    const again = edit?.at && rows.flat().find((node) => node.zone === edit.at.zone && node.range.start === edit.at.start);
    const first = again ?? rows[0]?.[0];
    if (first) land(first, false);
  }

  grid.addEventListener("keydown", onKey);
  grid.addEventListener("click", (event) => {
    const node = event.target.closest(".cell");
    if (!node) return;
    if (node.opens) return unfold();
    if (!edit) pin(!(pinned && node === current));
    land(node);
    if (edit) edit.half = null;
    if (edit && node.zone !== "bytes") type("Enter");
  });
  grid.addEventListener("pointerover", (event) => {
    const node = event.target.closest(".cell");
    if (node && !pinned) show(node.range);
  });
  grid.addEventListener("pointerleave", () => pinned || !current || show(current.range));
  grid.addEventListener("focusin", (event) => event.target.range && event.target !== current && land(event.target, false));

  build();
  return Object.assign(box, { focusAgain: () => current?.focus() });
}

// Calls when a view becomes wide enough for 32 bits a row, or too narrow; returns how to stop.
function watchWidth(root, call) {
  let wide = true;
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width >= 640 === wide) return;
    wide = !wide;
    call(wide);
  });
  observer.observe(root);
  return () => observer.disconnect();
}

/* The two heads of an opening handshake side by side, and the way from the key to its answer.
   sides: request and response, each { title, lines, violations, cut, first }; a line is { text, start, length,
   pair, parts }, positions in bits, parts { name, value, meaning, section }; first is [hex, words] or empty.
   steps: { name, value, pair, tail, fits }. Lines and steps of one `pair` light together. */

const KEYS = "← → ↑ ↓ move · Enter pins · Esc leaves";
const HANDLED = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Enter", "Escape"];

function render({ model, el }) {
  const note = element("span", { class: "keys quiet" }, KEYS);
  const title = element("div", { class: "title" }, element("strong", {}, "Opening handshake"), note);
  const detail = element("div", { class: "told", role: "status", "aria-live": "polite" });
  const grid = element("div", { role: "grid", class: "heads", "aria-label": "Opening handshake, line by line: arrow keys move, Enter pins, Escape leaves" });
  const root = element("div", { class: "wslearn wslearn-handshake" }, title, grid, element("div", { class: "detail" }, detail));
  let columns = [];
  let current = null;
  let pinned = false;

  // Lines -------------------------------------------------------------------------------------

  function line(cells, content, spoken, data, name) {
    const node = element("div", { role: "gridcell", class: `line ${name}`, tabindex: "-1", "aria-label": spoken }, ...content);
    cells.push(Object.assign(node, { data }));
    return element("div", { role: "row" }, node);
  }

  const overlaps = (a, b) => a.start < b.start + b.length && b.start < a.start + a.length;

  function header(cells, data, violations) {
    const [name] = data.text.split(":", 1);
    const isHeader = data.start > 0 && data.text.includes(":");
    const content = isHeader ? [element("b", {}, name), data.text.slice(name.length)] : [data.text];
    const wrong = violations.filter((violation) => overlaps(violation, data));
    content.push(...wrong.map((violation) => element("div", { class: "rule" }, `✗ ${violation.message}`)));
    return line(cells, content, wrong.length ? `${data.text}, breaks a rule` : data.text, { ...data, wrong }, wrong.length ? "wrong" : "");
  }

  function column(side, name) {
    const cells = [];
    const loose = side.violations.filter((violation) => !side.lines.some((each) => overlaps(violation, each)));
    const rows = side.lines.map((data) => header(cells, data, side.violations));
    for (const violation of loose) {
      rows.push(line(cells, [`✗ ${violation.message}`], `violation: ${violation.message}`, { wrong: [violation], parts: [] }, "loose"));
    }
    const cut = side.cut ? [element("div", { class: "cut", role: "presentation" }, element("span", { "aria-hidden": "true" }, "✂ "), side.cut)] : [];
    const [hex, words] = side.first;
    const first = hex ? [element("div", { class: "first", role: "presentation" }, element("code", {}, hex), element("span", { class: "quiet" }, words))] : [];
    columns.push(cells);
    const role = rows.length ? { role: "rowgroup", "aria-label": side.title } : { role: "presentation" };
    return element("div", { ...role, class: `side ${name}` },
      element("h4", { role: "presentation" }, side.title), ...rows, ...cut, ...first);
  }

  function ladder(steps) {
    const cells = [];
    const rows = steps.map((step) => {
      const value = step.tail ? [element("span", {}, step.value.slice(0, -step.tail.length)), element("mark", {}, step.tail)] : [step.value];
      const sign = step.fits === undefined ? [] : [element("b", { class: step.fits ? "good" : "bad" }, step.fits ? " ✓" : " ✗")];
      return line(cells, [element("span", { class: "name" }, step.name), element("code", {}, ...value, ...sign)], `${step.name}: ${step.value}`, { ...step, parts: [] }, "step");
    });
    columns.push(cells);
    return element("div", { role: "rowgroup", class: "steps", "aria-label": "from the key to its answer" },
      element("h4", { role: "presentation" }, "From the key to its answer, section 4.2.2"), ...rows);
  }

  // Pointing ----------------------------------------------------------------------------------

  function explain({ parts, wrong = [], start, length, name, value }) {
    const where = start === undefined ? name ?? "" : `bytes ${start / 8} to ${(start + length) / 8 - 1}`;
    const told = parts.map((part) => element("div", { class: "part" }, element("b", {}, part.name), " = ", element("span", { class: "value" }, part.value),
      element("div", {}, part.meaning), element("div", { class: "section quiet" }, `RFC 6455, section ${part.section}`)));
    const rules = wrong.map((each) => element("div", { class: "part bad" }, `✗ ${each.message}`, element("div", { class: "section quiet" }, `RFC 6455, section ${each.section}`)));
    const step = value ? [element("div", { class: "value" }, value)] : [];
    detail.replaceChildren(element("div", { class: "where quiet" }, where), ...rules, ...told, ...step);
  }

  const all = () => columns.flat();

  function show(node) {
    for (const other of all()) {
      other.classList.toggle("here", other === node);
      other.classList.toggle("lit", other !== node && Boolean(node.data.pair) && other.data.pair === node.data.pair);
    }
    explain(node.data);
  }

  function land(node, focus = true) {
    if (current) current.tabIndex = -1;
    current = node;
    node.tabIndex = 0;
    if (focus) node.focus();
    show(node);
  }

  function pin(on) {
    pinned = on;
    note.textContent = on ? "pinned: Esc lets go" : KEYS;
  }

  function step(key, far) {
    const at = columns.findIndex((cells) => cells.includes(current));
    const index = columns[at].indexOf(current);
    const beside = (cells) => cells?.[Math.min(index, cells.length - 1)];
    switch (key) {
      case "ArrowLeft": return beside(columns[at - 1]);
      case "ArrowRight": return beside(columns[at + 1]);
      case "ArrowUp": return columns[at][index - 1] ?? (at === 2 ? columns[0].at(-1) : undefined);
      case "ArrowDown": return columns[at][index + 1] ?? (at < 2 ? columns[2]?.[0] : undefined);
      case "Home": return far ? all()[0] : columns[at][0];
      case "End": return far ? all().at(-1) : columns[at].at(-1);
    }
  }

  grid.addEventListener("keydown", (event) => {
    if (!HANDLED.includes(event.key) || event.altKey || event.metaKey || !current) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.key === "Enter") return pin(!pinned);
    if (event.key === "Escape") return pinned ? pin(false) : leave(current);
    const next = step(event.key, event.ctrlKey);
    if (next) land(next);
  });
  const lineOf = (event) => event.target.closest(".line");
  grid.addEventListener("click", (event) => {
    const node = lineOf(event);
    if (!node) return;
    pin(!(pinned && node === current));
    land(node);
  });
  grid.addEventListener("pointerover", (event) => lineOf(event) && !pinned && show(lineOf(event)));
  grid.addEventListener("pointerleave", () => pinned || !current || show(current));
  grid.addEventListener("focusin", (event) => event.target.data && event.target !== current && land(event.target, false));
  root.addEventListener("keydown", keepLetters);

  function draw() {
    const holds = grid.contains(document.activeElement);
    const index = Math.max(0, all().indexOf(current));
    const [request, response] = model.get("sides");
    columns = [];
    current = null;
    grid.replaceChildren(column(request, "client"), column(response, "server"), ...(model.get("steps").length ? [ladder(model.get("steps"))] : []));
    const again = all()[index] ?? all()[0];
    pin(false);
    grid.setAttribute("role", again ? "grid" : "presentation");
    if (again) land(again, holds);
    else detail.replaceChildren(element("div", { class: "where quiet" }, "no handshake yet"));
  }

  el.append(root);
  model.on("change:sides change:steps", draw);
  draw();
  return () => model.off("change:sides change:steps", draw);
}

export default { render };

/* The bits of a frame, eight a row, each with what came back when it was flipped; drawn once.
   legend: verdicts, each { verdict, letter, count, name, fill }.
   rows: the bytes, each { hex, fields, cells }; a cell is { verdict, letter, begins, spoken, story },
   and a story { place, change, sent, byte, came, why }. */

const KEYS = "← → ↑ ↓ Home End move · Esc leaves";
const HANDLED = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Enter", " ", "Escape"];

function render({ model, el }) {
  const [title, legend, rows] = ["title", "legend", "rows"].map((name) => model.get(name));
  const fills = Object.fromEntries(legend.map((entry) => [entry.verdict, entry.fill]));
  const filled = (node, verdict) => (node.style.setProperty("--fill", fills[verdict]), node);

  // The map ---------------------------------------------------------------------------------

  const cells = [];
  function bit(cell) {
    const node = element("span", { role: "gridcell", class: `cell${cell.begins ? " begins" : ""}`, tabindex: "-1", "aria-label": cell.spoken }, cell.letter);
    cells.push(filled(Object.assign(node, { cell }), cell.verdict));
    return node;
  }

  const numbers = Array.from({ length: 8 }, (_, number) => element("span", { role: "columnheader", "aria-label": `bit ${number} of the byte` }, `${number}`));
  const head = element("div", { role: "row", class: "row head" },
    element("span", { role: "columnheader" }, "byte"), element("span", { role: "columnheader" }, "hex"), ...numbers, element("span", { role: "columnheader", class: "fields" }, "fields"));
  const lines = rows.map((row, at) => element("div", { role: "row", class: "row" },
    element("span", { role: "rowheader", class: "at" }, `${at}`), element("span", { role: "gridcell" }, row.hex), ...row.cells.map(bit), element("span", { role: "gridcell", class: "fields" }, row.fields)));
  const grid = element("div", { role: "grid", class: "grid", "aria-label": `${title}. Arrow keys move, Escape leaves.` }, head, ...lines);

  const entries = legend.map((entry) => {
    const sign = filled(element("span", { class: "sign" }, entry.letter), entry.verdict);
    return Object.assign(element("li", {}, sign, element("b", {}, `${entry.count}`), entry.name), { entry });
  });
  const only = (verdict) => cells.forEach((node) => node.classList.toggle("dim", verdict !== null && node.cell.verdict !== verdict));
  for (const node of entries) {
    node.addEventListener("pointerenter", () => only(node.entry.verdict));
    node.addEventListener("pointerleave", () => only(null));
  }

  // The story of one bit --------------------------------------------------------------------

  const story = element("div", { class: "story", role: "status", "aria-live": "polite" });
  const labelled = (label, ...children) => element("p", {}, element("span", { class: "what" }, label), ...children);

  function tell({ verdict, story: told }) {
    const bytes = told.sent.flatMap((hex, at) => [at ? " " : "", at === told.byte ? element("mark", {}, hex) : hex]);
    const came = told.came.map((frame) => element("div", { class: "came" }, frame.said, element("div", { class: "bytes quiet" }, frame.hex)));
    story.replaceChildren(
      element("p", {}, element("strong", {}, told.place)),
      labelled("changes", element("span", { class: "mono" }, told.change)),
      labelled("sent", element("span", { class: "bytes" }, ...bytes)),
      labelled("came back", ...(came.length ? came : [element("div", { class: "came" }, "nothing")])),
      ...(told.why ? [element("p", {}, told.why)] : []));
    filled(story, verdict);
  }

  // Pointing --------------------------------------------------------------------------------

  let current = cells[0];
  function show(node) {
    cells.forEach((other) => other.classList.toggle("here", other === node));
    tell(node.cell);
  }

  function land(node, focus) {
    current.tabIndex = -1;
    current = node;
    node.tabIndex = 0;
    if (focus) node.focus();
    show(node);
  }

  function onKey(event) {
    if (!HANDLED.includes(event.key) || event.altKey || event.metaKey) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.key === "Escape") return leave(current);
    const at = cells.indexOf(current);
    const first = event.ctrlKey ? 0 : at - (at % 8);
    const last = event.ctrlKey ? cells.length - 1 : first + 7;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - 8, ArrowDown: at + 8, Home: first, End: last }[event.key] ?? at;
    if (cells[next]) land(cells[next], true);
  }

  const cellOf = (event) => event.target.closest(".cell");
  grid.addEventListener("keydown", onKey);
  grid.addEventListener("click", (event) => cellOf(event) && land(cellOf(event), true));
  grid.addEventListener("focusin", (event) => event.target.cell && event.target !== current && land(event.target, false));
  grid.addEventListener("pointerover", (event) => cellOf(event) && show(cellOf(event)));
  grid.addEventListener("pointerleave", () => show(current));

  const map = element("div", { class: "map" }, element("ul", { class: "legend" }, ...entries), grid);
  const root = element("div", { class: "wslearn wslearn-bit-map" },
    element("div", { class: "title" }, element("strong", {}, title), element("span", { class: "keys quiet" }, KEYS)),
    element("div", { class: "body" }, map, story));
  root.addEventListener("keydown", keepLetters);
  el.append(root);
  land(current, false);
}

export default { render };

/* Rows of bytes in hex; Enter or a click opens a byte to its eight bits. rows: [[label, hex]]. */

const HANDLED = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Enter", " ", "Escape"];
const bitsOf = (value) => value.toString(2).padStart(8, "0");
const character = (value) => value > 32 && value < 127 ? String.fromCharCode(value) : "";

function byte(hex, at) {
  const value = parseInt(hex, 16);
  const bits = bitsOf(value);
  const seen = character(value);
  const node = element("span", { role: "gridcell", class: "byte", tabindex: "-1" },
    element("b", {}, hex), element("span", { class: "character", "aria-hidden": "true" }, seen || "·"),
    element("span", { class: "bits", "aria-hidden": "true" }, bits.slice(0, 4), element("br"), bits.slice(4)));
  const name = `${hex}: byte ${at}, hex ${hex}`;
  const open = (on) => {
    node.classList.toggle("open", on);
    node.setAttribute("aria-label", on ? `${name}, bits ${bits.slice(0, 4)} ${bits.slice(4)}` : name);
  };
  open(false);
  const text = `hex ${hex} = bits ${bits.slice(0, 4)} ${bits.slice(4)} = ${value}${seen ? ` = “${seen}”` : ""}`;
  return Object.assign(node, { open, text: `byte ${at}: ${text}` });
}

function render({ model, el }) {
  const lines = model.get("rows").map(([label, hex]) => ({ label, cells: (hex.match(/../g) ?? []).map(byte) }));
  const cells = lines.flatMap((line) => line.cells);
  const detail = element("span", { role: "status", class: "mono" });
  const all = element("button", { type: "button", "aria-pressed": "false" }, "All bits");
  const grid = element("div", { role: "grid", "aria-label": "bytes: arrow keys move, Enter opens a byte to its bits, Escape leaves" },
    ...lines.map(({ label, cells: row }) => element("div", { role: "row", class: "line" },
      element("span", { role: "rowheader", class: "label" }, element("b", {}, label), element("span", { class: "quiet" }, ` ${row.length} ${row.length === 1 ? "byte" : "bytes"}`)),
      element("span", { class: "strip", role: "presentation" }, ...row))));
  const root = element("div", { class: "wslearn wslearn-byte-strip" }, grid, element("div", { class: "foot" }, detail, all));
  el.append(root);
  let current = cells[0];
  if (current) current.tabIndex = 0;
  detail.textContent = "click a byte to open it";

  function land(node) {
    if (!node) return;
    current.tabIndex = -1;
    current = node;
    node.tabIndex = 0;
    node.focus();
    detail.textContent = node.text;
  }

  function toggle(node) {
    node.open(!node.classList.contains("open"));
    land(node);
  }

  function step(key) {
    const line = lines.findIndex((one) => one.cells.includes(current));
    const at = lines[line].cells.indexOf(current);
    const beside = (row) => row && row.cells[Math.min(at, row.cells.length - 1)];
    return {
      ArrowLeft: lines[line].cells[at - 1], ArrowRight: lines[line].cells[at + 1],
      ArrowUp: beside(lines[line - 1]), ArrowDown: beside(lines[line + 1]),
      Home: lines[line].cells[0], End: lines[line].cells.at(-1),
    }[key];
  }

  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.length === 1) event.stopPropagation();
    if (!HANDLED.includes(event.key)) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.key === "Enter" || event.key === " ") toggle(current);
    else if (event.key === "Escape") leave(current);
    else land(step(event.key));
  });
  grid.addEventListener("click", (event) => {
    const node = event.target.closest(".byte");
    if (node) toggle(node);
  });
  all.addEventListener("click", () => {
    const on = all.getAttribute("aria-pressed") !== "true";
    all.setAttribute("aria-pressed", on);
    for (const node of cells) node.open(on);
  });
  all.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") event.stopPropagation();
  });
}

export default { render };

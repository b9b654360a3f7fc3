/* The inspector of one frame, below the frames of a trace to choose from.
   frame: what `inspect` draws.
   rows: the frames to choose from, oldest first, each [number, time, sender, kind, said, bytes].
   selected: the number of the frame that `frame` shows; 0 says that there is nothing to choose. */

const ARROWS = { client: ["client → server", "→"], server: ["server → client", "←"] };
const KEYS = "← → ↑ ↓ move · Enter pins · Esc leaves";

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
    element("span", { class: "quiet size" }, counted(size)));

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

  const changes = { "change:frame": draw, "change:rows": fill, "change:selected": mark };
  for (const [name, act] of Object.entries(changes)) model.on(name, act);
  const stop = watchWidth(root, (now) => {
    wide = now;
    draw();
  });
  root.addEventListener("keydown", keepLetters);
  fill();
  draw();
  return () => {
    stop();
    for (const [name, act] of Object.entries(changes)) model.off(name, act);
  };
}

export default { render };

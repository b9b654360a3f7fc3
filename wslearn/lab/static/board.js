/* Cases of conformance, green or red, and the story of the chosen one; drawn once.
   title; groups: of cases, each { name, cases }; a case is { number, name, section, green, rule, found, rows,
   trace }, a row { name, bytes, mark, before, behind, size }, and the trace has [time, sender, words]. */

const KEYS = "↑ ↓ Home End move · Esc leaves";
const HANDLED = ["ArrowUp", "ArrowDown", "Home", "End", "Escape"];
const sign = (green) => element("span", { class: `sign ${green ? "green" : "red"}`, "aria-hidden": "true" }, green ? "✓" : "✗");

function render({ model, el }) {
  const options = [];
  const option = (told) => {
    const spoken = `case ${told.number}, ${told.name}: ${told.green ? "green" : "red"}`;
    const node = element("div", { role: "option", class: "case", tabindex: "-1", "aria-selected": "false", "aria-label": spoken },
      sign(told.green), element("span", { class: "number" }, `${told.number}`), element("span", {}, told.name), element("span", { class: "word quiet" }, told.green ? "green" : "red"));
    options.push(Object.assign(node, { told }));
    return node;
  };
  const groups = model.get("groups").map((group) => element("div", { role: "group", class: "group", "aria-label": group.name },
    element("div", { class: "name quiet", "aria-hidden": "true" }, group.name), ...group.cases.map(option)));
  const list = element("div", { role: "listbox", class: "cases", "aria-label": `${model.get("title")}. Arrow keys move, Escape leaves.` }, ...groups);
  const story = element("div", { class: "story", role: "status", "aria-live": "polite" });

  // The story of one case -------------------------------------------------------------------

  const bytes = (row) => [
    ...(row.before ? [`… ${row.before} before `] : []),
    ...row.bytes.flatMap((hex, at) => [at ? " " : "", at === row.mark ? element("mark", {}, hex) : hex]),
    ...(row.mark === row.bytes.length ? [" ", element("mark", {}, "∅")] : []),
    ...(row.behind ? [` … ${row.behind} more`] : []),
    ...(row.size ? [] : ["nothing"]),
  ];
  const line = ([time, sender, words]) => element("tr", {}, element("td", { class: "mono quiet" }, time), element("td", {}, sender), element("td", { class: "mono" }, words));

  function tell(told) {
    story.replaceChildren(
      element("p", {}, sign(told.green), " ", element("strong", {}, `${told.number} ${told.name}`)),
      element("p", {}, `${told.rule} `, element("span", { class: "quiet" }, `(RFC 6455, section ${told.section})`)),
      ...(told.found ? [element("p", { class: "found" }, told.found)] : []),
      ...told.rows.map((row) => element("p", {}, element("span", { class: "what" }, row.name), element("span", { class: "bytes" }, ...bytes(row)))),
      element("span", { class: "what" }, "trace"),
      element("table", { class: "trace" }, element("tbody", {}, ...told.trace.map(line))));
  }

  // Pointing --------------------------------------------------------------------------------

  let current = options.find((node) => !node.told.green) ?? options[0];
  function land(node, focus) {
    current.tabIndex = -1;
    current.setAttribute("aria-selected", "false");
    current = node;
    node.tabIndex = 0;
    node.setAttribute("aria-selected", "true");
    if (focus) node.focus();
    tell(node.told);
  }

  function onKey(event) {
    if (!HANDLED.includes(event.key) || event.altKey || event.metaKey) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.key === "Escape") return leave(current);
    const at = options.indexOf(current);
    const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: options.length - 1 }[event.key];
    if (options[next]) land(options[next], true);
  }

  list.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => { const node = event.target.closest(".case"); if (node) land(node, true); });
  list.addEventListener("focusin", (event) => event.target.told && event.target !== current && land(event.target, false));

  const root = element("div", { class: "wslearn wslearn-board" },
    element("div", { class: "title" }, element("strong", {}, model.get("title")), element("span", { class: "keys quiet" }, KEYS)),
    element("div", { class: "body" }, list, story));
  root.addEventListener("keydown", keepLetters);
  el.append(root);
  land(current, false);
}

export default { render };

/* Eight bits to flip; the byte that they make in hex, decimal and as a character. value: 0 to 255. */

const WORTHS = [128, 64, 32, 16, 8, 4, 2, 1];

function render({ model, el }) {
  const buttons = WORTHS.map((worth) => element("button", { type: "button", role: "switch", tabindex: "-1", class: "bit" },
    element("b", {}), element("span", { class: "worth" }, worth)));
  const hex = element("b", { class: "mono" });
  const decimal = element("b", { class: "mono" });
  const character = element("b", { class: "mono" });
  const results = element("div", { class: "results", role: "status" },
    element("span", {}, "hex ", hex), element("span", {}, "decimal ", decimal), element("span", {}, "character ", character));
  const group = element("div", { class: "row", role: "group", "aria-label": "eight bits: arrow keys move, Enter flips, 0 and 1 set, Escape leaves" }, ...buttons);
  const root = element("div", { class: "wslearn wslearn-bits" }, group, results);
  el.append(root);
  buttons[0].tabIndex = 0;

  function draw() {
    const value = model.get("value");
    buttons.forEach((button, at) => {
      const on = (value & WORTHS[at]) !== 0;
      button.firstChild.textContent = on ? "1" : "0";
      button.setAttribute("aria-checked", on);
      button.setAttribute("aria-label", `${on ? 1 : 0} ${WORTHS[at]}: bit worth ${WORTHS[at]}`);
    });
    hex.textContent = value.toString(16).padStart(2, "0");
    const sum = WORTHS.filter((worth) => value & worth);
    decimal.textContent = sum.length > 1 ? `${value} = ${sum.join(" + ")}` : value;
    character.textContent = value > 32 && value < 127 ? String.fromCharCode(value) : value === 32 ? "space" : "none";
  }

  function set(at, on) {
    const value = model.get("value");
    model.set("value", on ? value | WORTHS[at] : value & ~WORTHS[at]);
    model.save_changes();
  }

  function land(at) {
    if (!buttons[at]) return;
    for (const button of buttons) button.tabIndex = -1;
    buttons[at].tabIndex = 0;
    buttons[at].focus();
  }

  group.addEventListener("click", (event) => {
    const at = buttons.indexOf(event.target.closest("button"));
    if (at < 0) return;
    set(at, !(model.get("value") & WORTHS[at]));
    land(at);
  });
  group.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
    event.stopPropagation();
    const at = buttons.indexOf(document.activeElement);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: 7 }[event.key];
    if (next !== undefined) { event.preventDefault(); land(next); }
    if (event.key === "0" || event.key === "1") { set(at, event.key === "1"); land(at + 1); }
    if (event.key === "Escape") leave(buttons[at]);
  });
  model.on("change:value", draw);
  draw();
  return () => model.off("change:value", draw);
}

export default { render };

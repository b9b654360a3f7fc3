/* Live values as native inputs, so that keyboard and screen reader work as everywhere.
   name: of the group; controls: [{ name, note, steps }], no steps: a switch; or { name, note, act }: a button.
   state: { values: { name: { text, step } | { on } }, error, turn }; each answer has a new turn.
   Sent: { name, step } from a slider, { name, text } from a field, { name, on } from a switch,
   { name } from a button. */

function row(control, id, send) {
  const note = element("span", { class: "note quiet", id: `${id}-note` }, control.note);
  if (control.act) {
    const button = element("button", { type: "button", class: "name mono", "aria-describedby": note.id }, control.name);
    button.addEventListener("click", () => send({ name: control.name }));
    return { nodes: [button, element("span"), element("span"), note], show: () => {} };
  }
  const label = element("label", { for: id, class: "name mono" }, control.name);
  if (!control.steps.length) {
    const box = element("input", { type: "checkbox", id, "aria-describedby": note.id });
    const said = element("span", { class: "mono said", "aria-hidden": "true" });
    box.addEventListener("change", () => send({ name: control.name, on: box.checked }));
    const show = ({ on }) => { box.checked = on; said.textContent = on ? "on" : "off"; };
    return { nodes: [label, element("span", { class: "switch" }, box, said), element("span"), note], show };
  }
  const last = control.steps.length - 1;
  const slider = element("input", { type: "range", min: 0, max: last, step: 1, id: `${id}-slider`, "aria-label": `${control.name}, slider`, "aria-describedby": note.id });
  const field = element("input", { type: "text", id, class: "mono", "aria-describedby": note.id, autocomplete: "off", spellcheck: "false" });
  let text = "";
  slider.addEventListener("input", () => {
    field.value = control.steps[slider.value];
    slider.setAttribute("aria-valuetext", field.value);
    send({ name: control.name, step: Number(slider.value) });
  });
  field.addEventListener("change", () => send({ name: control.name, text: field.value }));
  field.addEventListener("keydown", (event) => { if (event.key === "Escape") field.value = text; });
  const show = (value) => {
    text = value.text;
    slider.value = value.step;
    slider.setAttribute("aria-valuetext", text);
    field.value = text;
  };
  return { nodes: [label, slider, field, note], show };
}

function render({ model, el }) {
  const root = element("div", { class: "wslearn wslearn-options-panel", role: "group", "aria-label": model.get("name") });
  const error = element("div", { class: "error", role: "alert" });
  const prefix = `wslearn-${crypto.randomUUID()}`;
  const send = (asked) => model.send(asked);
  const rows = model.get("controls").map((control) => [control.name, row(control, `${prefix}-${control.name}`, send)]);
  const grid = element("div", { class: "controls" }, ...rows.flatMap(([, { nodes }]) => nodes));
  root.append(grid, error);
  el.append(root);

  function draw() {
    const { values, error: text } = model.get("state");
    for (const [name, { show }] of rows) show(values[name]);
    error.textContent = text ? `✗ ${text}` : "";
  }

  // JupyterLab would take arrows and letters for commands of its own.
  root.addEventListener("keydown", (event) => {
    if (event.key === "Tab" || event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter")) return;
    event.stopPropagation();
    if (event.key === "Escape") leave(event.target);
  });
  model.on("change:state", draw);
  draw();
  return () => model.off("change:state", draw);
}

export default { render };

/* A question to be answered before the next cell runs, with native radio buttons or a field.
   question: { text, choices, unit }; state: { guess, said, told, right }.
   Sent: { guess } when the reader commits, { compare: true } to see the answer. */

function choice(text, group) {
  const input = element("input", { type: "radio", name: group, value: text });
  return element("label", { class: "choice" }, input, element("span", {}, text));
}

function render({ model, el }) {
  const { text, choices, unit } = model.get("question");
  const group = `wslearn-${crypto.randomUUID()}`;
  const field = element("input", { type: "text", class: "mono", inputmode: "decimal", autocomplete: "off", "aria-label": unit ? `your number, in ${unit}` : "your number" });
  const answers = choices.length
    ? choices.map((each) => choice(each, group))
    : [element("div", { class: "number" }, field, element("span", { "aria-hidden": "true" }, unit))];
  const commit = element("button", { type: "submit" }, "Commit");
  const compare = element("button", { type: "button", class: "compare" }, "Compare");
  const said = element("div", { class: "said", role: "status" });
  const legend = element("legend", {}, element("strong", {}, "Predict"), ` ${text}`);
  const form = element("form", { class: "wslearn wslearn-quiz" },
    element("fieldset", {}, legend, ...answers), element("div", { class: "foot" }, commit, compare, said));
  el.append(form);
  const chosen = () => (choices.length ? form.querySelector("input:checked")?.value : field.value.trim()) ?? "";

  function draw() {
    const { guess, said: noted, told, right } = model.get("state");
    for (const input of form.querySelectorAll("input[type=radio]")) if (guess) input.checked = input.value === guess;
    if (guess && !choices.length && form.ownerDocument.activeElement !== field) field.value = guess;
    // A button that goes takes the focus with it.
    if (told && form.ownerDocument.activeElement === compare) commit.focus();
    compare.hidden = !guess || Boolean(told);
    said.textContent = told || noted;
    said.className = told ? (right ? "said right" : "said wrong") : "said";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen()) model.send({ guess: chosen() });
    else said.textContent = choices.length ? "Choose one first: a wrong guess is remembered longest." : "Write a number first: a wrong guess is remembered longest.";
  });
  compare.addEventListener("click", () => model.send({ compare: true }));
  // JupyterLab would take arrows and letters for commands of its own.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Tab" || event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter")) return;
    event.stopPropagation();
    if (event.key === "Escape") leave(event.target);
  });
  model.on("change:state", draw);
  draw();
  return () => model.off("change:state", draw);
}

export default { render };

/* A frame whose bits, bytes and fields are typed over, and what a peer says to it; all of it is computed in Python.
   frame: what `inspect` draws. note: { said, wrong }, about the last edit. peer: its name, empty without one.
   connects: whether there is a connection that could be kept. keep: whether it stays open.
   answer: { verdict, letter, name, fill, came: [{ said, hex }], state, open }, empty before the first. */

const KEYS = "← → ↑ ↓ move · Enter flips or opens · 0 1 and hex digits type · Esc leaves";
const NAMES = { RSV: "RSV", LEN: "payload_length" };
const HINTS = {
  RSV: "0 to 7", opcode: "0 to 15", FIN: "0 or 1", MASK: "0 or 1", payload_length: "bytes", masking_key: "4 bytes in hex",
  status_code: "a number", reason: "a text",
};

function render({ model, el }) {
  const root = element("div", { class: "wslearn wslearn-frame-inspector wslearn-frame-editor" });
  const title = element("div", { class: "title" });
  const keys = element("span", { class: "keys quiet" }, KEYS);
  const note = element("div", { class: "note", role: "status" });
  const body = element("div", { class: "body" });
  root.addEventListener("keydown", keepLetters);
  root.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key !== "z") return;
    event.stopPropagation();
    event.preventDefault();
    model.send({ do: "undo" });
  });
  let wide = true;
  let comesBack = false; // the focus belongs to the frame that is drawn next

  // All bytes, as a line of hex ---------------------------------------------------------------

  const hex = element("input", { class: "mono", spellcheck: "false", autocomplete: "off", "aria-label": "all bytes in hex, Enter takes them" });
  const button = (text, act, attributes = {}) => {
    const node = element("button", { type: "button", ...attributes }, text);
    node.addEventListener("click", act);
    node.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && event.stopPropagation());
    return node;
  };
  const order = (what) => () => model.send({ do: what });
  const tools = element("div", { class: "tools" }, element("span", { class: "what" }, "hex"), hex,
    button("Undo", order("undo"), { "aria-keyshortcuts": "Control+Z" }), button("Start over", order("start over")));

  // JupyterLab keeps its hands off what is typed into a field.
  function typesInto(input, enter, escape) {
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Tab") event.stopPropagation();
      if (event.key === "Enter") enter();
      if (event.key === "Escape") escape();
    });
  }
  const inHex = () => (model.get("frame").hex ?? "").replace(/(..)(?=.)/g, "$1 ");
  typesInto(hex, () => model.send({ bytes: hex.value }), () => {
    hex.value = inHex();
    leave(hex);
  });
  hex.addEventListener("change", () => hex.value !== inHex() && model.send({ bytes: hex.value }));

  // One field, typed over -----------------------------------------------------------------------

  const label = element("label", { class: "mono" });
  const input = element("input", { class: "mono", spellcheck: "false", autocomplete: "off" });
  const hint = element("span", { class: "quiet" });
  const bar = element("div", { class: "tools field", hidden: "" }, label, input, hint);
  const prefix = `wslearn-${crypto.randomUUID()}`;
  input.id = prefix;
  label.htmlFor = prefix;
  let name = "";

  function open(group) {
    const [part] = group.parts;
    name = NAMES[group.label] ?? part.name;
    const isText = (model.get("frame").title ?? "").startsWith("Text");
    label.textContent = `${name.replaceAll("_", " ")} =`;
    input.value = group.typed;
    hint.textContent = `${HINTS[name] ?? (isText ? "a text" : 'hex, or a text in "quotes"')} · Enter takes it, Esc does not`;
    bar.hidden = false;
    input.focus();
    input.select();
  }

  function shut() {
    bar.hidden = true;
    body.firstChild?.focusAgain();
  }
  typesInto(input, () => {
    comesBack = true;
    model.send({ field: [name, input.value] });
    shut();
  }, shut);

  // The frame -------------------------------------------------------------------------------------

  const edit = {
    flip: (bit) => model.send({ flip: bit }),
    bit: (bit, value) => model.send({ bit: [bit, value] }),
    digit: (byte, half, value) => model.send({ digit: [byte, half, value] }),
    field: (group) => (["FIN", "M"].includes(group.label) ? edit.flip(group.start) : open(group)),
  };

  function draw() {
    const frame = model.get("frame");
    const holds = comesBack || body.contains(document.activeElement);
    comesBack = false;
    title.replaceChildren(element("strong", {}, frame.title), keys);
    body.replaceChildren(...(frame.hex ? [inspect(frame, wide, () => {}, edit)] : []));
    if (holds) body.firstChild?.focusAgain();
    if (document.activeElement !== hex || !model.get("note").wrong) hex.value = inHex();
    hex.readOnly = frame.size > frame.hex.length / 2;
  }

  function tell() {
    const { said, wrong } = model.get("note");
    note.textContent = wrong ? `✗ ${said}` : said ?? "";
    note.classList.toggle("bad", wrong === true);
  }

  // The peer ----------------------------------------------------------------------------------------

  const back = element("div", { class: "back", role: "status" });
  const keep = element("input", { type: "checkbox" });
  keep.addEventListener("change", () => {
    model.set("keep", keep.checked);
    model.save_changes();
  });
  keep.addEventListener("keydown", (event) => event.key === " " && event.stopPropagation());
  const peer = element("div", { class: "peer" },
    button(`Send to ${model.get("peer")}`, order("send"), { class: "send" }),
    ...(model.get("connects") ? [element("label", {}, keep, " keep the connection")] : []), back);
  peer.hidden = !model.get("peer");

  function answer() {
    const { letter, name: verdict, fill, came = [], state } = model.get("answer");
    keep.checked = model.get("keep");
    if (!state) return back.replaceChildren();
    const sign = element("span", { class: "sign", "aria-hidden": "true" }, letter);
    sign.style.setProperty("--fill", fill);
    const waits = state.startsWith("waiting");
    const head = element("div", {}, ...(waits && !came.length ? [] : [sign, element("strong", {}, verdict)]), element("span", { class: "quiet" }, state));
    const frames = came.map((frame) => element("div", { class: "came" }, frame.said, element("div", { class: "mono quiet" }, frame.hex)));
    for (const node of frames) node.style.setProperty("--fill", fill);
    back.replaceChildren(head, ...frames);
  }

  root.append(title, tools, bar, note, body, peer);
  el.append(root);
  const stop = watchWidth(root, (now) => {
    wide = now;
    draw();
  });
  const changes = { "change:frame": draw, "change:note": tell, "change:answer": answer, "change:keep": answer };
  for (const [changed, act] of Object.entries(changes)) model.on(changed, act);
  draw();
  tell();
  answer();
  return () => {
    stop();
    for (const [changed, act] of Object.entries(changes)) model.off(changed, act);
  };
}

export default { render };

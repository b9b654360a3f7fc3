/* The list of what passed, filtered by kind and session, and what is chosen taken apart below.
   kinds: the groups that are listed, none for all; selected: the number of the chosen item, 0 for none;
   lanes: see lanes.js, empty if not asked for; shown: the number of the item below; told: what is to be read there; inspector: the widget that takes frames apart. */

const ROW = 23;         // pixels
const HEADINGS = Object.entries({ time: "sent/s", arrival: "received/s", session: "№", way: "direction", kind: "what", said: "says", size: "size" });

async function render({ model, el, host, signal }) {
  const root = element("div", { class: "wslearn wslearn-timeline wslearn-conversation" });
  const title = element("strong", { class: "count", role: "status" });
  const note = element("span", { class: "quiet keys" }, "↑ ↓ choose · Enter goes into the frame · Esc leaves");
  const told = element("pre", { class: "words", tabindex: "0", "aria-label": "what is chosen" });
  const slot = element("div", { class: "slot" });
  const below = element("div", { class: "below" }, told, slot);
  const picture = element("div", { class: "lanes" });
  const empty = element("div", { class: "empty quiet" });
  const kinds = chips("kinds: which to list", (name) => press(model, "kinds", name));
  const sessions = chips("sessions: which to list", (name) => press(model, "sessions", Number(name)));
  let items = [];
  let listed = [];
  let width = 0;
  let enters = false;     // the keyboard goes into the frame as soon as it is there

  const rows = listbox({
    label: "what passed: up and down choose, Enter goes into the frame, Escape leaves",
    into: element("div", { class: "space", role: "presentation" }),
    top: (at) => at * ROW,
    height: () => ROW,
    total: () => listed.length * ROW,
    length: () => listed.length,
    draw: (at) => drawn(listed[at], at * ROW),
    choose: (at) => {
      model.set("selected", listed[at].number);
      model.save_changes();
      tell();
      lay();
    },
    enter: () => {
      enters = true;
      tell();
    },
  });

  const headings = element("div", { class: "choice headings quiet", "aria-hidden": "true" });
  for (const [name, text] of HEADINGS) headings.append(element("span", { class: name }, text));
  headings.querySelector(".way").after(element("span", { class: "way short" }));
  root.append(element("div", { class: "head" }, title, kinds.bar, sessions.bar, note), picture, headings, rows.list, empty, below);
  el.append(root);

  function drawn(item, top) {
    const { time, received, lost, session, sender, group, kind, said, bytes } = item;
    const arrival = lost ? "✕ never" : received === null ? "" : `${seconds(received)}`;
    const node = element(
      "div", { class: `choice ${group} ${sender ?? ""} ${lost ? "lost" : ""}`, style: `top: ${top}px`, "aria-label": spoken(item) },
      element("span", { class: "quiet time" }, seconds(time)),
      element("span", { class: "quiet arrival" }, arrival),
      element("span", { class: "quiet session" }, session ?? ""),
      element("span", { class: "way" }, WAY[sender] ?? ""), element("span", { class: "way short" }, { client: "→", server: "←" }[sender] ?? "·"),
      element("b", { class: "kind" }, kind), element("span", { class: "said" }, said),
      element("span", { class: "quiet size" }, sender ? count(bytes, "byte") : ""));
    return node;
  }

  function draw() {
    rows.follow(list);
    tell();
    lay();
  }

  function list() {
    const [kindsShown, numbersShown] = [model.get("kinds"), model.get("sessions")];
    items = itemsOf(model);
    const ofSession = items.filter(isOf(numbersShown));
    listed = ofSession.filter(({ group }) => !kindsShown.length || kindsShown.includes(group));
    root.classList.toggle("timed", items.some(({ received, lost }) => lost || received !== null));
    const numbers = sessionsOf(items);
    root.classList.toggle("several", numbers.length > 1);
    const tally = Object.groupBy(ofSession, ({ group }) => group);
    kinds.fill(GROUPS.filter((group) => tally[group]).map((group) => ({
      name: group, look: group, on: kindsShown.includes(group), text: `${group} ${tally[group].length.toLocaleString("en")}`,
    })));
    sessions.fill(sessionChips(numbers, numbersShown));
    title.textContent = `${count(listed.length, "row")}${listed.length < items.length ? ` of ${items.length.toLocaleString("en")}` : ""}`;
    empty.textContent = items.length ? "nothing of these kinds has passed" : "nothing has passed yet";
    empty.hidden = listed.length > 0;
    rows.list.hidden = headings.hidden = !listed.length;
    const at = listed.findIndex(({ number }) => number === model.get("selected"));
    rows.keep(at);
  }

  function lay() {
    const lanes = model.get("lanes");
    picture.hidden = !lanes.directions;
    if (lanes.directions) picture.replaceChildren(drawLanes(lanes, Math.max(300, width), model.get("selected")));
  }

  picture.addEventListener("click", ({ target }) => {
    const at = listed.findIndex(({ number }) => number === Number(target.dataset.number));
    if (at >= 0) rows.land(at);
  });

  function tell() {
    const [selected, shown, text] = [model.get("selected"), model.get("shown"), model.get("told")];
    below.hidden = !selected || !shown;
    below.classList.toggle("waiting", selected !== shown);
    told.textContent = text;
    told.hidden = !text;
    slot.hidden = Boolean(text);
    if (!enters || selected !== shown) return;
    enters = false;
    // after the inspector has found its width, which draws it anew
    const go = () => below.querySelector(text ? "pre" : ".slot [tabindex='0']:not([hidden])")?.focus();
    requestAnimationFrame(() => requestAnimationFrame(go));
  }

  const drawing = whenSeen(root, draw);
  const changes = ["change:drawn", "change:turn", "change:kinds", "change:sessions", "change:lanes"];
  for (const name of changes) model.on(name, drawing.soon);
  for (const name of ["change:shown", "change:told"]) model.on(name, tell);
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== width) lay((width = contentRect.width));
  });
  observer.observe(root);
  root.addEventListener("keydown", keepLetters);
  draw();
  const inspector = await host.getWidget(model.get("inspector"));
  await inspector.render({ el: slot, signal });
  return () => {
    observer.disconnect();
    drawing.end();
    rows.end();
    for (const name of changes) model.off(name, drawing.soon);
    for (const name of ["change:shown", "change:told"]) model.off(name, tell);
  };
}

export default { initialize, render };

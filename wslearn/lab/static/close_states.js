/* One state machine, and the two ends in it, lit as far as the chosen step.
   steps: [time in s, side, state, what, section]; names: a state's name and section; session: the number of
   the one that is shown, 0 for the first; numbers: of all sessions. */

const ROW = 42;         // pixels of a step
const BOX = { width: 140, height: 50 };
const PLACES = {
  connecting: [159, 30], refused: [396, 30], open: [159, 112], sent: [84, 202], received: [234, 202],
  both: [159, 292], cut: [396, 292], clean: [159, 378],
};
const SIZE = { width: 472, height: 410 };
// From one state to another: a path, what happens on it, and where that is written.
const WAYS = {
  "connecting open": ["M159,55V87", "101", 166, 75],
  "connecting refused": ["M229,30H326", "refused", 250, 24],
  "open sent": ["M120,137L96,177", "sends Close", 26, 160],
  "open received": ["M198,137L222,177", "receives Close", 220, 160],
  "sent both": ["M96,227L120,267", "receives Close", 22, 262],
  "received both": ["M222,227L198,267", "sends Close", 220, 252],
  "both clean": ["M159,317V353", "TCP ends", 166, 348],
  "open cut": ["M229,112C400,112 408,170 408,267", "TCP ends", 384, 150],
  "received cut": ["M304,202C360,202 380,220 384,267", "", 0, 0],
  "sent cut": ["M18,227V330Q18,338 26,338H388Q396,338 396,330V317", "TCP ends", 250, 332],
  "connecting cut": ["M229,40C440,40 440,190 430,267", "", 0, 0],
};
const SIDES = ["client", "server"];

function drawStates(steps, names, label) {
  const svg = shape("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": label });
  const at = { client: "connecting", server: "connecting" };
  const taken = [];
  const seen = new Set(["client connecting", "server connecting"]);
  for (const [, side, state] of steps) {
    taken.push({ side, way: `${at[side]} ${state}` });
    seen.add(`${side} ${state}`);
    at[side] = state;
  }
  const isShown = (state) => !["refused"].includes(state) || SIDES.some((side) => seen.has(`${side} ${state}`));
  for (const [way, [d, what, x, y]] of Object.entries(WAYS)) {
    const isTaken = taken.some((one) => one.way === way);
    if (!isShown(way.split(" ")[1]) || (way === "connecting cut" && !isTaken)) continue;
    svg.append(shape("path", { class: `way ${way.endsWith("cut") ? "cut" : ""}`, d }));
    svg.append(shape("text", { class: "happens", x, y }, what));
  }
  for (const { side, way } of taken) {
    if (WAYS[way]) svg.append(shape("path", { class: `taken ${side}`, d: WAYS[way][0], transform: `translate(${side === "client" ? -2.5 : 2.5},${side === "client" ? -1 : 1})` }));
  }
  for (const [state, place] of Object.entries(PLACES)) if (isShown(state)) svg.append(box(state, place, names[state], at, seen));
  return svg;
}

function box(state, [x, y], [name, section], at, seen) {
  const here = SIDES.filter((side) => at[side] === state);
  const node = shape("g", { class: `state ${state} ${here.length ? "here" : ""} ${SIDES.some((side) => seen.has(`${side} ${state}`)) ? "seen" : ""}` });
  const [left, top] = [x - BOX.width / 2, y - BOX.height / 2];
  node.append(shape("rect", { class: "box", x: left, y: top, width: BOX.width, height: BOX.height, rx: 7 }));
  node.append(shape("text", { class: "name", x, y: top + 18, "text-anchor": "middle" }, name.replace("closing: ", "")));
  SIDES.forEach((side, which) => {
    if (!seen.has(`${side} ${state}`)) return;
    const pill = left + 6 + which * 66;
    const isHere = at[side] === state;
    node.append(shape("rect", { class: `pill ${side} ${isHere ? "now" : ""}`, x: pill, y: top + 27, width: 62, height: 17, rx: 8.5 }));
    node.append(shape("text", { class: `pill ${side} ${isHere ? "now" : ""}`, x: pill + 31, y: top + 39.5, "text-anchor": "middle" }, `${isHere ? "●" : "✓"} ${side}`));
  });
  if (!SIDES.some((side) => seen.has(`${side} ${state}`))) node.append(shape("text", { class: "section", x, y: top + 37, "text-anchor": "middle" }, `section ${section}`));
  return node;
}

function render({ model, el }) {
  const root = element("div", { class: "wslearn wslearn-timeline wslearn-close-states" });
  const title = element("strong", { class: "count", role: "status" });
  const sessions = chips("session: which to show", choose);
  const note = element("span", { class: "quiet keys" }, "↑ ↓ step · Home End · Esc leaves");
  const picture = element("div", { class: "picture" });
  const empty = element("div", { class: "empty quiet" }, "no handshake has been answered yet");
  let steps = [];
  let at = -1;

  const rows = listbox({
    label: "steps: up and down go through them, Escape leaves",
    into: element("div", { class: "space", role: "presentation" }),
    top: (row) => row * ROW,
    height: () => ROW,
    total: () => steps.length * ROW,
    length: () => steps.length,
    draw: (row) => drawn(steps[row], row),
    choose: (row) => {
      at = row;
      light();
    },
    enter: () => {},
  });
  const told = element("div", { class: "steps" }, rows.list, empty);
  root.append(element("div", { class: "head" }, title, sessions.bar, note), element("div", { class: "both" }, picture, told));
  el.append(root);

  function drawn([time, side, state, what, section], row) {
    const [name] = model.get("names")[state];
    return element("div", { class: `step ${side} ${row > at ? "later" : ""}`, style: `top: ${row * ROW}px`, "aria-label": `${seconds(time)} s, ${side} ${what}: ${name}, section ${section}` },
      element("span", { class: "time quiet" }, seconds(time)),
      element("span", { class: "what" }, element("b", {}, side), ` ${what}`),
      element("span", { class: "state" }, `→ ${name}`),
      element("span", { class: "section quiet" }, `section ${section}`));
  }

  function light() {
    const names = model.get("names");
    const states = Object.fromEntries(SIDES.map((side) => [side, steps.slice(0, at + 1).findLast(([, one]) => one === side)?.[2] ?? "connecting"]));
    const label = SIDES.map((side) => `${side} ${names[states[side]][0]}`).join(" · ");
    title.textContent = label;
    picture.replaceChildren(drawStates(steps.slice(0, at + 1), names, label));
  }

  function draw() {
    const wasLast = at === steps.length - 1;
    steps = model.get("steps");
    at = wasLast ? steps.length - 1 : Math.min(at, steps.length - 1);
    const numbers = model.get("numbers");
    const session = model.get("session") || numbers[0];
    sessions.fill(sessionChips(numbers, [session]));
    rows.list.hidden = !steps.length;
    empty.hidden = steps.length > 0;
    rows.keep(at);
    rows.show();
    light();
  }

  function choose(name) {
    model.set("session", Number(name));
    model.save_changes();
  }

  const drawing = whenSeen(root, draw);
  const changes = ["change:steps", "change:session", "change:numbers"];
  for (const name of changes) model.on(name, drawing.soon);
  root.addEventListener("keydown", keepLetters);
  draw();
  return () => {
    drawing.end();
    rows.end();
    for (const name of changes) model.off(name, drawing.soon);
  };
}

export default { render };

/* A ladder: the client at the left, the server at the right, time from top to bottom, drawn as SVG.
   Moments stand as far apart as they are in time, but no label covers another and long pauses are cut
   short and say how long they are. selected: the number of the chosen item, 0 for none. */

const GUTTER = 74;      // pixels for the times at either side
const FIRST = 21;
const LABEL = 20;       // pixels that a label needs
const LETTER = 7.6;     // pixels of a letter, all of one width
const USUAL = 40;       // pixels of the usual step of time
const LONGEST = 80;     // pixels after which a pause is cut short
const GLYPHS = { opened: "○", closed: "■", "option changed": "◇", "ping timeout": "✕" };

const middleOf = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/* Gives each item its place: y where it was sent, end where it arrived, both growing with time.
   What arrives stands before what is sent at that moment, as an answer follows what it answers. */
function climb(items) {
  const moments = items.flatMap((item, at) => [
    { time: item.time, at, sent: true },
    ...(item.received > item.time ? [{ time: item.received, at, sent: false }] : []),
  ]).sort((a, b) => a.time - b.time || a.sent - b.sent || a.at - b.at);
  const steps = moments.slice(1).map(({ time }, at) => time - moments[at].time).filter((step) => step > 1e-9);
  const perSecond = USUAL / (middleOf(steps) ?? 1);
  const rungs = items.map((item) => ({ item }));
  const pauses = [];
  const free = { client: FIRST, server: FIRST };
  const clocks = { client: [-1, -LABEL], server: [-1, -LABEL] };
  // a time is written once for a moment, and where there is room
  const isToldAt = (side, time, y) => {
    const [before, at] = clocks[side];
    if (y - at < 12 || (before === time && y - at < 3 * LABEL)) return false;
    clocks[side] = [time, y];
    return true;
  };
  let [y, last] = [FIRST, moments[0]?.time ?? 0];
  for (const { time, at, sent } of moments) {
    const step = (time - last) * perSecond;
    if (step > LONGEST) pauses.push({ y: y + LONGEST / 2 + 2, seconds: time - last });
    y += step > LONGEST ? LONGEST : Math.max(step, time > last ? 6 : 0);
    last = time;
    const rung = rungs[at];
    const { sender, lost, received } = rung.item;
    const target = { client: "server", server: "client" }[sender];
    if (!sent) {
      rung.end = y;
      rung.tellsEnd = isToldAt(target, time, y);
      continue;
    }
    const sides = received > time || lost ? [sender] : ["client", "server"];
    y = Math.max(y, ...sides.map((side) => free[side]));
    for (const side of sides) free[side] = y + LABEL;
    Object.assign(rung, { y, end: lost ? y + USUAL * 0.6 : y, tells: isToldAt(sender ?? "client", time, y) });
  }
  // labels from both sides at one height share the way between them
  rungs.forEach((rung, at) => {
    const isBeside = (other) => other && other.item.sender !== rung.item.sender && Math.abs(other.y - rung.y) < LABEL;
    rung.room = isBeside(rungs[at - 1]) || isBeside(rungs[at + 1]) ? 0.48 : rung.end > rung.y ? 0.62 : 0.94;
  });
  return { rungs, pauses, height: Math.max(y, ...rungs.slice(-50).map(({ end }) => end)) + 24 };
}

function render({ model, el }) {
  const root = element("div", { class: "wslearn wslearn-timeline wslearn-ladder" });
  const sessions = chips("sessions: which to draw", (name) => press(model, "sessions", Number(name)));
  const title = element("strong", { class: "count" });
  const note = element("span", { class: "quiet keys" }, "↑ ↓ choose · Esc leaves");
  const told = element("div", { class: "told", role: "status" });
  const empty = element("div", { class: "empty quiet" }, "nothing has passed yet");
  const svg = shape("svg", { role: "presentation", width: "100%", preserveAspectRatio: "xMidYMin" });
  const ground = shape("g", { "aria-hidden": "true" });
  const into = shape("g", { role: "presentation" });
  const labels = shape("g", { "aria-hidden": "true" });
  let ladder = climb([]);
  let width = 600;
  let several = false;
  let said = [];
  svg.append(ground, into, labels);

  const left = () => GUTTER;
  const right = () => width - GUTTER;
  const rows = listbox({
    label: "what passed between client and server: up and down choose, Escape leaves",
    into, ground: svg, scrolled: drawGround,
    top: (at) => ladder.rungs[at].y - LABEL,
    height: (at) => Math.max(ladder.rungs[at].end, ladder.rungs[at].y) - ladder.rungs[at].y + LABEL + 8,
    total: () => ladder.height,
    length: () => ladder.rungs.length,
    draw: (at) => drawn(ladder.rungs[at], at),
    choose: (at) => {
      model.set("selected", ladder.rungs[at].item.number);
      model.save_changes();
      tell();
    },
    enter: () => {},
  });
  const sides = element("div", { class: "sides", "aria-hidden": "true" }, element("span", {}, "client"), element("span", {}, "server"));
  root.append(element("div", { class: "head" }, title, sessions.bar, note), sides, rows.list, empty, told);
  el.append(root);

  function drawGround(from, to, height) {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const lines = [left(), right()].map((x) => shape("line", { class: "life", x1: x, x2: x, y1: 0, y2: ladder.height }));
    const cuts = ladder.pauses.filter(({ y }) => from < y && y < to).flatMap(({ y, seconds }) => [
      ...[left(), right()].map((x) => shape("path", { class: "cut", d: `M${x},${y - 9}l-5,4l10,5l-10,5l5,4` })),
      shape("text", { class: "pause", x: width / 2, y: y + 4, "text-anchor": "middle" }, `${Number(seconds.toPrecision(3))} s later`),
    ]);
    ground.replaceChildren(...lines, ...cuts);
    labels.replaceChildren(...said);
    said = [];
  }

  const fits = (text, pixels) => {
    const most = Math.max(6, Math.floor(pixels / LETTER));
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  };

  function labelOf({ session, group, kind, said, bytes }) {
    const whose = several && session !== null ? `${session}: ` : "";
    return `${whose}${kind} ${["ping", "pong"].includes(group) ? "" : said || (bytes ? count(bytes, "byte") : "")}`.trim();
  }

  // Labels are drawn above all arrows.
  function drawn({ item, y, end, room, tells, tellsEnd }, at) {
    const { sender, group, kind, lost, time, received } = item;
    const node = shape("g", { class: `rung ${group} ${lost ? "lost" : ""}`, "aria-label": spoken(item) });
    const say = (x, anchor, text) => {
      const long = text.length * LETTER;
      said.push(shape("rect", { class: "paper", x: x - long * { start: 0, middle: 0.5, end: 1 }[anchor], y: y - 18, width: long, height: 15 }));
      said.push(shape("text", { class: `said ${group}`, x, y: y - 7, "text-anchor": anchor, "data-at": at }, text));
    };
    const [from, to] = sender === "server" ? [right(), left()] : [left(), right()];
    if (tells) said.push(clock(from, y, time));
    if (!sender) {
      node.append(band(from, y, to, y), shape("line", { class: "happened", x1: from, x2: to, y1: y, y2: y }));
      say(width / 2, "middle", fits(`${GLYPHS[kind] ?? "◆"} ${labelOf(item)}`, to - from - 16));
      return node;
    }
    const reach = lost ? from + (to - from) * 0.6 : to;
    const way = Math.sign(to - from);
    node.append(band(from, y, reach, end), shape("line", { class: "arrow", x1: from, y1: y, x2: reach, y2: end }));
    node.append(lost ? cross(reach, end) : head(reach, end, Math.atan2(end - y, reach - from)));
    say(from + way * 9, way > 0 ? "start" : "end", fits(labelOf(item), (right() - left()) * room));
    if (tellsEnd) said.push(clock(to, end, received));
    return node;
  }

  // What lights up under the mouse: a band along the arrow, so that crossing ones stay apart.
  const band = (from, y, to, end) => shape("polygon", { class: "back", points: `${from},${y - LABEL + 1} ${from},${y + 6} ${to},${end + 6} ${to},${end - 8}` });
  const clock = (x, y, time) => shape("text", { class: "clock", x: x < width / 2 ? x - 8 : x + 8, y: y + 4, "text-anchor": x < width / 2 ? "end" : "start" }, seconds(time));
  const head = (x, y, angle) => shape("path", { class: "head", d: "M0,0L-9,-4.5L-9,4.5Z", transform: `translate(${x},${y}) rotate(${(angle * 180) / Math.PI})` });
  const cross = (x, y) => shape("path", { class: "cross", d: `M${x - 6},${y - 6}l12,12m0,-12l-12,12` });

  function draw() {
    rows.follow(build);
    tell();
  }

  function build() {
    const all = itemsOf(model);
    const numbers = sessionsOf(all);
    const shown = all.filter(isOf(model.get("sessions")));
    several = sessionsOf(shown).length > 1;
    ladder = climb(shown);
    sessions.fill(sessionChips(numbers, model.get("sessions")));
    title.textContent = `${count(ladder.rungs.filter(({ item }) => item.sender).length, "arrow")}`;
    const isEmpty = !ladder.rungs.length;
    empty.hidden = !isEmpty;
    rows.list.hidden = sides.hidden = isEmpty;
    rows.keep(ladder.rungs.findIndex(({ item }) => item.number === model.get("selected")));
  }

  function tell() {
    const rung = ladder.rungs.find(({ item }) => item.number === model.get("selected"));
    told.textContent = rung ? spoken(rung.item) : "";
    told.hidden = !rung;
  }

  const drawing = whenSeen(root, draw);
  const changes = ["change:drawn", "change:turn", "change:sessions"];
  for (const name of changes) model.on(name, drawing.soon);
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (Math.max(320, contentRect.width) === width) return;
    width = Math.max(320, contentRect.width);
    rows.show();
  });
  observer.observe(root);
  root.addEventListener("keydown", keepLetters);
  draw();
  return () => {
    observer.disconnect();
    drawing.end();
    rows.end();
    for (const name of changes) model.off(name, drawing.soon);
  };
}

export default { initialize, render };

/* Round trips over time, drawn by hand as SVG.
   state: { points: [[sent in s, round trip in ms or null, "pong" | "waiting" | "lost"]],
            changes: [[time in s, text]], latest, median, answered, lost }. */

const HEIGHT = 210;
const MARGIN = { left: 56, right: 16, top: 26, bottom: 40 };

function plot(state, width) {
  const { points, changes } = state;
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const sent = points.map(([time]) => time);
  const from = sent[0] ?? 0;
  const to = Math.max(from + 5, sent.at(-1) ?? 0);
  const highest = Math.max(...points.map(([, trip]) => trip ?? 0)) * 1.15 || 1;
  const x = (time) => MARGIN.left + ((time - from) / (to - from)) * inner.width;
  const y = (trip) => MARGIN.top + inner.height - (trip / highest) * inner.height;
  const floor = y(0);
  const svg = shape("svg", { width, height: HEIGHT, role: "img", "aria-label": spoken(state) });

  for (const tick of ticks(0, highest, 5)) {
    svg.append(shape("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
    svg.append(shape("text", { class: "tick", x: MARGIN.left - 7, y: y(tick) + 4, "text-anchor": "end" }, tick));
  }
  for (const tick of ticks(from, to, Math.max(4, inner.width / 80))) {
    svg.append(shape("line", { class: "axis", x1: x(tick), x2: x(tick), y1: floor, y2: floor + 4 }));
    svg.append(shape("text", { class: "tick", x: x(tick), y: floor + 17, "text-anchor": "middle" }, tick));
  }
  svg.append(shape("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: floor, y2: floor }));
  svg.append(shape("text", { class: "name", x: width - MARGIN.right, y: HEIGHT - 6, "text-anchor": "end" }, "time of the ping (s)"));
  svg.append(shape("text", { class: "name", x: 8, y: 14 }, "round trip (ms)"));

  const seen = changes.filter(([time]) => time >= from && time <= to);
  seen.forEach(([time, text], at) => {
    svg.append(shape("line", { class: "change", x1: x(time), x2: x(time), y1: MARGIN.top - 4, y2: floor }));
    if (at < seen.length - 1) return;
    const end = x(time) > width / 2;
    svg.append(shape("text", { class: "said", x: x(time) + (end ? -5 : 5), y: MARGIN.top + 6, "text-anchor": end ? "end" : "start" }, text));
  });

  const line = points.filter(([, trip]) => trip !== null).map(([time, trip]) => `${x(time)},${y(trip)}`);
  svg.append(shape("polyline", { class: "line", points: line.join(" ") }));
  for (const [time, trip, kind] of points) svg.append(mark(kind, x(time), trip === null ? null : y(trip), floor));
  if (!points.length) svg.append(shape("text", { class: "name", x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "no ping has passed yet"));
  return svg;
}

function mark(kind, x, y, floor) {
  if (kind === "pong") return shape("circle", { class: "pong", cx: x, cy: y, r: 3.5 });
  if (kind === "waiting") return shape("circle", { class: "waiting", cx: x, cy: floor, r: 4.5 });
  const cross = shape("g", { class: "lost" });
  const top = MARGIN.top + 16;
  cross.append(shape("line", { class: "reach", x1: x, x2: x, y1: top + 8, y2: floor }));
  cross.append(shape("path", { d: `M${x - 6},${top - 6}L${x + 6},${top + 6}M${x - 6},${top + 6}L${x + 6},${top - 6}` }));
  cross.append(shape("text", { x: x - 10, y: top + 4, "text-anchor": "end" }, "no pong"));
  return cross;
}

const spoken = ({ latest, median, answered, lost }) =>
  `Round trips: latest ${latest}, median ${median}, ${answered} answered, ${lost} without a pong`;

function render({ model, el }) {
  const root = element("div", { class: "wslearn wslearn-ping-plot" });
  const latest = element("strong", { class: "latest" });
  const numbers = element("span", { class: "quiet" });
  const lost = element("span", { class: "alarm", role: "status" });
  const button = element("button", { type: "button" }, "Pause");
  const picture = element("div", { class: "picture" });
  const legend = element("div", { class: "legend quiet", "aria-hidden": "true" });
  legend.innerHTML = "<span><b class=pong>●</b> pong</span><span><b class=waiting>○</b> waiting</span><span><b class=lost>✕</b> no pong</span>";
  root.append(element("div", { class: "head" }, latest, numbers, lost, button), picture, legend);
  el.append(root);
  let paused = false;

  function draw() {
    if (paused) return;
    const state = model.get("state");
    latest.textContent = state.latest;
    numbers.textContent = `latest round trip · median ${state.median} · ${state.answered} answered`;
    const alarm = state.lost ? `✕ ${state.lost} without a pong` : "";
    if (lost.textContent !== alarm) lost.textContent = alarm;
    picture.replaceChildren(plot(state, Math.max(280, picture.clientWidth)));
  }

  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume" : "Pause";
    draw();
  });
  button.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") event.stopPropagation();
  });
  const observer = new ResizeObserver(draw);
  observer.observe(picture);
  model.on("change:state", draw);
  draw();
  return () => {
    observer.disconnect();
    model.off("change:state", draw);
  };
}

export default { render };

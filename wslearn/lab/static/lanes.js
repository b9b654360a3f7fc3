/* Messages, frames and chunks of one session as three lanes of each direction, drawn as SVG.
   lanes: { from, to, note, directions: [{ sender, messages, frames, chunks }] }, each a list of
   [begin, end, group, bytes, number of the row or 0, first part, last part, lost], times in s. */

const BAR = 15;         // pixels of a bar, and of one in a lane where some overlap
const THIN = 11;
const LETTERS = { text: "T", binary: "B", ping: "P", pong: "p", close: "C", other: "?" };
const NAMES = ["messages", "frames", "chunks"];

const asSpan = ([begin, end, group, bytes, number, first, last, lost], at) => ({ begin, end, group, bytes, number, first, last, lost, at });

function drawLanes({ from, to, note, directions }, width, selected) {
  const left = 84;
  const inner = width - left - 14;
  const x = (time) => left + ((time - from) / (to - from || 1)) * inner;
  const svg = shape("svg", { width, role: "img", "aria-label": spokenLanes(directions) });
  const grid = shape("g");
  svg.append(grid, shape("text", { class: "note", x: width - 14, y: 14, "text-anchor": "end" }, note));
  let y = 0;
  for (const direction of directions) {
    svg.append(shape("text", { class: "way", x: 8, y: y + 14 }, WAY[direction.sender]));
    y += 20;
    const lit = partsOf(direction, selected);
    for (const name of NAMES) {
      const spans = stacked(direction[name].map(asSpan), x);
      const levels = 1 + Math.max(0, ...spans.map(({ level }) => level));
      const height = levels > 1 ? THIN : BAR;
      svg.append(shape("text", { class: "lane", x: left - 8, y: y + 12, "text-anchor": "end" }, name));
      svg.append(...bars(spans, lit[name], y, height));
      y += levels * (height + 2);
      svg.append(shape("line", { class: "rail", x1: left, x2: left + inner, y1: y, y2: y }));
      y += 6;
    }
  }
  for (const tick of ticks(from, to === from ? from + 1 : to, Math.max(3, inner / 90))) {
    grid.append(shape("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 16, y2: y }));
    const anchor = x(tick) > width - 30 ? "end" : "middle"; // the last one stands inside
    grid.append(shape("text", { class: "tick", x: x(tick), y: y + 13, "text-anchor": anchor }, `${tick} s`));
  }
  svg.setAttribute("height", y + 22);
  svg.setAttribute("viewBox", `0 0 ${width} ${y + 22}`);
  return svg;
}

// Where bars lie in pixels; what overlaps stands one below the other, three at most.
function stacked(spans, x) {
  const ends = [-Infinity, -Infinity, -Infinity];
  return spans.map((span) => {
    const left = x(span.begin);
    const right = Math.max(x(span.end), left + 2);
    const free = ends.findIndex((end) => end <= left + 0.5);
    const level = free < 0 ? ends.indexOf(Math.min(...ends)) : free;
    ends[level] = right;
    return { ...span, left, right, level };
  });
}

// What the chosen frame is made of, and the message that it belongs to.
function partsOf({ frames, messages }, selected) {
  const nothing = () => false;
  const chosen = selected && frames.map(asSpan).find(({ number }) => number === selected);
  if (!chosen) return { messages: nothing, frames: nothing, chunks: nothing };
  return {
    messages: ({ first, last }) => first <= chosen.at && chosen.at <= last && !["ping", "pong", "close"].includes(chosen.group),
    frames: ({ at }) => at === chosen.at,
    chunks: ({ at }) => chosen.first <= at && at <= chosen.last,
  };
}

// Bars that are narrower than a pixel and touch become one, so that ten thousand cost little.
function bars(spans, lit, y, height) {
  const nodes = [];
  const last = [];
  spans.forEach((span, at) => {
    const { left, right, level, group, lost } = span;
    const top = y + level * (height + 2);
    const isLit = lit(span);
    const before = last[level];
    if (before && !isLit && !before.isLit && right - left < 4 && left - before.right < 1 && before.group === group) {
      before.right = Math.max(before.right, right);
      before.node.setAttribute("width", before.right - before.left);
      return;
    }
    const node = shape("rect", { class: `bar ${group} ${isLit ? "lit" : ""} ${lost ? "lost" : ""}`, x: left, y: top, width: right - left, height, "data-number": span.number });
    nodes.push(node);
    last[level] = { left, right, node, isLit, group };
    const isWide = right - left > 9;
    const next = spans.slice(at + 1, at + 9).find((one) => one.level === level);
    const letter = lost ? "✕" : LETTERS[group] ?? "";
    if (!letter || (!isWide && next && next.left < right + 11)) return;
    nodes.push(shape("text", { class: `letter ${isWide ? "inside" : ""}`, x: isWide ? (left + right) / 2 : right + 2, y: top + height / 2 + 4, "text-anchor": isWide ? "middle" : "start" }, letter));
  });
  return nodes;
}

const spokenLanes = (directions) => directions.map(({ sender, messages, frames, chunks }) =>
  `${WAY[sender]}: ${count(messages.length, "message")} in ${count(frames.length, "frame")} in ${count(chunks.length, "chunk")}`).join("; ");

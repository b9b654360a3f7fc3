/* Messages, frames and chunks of one session as three lanes of each direction, drawn as SVG.
   lanes: { session, from, to, directions: [{ sender, messages, frames, chunks }] }, each a list of
   [begin, end, group, bytes, number of the row or 0, first part, last part, lost], times in s. */

const LANE = 24;        // pixels from lane to lane
const BAR = 15;
const LETTERS = { text: "T", binary: "B", ping: "P", pong: "p", close: "C", other: "?" };
const NAMES = ["messages", "frames", "chunks"];

const asSpan = ([begin, end, group, bytes, number, first, last, lost], at) => ({ begin, end, group, bytes, number, first, last, lost, at });

function drawLanes({ from, to, directions }, width, selected) {
  const left = 84;
  const inner = width - left - 14;
  const height = directions.length * (3 * LANE + 22) + 30;
  const x = (time) => left + ((time - from) / (to - from || 1)) * inner;
  const svg = shape("svg", { width, height, role: "img", "aria-label": spokenLanes(directions) });
  const floor = height - 30;

  for (const tick of ticks(from, to === from ? from + 1 : to, Math.max(3, inner / 90))) {
    svg.append(shape("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 16, y2: floor }));
    svg.append(shape("text", { class: "tick", x: x(tick), y: floor + 15, "text-anchor": "middle" }, `${tick} s`));
  }
  directions.forEach((direction, which) => {
    const top = which * (3 * LANE + 22);
    svg.append(shape("text", { class: "way", x: 8, y: top + 14 }, WAY[direction.sender]));
    const lit = partsOf(direction, selected);
    NAMES.forEach((name, lane) => {
      const y = top + 20 + lane * LANE;
      const spans = direction[name].map(asSpan);
      svg.append(shape("text", { class: "lane", x: left - 8, y: y + BAR - 3, "text-anchor": "end" }, name));
      svg.append(shape("line", { class: "rail", x1: left, x2: left + inner, y1: y + BAR, y2: y + BAR }));
      svg.append(...bars(spans, lit[name], x, y));
    });
  });
  return svg;
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
function bars(spans, lit, x, y) {
  const nodes = [];
  let last = null;
  spans.forEach((span, at) => {
    const [begin, end] = [x(span.begin), Math.max(x(span.end), x(span.begin) + 2)];
    const isLit = lit(span);
    if (last && !isLit && !last.isLit && end - begin < 4 && begin - last.end < 1 && last.group === span.group) {
      last.end = Math.max(last.end, end);
      last.node.setAttribute("width", last.end - last.begin);
      return;
    }
    const node = shape("rect", { class: `bar ${span.group} ${isLit ? "lit" : ""} ${span.lost ? "lost" : ""}`, x: begin, y: y + (isLit ? -2 : 0), width: end - begin, height: BAR + (isLit ? 4 : 0), "data-number": span.number });
    nodes.push(node);
    const isWide = end - begin > 9;
    const hasRoom = isWide || !spans[at + 1] || x(spans[at + 1].begin) > end + 11;
    const letter = span.lost ? "✕" : LETTERS[span.group] ?? "";
    if (hasRoom) nodes.push(shape("text", { class: `letter ${isWide ? "inside" : ""}`, x: isWide ? (begin + end) / 2 : end + 2, y: y + BAR - 3.5, "text-anchor": isWide ? "middle" : "start" }, letter));
    last = { begin, end, node, isLit, group: span.group };
  });
  return nodes;
}

const spokenLanes = (directions) => directions.map(({ sender, messages, frames, chunks }) =>
  `${WAY[sender]}: ${count(messages.length, "message")} in ${count(frames.length, "frame")} in ${count(chunks.length, "chunk")}`).join("; ");

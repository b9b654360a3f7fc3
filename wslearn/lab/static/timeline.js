/* What views of a whole trace share: rows that grow in place, and a list that draws only what is in sight.
   rows: { turn, gone, items }: how often they have changed, how many went before the first, and as JSON each as
   [time in s, received in s or null, lost, session, sender, group, kind, said, bytes];
   half: the same of frames that are not whole yet; turn: counts on with each change; sessions: the numbers of those that are shown, none for all. */

const GROUPS = ["handshake", "text", "binary", "ping", "pong", "close", "other", "event"];
const WAY = { client: "client → server", server: "server → client" };
const NEAR = 300;       // pixels above and below the window that are drawn too
const PAPER = 4600;     // pixels of a list that are printed, 200 rows

// Python sends only what is new; it comes before the model says so, and a module that missed some asks.
function initialize({ model }) {
  const ask = () => model.send({ resend: true });
  const check = () => rowsOf(model).turn === model.get("turn") || ask();
  model.on("msg:custom", ({ turn, gone, at, rows }) => {
    const kept = rowsOf(model);
    if (turn !== kept.turn + 1 && at) return ask();
    kept.items.splice(0, gone - kept.gone);
    kept.items.length = at;
    for (const item of numbered(rows, gone + at)) kept.items.push(item);
    Object.assign(kept, { turn, gone });
    model.set("drawn", turn);
  });
  model.on("change:rows", check);
  check();
}

function rowsOf(model) {
  const kept = model.get("rows");
  if (typeof kept.items === "string") kept.items = numbered(JSON.parse(kept.items), kept.gone);
  return kept;
}

const numbered = (rows, before) => rows.map(([time, received, lost, session, sender, group, kind, said, bytes], at) =>
  ({ time, received, lost, session, sender, group, kind, said, bytes, number: before + 1 + at }));

function itemsOf(model) {
  const { gone, items } = rowsOf(model);
  return [...items, ...numbered(model.get("half"), gone + items.length)];
}

const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
const seconds = (time) => time.toFixed(4);

function spoken({ time, received, lost, session, sender, kind, said, bytes }) {
  const arrival = lost ? "never arrived" : received === null ? "" : `received at ${seconds(received)} s`;
  const whose = session === null ? "" : `session ${session}`;
  return [`${seconds(time)} s`, whose, WAY[sender], kind, said, sender && count(bytes, "byte"), arrival].filter(Boolean).join(", ");
}

const isOf = (sessions) => ({ session }) => !sessions.length || session === null || sessions.includes(session);
const sessionsOf = (items) => [...new Set(items.map(({ session }) => session))].filter((number) => number !== null).sort((a, b) => a - b);

// A few of the newest: a server may have had thousands.
const sessionChips = (numbers, shown) => numbers.length < 2 ? [] : numbers.filter((number) => shown.includes(number) || number > numbers.at(-13) || numbers.length < 13)
  .map((number) => ({ name: number, on: shown.includes(number), text: `session ${number}` }));

// Takes a value into a list of the model, or out of it.
function press(model, name, value) {
  const now = model.get(name);
  model.set(name, now.includes(value) ? now.filter((one) => one !== value) : [...now, value]);
  model.save_changes();
}

/* A listbox with one tab stop. `into` holds the drawn options and `ground` holds it; the view gives
   top(at), height(at), total() in pixels, draw(at) for one option, and hears choose(at), enter() and
   scrolled(from, to, of what height). */
function listbox({ label, into, ground = into, scrolled = () => {}, top, height, total, length, draw, choose, enter }) {
  const list = element("div", { class: "rows", role: "listbox", tabindex: "0", "aria-label": label });
  const prefix = `wslearn-${crypto.randomUUID()}`;
  let chosen = -1;
  let waiting = 0;
  // remembered, because to ask for them makes the whole notebook lay itself out
  let [above, sight, drawnHeight] = [0, 2 * NEAR, 0];
  let isPrinted = false;
  list.append(ground);

  // On paper nobody scrolls, and nobody wants thousands of rows.
  function show() {
    const [from, to] = isPrinted ? [0, PAPER] : [above - NEAR, above + sight + NEAR];
    const inSight = [];
    let below = 0;
    for (let at = 0; at < length(); at++) {
      if (at === chosen && !isPrinted || top(at) < to && top(at) + height(at) > from) inSight.push(at);
      below += top(at) >= to;
    }
    drawnHeight = total();
    const tall = isPrinted ? Math.min(drawnHeight, PAPER) : drawnHeight;
    ground.style.height = `${tall}px`;
    list.dataset.more = isPrinted && below ? `… ${below.toLocaleString("en")} more` : "";
    into.replaceChildren(...inSight.map(option));
    scrolled(from, to, tall);
    if (chosen >= 0 && chosen < length()) list.setAttribute("aria-activedescendant", `${prefix}-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function option(at) {
    const node = draw(at);
    const attributes = { role: "option", id: `${prefix}-${at}`, "data-at": at, "aria-selected": at === chosen, "aria-setsize": length(), "aria-posinset": at + 1 };
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }

  const soon = () => (waiting ||= requestAnimationFrame(() => {
    waiting = 0;
    show();
  }));

  function scrollTo(pixels) {
    above = Math.max(0, pixels);
    list.scrollTop = above;
  }

  function reveal(at) {
    if (above > top(at)) scrollTo(top(at));
    else if (above < top(at) + height(at) - sight) scrollTo(top(at) + height(at) - sight);
  }

  function land(at) {
    chosen = at;
    reveal(at);
    show();
    choose(at);
  }

  // What is chosen stays so, wherever it stands now.
  const keep = (at) => (chosen = at);

  function keyed(event) {
    const page = Math.max(1, Math.floor(sight / (chosen < 0 ? Infinity : height(chosen))));
    const last = length() - 1;
    const next = {
      ArrowUp: chosen - 1, ArrowDown: chosen + 1, PageUp: chosen - page, PageDown: chosen + page,
      Home: 0, End: last, Enter: chosen, Escape: chosen,
    }[event.key];
    if (next === undefined || event.altKey || event.metaKey) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.key === "Escape") leave(list);
    else if (event.key === "Enter" && chosen >= 0) enter();
    else if (last >= 0) land(Math.max(0, Math.min(last, next)));
  }

  list.addEventListener("scroll", () => {
    above = list.scrollTop;
    soon();
  }, { passive: true });
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (!contentRect.height || contentRect.height === sight) return;
    sight = contentRect.height;
    soon();
  });
  observer.observe(list);
  list.addEventListener("keydown", keyed);
  list.addEventListener("click", ({ target }) => {
    const node = target.closest("[data-at]");
    if (node) land(Number(node.dataset.at));
  });
  // Goes on at the end, if that is where the reader is.
  function follow(redraw) {
    const isAtEnd = above > 0 && above + sight >= drawnHeight - 4;
    redraw();
    if (isAtEnd) {
      show();
      scrollTo(drawnHeight - sight);
    }
    show();
  }

  function end() {
    observer.disconnect();
    stopPrinting();
  }

  const stopPrinting = whenPrinted((now) => {
    isPrinted = now;
    show();
  });
  return { list, show, land, keep, follow, end };
}

// Calls with true before the page is printed, or looked at as if, and with false afterwards; returns how to stop.
function whenPrinted(call) {
  const print = matchMedia("print");
  const [before, after, change] = [() => call(true), () => call(false), () => call(print.matches)];
  window.addEventListener("beforeprint", before);
  window.addEventListener("afterprint", after);
  print.addEventListener("change", change);
  return () => {
    window.removeEventListener("beforeprint", before);
    window.removeEventListener("afterprint", after);
    print.removeEventListener("change", change);
  };
}

// Draws once for each picture of the screen, and only what somebody can see.
function whenSeen(root, draw) {
  let [isSeen, isOld, waiting] = [false, false, 0];
  const soon = () => {
    isOld = true;
    if (!isSeen) return;
    waiting ||= requestAnimationFrame(() => {
      [waiting, isOld] = [0, false];
      draw();
    });
  };
  const observer = new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    if (isSeen && isOld) soon();
  });
  observer.observe(root);
  return { soon, end: () => observer.disconnect() };
}

// Buttons that are pressed or not: one tab stop, arrows between them.
function chips(label, press) {
  const bar = element("div", { class: "chips", role: "toolbar", "aria-label": label });
  const buttons = () => [...bar.children];

  let filled = "";

  function fill(entries) {
    if (filled === JSON.stringify(entries)) return;
    filled = JSON.stringify(entries);
    const focused = buttons().findIndex((button) => button === document.activeElement);
    bar.replaceChildren(...entries.map(({ name, text, on, look = "" }, at) => element(
      "button", { type: "button", class: `chip ${look}`, "data-name": name, "aria-pressed": on, tabindex: at === Math.max(0, focused) ? 0 : -1 }, text)));
    if (focused >= 0) buttons()[focused]?.focus();
  }

  bar.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button) press(button.dataset.name);
  });
  bar.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(event.target);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined && !["Enter", " ", "Escape"].includes(event.key)) return;
    event.stopPropagation();
    if (event.key === "Escape") return leave(event.target);
    if (next === undefined) return;
    event.preventDefault();
    const button = all[Math.max(0, Math.min(all.length - 1, next))];
    for (const one of all) one.tabIndex = one === button ? 0 : -1;
    button.focus();
  });
  return { bar, fill };
}

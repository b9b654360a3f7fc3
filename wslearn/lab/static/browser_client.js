/* Opens real WebSockets from this page to the kernel, one for each act of the server, and says how they ended.
   port, names, ways, headings; rows: [{ name, sent, told: { way: { page, heard, extensions, live, seen } } }],
   where seen has rows under the headings. Sent for each connection that ended:
   { way, name, try, code, clean, extensions, log }, where log has pairs of ms since it opened and words. */

const PATIENCE = 1500; // ms until the page closes what is still open

// Resolves with the event that ends the connection; texts are sent back as they came.
function converse(url) {
  return new Promise((ended) => {
    const socket = new WebSocket(url);
    let opened = null;
    let extensions = "";
    const log = [];
    const note = (words) => log.push([Math.max(0, performance.now() - (opened ?? performance.now())), words]);
    const patience = setTimeout(() => { note("says close(1000)"); socket.close(1000); }, PATIENCE);
    socket.onopen = () => { opened = performance.now(); extensions = socket.extensions; note("open"); };
    socket.onmessage = (event) => { note(`message '${event.data}', sends it back`); socket.send(event.data); };
    socket.onerror = () => note("error");
    socket.onclose = (event) => {
      clearTimeout(patience);
      note(`close: ${event.code}, ${event.wasClean ? "clean" : "not clean"}`);
      ended({ opened: opened !== null, extensions, log, code: event.code, clean: event.wasClean });
    };
  });
}

function render({ model, el }) {
  const status = element("div", { class: "said", role: "status" });
  const body = element("tbody");
  const ways = model.get("ways");
  const buttons = ways.map((way) => element("button", { type: "button" }, `Connect ${way}`));
  const heads = ["the server says", "bytes", ...ways.map((way) => `the page is told, ${way}`)];
  const table = element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)))), body);
  const taps = element("div", { class: "taps" });
  let chosen = model.get("names")[0];
  el.append(element("div", { class: "wslearn wslearn-browser-client" },
    element("div", { class: "head" }, ...buttons, status), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "what the page was told" }, table), taps));

  function cell(told) {
    if (!told.page) return element("td", {}, "");
    const notes = told.heard.map((each) => element("div", { class: "quiet" }, `server hears ${each}`));
    if (told.extensions) notes.push(element("div", { class: "quiet" }, `page has ${told.extensions}`));
    return element("td", { class: told.live ? "live" : "" },
      element("strong", {}, told.page), element("span", { class: "quiet" }, told.live ? " in this page" : " recorded"), ...notes);
  }

  // The three taps of one way on one axis of time.
  function tapped(name, way, { seen, live }) {
    const cells = (row) => [element("td", { class: "mono" }, row[0]), ...row.slice(1).map((said) => element("td", {}, said))];
    const caption = element("caption", {}, element("strong", {}, `${name}, ${way}`), element("span", { class: "quiet" }, live ? " in this page" : " recorded"));
    return element("table", {}, caption,
      element("thead", {}, element("tr", {}, ...model.get("headings").map((each) => element("th", { scope: "col" }, each)))),
      element("tbody", {}, ...seen.map((row) => element("tr", {}, ...cells(row)))));
  }

  function choice(name) {
    const button = element("button", { type: "button", class: "choice", "aria-pressed": String(name === chosen), title: "show the three taps" }, name);
    button.addEventListener("click", () => { chosen = name; draw(); body.querySelector("[aria-pressed=true]").focus(); });
    return button;
  }

  function draw() {
    const rows = model.get("rows");
    body.replaceChildren(...rows.map(({ name, sent, told }) => element("tr", {},
      element("th", { scope: "row" }, choice(name)), element("td", { class: "mono" }, sent), ...ways.map((way) => cell(told[way])))));
    const told = rows.find(({ name }) => name === chosen)?.told ?? {};
    taps.replaceChildren(...ways.filter((way) => told[way]?.seen?.length).map((way) => tapped(chosen, way, told[way])));
  }

  async function run(way) {
    for (const button of buttons) button.disabled = true;
    for (const name of model.get("names")) {
      const id = crypto.randomUUID();
      const url = address(way, model.get("port"), new URLSearchParams({ act: name, try: id }));
      if (!url) { status.textContent = way === "directly" ? "This page is not on the kernel's machine: try the proxy." : "No Jupyter page is around this view."; break; }
      status.textContent = `${name} …`;
      const { opened, ...ended } = await converse(url);
      if (!opened) { status.textContent = way === "directly" ? "Nobody answered: run the cell again." : "The proxy let nobody through: is jupyter-server-proxy installed?"; break; }
      model.send({ way, name, try: id, ...ended });
      status.textContent = `done, ${way}`;
    }
    for (const button of buttons) button.disabled = false;
  }

  buttons.forEach((button, at) => button.addEventListener("click", () => run(ways[at])));
  model.on("change:rows", draw);
  draw();
  return () => model.off("change:rows", draw);
}

export default { render };

/* Opens real WebSockets from this page to the kernel, one for each act of the server, and says how they ended.
   port, names, ways; rows: [{ name, sent, told: { way: { page, heard, extensions, live } } }].
   Sent: { way, name, try, code, clean, extensions } for each connection that ended. */

const PATIENCE = 1500; // ms until the page closes what is still open

// Resolves with the event that ends the connection; texts are sent back as they came.
function converse(url) {
  return new Promise((ended) => {
    const socket = new WebSocket(url);
    let opened = false;
    let extensions = "";
    const patience = setTimeout(() => socket.close(1000), PATIENCE);
    socket.onopen = () => { opened = true; extensions = socket.extensions; };
    socket.onmessage = (event) => socket.send(event.data);
    socket.onclose = (event) => {
      clearTimeout(patience);
      ended({ opened, extensions, code: event.code, clean: event.wasClean });
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
  el.append(element("div", { class: "wslearn wslearn-browser-client" },
    element("div", { class: "head" }, ...buttons, status), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "what the page was told" }, table)));

  function cell(told) {
    if (!told.page) return element("td", {}, "");
    const notes = told.heard.map((each) => element("div", { class: "quiet" }, `server hears ${each}`));
    if (told.extensions) notes.push(element("div", { class: "quiet" }, `page has ${told.extensions}`));
    return element("td", { class: told.live ? "live" : "" },
      element("strong", {}, told.page), element("span", { class: "quiet" }, told.live ? " in this page" : " recorded"), ...notes);
  }

  function draw() {
    body.replaceChildren(...model.get("rows").map(({ name, sent, told }) => element("tr", {},
      element("th", { scope: "row" }, name), element("td", { class: "mono" }, sent), ...ways.map((way) => cell(told[way])))));
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

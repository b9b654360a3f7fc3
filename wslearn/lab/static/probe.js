/* Says Hello to the kernel's server from this page, each way, and tells whether it came back.
   port, 0 without a server; ways; lines: [[mark, part, text]]. Sent: { way, came } for each way. */

const PATIENCE = 5000; // ms

function comesBack(url) {
  return new Promise((ended) => {
    const socket = new WebSocket(url);
    let came = false;
    const patience = setTimeout(() => socket.close(), PATIENCE);
    socket.onopen = () => socket.send("Hello");
    socket.onmessage = (event) => { came = event.data === "Hello"; socket.close(1000); };
    socket.onclose = () => { clearTimeout(patience); ended(came); };
  });
}

async function tryAll(model) {
  for (const way of model.get("ways")) {
    const url = model.get("port") && address(way, model.get("port"), "");
    model.send({ way, came: Boolean(url) && await comesBack(url).catch(() => false) });
  }
}

function render({ model, el }) {
  const list = element("ul");
  const draw = () => list.replaceChildren(...model.get("lines").map((line) =>
    element("li", {}, ...line.map((text) => element("span", {}, text)))));

  model.on("change:lines", draw);
  draw();
  el.append(element("div", { class: "wslearn wslearn-probe", role: "status" }, list));
  tryAll(model);
  return () => model.off("change:lines", draw);
}

export default { render };

/* Says texts to the kernel's server from this page, and what came back.
   port, texts; said: the last result in words. Sent: { texts, code, clean } when the connection has ended. */

const PATIENCE = 3000; // ms until the page closes

function render({ model, el }) {
  const button = element("button", { type: "button" }, "Connect this page");
  const says = element("span", { class: "quiet" }, `it says ${model.get("texts").map((text) => `"${text}"`).join(", ")}`);
  const status = element("p", { role: "status" });
  const draw = () => (status.textContent = model.get("said"));

  button.addEventListener("click", () => {
    const texts = model.get("texts");
    const url = address("directly", model.get("port"), "") || address("through the proxy", model.get("port"), "");
    if (!url) return (status.textContent = "No Jupyter page is around this view.");
    const socket = new WebSocket(url);
    const came = [];
    let opened = false;
    const patience = setTimeout(() => socket.close(1000), PATIENCE);
    socket.onopen = () => { opened = true; texts.forEach((text) => socket.send(text)); };
    socket.onmessage = (event) => { if (came.push(event.data) === texts.length) socket.close(1000); };
    socket.onclose = (event) => {
      clearTimeout(patience);
      if (opened) model.send({ texts: came, code: event.code, clean: event.wasClean });
      else status.textContent = "Nobody answered: run the cell again.";
    };
  });

  model.on("change:said", draw);
  draw();
  el.append(element("div", { class: "wslearn wslearn-page-client" }, button, says, status));
  return () => model.off("change:said", draw);
}

export default { render };

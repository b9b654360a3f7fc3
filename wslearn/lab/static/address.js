/* Where a page finds a server that listens beside the kernel. */

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

// Returns where this page finds a port of the kernel's machine, or nothing where it cannot.
function address(way, port, query) {
  if (way === "directly") return LOCAL.includes(location.hostname) ? `ws://127.0.0.1:${port}/?${query}` : "";
  const config = document.getElementById("jupyter-config-data");
  if (!config) return "";
  const url = new URL(`${JSON.parse(config.textContent).baseUrl}proxy/${port}/?${query}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

// node's `ws` as a client: what a browser does, and what only `ws` can do.

const {WebSocket} = require("ws");
const {once} = require("events");
const {talk} = require("./talk.js");

async function fragmentsAndPing(url) {
    const socket = new WebSocket(url);
    await once(socket, "open");
    for (const [part, fin] of [["a", false], ["ü", false], ["b", true]]) socket.send(part, {fin});
    const [joined] = await once(socket, "message");
    socket.ping("hello");
    const [payload] = await once(socket, "pong");
    socket.close();
    return [`fragmented ${joined}`, `pong ${payload}`];
}

async function main(url) {
    console.log([...await talk(WebSocket, url), ...await fragmentsAndPing(url)].join("\n"));
}

main(process.argv[2]);

// node's `ws` as a server: prints its port, then how each echo ended.

const {readFileSync} = require("fs");
const http = require("http");
const https = require("https");
const {WebSocketServer} = require("ws");

const [cert, key] = process.argv.slice(2).map(path => readFileSync(path));
const listening = cert ? https.createServer({cert, key}) : http.createServer();
const server = new WebSocketServer({
    server: listening,
    maxPayload: 2 ** 25,
    perMessageDeflate: true,
    handleProtocols: offered => offered.has("chat") && "chat",
});

server.on("connection", (socket, request) => {
    const [, path, code] = request.url.split("/");
    switch (path) {
        case "":
            socket.on("message", (data, binary) => socket.send(data, {binary}));
            socket.on("close", (code, reason) => console.log(`left ${code} ${reason}`));
            break;
        case "fragments":
            for (const [part, fin] of [["a", false], ["ü", false], ["b", true]]) socket.send(part, {fin});
            break;
        case "latency":
            socket.on("pong", payload => socket.send(payload.toString() === "hello" ? "answered" : "wrong"));
            socket.ping("hello");
            break;
        case "chat":
            socket.send(socket.protocol);
            break;
        case "close":
            socket.close(Number(code), "bye");
    }
});
listening.listen(0, "127.0.0.1", () => console.log(listening.address().port));

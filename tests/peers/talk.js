// A conversation through the WebSocket that browsers have; node's `ws` has the same.

const MESSAGES = [
    "", "Hello", "ü".repeat(100), "a".repeat(65536), "é".repeat(2 ** 23),
    ...[0, 256, 70000, 2 ** 24].map(size => new Uint8Array(size).map((_, at) => at % 251)),
];

function once(socket, name) {
    return new Promise((resolve, reject) => {
        socket.addEventListener(name, resolve, {once: true});
        socket.addEventListener("error", () => reject(new Error(`${socket.url}: no ${name}`)), {once: true});
    });
}

function described(sent, received) {
    if (typeof sent === "string") return sent === received ? `text ${received.length}` : "another text";
    const bytes = new Uint8Array(received);
    const equal = bytes.length === sent.length && bytes.every((byte, at) => byte === sent[at]);
    return equal ? `binary ${bytes.length}` : "other bytes";
}

async function talk(WebSocket, url) {
    const lines = [];
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    await once(socket, "open");
    for (const message of MESSAGES) {
        const answer = once(socket, "message");
        socket.send(message);
        lines.push(`echoed ${described(message, (await answer).data)}`);
    }
    const end = once(socket, "close");
    socket.close(4000, "bye");
    const {code, reason, wasClean} = await end;
    lines.push(`left ${code} ${reason}${wasClean ? "" : ", unclean"}`);
    for (const path of ["fragments", "latency"]) {
        const asked = new WebSocket(url + path);
        lines.push(`${path} ${(await once(asked, "message")).data}`);
        asked.close();
    }
    const chat = new WebSocket(url + "chat", ["other", "chat"]);
    lines.push(`chat ${(await once(chat, "message")).data} ${chat.protocol}`);
    chat.close();
    for (const due of [1000, 1001, 1011, 3000, 4999]) {
        const {code, reason} = await once(new WebSocket(`${url}close/${due}`), "close");
        lines.push(`closed ${code} ${reason}`);
    }
    return lines;
}

if (typeof module !== "undefined") module.exports = {talk};

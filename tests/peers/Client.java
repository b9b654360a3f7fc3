// Java's own WebSocket as a client. Arguments: the URL, and for wss the certificate to trust.

import java.io.FileInputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    static HttpClient http = HttpClient.newHttpClient();
    static String url;

    /** Joins what comes in parts, and keeps all that comes in order. */
    static class Ear implements WebSocket.Listener {
        final LinkedBlockingQueue<Object> heard = new LinkedBlockingQueue<>();
        StringBuilder text = new StringBuilder();
        java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();

        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                heard.add(text.toString());
                text = new StringBuilder();
            }
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean last) {
            byte[] copy = new byte[part.remaining()];
            part.get(copy);
            bytes.writeBytes(copy);
            if (last) {
                heard.add(ByteBuffer.wrap(bytes.toByteArray()));
                bytes = new java.io.ByteArrayOutputStream();
            }
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            heard.add("pong " + StandardCharsets.UTF_8.decode(payload));
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            heard.add(code + " " + reason);
            return null;
        }

        public void onError(WebSocket socket, Throwable error) {
            heard.add(error.toString());
        }

        Object next() throws InterruptedException {
            Object next = heard.poll(30, TimeUnit.SECONDS);
            return next == null ? "nothing within 30 s" : next;
        }
    }

    static WebSocket open(String path, Ear ear) {
        var builder = http.newWebSocketBuilder();
        if (path.equals("chat")) builder.subprotocols("other", "chat");
        return builder.buildAsync(URI.create(url + path), ear).join();
    }

    static String described(Object sent, Object received) {
        if (!sent.equals(received)) return "something else";
        return sent instanceof String text ? "text " + text.length() : "binary " + ((ByteBuffer) sent).remaining();
    }

    static void echo(WebSocket socket, Ear ear) throws Exception {
        for (String text : List.of("", "Hello", "ü".repeat(100), "a".repeat(65536), "é".repeat(1 << 23))) {
            socket.sendText(text, true).join();
            out.println("echoed " + described(text, ear.next()));
        }
        for (int size : List.of(0, 256, 70000, 1 << 24)) {
            byte[] bytes = new byte[size];
            for (int at = 0; at < size; at++) bytes[at] = (byte) (at % 251);
            socket.sendBinary(ByteBuffer.wrap(bytes), true).join();
            out.println("echoed " + described(ByteBuffer.wrap(bytes), ear.next()));
        }
    }

    static String asked(String path) throws Exception {
        Ear ear = new Ear();
        WebSocket socket = open(path, ear);
        String answer = path + " " + ear.next();
        if (path.equals("chat")) answer += " " + socket.getSubprotocol();
        socket.sendClose(1000, "").join();
        return answer;
    }

    static void trust(String certificate) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (var file = new FileInputStream(certificate)) {
            store.setCertificateEntry("ours", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusted.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trusted.getTrustManagers(), null);
        http = HttpClient.newBuilder().sslContext(context).build();
    }

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        if (arguments.length > 1) trust(arguments[1]);
        Ear ear = new Ear();
        WebSocket socket = open("", ear);
        echo(socket, ear);
        socket.sendClose(4000, "bye").join();
        out.println("left " + ear.next());
        for (String path : List.of("fragments", "latency", "chat")) out.println(asked(path));
        for (int code : List.of(1000, 1001, 1011, 3000, 4999)) {
            Ear closing = new Ear();
            open("close/" + code, closing);
            out.println("closed " + closing.next());
        }
        Ear parts = new Ear();
        socket = open("", parts);
        socket.sendText("a", false).join();
        socket.sendText("ü", false).join();
        socket.sendText("b", true).join();
        out.println("fragmented " + parts.next());
        socket.sendPing(ByteBuffer.wrap("hello".getBytes())).join();
        out.println(parts.next());
        socket.sendClose(1000, "").join();
    }
}

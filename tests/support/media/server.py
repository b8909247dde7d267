"""A server of pictures over HTTPS: Python's http.server and ssl, nothing of kioskd's.

It serves what lies in --state as files, and of NAME does what NAME.how says: `break N` (the first answer breaks off after N
bytes), `hold N` (each answer stops after N bytes and goes on when NAME.how has gone), `to URL` (a redirect), `says N` (each
fails with the status N). Who asks for a part of a file gets it. A line of `asked` for each request: NAME, and where it began.
"""

import argparse
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time

LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.lstrip("/")
        begin = int((self.headers.get("range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        with LOCK, open(STATE / "asked", "a") as asked:
            asked.write(f"{name} {begin}\n")
        how = STATE / f"{name}.how"
        verb, _, rest = how.read_text().strip().partition(" ") if how.exists() else ("", "", "")
        self.close_connection = True
        if verb == "to":
            return self.answer(302, b"", {"location": rest})
        if verb == "says":
            return self.answer(int(rest), b"no")
        body = (STATE / name).read_bytes() if (STATE / name).is_file() else None
        if body is None:
            return self.answer(404, b"no")
        if begin > len(body) or (begin and begin == len(body)):
            return self.answer(416, b"", {"content-range": f"bytes */{len(body)}"})
        more = {"content-range": f"bytes {begin}-{len(body) - 1}/{len(body)}"} if begin else {}
        self.answer(206 if begin else 200, None, {**more, "content-length": str(len(body) - begin)})
        rest_of_it = body[begin:]
        if verb == "break":
            how.unlink()
            self.wfile.write(rest_of_it[: int(rest)])
            self.wfile.flush()
            return self.connection.close()
        if verb == "hold":
            self.wfile.write(rest_of_it[: int(rest)])
            self.wfile.flush()
            while how.exists():
                time.sleep(0.01)
            rest_of_it = rest_of_it[int(rest) :]
        self.wfile.write(rest_of_it)

    def answer(self, status, body, headers=None):
        self.send_response(status)
        headers = dict(headers or {})
        if body is not None:
            headers["content-length"] = str(len(body))
        for key, value in {**headers, "connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, *words):
        pass


parser = argparse.ArgumentParser()
parser.add_argument("--state", type=pathlib.Path)
parser.add_argument("--port", type=int)
options = parser.parse_args()
STATE = options.state


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Who breaks off in the middle is a test."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", options.port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(STATE / "server.pem", STATE / "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(json.dumps({"url": f"https://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()

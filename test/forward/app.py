import base64, hashlib, hmac, os, sqlite3, sys, time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["FORWARD_SECRET"].removeprefix("whsec_"))
DATABASE = os.environ.get("DATABASE", "app.db")


def is_signed(headers, body):
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > 300:
        return False
    signed = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    digest = hmac.new(KEY, signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected, signature) for signature in given)


class Webhooks(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.take(body) if is_signed(self.headers, body) else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def take(self, body):
        key = (self.headers["postbell-source"], self.headers["webhook-id"])
        with closing(sqlite3.connect(DATABASE, timeout=60)) as db, db:  # one transaction
            db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", (*key, body))
            if db.execute("SELECT changes()").fetchone()[0] == 1:  # the first time
                db.execute("UPDATE shop SET orders = orders + 1")  # the app's own work
        return 204  # only after the commit

    def log_message(self, *_):
        pass


with closing(sqlite3.connect(DATABASE)) as db, db:
    db.execute("CREATE TABLE IF NOT EXISTS events (source, id, body, PRIMARY KEY (source, id))")
    db.execute("CREATE TABLE IF NOT EXISTS shop (orders)")
    db.execute("INSERT INTO shop SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM shop)")
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Webhooks).serve_forever()

"""WeChat Pay as a kiosk sees it: API v3 Native, direct and partner, with a book that survives a kill.

The cryptography is wechatpayv3's (and the cryptography package under it), not kioskd's. Every request's signature is
verified; every answer is signed, errors too. What goes wrong goes wrong on demand.

    double.py --state DIR [--port N]

Prints one line of JSON when it listens. DIR holds its keys, made on the first start, and its book.

  POST /_control {"next": [{"on": "create", "fault": "drop-after"}], "set": {"spelling": "old"}, "rotate": true}
  POST /_pay     {"payload" | "out_trade_no", "amount"?, "coupon"?, "late"?}
  POST /_refund  {"out_trade_no", "amount"}: somebody else gives money back, in the merchant's console
  POST /_notify  {"url", "out_trade_no" | "out_refund_no", "fault"?}
  GET  /_book    {"charges": [...], "refunds": [...], "asked": {...}}

`on` is create, query, close, refund, query_refund or certificates. Faults are spent one at a time.
"""

import argparse
import base64
import datetime
import email.utils
import http.client
import http.server
import json
import os
import re
import secrets
import signal
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID
from wechatpayv3.utils import aes_decrypt, rsa_sign, rsa_verify

APPID, MCHID, SUB_MCHID, SUB_APPID = "wxd678efh567hg6787", "1900007291", "1900009999", "wxsub8888888888888"
MERCHANT_SERIAL = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"
PUBLIC_KEY_ID = "PUB_KEY_ID_0000000000000024101100397200000006"
BEIJING = datetime.timezone(datetime.timedelta(hours=8))
NATIVE = re.compile(r"^/v3/pay(/partner)?/transactions/native$")
ORDER = re.compile(r"^/v3/pay(/partner)?/transactions/out-trade-no/([^/]+?)(/close)?$")
REFUND = re.compile(r"^/v3/refund/domestic/refunds(?:/([^/]+))?$")


class No(Exception):
    """An error answer."""

    def __init__(self, status, code, message="", signed=True):
        super().__init__(code)
        self.status, self.code, self.message, self.signed = status, code, message, signed


class Keys:
    """Keys and certificates, in files."""

    def __init__(self, directory):
        self.directory = directory
        self.merchant = self.private("merchant.key")
        self.public = self.private("public.key")
        self.forger = self.private("forger.key")
        self.save_public("merchant.pub", self.merchant)
        self.save_public("public.pub", self.public)
        path = os.path.join(directory, "api_v3.key")
        if not os.path.exists(path):
            self.write(path, secrets.token_hex(16).encode())
        with open(path, encoding="ascii") as file:
            self.api_v3 = file.read()
        self.platform = []
        while os.path.exists(os.path.join(directory, f"platform{len(self.platform)}.crt")):
            self.add_platform()
        if not self.platform:
            self.add_platform()

    @staticmethod
    def write(path, data):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)

    def private(self, name):
        path = os.path.join(self.directory, name)
        if not os.path.exists(path):
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            self.write(path, key.private_bytes(*form))
        with open(path, "rb") as file:
            return serialization.load_pem_private_key(file.read(), None)

    def save_public(self, name, key):
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.write(os.path.join(self.directory, name), key.public_key().public_bytes(*form))

    def add_platform(self):
        """A platform certificate and its key; the last one signs."""
        number = len(self.platform)
        key = self.private(f"platform{number}.key")
        path = os.path.join(self.directory, f"platform{number}.crt")
        if not os.path.exists(path):
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com Root CA")])
            start = datetime.datetime(2020, 1, 1)
            builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start,
                                              start + datetime.timedelta(days=36500))
            self.write(path, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        with open(path, encoding="ascii") as file:
            pem = file.read()
        serial = f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:X}"
        self.platform.append((serial, key, pem))


class Book:
    """Orders and refunds, on disk before anything is answered."""

    def __init__(self, path):
        self.path = path
        self.orders, self.refunds = {}, {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.orders, self.refunds = json.load(file)

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump([self.orders, self.refunds], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)

    def refunded(self, number, states=("SUCCESS", "PROCESSING", "ABNORMAL")):
        mine = [r for r in self.refunds.values() if r["order"] == number and r["status"] in states]
        return sum(r["amount"] for r in mine)

    def state(self, number):
        order = self.orders[number]
        if order["paid"] is None:
            return "CLOSED" if order["closed"] else "NOTPAY"
        return "REFUND" if self.refunded(number) else "SUCCESS"

    def show(self):
        charges = []
        for number, order in self.orders.items():
            charges.append({
                "id": number, "order": number.rsplit("_", 1)[0], "amount": order["total"], "currency": order["currency"],
                "state": self.state(number), "paid": order["paid"] or 0,
                "refunded": self.refunded(number, ("SUCCESS",)), "expires": order["expires"],
                "attach": order["attach"], "description": order["description"], "device": order["device"],
            })
        refunds = [dict(refund, id=number) for number, refund in self.refunds.items()]
        return {"charges": charges, "refunds": refunds}


class Provider:
    def __init__(self, directory):
        self.keys = Keys(directory)
        self.book = Book(os.path.join(directory, "book.json"))
        self.lock = threading.RLock()
        self.faults = []
        self.asked = {}
        self.bad_requests = 0
        self.flags = {"spelling": "new", "closes_hold": True, "clock": 0, "refund": "SUCCESS",
                      "sign_with": "certificate"}

    def now(self):
        return time.time() + self.flags["clock"]

    def fault(self, on):
        for index, fault in enumerate(self.faults):
            if fault["on"] == on:
                return self.faults.pop(index)["fault"]
        return None

    def spell(self, code):
        return code.replace("_", "") if self.flags["spelling"] == "old" and code.startswith(("ORDER_", "NO_")) else code

    # The API.

    def authenticate(self, method, target, header, body):
        scheme, _, attributes = (header or "").partition(" ")
        said = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        wrong = No(401, "SIGN_ERROR", "the signature does not hold", signed=False)
        if scheme != "WECHATPAY2-SHA256-RSA2048" or set(said) != {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}:
            raise wrong
        if said["mchid"] != MCHID or said["serial_no"] != MERCHANT_SERIAL or not 16 <= len(said["nonce_str"]) <= 32:
            raise wrong
        if abs(self.now() - int(said["timestamp"])) > 300:
            raise No(401, "SIGN_ERROR", "the timestamp has expired", signed=False)
        first = f"{method}\n{target}\n{said['timestamp']}"
        if not rsa_verify(first, said["nonce_str"], body.decode(), said["signature"], self.keys.merchant.public_key()):
            raise wrong

    def party(self, partner, said, with_app):
        """Whose request it is, as answers repeat it."""
        party = {"sp_mchid": MCHID, "sub_mchid": SUB_MCHID} if partner else {"mchid": MCHID}
        if with_app:
            party.update({"sp_appid": APPID, "sub_appid": SUB_APPID} if partner else {"appid": APPID})
        for key, value in party.items():
            if said.get(key) != value:
                raise No(400, "APPID_MCHID_NOT_MATCH", f"{key} is {said.get(key)}")
        return party

    def create(self, partner, said):
        self.party(partner, said, True)
        number = said["out_trade_no"]
        amount = said["amount"]
        expires = datetime.datetime.fromisoformat(said["time_expire"])
        good = (re.fullmatch(r"[0-9A-Za-z_\-|*]{6,32}", number) and 0 < len(said["description"].encode()) <= 127
                and isinstance(amount["total"], int) and amount["total"] > 0 and amount["currency"] == "CNY"
                and said["notify_url"] and "?" not in said["notify_url"] and len(said.get("attach", "")) <= 128
                and expires.utcoffset() == datetime.timedelta(hours=8)
                and expires.timestamp() - self.now() < 7200)
        scene = said.get("scene_info")
        if not good or scene is not None and not scene.get("payer_client_ip"):
            raise No(400, "PARAM_ERROR", "a parameter is wrong")
        asked = dict(total=amount["total"], currency=amount["currency"], description=said["description"],
                     attach=said.get("attach"), expires=said["time_expire"], partner=partner,
                     device=(scene or {}).get("device_id"))
        order = self.book.orders.get(number)
        if order is None:
            order = dict(asked, paid=None, payer_total=None, closed=False, transaction=None,
                         code=f"weixin://wxpay/bizpayurl?pr={secrets.token_hex(5)}",
                         until=max(expires.timestamp(), self.now() + 60))
            self.book.orders[number] = order
            self.book.save()
        elif any(order[key] != value for key, value in asked.items()):
            raise No(403, "OUT_TRADE_NO_USED", "the number was used with other parameters")
        elif order["paid"] is not None:
            raise No(400, self.spell("ORDER_PAID"), "the order is paid")
        elif order["closed"]:
            raise No(400, self.spell("ORDER_CLOSED"), "the order is closed")
        return 200, {"code_url": order["code"]}

    def order(self, number, partner):
        order = self.book.orders.get(number)
        if order is None or order["partner"] != partner:
            raise No(404, self.spell("ORDER_NOT_EXIST"), "the order does not exist")
        return order

    def transaction(self, number):
        order = self.book.orders[number]
        if order["partner"]:
            said = {"sp_appid": APPID, "sp_mchid": MCHID, "sub_appid": SUB_APPID, "sub_mchid": SUB_MCHID}
        else:
            said = {"appid": APPID, "mchid": MCHID}
        state = self.book.state(number)
        said.update(out_trade_no=number, trade_state=state, trade_state_desc=state.lower(), attach=order["attach"] or "",
                    amount={"total": order["total"], "currency": order["currency"]}, promotion_detail=[])
        if order["paid"] is not None:
            said.update(transaction_id=order["transaction"], trade_type="NATIVE", bank_type="OTHERS",
                        success_time=datetime.datetime.now(BEIJING).isoformat(timespec="seconds"),
                        payer={"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})
            said["amount"] = {"total": order["paid"], "payer_total": order["payer_total"], "currency": order["currency"],
                              "payer_currency": "CNY"}
        return said

    def query(self, partner, number, said):
        self.party(partner, said, False)
        self.order(number, partner)
        return 200, self.transaction(number)

    def close(self, partner, number, said):
        self.party(partner, said, False)
        order = self.order(number, partner)
        if order["paid"] is not None:
            raise No(400, self.spell("ORDER_PAID"), "the order is paid")
        if self.flags["closes_hold"]:
            order["closed"] = True
            self.book.save()
        return 204, None

    def refund(self, said):
        partner = "sub_mchid" in said
        order = self.order(said["out_trade_no"], partner)
        number, amount = said["out_refund_no"], said["amount"]
        asked = dict(order=said["out_trade_no"], amount=amount["refund"])
        known = self.book.refunds.get(number)
        if known is None:
            if self.flags["refund"] == "NOT_ENOUGH":
                raise No(403, "NOT_ENOUGH", "there is not enough money")
            if order["paid"] is None or amount["total"] != order["paid"] or amount["currency"] != "CNY" or not amount["refund"] > 0:
                raise No(400, "INVALID_REQUEST", "the amounts differ from the order's")
            if self.book.refunded(asked["order"]) + amount["refund"] > order["paid"]:
                raise No(400, "INVALID_REQUEST", "more than is left to give back")
            self.book.refunds[number] = dict(asked, status=self.flags["refund"])
            self.book.save()
        elif any(known[key] != value for key, value in asked.items()):
            raise No(400, "INVALID_REQUEST", "the number was used with another amount")
        return 200, self.refund_said(number)

    def refund_said(self, number):
        refund = self.book.refunds[number]
        order = self.book.orders[refund["order"]]
        return {"refund_id": "5030000000" + str(abs(hash(number)) % 10**18), "out_refund_no": number,
                "transaction_id": order["transaction"], "out_trade_no": refund["order"], "channel": "ORIGINAL",
                "user_received_account": "a bank", "create_time": datetime.datetime.now(BEIJING).isoformat(timespec="seconds"),
                "status": refund["status"], "funds_account": "UNSETTLED",
                "amount": {"total": order["paid"], "refund": refund["amount"], "payer_total": order["payer_total"],
                           "payer_refund": refund["amount"], "settlement_refund": refund["amount"],
                           "settlement_total": order["paid"], "discount_refund": 0, "currency": "CNY"}}

    def query_refund(self, number, said):
        refund = self.book.refunds.get(number)
        if refund is None or self.book.orders[refund["order"]]["partner"] != (said.get("sub_mchid") == SUB_MCHID):
            raise No(404, "RESOURCE_NOT_EXISTS", "there is no such refund")
        return 200, self.refund_said(number)

    def certificates(self, fault):
        if self.flags["sign_with"] == "public-key":
            raise No(404, "RESOURCE_NOT_EXISTS", "no platform certificate can be used")
        data = []
        for serial, _, pem in self.keys.platform:
            sealed = self.encrypt(pem, "certificate")
            if fault == "badly-encrypted":
                sealed["ciphertext"] = base64.b64encode(b"\0" + base64.b64decode(sealed["ciphertext"])[1:]).decode()
            data.append({"serial_no": serial, "effective_time": "2020-01-01T00:00:00+08:00",
                         "expire_time": "2119-12-08T00:00:00+08:00", "encrypt_certificate": sealed})
        return 200, {"data": data}

    # Signing.

    def encrypt(self, text, associated):
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.keys.api_v3.encode()).encrypt(nonce.encode(), text.encode(), associated.encode())
        ciphertext = base64.b64encode(sealed).decode()
        assert aes_decrypt(nonce, ciphertext, associated, self.keys.api_v3) == text
        return {"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated, "ciphertext": ciphertext}

    def sign(self, body, fault=None):
        at, nonce = int(self.now()), secrets.token_hex(16)
        serial, key, _ = self.keys.platform[-1]
        if self.flags["sign_with"] == "public-key":
            serial, key = PUBLIC_KEY_ID, self.keys.public
        if fault == "forged":
            key = self.keys.forger
        if fault == "unknown-serial":
            serial = "0123456789ABCDEF0123456789ABCDEF01234567"
        if fault == "stale":
            at -= 301
        signature = rsa_sign(key, f"{at}\n{nonce}\n{body}\n")
        if fault == "signtest":
            signature = "WECHATPAY/SIGNTEST/" + signature
        return {"Wechatpay-Timestamp": str(at), "Wechatpay-Nonce": nonce, "Wechatpay-Signature": signature,
                "Wechatpay-Serial": serial, "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048"}

    # The other side: payers, and the merchant's own people.

    def pay(self, said):
        number = said.get("out_trade_no")
        if number is None:
            number = next((n for n, o in self.book.orders.items() if o["code"] == said["payload"]), None)
        order = self.book.orders.get(number)
        if order is None:
            return "refused", "no such code"
        if order["paid"] is not None:
            return "refused", "paid already"
        late = said.get("late", False)
        if not late and (order["closed"] or self.now() > order["until"]):
            return "refused", "closed or expired"
        order["paid"] = said.get("amount", order["total"])
        order["payer_total"] = order["paid"] - said.get("coupon", 0)
        order["currency"] = said.get("currency", order["currency"])
        order["transaction"] = "42000" + "".join(secrets.choice("0123456789") for _ in range(23))
        self.book.save()
        return "accepted", number

    def notification(self, said):
        if "out_refund_no" in said:
            refund = self.refund_said(said["out_refund_no"])
            refund["refund_status"] = refund.pop("status")
            refund["mchid"] = MCHID
            refund["amount"] = {k: refund["amount"][k] for k in ("total", "refund", "payer_total", "payer_refund")}
            kind, original, content = f"REFUND.{refund['refund_status']}", "refund", refund
        else:
            kind, original, content = "TRANSACTION.SUCCESS", "transaction", self.transaction(said["out_trade_no"])
        content.update(said.get("change", {}))
        resource = dict(self.encrypt(json.dumps(content, ensure_ascii=False), original), original_type=original)
        fault = said.get("fault")
        if fault == "badly-encrypted":
            resource["nonce"] = secrets.token_hex(6)
        body = json.dumps({"id": secrets.token_hex(16), "create_time": datetime.datetime.now(BEIJING).isoformat(),
                           "resource_type": "encrypt-resource", "event_type": said.get("event_type", kind),
                           "summary": "支付成功", "resource": resource}, ensure_ascii=False)
        headers = {} if fault == "unsigned" else self.sign(body, fault)
        headers["Content-Type"] = "application/json"
        if fault == "changed":
            body = body.replace("encrypt-resource", "encrypt_resource")
        url = urllib.parse.urlsplit(said["url"])
        connection = http.client.HTTPConnection(url.netloc, timeout=5)
        connection.request("POST", url.path, body.encode(), headers)
        return connection.getresponse().status


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider = None

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.provider.now(), usegmt=True)

    def do_GET(self):
        self.handle_any("GET")

    def do_POST(self):
        self.handle_any("POST")

    def handle_any(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/_"):
            return self.control(body)
        return self.api(method, body)

    def control(self, body):
        provider, said = self.provider, json.loads(body or b"{}")
        name = self.path
        if name == "/_notify":
            return self.plain(200, {"status": provider.notification(said)})
        with provider.lock:
            if name == "/_control":
                provider.faults.extend(said.get("next", []))
                provider.flags.update(said.get("set", {}))
                if said.get("clear"):
                    provider.faults.clear()
                if said.get("rotate"):
                    provider.keys.add_platform()
                for number, status in said.get("refunds", {}).items():
                    provider.book.refunds[number]["status"] = status
                    provider.book.save()
                return self.plain(200, {"faults": provider.faults, "bad_requests": provider.bad_requests})
            if name == "/_pay":
                result, why = provider.pay(said)
                return self.plain(200, {"result": result, "why": why})
            if name == "/_refund":
                number = said["out_trade_no"]
                provider.book.refunds["console_" + secrets.token_hex(4)] = {
                    "order": number, "amount": said["amount"], "status": "SUCCESS"}
                provider.book.save()
                return self.plain(200, {})
            if name == "/_book":
                return self.plain(200, dict(provider.book.show(), asked=provider.asked))
        return self.plain(404, {})

    def plain(self, status, said):
        self.reply(status, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def reply(self, status, body, headers, length=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def drop(self):
        self.close_connection = True
        self.connection.close()

    def route(self, method, path):
        if NATIVE.match(path) and method == "POST":
            return "create", NATIVE.match(path).group(1) is not None, None
        order, refund = ORDER.match(path), REFUND.match(path)
        if order:
            if method == "POST" and order.group(3):
                return "close", order.group(1) is not None, order.group(2)
            if method == "GET" and not order.group(3):
                return "query", order.group(1) is not None, order.group(2)
        if refund and method == "POST" and not refund.group(1):
            return "refund", None, None
        if refund and method == "GET" and refund.group(1):
            return "query_refund", None, refund.group(1)
        if path == "/v3/certificates" and method == "GET":
            return "certificates", None, None
        return None, None, None

    def api(self, method, body):
        provider = self.provider
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        on, partner, number = self.route(method, path)
        with provider.lock:
            provider.asked[on] = provider.asked.get(on, 0) + 1
            fault = provider.fault(on)
            if fault == "drop-before":
                return self.drop()
            try:
                provider.authenticate(method, self.path, self.headers.get("Authorization"), body)
                if provider.flags["sign_with"] == "public-key" and self.headers.get("Wechatpay-Serial") != PUBLIC_KEY_ID:
                    raise No(400, "PARAM_ERROR", "Wechatpay-Serial")
                if fault == "frequency":
                    raise No(429, "FREQUENCY_LIMITED", "too often")
                if fault == "unsigned-no":
                    raise No(404, "ORDER_NOT_EXIST", "says who?", signed=False)
                if fault and fault.startswith("no:"):
                    _, status, code = fault.split(":")
                    raise No(int(status), code, "on demand")
                said = json.loads(body) if body else None
                status, answer = {
                    "create": lambda: provider.create(partner, said),
                    "query": lambda: provider.query(partner, number, query),
                    "close": lambda: provider.close(partner, number, said),
                    "refund": lambda: provider.refund(said),
                    "query_refund": lambda: provider.query_refund(number, query),
                    "certificates": lambda: provider.certificates(fault),
                }[on]()
                signed = True
                if fault == "error-after":
                    raise No(500, "SYSTEM_ERROR", "after it was carried out")
                if fault == "error-unsigned":
                    raise No(500, "SYSTEM_ERROR", "after it was carried out", signed=False)
            except No as no:
                provider.bad_requests += no.code == "SIGN_ERROR"
                status, answer, signed = no.status, {"code": no.code, "message": no.message}, no.signed
            except (KeyError, ValueError, TypeError) as error:
                status, answer, signed = 400, {"code": "PARAM_ERROR", "message": repr(error)}, True
            if fault == "die-after":
                os.kill(os.getpid(), signal.SIGKILL)
            if isinstance(answer, dict) and "trade_state" in answer:
                changed = {"other-order": {"out_trade_no": "01ARZ3NDEKTSV4RRFFQ69G5FAV_1"}, "other-mchid": {"mchid": "1900000001"},
                           "other-appid": {"appid": "wx0000000000000000"},
                           "other-amount": {"amount": {"total": answer["amount"]["total"] - 1, "currency": "CNY"}},
                           "other-currency": {"amount": dict(answer["amount"], currency="USD")},
                           "says-paid": {"trade_state": "SUCCESS"}}
                answer.update(changed.get(fault, {}))
            if isinstance(answer, dict) and "out_refund_no" in answer:
                changed = {"other-refund": {"out_refund_no": "R_other"}, "other-amount": {"amount": dict(answer["amount"], refund=1)}}
                answer.update(changed.get(fault, {}))
            text = "" if answer is None else json.dumps(answer, ensure_ascii=False)
            if fault == "non-json":
                text = "<html>支付</html>"
            if fault == "doubled":
                text += text
            if fault == "oversized":
                text = json.dumps(dict(answer or {}, filler="x" * 400_000))
            if fault == "cut-json":
                text = text[:-1]
            headers = provider.sign(text, fault) if signed and fault != "unsigned" else {}
            if fault == "headless":
                del headers["Wechatpay-Nonce"]
        headers["Content-Type"] = "application/json; charset=utf-8"
        headers["Request-ID"] = secrets.token_hex(16)
        data = text.encode()
        if fault == "drop-after":
            return self.drop()
        if fault == "hold":
            time.sleep(60)
        if fault == "slow":
            time.sleep(4)
        if fault == "redirect":
            return self.reply(302, data, dict(headers, Location="/v3/elsewhere"))
        if fault == "truncated":
            self.reply(status, data[: len(data) // 2], headers, length=len(data))
            return self.drop()
        if fault == "changed":
            data = data.replace(b":", b": ", 1) if data else b" "
        return self.reply(status, data, headers)


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    os.makedirs(options.state, exist_ok=True)
    Handler.provider = Provider(options.state)
    server = Server(("127.0.0.1", options.port), Handler)
    keys = Handler.provider.keys
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}", "appid": APPID, "mchid": MCHID,
                      "sub_mchid": SUB_MCHID, "sub_appid": SUB_APPID, "serial_no": MERCHANT_SERIAL,
                      "public_key_id": PUBLIC_KEY_ID, "platform_serial": keys.platform[0][0]}), flush=True)
    # Nobody asks it to stop; it is killed. So it need not look for that, which would be all that a quiet hour is made of.
    server.serve_forever(poll_interval=3600)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A double of Alipay's gateway for tests. Its cryptography is python-alipay-sdk's, not ours.

    double.py --state DIR [--port N] [--mode key|certificates]

prints one line of JSON with its `url` once it listens on loopback. DIR holds the keys of both sides (made on the first start) and the book,
which is on disk before an answer leaves, so a killed double goes on where it was.

POST /gateway.do    the gateway
POST /_control      {"method": "alipay.trade.query", "how": "truncated", "times": 1, …}: the next answers to it
                    misbehave; with "out_trade_no" only those about that trade, with "for" only within so many
                    seconds; {"clear": true} forgets what was asked for; {"clock": seconds} puts its clock ahead
POST /_pay          the payer: {"payload" or "out_trade_no": …, "action": "pay" | "scan" | "pay-late",
                    "amount": "2.99" for a trade of another amount}
POST /_notify       {"out_trade_no": …, "url": …, "change": {…}}: sends a signed notification there, or without a url
                    answers with its body; `change` alters it after signing. With "first": true the one that was due
                    when it was paid, whatever has become of it; nothing if it was not
GET /_book          {"charges": […], "refunds": […], "wrong": […]}; `wrong` is every request that was not as it must be

Ways to misbehave. Not carried out: drop-before, unknown-before, refuse (with "sub_code"), gateway (with "code" and
"sub_code"), retry (a cancel that asks for another), not-held (a cancel answered with success, nothing done). Carried out,
then: drop, die (SIGKILL to itself), slow (with "seconds"), truncated, oversized, not-json, html, redirect, status (with
"status"), unknown, sub-code (with "sub_code"), wrong-key, unsigned, empty-sign, other-bytes, replay (with "of", another
order), wrong-number, wrong-amount, duplicate-response, duplicate-field, other-certificate, silent (no fund_change),
lag (a refund query that sees nothing yet), nothing. With "then_pay": true, whatever the "how", the payer pays right after it.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    from alipay import AliPay, DCAliPay
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import NameOID
except ImportError as error:
    sys.exit(f"{error}; type: pip install -r tests/support/requirements.txt")

APP_ID = "2021000000000001"
CHINA = datetime.timezone(datetime.timedelta(hours=8))


# Seconds by which the provider's clock, which is right, differs from the machine's.
AHEAD = 0


def wall():
    return time.time() + AHEAD


# Keys and certificates


def pem_private(key, pkcs8):
    form = serialization.PrivateFormat.PKCS8 if pkcs8 else serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def pem_public(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def name(common):
    parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Ant Financial"),
             (NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"), (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def certificate(subject, key, issuer, issuer_key, authority):
    now = datetime.datetime(2024, 1, 1)
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9000))
               .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def make_keys(state):
    def new():
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    app, alipay, other, root, second, above = new(), new(), new(), new(), new(), new()
    odd = ec.generate_private_key(ec.SECP256R1())
    files = {
        "app_private.pem": pem_private(app, True),
        "app_private_pkcs1.pem": pem_private(app, False),
        "app_public.pem": pem_public(app),
        "alipay_private.pem": pem_private(alipay, True),
        "alipay_public.pem": pem_public(alipay),
        "other_private.pem": pem_private(other, True),
        "app_cert.crt": certificate("app", app, "Class 1", above, False),
        # As Alipay hands it out: its own, and the authority between it and the root.
        "alipay_cert.crt": certificate("支付宝(中国)网络技术有限公司", alipay, "Class 2", above, False)
        + certificate("Class 2", above, "Root R1", root, True),
        "stranger_cert.crt": certificate("stranger", alipay, "Class 2", other, False),
        "root_cert.crt": "\n".join([
            certificate("Root E1", odd, "Root E1", odd, True),
            certificate("Root R1", root, "Root R1", root, True),
            certificate("Root R2", second, "Root R2", second, True),
        ]),
    }
    for file, text in files.items():
        path = state / file
        path.write_text(text)
        path.chmod(0o600)
    (state / "keys").write_text("made")


# The book


class Book:
    """What the provider knows, on disk before anybody is told."""

    def __init__(self, path):
        self.path = path
        self.data = {"offers": {}, "trades": {}, "refunds": {}, "wrong": [], "next": 1}
        if path.exists():
            self.data = json.loads(path.read_text())

    def save(self):
        new = self.path.with_suffix(".new")
        with open(new, "w") as file:
            json.dump(self.data, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)

    def number(self):
        self.data["next"] += 1
        return f"20240101220014{self.data['next']:014d}"

    def wallet(self):
        """In the shape of the demo's wallet."""
        charges = []
        for number, offer in self.data["offers"].items():
            trade = self.data["trades"].get(number)
            paid = fen(trade["total_amount"]) if trade and trade["paid"] else 0
            charges.append({
                "id": number, "order": number.rsplit("_", 1)[0], "amount": fen(offer["total_amount"]),
                "currency": "CNY", "state": trade["state"] if trade else "dead" if offer["dead"] else "offered",
                "paid": paid, "refunded": fen(trade["refunded"]) if trade else 0,
                "payload": offer["payload"], "subject": offer["subject"],
            })
        return {"charges": charges, "wrong": self.data["wrong"],
                "refunds": [dict(refund, id=number) for number, refund in self.data["refunds"].items()]}


def fen(yuan):
    return int(Decimal(yuan) * 100)


def yuan(amount):
    return f"{Decimal(amount) / 100:.2f}"


def stamp(moment=None):
    return datetime.datetime.fromtimestamp(moment or wall(), CHINA).strftime("%Y-%m-%d %H:%M:%S")


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).timestamp()


def minutes(text):
    return int(text[:-1]) * 60


def no(sub_code, **more):
    return {"code": "40004", "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "不行/no", **more}


def done(**more):
    return {"code": "10000", "msg": "Success", **more}


class Gateway:
    def __init__(self, state, mode):
        self.lock = threading.RLock()
        self.book = Book(state / "book.json")
        self.faults = []
        self.mode = mode
        read = lambda file: (state / file).read_text()
        # Signs like Alipay and verifies like Alipay: their private key, the application's public one.
        self.ours = AliPay(APP_ID, None, read("alipay_private.pem"), read("app_public.pem"))
        self.stranger = AliPay(APP_ID, None, read("other_private.pem"), read("app_public.pem"))
        # The application as python-alipay-sdk would be it, to compare requests with.
        self.client = AliPay(APP_ID, None, read("app_private.pem"), read("alipay_public.pem"))
        first = read("alipay_cert.crt").split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        self.sn = {"app_cert_sn": DCAliPay.get_cert_sn(read("app_cert.crt")),
                   "alipay_root_cert_sn": DCAliPay.get_root_cert_sn(read("root_cert.crt")),
                   "alipay_cert_sn": DCAliPay.get_cert_sn(first)}

    # Requests

    def check(self, path, kind, body):
        """The parameters, or why the request is wrong."""
        if urllib.parse.parse_qs(urllib.parse.urlparse(path).query).get("charset") != ["utf-8"]:
            return None, "isv.invalid-charset"
        if not kind.lower().startswith("application/x-www-form-urlencoded"):
            return None, "isv.invalid-format"
        pairs = urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True)
        params = dict(pairs)
        if len(params) != len(pairs):
            return None, "isv.suspected-attack"
        signature = params.pop("sign", "")
        text = "&".join(f"{key}={value}" for key, value in sorted(params.items()))
        if not self.ours._verify(text, signature):
            return None, "isv.invalid-signature"
        if self.client.sign_data(dict(params)) != body:
            return None, "not the bytes of python-alipay-sdk"
        fixed = {"app_id": APP_ID, "format": "JSON", "charset": "utf-8", "sign_type": "RSA2", "version": "1.0"}
        if self.mode == "certificates":
            fixed |= {key: self.sn[key] for key in ("app_cert_sn", "alipay_root_cert_sn")}
        for key, value in fixed.items():
            if params.get(key) != value:
                return None, f"isv.missing-or-wrong-{key}"
        known = set(fixed) | {"method", "timestamp", "biz_content", "notify_url"}
        if set(params) - known or ("notify_url" in params) > (params["method"] == "alipay.trade.precreate"):
            return None, f"unknown parameters {set(params) - known}"
        if abs(moment(params["timestamp"]) - wall()) > 600:
            return None, "isv.invalid-timestamp"
        return params, None

    def check_offer(self, biz):
        attach = urllib.parse.unquote_plus(biz.get("passback_params", ""))
        rules = [
            re.fullmatch(r"[A-Za-z0-9_]{1,64}", biz.get("out_trade_no", "")),
            re.fullmatch(r"\d{1,9}\.\d\d", biz.get("total_amount", "")) and 1 <= fen(biz["total_amount"]) <= 10**10,
            1 <= len(biz.get("subject", "")) <= 256 and not re.search(r"[/=&]", biz["subject"]),
            re.fullmatch(r"[1-9]\d{0,4}m", biz.get("timeout_express", "")),
            re.fullmatch(r"[1-9]\d{0,4}m", biz.get("qr_code_timeout_express", "")),
            "time_expire" not in biz or moment(biz["time_expire"]) > wall(),
            len(biz.get("terminal_id", "")) <= 32,
            len(biz.get("passback_params", "")) <= 512 and urllib.parse.quote_plus(attach) == biz.get("passback_params", ""),
            set(biz) <= {"out_trade_no", "total_amount", "subject", "product_code", "timeout_express",
                         "qr_code_timeout_express", "time_expire", "terminal_id", "passback_params"},
        ]
        return [index for index, rule in enumerate(rules) if not rule]

    # What Alipay does

    def precreate(self, biz, _fault):
        broken = self.check_offer(biz)
        if broken:
            self.book.data["wrong"].append(f"precreate: rules {broken} of {biz}")
            return no("ACQ.INVALID_PARAMETER")
        number = biz["out_trade_no"]
        if number in self.book.data["offers"]:
            return no("ACQ.APPLY_PC_MERCHANT_CODE_ERROR")
        ends = [wall() + minutes(biz["qr_code_timeout_express"])]
        if "time_expire" in biz:
            ends.append(moment(biz["time_expire"]))
        payload = f"https://qr.alipay.com/bax{os.urandom(8).hex()}"
        offer = dict(biz, payload=payload, scan_until=min(ends), dead=False)
        self.book.data["offers"][number] = offer
        return done(out_trade_no=number, qr_code=payload)

    def trade(self, number):
        """As it stands now: a trade that nobody paid closes at its time."""
        trade = self.book.data["trades"].get(number)
        if trade and trade["state"] == "WAIT_BUYER_PAY" and wall() > trade["until"]:
            trade["state"] = "TRADE_CLOSED"
        return trade

    def query(self, biz, _fault):
        number = biz["out_trade_no"]
        trade = self.trade(number)
        if not trade:
            return no("ACQ.TRADE_NOT_EXIST", out_trade_no=number, buyer_pay_amount="0.00", point_amount="0.00",
                      invoice_amount="0.00", receipt_amount="0.00")
        offer = self.book.data["offers"][number]
        more = {key: offer[key] for key in ("terminal_id",) if key in offer}
        if trade["paid"]:
            more |= {"send_pay_date": trade["paid_at"], "receipt_amount": trade["total_amount"],
                     "fund_bill_list": [{"amount": trade["total_amount"], "fund_channel": "ALIPAYACCOUNT"}]}
        return done(out_trade_no=number, trade_no=trade["trade_no"], trade_status=trade["state"],
                    total_amount=trade["total_amount"], buyer_logon_id="159****5620", **more)

    def cancel(self, biz, fault):
        number = biz["out_trade_no"]
        offer, trade = self.book.data["offers"].get(number), self.trade(number)
        if fault == "not-held":
            # Said to be done, and payable all the same.
            return done(out_trade_no=number, retry_flag="N", action="close")
        if fault == "retry":
            return done(out_trade_no=number, retry_flag="Y")
        if offer:
            offer["dead"] = True
        if not trade:
            return no("ACQ.TRADE_NOT_EXIST", out_trade_no=number, retry_flag="N")
        if trade["state"] == "TRADE_FINISHED":
            return no("ACQ.TRADE_HAS_FINISHED", out_trade_no=number)
        if trade["state"] == "TRADE_SUCCESS" and fen(trade["refunded"]):
            return no("ACQ.REASON_TRADE_REFUND_FEE_ERR", out_trade_no=number)
        if trade["state"] == "TRADE_SUCCESS":
            trade["refunded"], trade["cancelled"] = trade["total_amount"], "refund"
        elif trade["state"] == "WAIT_BUYER_PAY":
            trade["cancelled"] = "close"
        trade["state"] = "TRADE_CLOSED"
        action = {"action": trade["cancelled"]} if trade.get("cancelled") else {}
        return done(out_trade_no=number, trade_no=trade["trade_no"], retry_flag="N", **action)

    def close(self, biz, _fault):
        trade = self.trade(biz["out_trade_no"])
        if not trade:
            return no("ACQ.TRADE_NOT_EXIST", out_trade_no=biz["out_trade_no"])
        if trade["state"] != "WAIT_BUYER_PAY":
            return no("ACQ.TRADE_STATUS_ERROR", out_trade_no=biz["out_trade_no"])
        trade["state"] = "TRADE_CLOSED"
        return done(out_trade_no=biz["out_trade_no"], trade_no=trade["trade_no"])

    def refund(self, biz, fault):
        number, request, amount = biz["out_trade_no"], biz["out_request_no"], biz["refund_amount"]
        trade = self.trade(number)
        if not trade:
            return no("ACQ.TRADE_NOT_EXIST")
        old = self.book.data["refunds"].get(request)
        if old and (old["amount"], old["out_trade_no"]) != (fen(amount), number):
            return no("ACQ.DISCORDANT_REPEAT_REQUEST")
        if not old:
            if trade["state"] != "TRADE_SUCCESS":
                return no("ACQ.TRADE_STATUS_ERROR")
            if fen(trade["refunded"]) + fen(amount) > fen(trade["total_amount"]):
                return no("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
            trade["refunded"] = yuan(fen(trade["refunded"]) + fen(amount))
            if trade["refunded"] == trade["total_amount"]:
                trade["state"] = "TRADE_CLOSED"
            self.book.data["refunds"][request] = {"out_trade_no": number, "amount": fen(amount)}
        change = {} if fault == "silent" else {"fund_change": "N" if old else "Y"}
        return done(out_trade_no=number, trade_no=trade["trade_no"], refund_fee=trade["refunded"],
                    gmt_refund_pay=stamp(), **change)

    def refund_query(self, biz, fault):
        number, request = biz["out_trade_no"], biz["out_request_no"]
        trade, refund = self.trade(number), self.book.data["refunds"].get(request)
        if not trade:
            return no("TRADE_NOT_EXIST")
        if not refund or refund["out_trade_no"] != number or fault == "lag":
            return done()
        return done(out_trade_no=number, trade_no=trade["trade_no"], out_request_no=request, refund_status="REFUND_SUCCESS",
                    refund_amount=yuan(refund["amount"]), total_amount=trade["total_amount"])

    METHODS = {
        "alipay.trade.precreate": precreate, "alipay.trade.query": query, "alipay.trade.cancel": cancel,
        "alipay.trade.close": close, "alipay.trade.refund": refund,
        "alipay.trade.fastpay.refund.query": refund_query,
    }

    # The payer

    def pay(self, ask):
        with self.lock:
            try:
                return {"result": "accepted", **self.scan(ask)}
            except ValueError as refused:
                return {"result": "refused", "why": str(refused)}
            finally:
                self.book.save()

    def scan(self, ask):
        found = [(number, offer) for number, offer in self.book.data["offers"].items()
                 if ask.get("out_trade_no") == number or ask.get("payload") == offer["payload"]]
        if not found:
            raise ValueError("no such code")
        number, offer = found[0]
        action = ask.get("action", "pay")
        late = action == "pay-late"
        trade = self.trade(number)
        if not trade:
            if not late and (offer["dead"] or wall() > offer["scan_until"]):
                raise ValueError("the code is dead")
            ends = [wall() + minutes(offer["timeout_express"])]
            if "time_expire" in offer:
                ends.append(moment(offer["time_expire"]))
            trade = {"trade_no": self.book.number(), "state": "WAIT_BUYER_PAY", "paid": False, "refunded": "0.00",
                     "total_amount": ask.get("amount", offer["total_amount"]), "until": min(ends)}
            self.book.data["trades"][number] = trade
        known = {"trade_no": trade["trade_no"], "out_trade_no": number}
        if action == "scan":
            return known
        if trade["paid"] or trade["state"] not in ("WAIT_BUYER_PAY", "TRADE_CLOSED") \
                or trade["state"] == "TRADE_CLOSED" and not late:
            raise ValueError("the trade can't be paid")
        trade.update(state="TRADE_SUCCESS", paid=True, paid_at=stamp())
        trade.pop("cancelled", None)
        return known

    def notify(self, ask):
        with self.lock:
            number = ask["out_trade_no"]
            trade, offer = self.trade(number), self.book.data["offers"][number]
            if ask.get("first") and not trade["paid"]:
                return {}
            status = "TRADE_SUCCESS" if ask.get("first") else trade["state"]
            params = {"app_id": APP_ID, "auth_app_id": APP_ID, "charset": "utf-8", "version": "1.0",
                      "notify_id": os.urandom(16).hex(), "notify_time": stamp(), "notify_type": "trade_status_sync",
                      "out_trade_no": number, "trade_no": trade["trade_no"], "trade_status": status,
                      "total_amount": trade["total_amount"], "subject": offer["subject"],
                      "fund_bill_list": '[{"amount":"%s","fundChannel":"ALIPAYACCOUNT"}]' % trade["total_amount"]}
            if "passback_params" in offer:
                params["passback_params"] = offer["passback_params"]
            if self.mode == "certificates":
                params["alipay_cert_sn"] = self.sn["alipay_cert_sn"]
        params["sign"] = self.ours._sign("&".join(f"{key}={value}" for key, value in sorted(params.items())))
        params["sign_type"] = "RSA2"
        params.update(ask.get("change", {}))
        body = urllib.parse.urlencode(params)
        if not ask.get("url"):
            return {"body": body}
        with urllib.request.urlopen(ask["url"], body.encode(), timeout=10) as answer:
            return {"status": answer.status, "answer": answer.read(1000).decode()}

    # Answers

    def fault(self, method, number):
        with self.lock:
            self.faults = [fault for fault in self.faults if time.monotonic() <= fault.get("until", float("inf"))]
            for fault in self.faults:
                if fault.get("method", "*") in ("*", method) and fault.get("out_trade_no", number) == number:
                    fault["times"] = fault.get("times", 1) - 1
                    if fault["times"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return {}

    def envelope(self, method, node, fault):
        how = fault.get("how")
        key = method.replace(".", "_") + "_response"
        # As the gateway writes it.
        text = json.dumps(node, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        if how == "duplicate-field":
            text = text[:-1] + ',"trade_status":"TRADE_SUCCESS"}' if "trade_status" in text else text[:-1] + ',"code":"10000"}'
        sign = (self.stranger if how == "wrong-key" else self.ours)._sign(text)
        if how == "other-bytes":
            text = text.replace('","', '", "', 1)
        if how == "empty-sign":
            sign = ""
        parts = [f'"{key}":{text}']
        if how == "duplicate-response":
            forged = text.replace("WAIT_BUYER_PAY", "TRADE_SUCCESS").replace("40004", "10000")
            parts.append(f'"{key}":{forged}')
        if self.mode == "certificates":
            sn = "0" * 32 if how == "other-certificate" else self.sn["alipay_cert_sn"]
            parts.append(f'"alipay_cert_sn":"{sn}"')
        if how != "unsigned":
            parts.append(f'"sign":"{sign}"')
        return "{" + ",".join(parts) + "}"

    def gateway(self, path, kind, body):
        """(status, headers, body), or None to drop the connection."""
        said = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
        number = re.search('"out_trade_no": ?"([^"]*)"', said.get("biz_content", ""))
        fault = self.fault(said.get("method", ""), number and number.group(1))
        how = fault.get("how")
        if how == "drop-before":
            return None
        try:
            params, wrong = self.check(path, kind, body.decode())
        except (ValueError, KeyError) as error:
            params, wrong = None, f"unreadable: {error!r}"
        if wrong:
            with self.lock:
                self.book.data["wrong"].append(wrong)
                self.book.save()
            node = {"code": "40002", "msg": "Invalid Arguments", "sub_code": wrong, "sub_msg": "见文档"}
            return 200, {}, json.dumps({"error_response": node}).encode()
        method, biz = params["method"], json.loads(params["biz_content"])
        node = None
        if how == "unknown-before":
            node = {"code": "20000", "msg": "Service Currently Unavailable", "sub_code": "isp.unknow-error"}
        elif how == "refuse":
            node = no(fault["sub_code"], out_trade_no=biz["out_trade_no"], **fault.get("more", {}))
        elif how == "gateway":
            node = {"code": fault["code"], "msg": "refused", "sub_code": fault["sub_code"]}
        if node is None:
            if how == "replay":
                biz["out_trade_no"] = fault["of"]
            with self.lock:
                node = self.METHODS[method](self, biz, how)
                # A trade that has closed at its time is found closed again.
                if not method.endswith("query"):
                    self.book.save()
        if fault.get("then_pay"):
            self.pay({"out_trade_no": biz["out_trade_no"]})
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "drop":
            return None
        if how == "slow":
            time.sleep(fault["seconds"])
        if how == "unknown":
            node = {"code": "20000", "msg": "Service Currently Unavailable", "sub_code": "isp.unknow-error"}
        if how == "sub-code":
            node = no(fault["sub_code"], out_trade_no=biz["out_trade_no"])
        if how == "wrong-number":
            node["out_trade_no"] = "01HZZZZZZZZZZZZZZZZZZZZZZZ_1"
        if how == "wrong-amount":
            node |= {key: fault["amount"] for key in ("total_amount", "refund_amount", "refund_fee") if key in node}
        text = self.envelope(method, node, fault)
        answer = {
            "truncated": text[: len(text) * 2 // 3], "oversized": text[:-1] + " " * (1 << 20) + "}",
            "not-json": text.replace('"', "'"), "html": "<html><body>502 Bad Gateway</body></html>",
        }.get(how, text)
        if how == "redirect":
            return 302, {"Location": "/gateway.do?charset=utf-8"}, b""
        return int(fault.get("status", 200)), {}, answer.encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet.
    wbufsize = 1 << 16
    gateway = None

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(wall() if timestamp is None else timestamp)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send(self, status, headers, body):
        self.send_response(status)
        for key, value in {"Content-Type": "text/html;charset=utf-8", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, value):
        self.send(200, {"Content-Type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())

    def do_GET(self):
        if self.path != "/_book":
            return self.send(404, {}, b"")
        with self.gateway.lock:
            self.send_json(self.gateway.book.wallet())

    def do_POST(self):
        body = self.body()
        path = self.path.split("?")[0]
        if path == "/gateway.do":
            answer = self.gateway.gateway(self.path, self.headers.get("Content-Type", ""), body)
            if answer is None:
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            return self.send(*answer)
        ask = json.loads(body)
        if path == "/_control":
            with self.gateway.lock:
                if "clock" in ask:
                    global AHEAD
                    AHEAD = ask["clock"]
                elif ask.get("clear"):
                    self.gateway.faults.clear()
                else:
                    self.gateway.faults.append(ask)
            return self.send_json({"left": len(self.gateway.faults)})
        if path == "/_pay":
            return self.send_json(self.gateway.pay(ask))
        if path == "/_notify":
            return self.send_json(self.gateway.notify(ask))
        return self.send(404, {}, b"")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, address):
        # Who does not like an answer hangs up.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, address)


def main():
    parser = argparse.ArgumentParser(description="a double of Alipay's gateway")
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=["key", "certificates"], default="key")
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    if not (options.state / "keys").exists():
        make_keys(options.state)
    Handler.gateway = Gateway(options.state, options.mode)
    server = Server(("127.0.0.1", options.port), Handler)
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}", "app_id": APP_ID}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

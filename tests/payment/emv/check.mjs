// Reads payment codes with other people's parsers. In: `{"cases": [{"profile", "payload", "meant", "builder"}]}` on
// stdin. Out: for each case what each parser made of it, `{"objects": {...}}`, `{"fields": {...}}`, `{"text": "..."}` or
// `{"refused": "..."}`, by the parser's name. It judges nothing; tests/payment/emv/mod.rs does.
//
// The packages are in the directory given as the first argument, in exactly the versions of package.json here.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));

const pinned = JSON.parse(readFileSync(new URL("package.json", import.meta.url))).dependencies;
for (const [name, version] of Object.entries(pinned)) {
  const installed = JSON.parse(readFileSync(join(process.argv[2], "node_modules", name, "package.json"))).version;
  if (installed !== version) throw new Error(`${name} is ${installed}, package.json says ${version}`);
}

const emvqr = require("emvqr");
const paynowqr = require("@chewhx/paynowqr").default;
const pixUtils = require("pix-utils");
const promptparse = require("promptparse");
const promptparseValidate = require("promptparse/validate");
const promptpayQr = require("promptpay-qr");
const steplix = require("steplix-emvqr");
const { QRPay } = require("vietnam-qr-pay");

const money = (amount) => (amount === undefined || amount === null ? undefined : Number(amount).toFixed(2));
const texts = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== ""));

// `{"26": {"00": "x"}}` as `{"26.00": "x"}`.
function flat(tree, prefix = "") {
  return Object.entries(tree).reduce((all, [id, value]) => {
    const name = prefix + id;
    return Object.assign(all, typeof value === "string" ? { [name]: value } : flat(value, name + "."));
  }, {});
}

function promptparseObjects(payload) {
  const read = promptparse.parse(payload, true, true);
  if (!read) throw new Error("null");
  // It offers parts of any text that could be parts; these are the templates.
  const template = ({ id }) => ("26" <= id && id <= "51") || id === "62";
  const values = (tags) => tags.map((tag) => [tag.id, tag.value]);
  return flat(
    Object.fromEntries(read.tags.map((tag) => [tag.id, template(tag) ? Object.fromEntries(values(tag.subTags)) : tag.value])),
  );
}

function emvqrObjects(payload) {
  // It writes a word behind these: `5814 (Fast Food Restaurants)`.
  const plain = (item) => (["52", "53", "58"].includes(item.id) ? item.data.replace(/ \(.*\)$/s, "") : item.data);
  const tree = (items) =>
    Object.fromEntries(Object.entries(items).map(([id, item]) => [id, typeof item.data === "string" ? plain(item) : tree(item.data)]));
  return flat(tree(emvqr.decode(payload)));
}

const EMV = {
  promptparse: promptparseObjects,
  emvqr: emvqrObjects,
  "steplix-emvqr": (payload) => flat(steplix.decode(payload, true)),
};

function pixFields(payload) {
  const pix = pixUtils.parsePix(payload);
  if (pixUtils.hasError(pix)) throw new Error(pix.message);
  const place = { name: pix.merchantName, city: pix.merchantCity, category: pix.merchantCategoryCode };
  return pixUtils.isDynamicPix(pix)
    ? { ...place, url: pix.url }
    : { ...place, key: pix.pixKey, info: pix.infoAdicional, reference: pix.txid, amount: money(pix.transactionAmount) };
}

function transferFields(payload) {
  const read = promptparseValidate.anyId(payload);
  if (!read) throw new Error("null");
  return { proxy: read.type, account: read.target, amount: money(read.amount) };
}

function billFields(payload) {
  const read = promptparseValidate.billPayment(payload);
  if (!read) throw new Error("null");
  return { biller: read.billerId, ref1: read.ref1, ref2: read.ref2, ref3: read.ref3, amount: money(read.amount) };
}

function vietqrFields(payload) {
  const read = new QRPay(payload);
  if (!read.isValid) throw new Error("invalid");
  return {
    bin: read.consumer.bankBin,
    account: read.consumer.bankNumber,
    service: read.provider.service,
    amount: read.amount,
    reference: read.additionalData.purpose,
    terminal: read.additionalData.terminal,
    name: read.merchant.name,
    city: read.city,
  };
}

function upiFields(payload) {
  const url = new URL(payload);
  if (url.protocol !== "upi:" || url.host !== "pay") throw new Error(`${url.protocol}//${url.host}`);
  return Object.fromEntries(url.searchParams);
}

const FIELDS = {
  pix: ["pix-utils", pixFields],
  "pix-dynamic": ["pix-utils", pixFields],
  promptpay: ["promptparse/validate", transferFields],
  "promptpay-bill": ["promptparse/validate", billFields],
  vietqr: ["vietnam-qr-pay", vietqrFields],
  upi: ["node:url", upiFields],
};

const BUILDERS = {
  promptpay: ["promptpay-qr", (meant) => promptpayQr(meant.account, { amount: Number(meant.amount) })],
  paynow: [
    "@chewhx/paynowqr",
    (meant) =>
      new paynowqr({
        uen: meant.account,
        amount: meant.amount,
        editable: meant.editable === "1",
        expiry: meant.expires,
        refNumber: meant.reference,
        company: meant.name,
      }).output(),
  ],
  vietqr: [
    "vietnam-qr-pay (builds)",
    (meant) =>
      QRPay.initVietQR({
        bankBin: meant.bin,
        bankNumber: meant.account,
        amount: meant.amount,
        purpose: meant.reference,
        service: meant.service,
      }).build(),
  ],
};

function attempt(key, read) {
  try {
    return { [key]: read() };
  } catch (error) {
    return { refused: String(error.message ?? error) };
  }
}

const { cases } = JSON.parse(readFileSync(0, "utf8"));
const answers = cases.map(({ profile, payload, meant, builder }) => {
  const answer = {};
  if (profile !== "upi") {
    for (const [name, read] of Object.entries(EMV)) answer[name] = attempt("objects", () => read(payload));
  }
  if (FIELDS[profile]) {
    const [name, read] = FIELDS[profile];
    answer[name] = attempt("fields", () => texts(read(payload)));
  }
  if (builder) {
    const [name, build] = BUILDERS[profile];
    answer[name] = attempt("text", () => build(meant));
  }
  return answer;
});
process.stdout.write(JSON.stringify(answers));

"use strict";
// Shows what the demo's API says, and nothing else. News say which part is out of date; that part asks again.

let payload = null;
let chosen = null;

function say(id, text, bad) {
  $(id).textContent = text;
  $(id).classList.toggle("bad", Boolean(bad));
}

function row(cells, name) {
  const tr = document.createElement("tr");
  if (name) tr.className = name;
  for (const cell of cells) {
    const td = tr.insertCell();
    td.textContent = cell.text ?? cell;
    if (typeof cell !== "string") td.className = "number";
  }
  return tr;
}

function rows(table, list) {
  $(table).tBodies[0].replaceChildren(...list);
}

const parts = {
  frame: refresher(() => picture($("glass"), "screen.png"), 40),
  state: refresher(async () => {
    const state = await call("state");
    $("page-name").textContent = state.page;
    const reasons = (state.reasons ?? []).map(r => r.kind ?? r).join(", ");
    const selling = state.page === "dark" ? "dead" : state.selling ? "selling" : "not selling: " + reasons;
    $("status").textContent = [state.kiosk, selling].filter(Boolean).join(" · ");
    const stock = state.stock ?? {};
    options("test-slot", Object.keys(stock));
    options("free-product", [...new Set(Object.values(stock).map(slot => slot.product))]);
    options("claim", (state.claims ?? []).map(claim => claim.order));
  }, 60),
  operations: refresher(async () => {
    const { operations } = await call("operations");
    $("operations").replaceChildren(...operations.map(line => {
      const li = document.createElement("li");
      const b = document.createElement("b");
      const { do: verb, ...about } = line.asked;
      b.textContent = verb;
      const came = line.outcome ?? { result: "under way" };
      li.append(b, " ", ...Object.values(about).map(value => value + " "), "· " + line.by.actor + " · " + outcome(came));
      return li;
    }));
  }, 100),
  board: refresher(async () => {
    const board = await call("board");
    rows("board", board.lines.map(line => {
      const cells = [line.name, line.kind, line.active ? "active" : "–", { text: String(line.pulses) }];
      return row(cells, line.active ? "active" : "");
    }));
    const slots = Object.keys(board.dropped);
    rows("dropped", [row(slots.map(slot => ({ text: String(board.dropped[slot]) })))]);
    $("dropped").tHead.rows[0].replaceChildren(...slots.map(slot => {
      const th = document.createElement("th");
      th.textContent = slot;
      th.className = "number";
      return th;
    }));
    if ($("slot").options.length !== slots.length) {
      $("slot").replaceChildren(...slots.map(slot => new Option(slot, slot)));
    }
  }, 60),
  paper: refresher(async () => {
    await picture($("paper"), "printer.png");
    await $("paper").decode();
    $("paper").parentElement.scrollTop = $("paper").offsetHeight;
  }, 200),
  wallet: refresher(async () => {
    const { charges } = await call("wallet");
    const cells = c => [c.id, c.state, ...[c.amount, c.paid, c.refunded].map(a => ({ text: money(a, c.currency) }))];
    rows("charges", charges.slice(-8).reverse().map(c => row(cells(c))));
    if (payload) await look();
  }, 100),
  orders: refresher(async () => {
    const { orders } = await call("orders");
    rows("orders", orders.slice(0, 8).map(o => {
      const goods = o.items.map(i => `${i.product} ${i.outcome}`).join(", ");
      const sums = [o.amount, o.paid, o.refunded].map(a => ({ text: money(a, o.currency) }));
      const tr = row([o.short_code, o.state, goods, ...sums], o.id === chosen ? "chosen" : "");
      tr.onclick = () => { chosen = chosen === o.id ? null : o.id; parts.orders(); };
      return tr;
    }));
    $("story-of").textContent = chosen ? "of the chosen order" : "of the last order";
    if (orders.length === 0) { $("story").textContent = ""; return; }
    const story = await call(chosen ? "why?order=" + encodeURIComponent(chosen) : "why");
    $("story").textContent = story.text ?? JSON.stringify(story, null, 2);
  }, 250),
  world: refresher(async () => {
    const world = await call("world");
    const now = {
      network: world.network, door: world.door, "paper-switch": world.paper, cover: world.printer.cover,
      "printer-power": world.printer.power, sensor: world.sensor,
    };
    for (const [id, value] of Object.entries(now)) {
      for (const button of $(id).querySelectorAll("button")) {
        let set = Object.values(JSON.parse(button.dataset.world))[0];
        if (typeof set === "object") set = Object.values(set)[0];
        button.classList.toggle("on", set === value);
      }
    }
    $("motor").value = world.slots[$("slot").value] ?? "ok";
    const same = way => Object.entries({ ...well, ...way }).every(([k, v]) => String(v) === String(world.provider[k]));
    const known = [...$("provider").options].find(option => option.value && same(JSON.parse(option.value)));
    $("provider").value = known ? known.value : "";
    if (world.kiosk.cut_at) {
      say("world-said", "the plug is pulled at " + world.kiosk.cut_at);
    } else if ($("world-said").textContent.startsWith("the plug is pulled at")) {
      say("world-said", "");
    }
  }, 100),
};

const follows = {
  frame: ["frame", "state"], state: ["state", "orders", "operations"], board: ["board"], paper: ["paper"], wallet: ["wallet", "orders"],
  world: ["world"], power: ["frame", "state", "world", "board"], mqtt: ["orders"], missed: Object.keys(parts),
};

// Keeps what was chosen while the list is the same.
function options(id, names) {
  const known = [...$(id).options].map(option => option.value);
  if (known.join() !== names.join()) $(id).replaceChildren(...names.map(name => new Option(name, name)));
}

function outcome({ result, order, report, why }) {
  const because = why && (why.refusal ?? why.cause);
  return [result, because, order, report && `report ${report}`].filter(Boolean).join(" ");
}

// The number is new for each click. Where the machine dies over it, it is asked once more under the same: it is done once.
async function operate(asked) {
  const id = "page-" + crypto.getRandomValues(new Uint32Array(4)).join("-");
  for (let left = 3; left > 0; left--) {
    try {
      const answer = await call("operations", { id, asked });
      say("operation-said", asked.do + ": " + outcome(answer), !["changed", "unchanged"].includes(answer.result));
      break;
    } catch (error) {
      say("operation-said", error.message, true);
      await new Promise(done => setTimeout(done, 1000));
    }
  }
  parts.operations();
}

function traffic({ topic, payload }) {
  const li = document.createElement("li");
  const b = document.createElement("b");
  b.textContent = topic.split("/").slice(4).join("/") || topic;
  b.title = topic;
  li.title = payload;
  li.append(b, " " + payload);
  $("events").prepend(li);
  while ($("events").children.length > 200) $("events").lastChild.remove();
}

function listen() {
  const socket = new WebSocket(address("events"));
  socket.onopen = () => { $("events").replaceChildren(); Object.values(parts).forEach(part => part()); };
  socket.onmessage = ({ data }) => {
    const news = JSON.parse(data);
    if (news.kind === "mqtt") traffic(news);
    for (const part of follows[news.kind] ?? []) parts[part]();
  };
  socket.onclose = () => { $("status").textContent = "the demo has ended"; setTimeout(listen, 1000); };
}

$("glass").addEventListener("click", async event => {
  const glass = $("glass");
  const x = Math.floor(event.offsetX * glass.naturalWidth / glass.clientWidth);
  const y = Math.floor(event.offsetY * glass.naturalHeight / glass.clientHeight);
  const inside = (at, side) => Math.min(Math.max(at, 0), side - 1);
  try {
    await call("touch", { x: inside(x, glass.naturalWidth), y: inside(y, glass.naturalHeight) });
  } catch (error) { say("world-said", error.message, true); }
});

// What the payer's app shows; the provider is asked for the code that was scanned, not for what is on the glass now.
async function look() {
  const { offer } = await call("scan", { payload });
  $("app").hidden = false;
  $("app-description").textContent = offer ? offer.description : "This app does not know this code.";
  $("app-amount").textContent = offer ? money(offer.amount, offer.currency) : "";
  $("app-state").textContent = offer ? offer.state : "";
  $("app-payload").textContent = payload;
}

$("scan").onclick = async () => {
  try {
    payload = (await call("scan", {})).payload;
    say("phone-said", "");
    await look();
  } catch (error) {
    payload = null;
    $("app").hidden = true;
    say("phone-said", error.message, true);
  }
};

for (const button of document.querySelectorAll("[data-action]")) {
  button.onclick = async () => {
    try {
      const { result, why } = await call("wallet", { payload, action: button.dataset.action });
      say("phone-said", result + ": " + why, result === "refused");
      await look();
    } catch (error) { say("phone-said", error.message, true); }
  };
}

async function turn(switches) {
  try {
    await call("world", switches);
    say("world-said", "");
    parts.world();
  } catch (error) { say("world-said", error.message, true); }
}

for (const button of document.querySelectorAll("[data-world]")) {
  button.onclick = () => turn(JSON.parse(button.dataset.world));
}
for (const button of document.querySelectorAll("[data-key]")) {
  button.onclick = async () => {
    try {
      await call("board/service-key", { active: button.dataset.key === "true" });
      say("world-said", "");
    } catch (error) { say("world-said", error.message, true); }
  };
}
$("do-lock").onclick = () => operate({ do: "lock", reason: "locked on the page" });
$("do-unlock").onclick = () => operate({ do: "unlock" });
$("do-refill").onclick = () => operate({ do: "refill" });
$("do-cash-up").onclick = () => operate({ do: "cash-up" });
$("do-print-test").onclick = () => operate({ do: "print-test" });
$("do-test-vend").onclick = () => operate({ do: "test-vend", slot: $("test-slot").value });
$("do-pulse").onclick = () => operate({ do: "pulse", outlet: "slot:" + $("test-slot").value });
for (const verb of ["raise", "keep-open", "release"]) {
  $("do-" + verb).onclick = () => operate({ do: verb, reason: "asked on the page" });
}
$("do-void-ticket").onclick = () =>
  operate({ do: "void-ticket", ticket: $("void-ticket").value, reason: "asked on the page" });
$("do-cars-inside").onclick = () =>
  operate({ do: "cars-inside", cars: Number($("cars-inside").value), reason: "asked on the page" });
$("do-maintenance-on").onclick = () => operate({ do: "maintenance", on: true });
$("do-maintenance-off").onclick = () => operate({ do: "maintenance", on: false });
$("do-reboot").onclick = () => operate({ do: "reboot" });
$("do-languages").onclick = () => operate({ do: "languages", languages: $("languages").value.split(" ").filter(Boolean) });
$("do-vend").onclick = () => operate({ do: "vend", product: $("free-product").value });
$("do-settle-claim").onclick = () => {
  if ($("claim").value) operate({ do: "settle-claim", order: $("claim").value, how: $("claim-how").value });
};
$("slot").onchange = () => parts.world();
$("motor").onchange = () => turn({ slot: { name: $("slot").value, motor: $("motor").value } });
$("provider").onchange = () => $("provider").value && turn({ provider: JSON.parse($("provider").value) });
$("cut").onclick = () => turn({ power: "cut", ...($("cut-at").value && { at: $("cut-at").value }) });

const well = {
  lose_next: [], forge_next: [], slow_ms: 0, down: false, close_not_holding: false, cancel_refunds: false,
  refund_processing: 0, refund_failed: false,
};
const ways = {
  "behaves well": {},
  "is slow (2.5 s)": { slow_ms: 2500 },
  "is down": { down: true },
  "loses the next create's answer": { lose_next: ["create"] },
  "loses the next refund's answer": { lose_next: ["refund"] },
  "signs the next query badly": { forge_next: ["query"] },
  "closes, and it does not hold": { close_not_holding: true },
  "gives paid money back on close": { cancel_refunds: true },
  "takes long over refunds": { refund_processing: 3 },
  "can't refund": { refund_failed: true },
};
$("provider").append(new Option("something else", ""), ...Object.entries(ways).map(([text, way]) => new Option(text, JSON.stringify(way))));
const points = [
  "charge-create-received", "charge-created", "frame-pay", "payment-booked", "notice-sent", "relay-on", "drop", "relay-off",
  "printer-byte", "close-received", "refund-received", "refund-booked", "operation-sent", "operation-answered",
];
$("cut-at").append(new Option("now", ""), ...points.map(point => new Option("at " + point, point)));

listen();

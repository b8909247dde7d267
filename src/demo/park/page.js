"use strict";
// Draws what the site says, and asks for what somebody does. Nothing here moves a car or opens a gate.

const NS = "http://www.w3.org/2000/svg";
const METRE = 15;
const PLACES = 12;
const COLOURS = ["#2f6fb5", "#b5483a", "#3f8f5f", "#c08a2b", "#6b57a5", "#4b5563"];
let site = { kiosks: [], gates: [], cars: [] };
let chosen = null;
let paying = null;
const parkedAt = new Map();

function say(element, text, bad) {
  element.textContent = text;
  element.classList.toggle("bad", Boolean(bad));
}

// ---- The picture from above. Entry lanes lead to the right, exits to the left; a lane's zero is its arm.

function draw(name, attributes, parent) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

const LOOPS = { presence: [-5, -1.8], safety: [-1, 1], closing: [1.8, 4.8] };
const lanes = new Map();
let layer = null;

function laneX(lane, metres) {
  return lane.exit ? 470 - (metres + 17) * METRE : 110 + (metres + 17) * METRE;
}

function build() {
  const svg = $("park");
  svg.replaceChildren();
  draw("rect", { x: 0, y: 0, width: 110, height: 460, class: "road" }, svg);
  draw("path", { d: "M55 0 V460", class: "kerb" }, svg);
  draw("text", { x: -230, y: 24, class: "label", transform: "rotate(-90)", "text-anchor": "middle" }, svg).textContent = "street";
  draw("rect", { x: 470, y: 30, width: 615, height: 400, rx: 6, class: "lot" }, svg);
  zone(svg, "street", 0, 0, 110, 460);
  zone(svg, "lot", 470, 30, 615, 400);
  for (let nth = 0; nth < PLACES; nth++) {
    const [x, y] = placeAt(nth);
    draw("rect", { x: x - 42, y: y - 44, width: 84, height: 88, class: "place" }, svg);
  }
  lanes.clear();
  site.gates.forEach(gate => {
    const kiosk = site.kiosks.find(one => one.lane === gate.lane);
    const exit = kiosk?.mode === "exit";
    const y = exit ? 330 : 120;
    const lane = { exit, y, name: gate.lane };
    draw("rect", { x: 105, y: y - 32, width: 370, height: 64, class: "road" }, svg);
    draw("text", { x: exit ? 402 : 176, y: y - 40, class: "label dark", "text-anchor": "middle" }, svg).textContent = (exit ? "exit · " : "entry · ") + gate.lane;
    zone(svg, gate.lane + ":before", exit ? laneX(lane, 0) : 110, y - 36, exit ? 470 - laneX(lane, 0) : laneX(lane, 0) - 110, 72);
    zone(svg, gate.lane + ":behind", exit ? 110 : laneX(lane, 0), y - 36, exit ? laneX(lane, 0) - 110 : 470 - laneX(lane, 0), 72);
    lane.loops = {};
    for (const [name, [from, to]] of Object.entries(LOOPS)) {
      const [a, b] = [laneX(lane, from), laneX(lane, to)].sort((p, q) => p - q);
      lane.loops[name] = draw("rect", { x: a, y: y - 22, width: b - a, height: 44, rx: 5, class: "loop" }, svg);
    }
    const x = laneX(lane, 0);
    const column = laneX(lane, -2.6);
    draw("rect", { x: column - 9, y: y + 34, width: 18, height: 18, rx: 3, class: "station" }, svg);
    lane.lamp = draw("circle", { cx: x, cy: y + 56, r: 5, class: "lamp" }, svg);
    layerArm(svg, lane, x, y);
    lanes.set(gate.lane, lane);
  });
  draw("rect", { x: 745, y: 205, width: 66, height: 50, rx: 6, class: "station" }, svg);
  draw("text", { x: 778, y: 235, class: "label", "text-anchor": "middle" }, svg).textContent = "PAY";
  zone(svg, "pay", 725, 190, 106, 80);
  draw("rect", { x: 130, y: 14, width: 92, height: 24, rx: 4, class: "sign" }, svg);
  draw("text", { x: 176, y: 31, class: "sign-text", id: "sign" }, svg);
  layer = draw("g", {}, svg);
  // Arms are above cars.
  lanes.forEach(lane => svg.append(lane.armGroup));
}

function layerArm(svg, lane, x, y) {
  lane.armGroup = draw("g", {}, svg);
  draw("rect", { x: x - 7, y: y + 32, width: 14, height: 14, rx: 2, class: "post" }, lane.armGroup);
  lane.arm = [draw("path", { class: "arm" }, lane.armGroup), draw("path", { class: "arm stripes" }, lane.armGroup)];
  lane.armAt = [x, y + 34];
}

function zone(svg, name, x, y, width, height) {
  draw("rect", { x, y, width, height, class: "zone", "data-zone": name }, svg);
}

function placeAt(nth) {
  const row = Math.floor(nth / 6) % 2;
  return [540 + (nth % 6) * 95, row === 0 ? 82 : 378];
}

function settle(car) {
  if (!parkedAt.has(car.id)) {
    const taken = new Set(site.cars.filter(one => one.where === "inside").map(one => parkedAt.get(one.id)));
    let nth = 0;
    while (taken.has(nth)) nth++;
    parkedAt.set(car.id, nth);
  }
  return parkedAt.get(car.id);
}

// Where a car is drawn: its middle, and which way it looks.
function stands(car, street) {
  const lane = lanes.get(car.lane);
  if (lane && car.front !== null) {
    return [laneX(lane, car.front - car.length / 2), lane.y, lane.exit ? 180 : 0];
  }
  if (car.where === "inside") {
    const nth = settle(car);
    if (nth >= PLACES) return [560 + (nth % 6) * 90, 300 - 60 * (Math.floor(nth / 6) % 2), 0];
    const [x, y] = placeAt(nth);
    return [x, y, nth < 6 ? -90 : 90];
  }
  return [street % 2 ? 82 : 30, 40 + Math.floor(street / 2) * 84, street % 2 ? 90 : -90];
}

function paint() {
  if (lanes.size !== site.gates.length) build();
  for (const gate of site.gates) {
    const lane = lanes.get(gate.lane);
    for (const name of Object.keys(LOOPS)) lane.loops[name].classList.toggle("on", gate[name]);
    const [x, y] = lane.armAt;
    // From above an arm that rises grows shorter.
    const length = 66 * Math.max(Math.cos(gate.arm * Math.PI / 2), 0.12);
    lane.arm.forEach(path => path.setAttribute("d", `M${x} ${y} V${y - length}`));
    lane.lamp.setAttribute("class", "lamp " + (gate.open ? "open" : gate.arm === 0 ? "shut" : ""));
  }
  const inside = site.cars.filter(car => car.where === "inside").length;
  const full = site.gates.some(gate => gate.full);
  $("sign").textContent = full ? "FULL" : "FREE";
  $("sign").classList.toggle("full", full);
  $("count").textContent = inside === 1 ? "1 car inside" : `${inside} cars inside`;
  const seen = new Set();
  let street = 0;
  for (const car of site.cars) {
    if (car.where === "gone") { parkedAt.delete(car.id); continue; }
    if (car.where !== "inside") parkedAt.delete(car.id);
    const at = stands(car, car.where === "street" ? street++ : 0);
    seen.add(car.id);
    const g = $("draw-" + car.id) ?? drawCar(car);
    g.classList.toggle("parked", car.front === null);
    g.classList.toggle("chosen", car.id === chosen);
    g.setAttribute("aria-label", `car ${car.plate}, ${car.where}`);
    g.setAttribute("aria-pressed", String(car.id === chosen));
    if (dragged?.id !== car.id) g.style.transform = `translate(${at[0]}px, ${at[1]}px) rotate(${at[2]}deg)`;
    g.lastChild.style.transform = `rotate(${-at[2]}deg)`;
  }
  for (const g of [...layer.children]) if (!seen.has(g.id.slice(5))) g.remove();
  $("clock").dateTime = site.clock;
  $("clock").textContent = site.clock ? new Date(site.clock).toLocaleString("en-GB", { timeZone: "Asia/Shanghai", weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }) : "";
  driver();
  faults();
}

function drawCar(car) {
  const number = Number(car.id.slice(4));
  const [long, wide] = [car.length * METRE, 28];
  const g = draw("g", { id: "draw-" + car.id, class: "car", tabindex: 0, role: "button" }, layer);
  draw("rect", { x: -long / 2, y: -wide / 2, width: long, height: wide, rx: 8, class: "body", fill: COLOURS[number % COLOURS.length] }, g);
  draw("rect", { x: long * .08, y: -wide / 2 + 4, width: long * .16, height: wide - 8, rx: 3, class: "glass-pane" }, g);
  draw("rect", { x: -long * .38, y: -wide / 2 + 5, width: long * .1, height: wide - 10, rx: 3, class: "glass-pane" }, g);
  for (const y of [-wide / 2 + 3, wide / 2 - 8]) draw("rect", { x: long / 2 - 4, y, width: 4, height: 5, class: "head" }, g);
  draw("text", { y: 4 }, g).textContent = car.plate;
  g.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(car.id); }
  });
  return g;
}

// ---- What a person does with a car.

function choose(id) {
  chosen = id;
  say($("driver-said"), "");
  paint();
}

const theCar = () => site.cars.find(car => car.id === chosen);

async function act(body, said = $("driver-said")) {
  say(said, "…");
  try {
    const answer = await call("site", body);
    if (answer.car) chosen = answer.car;
    say(said, told(body, answer));
    await look();
    return answer;
  } catch (error) { say(said, error.message, true); }
}

function told(body, answer) {
  if (answer.shown) return `held the ${answer.shown} before ${body.kiosk ?? "the scanner"}`;
  if (answer.ticket) return "a ticket was taken";
  if (answer.copy) return `the copy is with ${answer.copy}`;
  if (answer.validation) return "the bakery has stamped it";
  if (answer.read) return `a ${answer.read} was on the glass`;
  return "";
}

const able = {
  arrive: car => ["street", "inside"].includes(car.where),
  "take-ticket": car => car.where === "entry",
  drive: car => car.lane !== null,
  "back-out": car => car.lane !== null,
  leave: car => ["street", "inside"].includes(car.where),
  help: car => car.lane !== null,
  look: car => car.where !== "street",
  validate: () => true,
  copy: car => car.ticket !== null,
  lose: car => car.ticket !== null,
};

let shownHolds = null;

function driver() {
  const car = theCar();
  $("driver").hidden = !car;
  $("chosen").textContent = car ? car.plate : "choose a car";
  if (!car) return;
  const where = { street: "on the street", entry: "at the entry", inside: "inside", exit: "at the exit", gone: "gone" };
  $("where").textContent = where[car.where];
  for (const button of document.querySelectorAll("#driver [data-do]")) button.disabled = !able[button.dataset.do](car);
  document.querySelector("[data-do=leave]").textContent = car.where === "street" ? "drive away" : "leave the place";
  document.querySelector("[data-do=arrive]").textContent = car.where === "inside" ? "drive to the exit" : "drive up";
  const key = JSON.stringify([car.id, car.holds, car.lane]);
  if (key === shownHolds) return;
  shownHolds = key;
  const at = site.kiosks.filter(kiosk => kiosk.lane === car.lane || (car.where === "inside" && kiosk.mode === "pay-station"));
  $("holds").replaceChildren(...car.holds.map(held => {
    const li = document.createElement("li");
    li.className = held.kind;
    const b = document.createElement("b");
    b.textContent = { ticket: "ticket", pass: "exit pass", validation: "the shop's stamp" }[held.kind];
    li.append(b, held.number ?? "");
    const acts = document.createElement("div");
    acts.className = "acts";
    for (const kiosk of at) {
      const button = document.createElement("button");
      button.textContent = `hold before ${kiosk.id}`;
      button.setAttribute("aria-label", `hold the ${b.textContent} before the scanner of ${kiosk.id}`);
      button.onclick = () => act({ car: car.id, do: "show", kiosk: kiosk.id, what: held.kind });
      acts.append(button);
    }
    li.append(acts);
    return li;
  }));
  if (car.holds.length === 0) {
    const li = document.createElement("li");
    li.textContent = "nothing";
    $("holds").append(li);
  }
}

for (const button of document.querySelectorAll("#driver [data-do]")) {
  button.onclick = () => act({ car: chosen, do: button.dataset.do });
}
$("new-car").onclick = () => act({ car: "new", do: "arrive" });
for (const button of document.querySelectorAll("[data-clock]")) {
  button.onclick = () => act({ clock: button.dataset.clock }, $("trouble-said"));
}
for (const button of document.querySelectorAll("[data-site]")) {
  button.onclick = async () => {
    await act(JSON.parse(button.dataset.site), $("trouble-said"));
    machines.forEach(machine => machine.parts.world());
  };
}

// What dropping a car there means; nothing where it means nothing.
function meant(car, zone) {
  const entry = site.kiosks.find(kiosk => kiosk.mode === "entry")?.lane;
  const exit = site.kiosks.find(kiosk => kiosk.mode === "exit")?.lane;
  const [lane, side] = zone.split(":");
  // The pay station stands among the places.
  const lot = zone === "lot" || zone === "pay";
  if (car.where === "street") return lane === entry ? { do: "arrive" } : undefined;
  if (car.where === "entry") {
    if (lot || (lane === entry && side === "behind")) return { do: "drive" };
    return zone === "street" ? { do: "back-out" } : undefined;
  }
  if (car.where === "inside") {
    if (zone === "pay") return { do: "show", kiosk: site.kiosks.find(kiosk => kiosk.mode === "pay-station")?.id };
    return lane === exit || zone === "street" ? { do: "leave" } : undefined;
  }
  if (car.where === "exit") {
    if (zone === "street" || (lane === exit && side === "behind")) return { do: "drive" };
    return lot ? { do: "back-out" } : undefined;
  }
}

let dragged = null;

function inPicture(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform($("park").getScreenCTM().inverse());
  return [point.x, point.y];
}

function zoneAt(event) {
  const under = document.elementsFromPoint(event.clientX, event.clientY).filter(element => element.dataset?.zone);
  // The smallest is the one that is meant.
  const area = element => element.width.baseVal.value * element.height.baseVal.value;
  return under.sort((a, b) => area(a) - area(b))[0];
}

$("park").addEventListener("pointerdown", event => {
  const g = event.target.closest(".car");
  if (!g) return;
  dragged = { id: g.id.slice(5), g, from: inPicture(event), moved: false };
  $("park").setPointerCapture(event.pointerId);
});
$("park").addEventListener("pointermove", event => {
  if (!dragged) return;
  const at = inPicture(event);
  if (Math.hypot(at[0] - dragged.from[0], at[1] - dragged.from[1]) > 6) dragged.moved = true;
  if (!dragged.moved) return;
  $("park").classList.add("dragging");
  dragged.g.classList.remove("parked");
  const turned = dragged.g.style.transform.match(/rotate\([^)]*\)/)?.[0] ?? "";
  dragged.g.style.transform = `translate(${at[0]}px, ${at[1]}px) ${turned}`;
  const car = site.cars.find(one => one.id === dragged.id);
  const over = zoneAt(event);
  document.querySelectorAll(".zone").forEach(one => one.classList.toggle("over", one === over && car && Boolean(meant(car, one.dataset.zone))));
});
function dropped(event) {
  if (!dragged) return;
  const { id, moved } = dragged;
  dragged = null;
  $("park").classList.remove("dragging");
  choose(id);
  const car = theCar();
  const over = zoneAt(event);
  const does = moved && event.type === "pointerup" && over && car ? meant(car, over.dataset.zone) : undefined;
  if (does) act({ car: id, ...does });
}
$("park").addEventListener("pointerup", dropped);
$("park").addEventListener("pointercancel", dropped);

// ---- Each kiosk: its glass, and its world's switches.

const machines = new Map();

function kiosk({ id, mode }) {
  const own = "kiosk/" + id + "/";
  const section = $("kiosk").content.cloneNode(true).firstElementChild;
  const one = css => section.querySelector(css);
  section.id = "kiosk-" + id;
  one(".name").textContent = { entry: "Entry", "pay-station": "Pay station", exit: "Exit" }[mode] + " · " + id;
  one(".glass").alt = "the glass of " + id;
  one(".printed").alt = "what " + id + " has printed";
  one(".whole").href = own;
  one(".whole").setAttribute("aria-label", "orders, ledger, board and operations of " + id);
  const said = one(".said");
  const parts = {
    frame: refresher(() => picture(one(".glass"), own + "screen.png"), 60),
    state: refresher(async () => {
      const state = await call(own + "state");
      const reasons = (state.reasons ?? []).map(reason => reason.kind ?? reason).join(", ");
      one(".page-name").textContent = state.page === "dark" ? "no power" : state.page + (state.selling === false && reasons ? " · " + reasons : "");
    }, 80),
    world: refresher(async () => {
      const world = await call(own + "world");
      for (const name of ["network", "paper"]) {
        for (const button of section.querySelectorAll(`.${name} button`)) {
          button.classList.toggle("on", Object.values(JSON.parse(button.dataset.world))[0] === world[name]);
        }
      }
    }, 100),
    paper: refresher(async () => {
      if (!one("details").open) return;
      await picture(one(".printed"), own + "printer.png");
      await one(".printed").decode();
      one(".roll").scrollTop = one(".roll").scrollHeight;
    }, 200),
  };
  one("details").ontoggle = parts.paper;
  const turn = async switches => {
    try {
      await call(own + "world", switches);
      say(said, "");
      parts.world();
    } catch (error) { say(said, error.message, true); }
  };
  for (const button of section.querySelectorAll("[data-world]")) {
    button.setAttribute("aria-label", `${button.closest("fieldset").className} of ${id} ${button.textContent}`);
    button.onclick = () => turn(JSON.parse(button.dataset.world));
  }
  one(".cut").setAttribute("aria-label", "pull the plug of " + id);
  one(".cut").onclick = () => turn({ power: "cut" });
  one(".raise").setAttribute("aria-label", "let one car pass at " + id);
  one(".attendant").hidden = mode === "pay-station";
  one(".raise").onclick = async () => {
    const number = "page-" + crypto.getRandomValues(new Uint32Array(4)).join("-");
    try {
      const { result, why } = await call(own + "operations", { id: number, asked: { do: "raise", reason: "asked on the page" } });
      say(said, [result, why && (why.refusal ?? why.cause)].filter(Boolean).join(": "), !["changed", "unchanged"].includes(result));
    } catch (error) { say(said, error.message, true); }
  };
  one(".scan").setAttribute("aria-label", "scan the glass of " + id + " with the phone");
  one(".scan").onclick = () => scan(own, id);
  one(".glass").addEventListener("click", async event => {
    const glass = event.currentTarget;
    // The picture may be smaller than its frame.
    const scale = Math.min(glass.clientWidth / glass.naturalWidth, glass.clientHeight / glass.naturalHeight);
    const [left, top] = [(glass.clientWidth - glass.naturalWidth * scale) / 2, (glass.clientHeight - glass.naturalHeight * scale) / 2];
    const inside = (at, side) => Math.min(Math.max(Math.floor(at / scale), 0), side - 1);
    try {
      await call(own + "touch", { x: inside(event.offsetX - left, glass.naturalWidth), y: inside(event.offsetY - top, glass.naturalHeight) });
      say(said, "");
    } catch (error) { say(said, error.message, true); }
  });
  const follows = { frame: ["frame", "state"], state: ["state"], paper: ["paper"], world: ["world"], power: Object.keys(parts), missed: Object.keys(parts) };
  const listen = () => {
    const socket = new WebSocket(address(own + "events"));
    socket.onopen = () => Object.values(parts).forEach(part => part());
    socket.onmessage = ({ data }) => {
      const { kind } = JSON.parse(data);
      for (const part of follows[kind] ?? []) parts[part]();
      if (kind === "wallet" && paying?.own === own) showOffer();
    };
    socket.onclose = () => setTimeout(listen, 1000);
  };
  listen();
  $("kiosks").append(section);
  return { parts };
}

// ---- The phone that pays.

async function showOffer() {
  const { offer } = await call(paying.own + "scan", { payload: paying.payload });
  $("app").hidden = false;
  $("app-description").textContent = offer ? offer.description : "This app does not know this code.";
  $("app-amount").textContent = offer ? money(offer.amount, offer.currency) : "";
  $("app-state").textContent = offer ? offer.state : "";
  $("app-payload").textContent = paying.payload;
}

async function scan(own, id) {
  $("phone-at").textContent = "at " + id;
  try {
    paying = { own, payload: (await call(own + "scan", {})).payload };
    say($("phone-said"), "");
    await showOffer();
  } catch (error) {
    paying = null;
    $("app").hidden = true;
    say($("phone-said"), error.message, true);
  }
}

for (const button of document.querySelectorAll("[data-action]")) {
  button.onclick = async () => {
    try {
      const { result, why } = await call(paying.own + "wallet", { payload: paying.payload, action: button.dataset.action });
      say($("phone-said"), result + ": " + why, result === "refused");
      await showOffer();
    } catch (error) { say($("phone-said"), error.message, true); }
  };
}

// ---- What breaks.

function faults() {
  if ($("faults").children.length !== site.gates.length) {
    $("faults").replaceChildren(...site.gates.map(gate => {
      const set = $("fault").content.cloneNode(true).firstElementChild;
      set.dataset.lane = gate.lane;
      set.querySelector("legend").textContent = gate.lane;
      for (const select of set.querySelectorAll("select")) {
        select.onchange = () => act({ lane: gate.lane, [select.dataset.fault]: select.value }, $("trouble-said"));
      }
      return set;
    }));
  }
  for (const gate of site.gates) {
    for (const select of document.querySelectorAll(`#faults [data-lane="${CSS.escape(gate.lane)}"] select`)) {
      if (document.activeElement !== select) select.value = gate.faults[select.dataset.fault];
    }
  }
  const fire = site.gates.some(gate => gate.faults.fire);
  for (const button of document.querySelectorAll("#fire button")) button.classList.toggle("on", JSON.parse(button.dataset.site).fire === fire);
}

// ---- News.

function take(report) {
  site = report;
  for (const one of site.kiosks) if (!machines.has(one.id)) machines.set(one.id, kiosk(one));
  paint();
}

async function look() {
  take(await call("site"));
}

function listen() {
  const socket = new WebSocket(address("events"));
  socket.onopen = () => { $("status").textContent = ""; look(); };
  socket.onmessage = ({ data }) => {
    const news = JSON.parse(data);
    if (news.kiosks) take(news);
  };
  socket.onclose = () => { $("status").textContent = "the demo has ended"; setTimeout(listen, 1000); };
}

listen();

"use strict";
// Draws what the site says, and asks for what somebody does. Nothing here moves a car or opens a gate.

let site = { kiosks: [], gates: [], cars: [] };
let chosen = null;
let paying = null;

function say(element, text, bad) {
  element.textContent = text;
  element.classList.toggle("bad", Boolean(bad));
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
  if (answer.season) return `the office has given out season pass ${answer.season}`;
  if (answer.typed) return `typed ${answer.typed} at the pay station`;
  if (answer.read) return `a ${answer.read} was on the glass`;
  return "";
}

const hasSeason = car => car.holds.some(held => held.kind === "season");
const able = {
  arrive: car => car.where === "street",
  "take-ticket": car => car.where === "entry",
  drive: car => car.lane !== null,
  "back-out": car => car.lane !== null,
  leave: car => ["street", "inside"].includes(car.where),
  help: car => car.lane !== null,
  look: car => car.where !== "street",
  validate: () => true,
  "season-pass": car => !hasSeason(car),
  "type-plate": car => car.where === "inside",
  copy: car => car.ticket !== null || hasSeason(car),
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
  document.querySelector("[data-do=leave]").textContent = car.where === "street" ? "drive away" : "drive to the exit";
  document.querySelector("[data-do=copy]").textContent = car.ticket === null && hasSeason(car) ? "copy the season pass" : "copy the ticket";
  const key = JSON.stringify([car.id, car.holds, car.lane]);
  if (key === shownHolds) return;
  shownHolds = key;
  const at = site.kiosks.filter(kiosk => kiosk.lane === car.lane || (car.where === "inside" && kiosk.mode === "pay-station"));
  $("holds").replaceChildren(...car.holds.map(held => {
    const li = document.createElement("li");
    li.className = held.kind;
    const b = document.createElement("b");
    b.textContent = { ticket: "ticket", pass: "exit pass", validation: "the shop's stamp", season: "season pass" }[held.kind];
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
$("new-season").onclick = async () => {
  const answer = await act({ car: "new", do: "season-pass" });
  if (answer) act({ car: answer.car, do: "arrive" });
};
for (const button of document.querySelectorAll("[data-clock]")) {
  button.onclick = () => act({ clock: button.dataset.clock }, $("site-said"));
}
for (const button of document.querySelectorAll("[data-site]")) {
  button.onclick = async () => {
    await act(JSON.parse(button.dataset.site), button.closest(".trouble") ? $("trouble-said") : $("site-said"));
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
    // Who has nothing to show types the plate.
    const does = car.holds.some(held => held.kind !== "validation") ? "show" : "type-plate";
    if (zone === "pay") return { do: does, kiosk: site.kiosks.find(kiosk => kiosk.mode === "pay-station")?.id };
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

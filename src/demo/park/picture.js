"use strict";
// The car park from above, as the site says that it is. Entry lanes lead to the right, exits to the left; a lane's zero is its arm.

const NS = "http://www.w3.org/2000/svg";
const METRE = 15;
const PLACES = 12;
const COLOURS = ["#2f6fb5", "#b5483a", "#3f8f5f", "#c08a2b", "#6b57a5", "#4b5563"];
const parkedAt = new Map();

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
    lane.camera = layerCamera(svg, lane);
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

// It looks at the loop before the gate; what it reads stands above it.
function layerCamera(svg, lane) {
  const g = draw("g", { class: "camera" }, svg);
  const [from, to, post] = [laneX(lane, -5), laneX(lane, -1.8), laneX(lane, 0.6)];
  draw("path", { d: `M${post} ${lane.y - 42} L${from} ${lane.y - 24} V${lane.y + 24} L${to} ${lane.y + 24} Z`, class: "view" }, g);
  draw("rect", { x: post - 9, y: lane.y - 49, width: 18, height: 11, rx: 3, class: "post" }, g);
  draw("circle", { cx: post - (lane.exit ? -9 : 9), cy: lane.y - 43, r: 4, class: "lens" }, g);
  const middle = (from + to) / 2;
  draw("rect", { x: middle - 42, y: lane.y - 58, width: 84, height: 20, rx: 4, class: "readout" }, g);
  const text = draw("text", { x: middle, y: lane.y - 43, class: "readout-text" }, g);
  return { g, text };
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
    lane.camera.g.classList.toggle("on", Boolean(site.cameras));
    lane.camera.g.classList.toggle("reads", Boolean(gate.read));
    lane.camera.text.textContent = gate.read ?? "–";
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
    // Nobody reads a plate upside down.
    g.lastChild.style.transform = `rotate(${at[2] === 180 ? 180 : 0}deg)`;
  }
  for (const g of [...layer.children]) if (!seen.has(g.id.slice(5))) g.remove();
  for (const button of document.querySelectorAll("#cameras button")) button.classList.toggle("on", JSON.parse(button.dataset.site).cameras === site.cameras);
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
  const plate = draw("g", { class: "plate" }, g);
  draw("rect", { x: -23, y: -7, width: 46, height: 14, rx: 2 }, plate);
  draw("text", { y: 4 }, plate).textContent = car.plate;
  g.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(car.id); }
  });
  return g;
}

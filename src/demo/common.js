"use strict";
// What the page of one kiosk and the page of the car park have in common. The API is asked for beside the page.

const $ = id => document.getElementById(id);

async function call(path, body) {
  const json = { "Content-Type": "application/json" };
  const how = body === undefined ? {} : { method: "POST", headers: json, body: JSON.stringify(body) };
  const answer = await fetch("api/" + path, how);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

// Of a socket under the API.
const address = path => "ws" + location.href.replace(/^http/, "").replace(/[^/]*$/, "") + "api/" + path;

function money(amount, currency) {
  if (!currency) return String(amount);
  const format = new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "code" });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

// One request of a kind at a time; whatever comes meanwhile is one more afterwards.
function refresher(work, pause = 0) {
  let running = false, again = false;
  return async function refresh() {
    if (running) { again = true; return; }
    running = true;
    do {
      again = false;
      try { await work(); } catch (error) { console.debug(error); }
      if (pause) await new Promise(done => setTimeout(done, pause));
    } while (again);
    running = false;
  };
}

// The new picture in place of the old one, whose memory is given back. It is decoded before, aside: one that is not there yet has no
// size, so the page would jump under whoever is about to click it.
async function picture(image, path) {
  const answer = await fetch("api/" + path);
  if (!answer.ok) return;
  const [url, old] = [URL.createObjectURL(await answer.blob()), image.src];
  const next = new Image();
  next.src = url;
  try {
    await next.decode();
  } catch {
    URL.revokeObjectURL(url);
    return;
  }
  image.src = url;
  if (old.startsWith("blob:")) await image.decode().then(() => URL.revokeObjectURL(old), () => {});
}

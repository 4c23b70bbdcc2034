// Puts the page together: routes to views, cells to the view that is shown.

import { note, known, load } from "./known.js";
import { here, start } from "./router.js";
import { begin, linked, placed } from "./shell.js";
import { Store } from "./store.js";
import { Strip } from "./strip.js";
import { t } from "./text.js";
import { IndicatorView } from "./views/indicator.js";
import { ListView } from "./views/list.js";
import { MapView } from "./views/map.js";
import { MppView } from "./views/mpp.js";
import { OverviewView } from "./views/overview.js";

const AGES_MS = 15_000;
const main = document.getElementById("isi");
const loading = document.getElementById("loading");
const store = new Store({ changed, linked: connected, defined: () => load(arrange) });
const strip = new Strip(document.getElementById("strip"));
const views = {};
let shown = null;
let waiting = null;

/** Which view a route is of. */
function viewOf(route) {
  const [name = "", id] = route.path;
  if (name === "indikator" && id) return ["indicator", IndicatorView];
  return { "": ["overview", OverviewView], peta: ["map", MapView], mpp: ["mpp", MppView], indikator: ["list", ListView] }[name] ?? ["overview", OverviewView];
}

const at = (name) => (name === "indicator" ? "list" : name);

function arrived(route) {
  const [name, View] = viewOf(route);
  views[name] ??= new View(store);
  const before = shown;
  const view = shown = views[name];
  const moved = before && (before !== view || (name === "indicator" && view.id !== route.path[1]));
  view.route(route);
  if (known.loaded) {
    loading.hidden = true;
    if (before !== view || !view.node.isConnected) main.replaceChildren(loading, view.node);
    store.follow(view.ids());
    view.render(null);
  }
  placed(at(name), view.title());
  if (moved && known.loaded) { view.heading.focus({ preventScroll: true }); scrollTo(0, 0); }
}

/** Definitions or the board are others. */
function arrange() {
  strip.follow(known.board.alerts);
  arrived(here());
}

function redraw() {
  strip.render();
  if (!shown) return;
  if (known.loaded) shown.render(null);
  placed(at(viewOf(here())[0]), shown.title());
  loading.textContent = t("loading");
}

function changed(ids, keys, whole) {
  const now = Date.now();
  linked(undefined, new Date(now));
  if (!whole) for (const id of ids) note(id, now);
  if ([...ids].some((id) => !known.definitions.has(id))) load(arrange);
  waiting ??= { ids: new Set(), keys: new Set(), whole: false };
  waiting.whole ||= whole;
  for (const id of ids) waiting.ids.add(id);
  for (const key of keys) waiting.keys.add(key);
  if (document.hidden) flush(); else requestAnimationFrame(flush);
}

function flush() {
  if (!waiting || !known.loaded) return;
  const { ids, keys, whole } = waiting;
  waiting = null;
  shown.render({ ids: whole ? null : ids, keys });
}

function connected(state) {
  if (linked(state, state === "live" ? new Date() : null) || !known.loaded) load(arrange);
}

begin(redraw);
start(arrived);
document.addEventListener("visibilitychange", () => {
  flush();
  if (document.hidden) strip.pause(); else strip.resume();
});
addEventListener("pagehide", () => { store.pause(); strip.pause(); });
addEventListener("pageshow", (event) => { if (event.persisted) { store.connect(); strip.resume(); } });
setInterval(() => { if (known.loaded && !document.hidden) { shown.age?.(); strip.age(); } }, AGES_MS);
load(arrange);

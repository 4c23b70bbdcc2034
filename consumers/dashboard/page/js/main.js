// Puts the page together: definitions and cells in, cards out; language, theme, search and the state of the connection.

import { Card } from "./card.js";
import { el, say } from "./dom.js";
import { clock, knowRegions, number } from "./format.js";
import { openProof } from "./proof.js";
import { Store } from "./store.js";
import { currentLanguage, setLanguage, t, windowName } from "./text.js";

const $ = (id) => document.getElementById(id);
const THEMES = ["auto", "light", "dark"];
const ORDER = ["now", "15m", "1h", "1d", "1w", "1mo", "1q", "6mo", "1y"];
const remembered = {
  get: (name) => { try { return localStorage.getItem(`simpul.${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`simpul.${name}`, value); } catch { /* private windows remember nothing */ } },
};

const page = { definitions: new Map(), agencies: {}, cards: new Map(), link: "connecting", period: "", search: "", heard: null, loaded: false };
const store = new Store({ changed, linked, defined: loadDefinitions });
let waiting = null;

function changed(ids, keys, whole) {
  page.heard = new Date();
  if ([...ids].some((id) => !page.definitions.has(id))) loadDefinitions();
  waiting ??= { ids: new Set(), keys: new Set() };
  if (whole) for (const id of page.cards.keys()) waiting.ids.add(id);
  for (const id of ids) waiting.ids.add(id);
  for (const key of keys) waiting.keys.add(key);
  if (document.hidden) flush(); else requestAnimationFrame(flush);
}

function flush() {
  if (!waiting) return;
  const { ids, keys } = waiting;
  waiting = null;
  for (const id of ids) {
    const card = page.cards.get(id);
    if (card) { card.data = store.indicators.get(id); card.render(keys); }
  }
  summary();
}

async function loadDefinitions() {
  try {
    const answer = await fetch("/v1/indicators");
    if (!answer.ok) throw new Error(answer.statusText);
    const body = await answer.json();
    page.definitions = new Map(body.indicators.map((each) => [each.id, each]));
    page.agencies = body.agencies;
    knowRegions(body.regions);
    page.loaded = true;
    arrange();
  } catch {
    clearTimeout(page.retry);
    page.retry = setTimeout(loadDefinitions, 2000);
  }
}

/** Cards in their agencies' sections: monthly ones first, those without values last. */
function arrange() {
  const focused = document.activeElement;
  const groups = new Map();
  for (const definition of page.definitions.values()) {
    if (!groups.has(definition.agency)) groups.set(definition.agency, []);
    groups.get(definition.agency).push(definition);
  }
  for (const id of page.cards.keys()) if (!page.definitions.has(id)) page.cards.delete(id);
  const sections = [...groups].sort().map(([agency, definitions]) => {
    const last = (each) => (each.cells ? 0 : 10) + (each.window === "1mo" ? 0 : 1 + ORDER.indexOf(each.window));
    definitions.sort((a, b) => last(a) - last(b) || a.id.localeCompare(b.id));
    const grid = el("div", { class: "grid" }, ...definitions.map((definition) => {
      let card = page.cards.get(definition.id);
      if (!card) page.cards.set(definition.id, card = new Card(definition, (d, cell) => openProof($("proof"), d, cell)));
      card.update(definition, store.indicators.get(definition.id));
      return card.node;
    }));
    return el("section", { class: "agency", "aria-label": page.agencies[agency] ?? agency, "data-agency": agency },
      el("h2", {}, page.agencies[agency] ?? agency, el("small")), grid);
  });
  $("agencies").replaceChildren(...sections);
  if (focused?.isConnected) focused.focus({ preventScroll: true });
  periods();
  filter();
  summary();
}

function periods() {
  const windows = [...new Set([...page.definitions.values()].map((each) => each.window).filter(Boolean))];
  windows.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  $("periods").setAttribute("aria-label", t("period"));
  const choice = (code, words) => el("button", { type: "button", "aria-pressed": String(page.period === code), onclick: (event) => {
    page.period = code;
    for (const each of $("periods").children) each.setAttribute("aria-pressed", String(each === event.currentTarget));
    filter();
  } }, words);
  $("periods").replaceChildren(...(windows.length > 1 ? [choice("", t("all")), ...windows.map((code) => choice(code, windowName(code)))] : []));
}

function filter() {
  let any = false;
  for (const section of $("agencies").children) {
    let count = 0;
    for (const card of page.cards.values()) {
      if (card.definition.agency !== section.dataset.agency) continue;
      const fits = (!page.period || card.definition.window === page.period) && page.search.split(/\s+/).every((word) => card.words.includes(word));
      card.node.hidden = !fits;
      count += fits;
    }
    section.hidden = !count;
    say(section.querySelector("h2 small"), t("count")(count));
    any ||= count > 0;
  }
  $("empty").hidden = any;
  say($("empty"), !page.loaded ? t("loading") : page.definitions.size ? t("noMatch") : t("nothing"));
}

function summary() {
  say($("summary"), t("summary")(number(String(page.definitions.size), 0), number(String(store.cells), 0)));
  link();
}

function linked(state) {
  const back = state === "live" && page.link === "lost";
  page.link = state;
  if (state === "live") page.heard = new Date();
  if (back || !page.loaded) loadDefinitions();
  link();
}

function link() {
  $("link").dataset.state = page.link;
  document.body.classList.toggle("offline", page.link === "lost" || page.link === "stale");
  say($("link-text"), page.heard && page.link !== "connecting" ? `${t(page.link)} · ${clock(page.heard)}` : t(page.link));
  // Only the state is read out, not the time of every message.
  say($("announce"), t(page.link));
  const notice = $("notice");
  notice.hidden = page.link !== "lost" && page.link !== "stale";
  notice.dataset.state = page.link;
  if (!notice.hidden) say(notice, t(`${page.link}Notice`));
}

function speak(code) {
  setLanguage(code);
  remembered.set("language", currentLanguage());
  for (const node of document.querySelectorAll("[data-text]")) say(node, t(node.dataset.text));
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = t(node.dataset.placeholder);
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
  dress(document.documentElement.dataset.theme ?? "auto");
  arrange();
}

function dress(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  const words = t("theme") + t(theme);
  $("theme").title = words;
  $("theme").setAttribute("aria-label", words);
  remembered.set("theme", theme);
}

for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => speak(button.dataset.language));
$("theme").addEventListener("click", () => dress(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length]));
$("search").addEventListener("input", (event) => { page.search = event.target.value.trim().toLowerCase(); filter(); });
$("proof").addEventListener("click", (event) => { if (event.target === $("proof")) $("proof").close(); });
document.addEventListener("visibilitychange", flush);

dress(remembered.get("theme") ?? "auto");
speak(remembered.get("language") ?? "id");
loadDefinitions();
store.connect();

// What stands around every route: language, theme, the state of the connection, and which route it is.

import { el, say } from "./dom.js";
import { clock, moment } from "./format.js";
import { currentLanguage, setLanguage, t } from "./text.js";

const $ = (id) => document.getElementById(id);
const THEMES = ["auto", "light", "dark"];
const remembered = {
  get: (name) => { try { return localStorage.getItem(`simpul.${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`simpul.${name}`, value); } catch { /* private windows remember nothing */ } },
};
const state = { link: "connecting", heard: null };

/** The connection's state changed, or something was heard; whether it is back after it was lost. */
export function linked(link = state.link, heard = null) {
  const back = link === "live" && state.link === "lost";
  state.link = link;
  state.heard = heard ?? state.heard;
  $("link").dataset.state = link;
  document.body.classList.toggle("offline", link === "lost" || link === "stale");
  say($("link-text"), state.heard && link !== "connecting" ? `${t(link)} · ${clock(state.heard)}` : t(link));
  // Only the state is read out, not the time of every message.
  say($("announce"), t(link));
  const notice = $("notice");
  notice.hidden = link !== "lost" && link !== "stale";
  notice.dataset.state = link;
  if (!notice.hidden) say(notice, t(`${link}Notice`));
  return back;
}

function speak(code, spoken) {
  setLanguage(code);
  remembered.set("language", currentLanguage());
  for (const node of document.querySelectorAll("[data-text]")) say(node, t(node.dataset.text));
  for (const node of document.querySelectorAll("[data-route-text]")) say(node, t("routes")[node.dataset.routeText]);
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
  $("routes").setAttribute("aria-label", t("mainNav"));
  dress(document.documentElement.dataset.theme ?? "auto", spoken);
  linked();
}

function dress(theme, dressed) {
  if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  const words = t("theme") + t(theme);
  $("theme").title = words;
  $("theme").setAttribute("aria-label", words);
  remembered.set("theme", theme);
  dressed();
}

/** Mark the route that is shown, and give the page its title. */
export function placed(name, title) {
  for (const link of document.querySelectorAll("#routes a")) {
    if (link.dataset.route === name) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.title = title ? `${title} · Simpul` : "Simpul";
}

/** Begin; `redraw` when the words or the colours are others. */
export function begin(redraw) {
  for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => speak(button.dataset.language, redraw));
  $("theme").addEventListener("click", () => dress(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length], redraw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  $("proof").addEventListener("click", (event) => { if (event.target === $("proof")) $("proof").close(); });
  // The skip link must not become an address.
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("isi").focus(); });
  addEventListener("beforeprint", () => $("printed").replaceChildren(el("span", {}, t("printed")(location.href, moment(new Date().toISOString())))));
  dress(remembered.get("theme") ?? "auto", () => {});
  speak(remembered.get("language") ?? "id", () => {});
}

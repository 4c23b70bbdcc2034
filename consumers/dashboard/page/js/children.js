// The way down the region tree: the trail to where we are, its own number, and a table of the regions right below.

import { el, say } from "./dom.js";
import { brief, number, placeName, scaled } from "./format.js";
import { known } from "./known.js";
import { t } from "./text.js";

const parent = (code) => code.slice(0, code.lastIndexOf("."));

/** From `root` down to `code`. */
export function trailOf(root, code) {
  const trail = [];
  for (let at = code; at.length >= root.length; at = parent(at)) { trail.unshift(at); if (at === root) break; }
  return trail[0] === root ? trail : [root];
}

export class Children {
  constructor() {
    this.trail = el("ol", { class: "trail" });
    this.nav = el("nav", {}, this.trail);
    this.title = el("h2");
    this.body = el("tbody");
    this.head = el("tr");
    this.table = el("div", { class: "scroll", tabindex: "0", role: "region" }, el("table", {}, el("thead", {}, this.head), this.body));
    this.none = el("p", { class: "meta" });
    this.node = el("section", { class: "panel children" }, this.nav, this.title, this.table, this.none);
  }

  /** `cells`: code → cell of the chosen window and dimensions; `linkOf(code)`: the address of a region here; `proofOf(cell)`: of its number. */
  update(root, code, definition, cells, linkOf, proofOf) {
    this.nav.setAttribute("aria-label", t("trail"));
    const trail = trailOf(root, code);
    this.trail.replaceChildren(...trail.map((each) => el("li", {}, el("a", { href: linkOf(each), "aria-current": each === code ? "location" : null }, placeName(each)))));
    const codes = new Set([...cells.keys(), ...Object.keys(known.regions)].filter((each) => parent(each) === code));
    const below = [...codes].sort();
    say(this.title, t("within")(placeName(code)));
    this.table.setAttribute("aria-label", t("within")(placeName(code)));
    this.table.hidden = !below.length || !below.some((each) => cells.has(each));
    this.none.hidden = !this.table.hidden;
    say(this.none, t("leaf"));
    const sizes = below.map((each) => cells.get(each)?.value).filter((value) => value !== null && value !== undefined);
    const largest = sizes.reduce((best, value) => (Math.abs(Number(value)) > Math.abs(Number(best)) ? value : best), "0");
    const unit = brief(largest, definition);
    this.head.replaceChildren(...[["region"], ["value", "number"], ["count_", "number"], ["state"]].map(([key, kind]) => el("th", { scope: "col", class: kind ?? null }, t(key))));
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.body.replaceChildren(...below.map((each) => this.row(each, cells.get(each), unit, Math.abs(Number(largest)), linkOf, proofOf)));
    if (focused) [...this.body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }

  row(code, cell, unit, largest, linkOf, proofOf) {
    const has = cell && cell.value !== null;
    const bar = el("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--part", has && largest ? Math.abs(Number(cell.value)) / largest : 0);
    const text = has ? `${scaled(cell.value, unit)} ${unit.unit}` : cell?.suppressed ? t("withheld") : t("noData");
    const value = has ? el("a", { href: proofOf(cell), class: "plainly" }, text) : el("span", { class: "soft" }, text);
    return el("tr", { "data-region": code }, el("th", { scope: "row" }, el("a", { href: linkOf(code) }, placeName(code)), " ", el("small", {}, code)),
      el("td", { class: "number sized" }, bar, value), el("td", { class: "number" }, has && cell.n !== undefined ? number(String(cell.n), 0) : "–"),
      el("td", {}, has ? t(cell.window_start === null ? "current" : cell.status) : ""));
  }
}

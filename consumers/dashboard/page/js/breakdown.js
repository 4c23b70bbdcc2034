// All lines of an indicator in one window as a table that can be sorted; choosing a row chooses the line.

import { el, say } from "./dom.js";
import { brief, number, scaled, valueName } from "./format.js";
import { href } from "./router.js";
import { dimensionName, t } from "./text.js";

const FEW = 25;

export class Breakdown {
  constructor() {
    this.title = el("h2");
    this.head = el("tr");
    this.body = el("tbody");
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region" }, el("table", {}, el("thead", {}, this.head), this.body));
    this.more = el("button", { type: "button", class: "more", onclick: () => { this.all = !this.all; this.draw(); } });
    this.node = el("section", { class: "panel breakdown" }, this.title, this.scroll, this.more);
    this.sort = { by: "", up: true };
    this.all = false;
  }

  /** `lines` with a cell in `window`; the one named `chosen` is marked. */
  update(lines, definition, window, chosen) {
    if (this.definition?.id !== definition.id) { this.sort = { by: "", up: true }; this.all = false; }
    Object.assign(this, { definition, chosen, cells: lines.filter((line) => line.cells.has(window)).map((line) => ({ line, cell: line.cells.get(window) })) });
    this.node.hidden = this.cells.length < 2;
    if (!this.node.hidden) this.draw();
  }

  draw() {
    const { definition } = this;
    const names = Object.keys(this.cells[0].line.dimensions);
    say(this.title, `${t("breakdown")} (${number(String(this.cells.length), 0)})`);
    this.scroll.setAttribute("aria-label", t("breakdown"));
    this.columns(names);
    const sorted = [...this.cells].sort(this.order(names));
    const shown = this.all ? sorted : sorted.slice(0, FEW);
    const largest = Math.max(...this.cells.map(({ cell }) => Math.abs(Number(cell.value ?? 0))));
    const unit = brief(String(largest), definition);
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.body.replaceChildren(...shown.map(({ line, cell }) => this.row(names, line, cell, unit, largest)));
    if (focused) [...this.body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
    this.more.hidden = sorted.length <= FEW;
    say(this.more, this.all ? t("less") : t("showAll")(number(String(sorted.length), 0)));
    this.more.setAttribute("aria-expanded", String(this.all));
  }

  columns(names) {
    const made = JSON.stringify([names, this.sort, document.documentElement.lang]);
    if (made === this.made) return;
    this.made = made;
    const column = (by, words, kind) => {
      const sorted = this.sort.by === by;
      const button = el("button", { type: "button", title: t("sortBy")(words), "data-sort": by, onclick: () => {
        this.sort = { by, up: sorted ? !this.sort.up : by !== "value" && by !== "n" };
        this.draw();
        this.head.querySelector(`[data-sort="${by}"]`).focus({ preventScroll: true });
      } }, words, sorted ? (this.sort.up ? " ▲" : " ▼") : "");
      return el("th", { scope: "col", class: kind, "aria-sort": sorted ? (this.sort.up ? "ascending" : "descending") : "none" }, button);
    };
    this.head.replaceChildren(...names.map((name) => column(`d:${name}`, dimensionName(name))), column("value", t("value"), "number"), column("n", t("count_"), "number"), el("th", { scope: "col" }, t("state")));
  }

  order(names) {
    const { by, up } = this.sort;
    const text = ({ line }, name) => line.dimensions[name] ?? "\uffff";
    const plain = (a, b) => names.reduce((found, name) => found || text(a, name).localeCompare(text(b, name), undefined, { numeric: true }), 0);
    const size = (text) => (text === null || text === undefined ? -Infinity : Number(text));
    const own = by.startsWith("d:") ? (a, b) => text(a, by.slice(2)).localeCompare(text(b, by.slice(2)), undefined, { numeric: true })
      : by ? (a, b) => size(a.cell[by]) - size(b.cell[by]) : () => 0;
    return (a, b) => (up ? own(a, b) : own(b, a)) || plain(a, b);
  }

  row(names, line, cell, unit, largest) {
    const words = names.map((name, index) => {
      const text = valueName(name, line.dimensions[name]);
      return index ? el("td", {}, text) : el("th", { scope: "row" }, el("a", { href: href(["indikator", this.definition.id], line.dimensions), "aria-current": line.name === this.chosen ? "true" : null }, text));
    });
    const bar = el("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--part", cell.value === null || !largest ? 0 : Math.abs(Number(cell.value)) / largest);
    const value = cell.suppressed ? t("withheld") : cell.value === null ? t("noData") : `${scaled(cell.value, unit)} ${unit.unit}`;
    const status = cell.suppressed ? "" : t(cell.window_start === null ? "current" : cell.status);
    return el("tr", { class: line.name === this.chosen ? "chosen" : null }, ...words, el("td", { class: "number sized" }, bar, el("b", {}, value), cell.label ? el("span", { class: "grade" }, cell.label) : null),
      el("td", { class: "number" }, cell.n === undefined ? "–" : number(String(cell.n), 0)), el("td", {}, status));
  }
}

// One indicator: its window, and a row for every series that has a value in it. Rows are kept and updated, never made anew.

import { arrow, el, say } from "./dom.js";
import { exact, label, number, order, scale, scaled, windowLabel } from "./format.js";
import { href } from "./router.js";
import { draw, empty } from "./spark.js";
import { dimensionName, inLanguage, t, windowName } from "./text.js";
import { tween } from "./tween.js";

const FEW = 6;

export class Card {
  constructor(definition, openProof) {
    this.definition = definition;
    this.openProof = openProof;
    this.window = null;
    this.all = false;
    this.rows = new Map();
    this.name = el("a", { href: href(["indikator", definition.id]) });
    this.title = el("h3", {}, this.name);
    this.meta = el("p", { class: "meta" });
    this.before = el("button", { type: "button", onclick: () => this.step(-1) }, arrow("M15 5l-7 7 7 7"));
    this.after = el("button", { type: "button", onclick: () => this.step(1) }, arrow("M9 5l7 7-7 7"));
    this.shown = el("output");
    this.newest = el("button", { type: "button", class: "newest", onclick: () => { this.window = null; this.render(); } });
    this.nav = el("div", { class: "nav" }, this.before, this.shown, this.after, this.newest);
    this.list = el("ul", { class: "rows" });
    this.none = el("p", { class: "none" });
    this.more = el("button", { type: "button", class: "more", onclick: () => { this.all = !this.all; this.render(); } });
    this.node = el("article", { class: "card", id: `i-${definition.id}`, "aria-labelledby": `t-${definition.id}`, "data-indicator": definition.id },
      el("header", {}, this.title, this.meta), this.nav, this.list, this.none, this.more);
    this.title.id = `t-${definition.id}`;
  }

  /** Words to search in. */
  get words() { return `${this.definition.id} ${Object.values(this.definition.title).join(" ")} ${this.definition.unit}`.toLowerCase(); }

  update(definition, data) {
    this.definition = definition;
    this.data = data;
    this.render();
  }

  step(by) {
    const windows = this.windows();
    const next = windows.indexOf(this.current(windows)) + by;
    this.window = next === windows.length - 1 ? null : windows[next] ?? this.window;
    this.render();
  }

  windows() { return this.data ? [...this.data.windows.keys()].sort((a, b) => (Date.parse(a) || 0) - (Date.parse(b) || 0)) : []; }
  current(windows) { return this.window !== null && windows.includes(this.window) ? this.window : windows.at(-1); }

  render(changed) {
    const { definition } = this;
    say(this.name, inLanguage(definition.title));
    const dimensions = definition.dimensions.length ? `${t("by")} ${definition.dimensions.map(dimensionName).join(", ")}` : "";
    const window = definition.stock && definition.window !== "now" ? `${windowName(definition.window)}, ${t("closing")}` : windowName(definition.window);
    say(this.meta, [window, definition.unit, dimensions].filter(Boolean).join(" · "));
    const windows = this.windows();
    const current = this.current(windows);
    this.frame(windows, current);
    const lines = current === undefined ? [] : [...this.data.series.values()].filter((line) => line.cells.has(current));
    lines.sort((a, b) => order(a.dimensions).localeCompare(order(b.dimensions), undefined, { numeric: true }));
    const few = this.all ? lines : lines.slice(0, lines.length > FEW + 1 ? FEW : lines.length);
    const kept = new Set(few.map((line) => line.name));
    for (const [name, row] of this.rows) if (!kept.has(name)) { row.node.remove(); this.rows.delete(name); }
    few.forEach((line, index) => {
      let row = this.rows.get(line.name);
      if (!row) this.rows.set(line.name, row = new Row(this));
      row.update(line, current, windows, changed);
      if (this.list.children[index] !== row.node) this.list.insertBefore(row.node, this.list.children[index] ?? null);
    });
    this.more.hidden = few.length === lines.length && !(this.all && lines.length > FEW + 1);
    say(this.more, this.all ? t("less") : t("more")(lines.length - few.length));
    this.more.setAttribute("aria-expanded", String(this.all));
  }

  frame(windows, current) {
    const any = current !== undefined;
    this.nav.hidden = this.list.hidden = !any;
    this.none.hidden = any;
    say(this.none, t("noValue"));
    if (!any) return;
    const cell = [...this.data.series.values()].map((line) => line.cells.get(current)).find(Boolean);
    say(this.shown, windowLabel(cell, this.definition.window));
    for (const [button, words] of [[this.before, t("before")], [this.after, t("after")]]) {
      button.title = words;
      button.setAttribute("aria-label", `${words}: ${inLanguage(this.definition.title)}`);
    }
    this.node.classList.toggle("now", current === "now");
    this.before.hidden = this.after.hidden = current === "now";
    this.before.disabled = windows[0] === current;
    this.after.disabled = windows.at(-1) === current;
    this.newest.hidden = this.after.disabled;
    say(this.newest, t("newest"));
  }
}

class Row {
  constructor(card) {
    this.card = card;
    this.label = el("span", { class: "label" });
    this.number = el("b");
    this.unit = el("small");
    this.value = el("button", { type: "button", class: "value", onclick: () => card.openProof(card.definition, this.cell, this.value) }, this.number, this.unit);
    this.status = el("span", { class: "status" });
    this.grade = el("span", { class: "grade" });
    this.heard = el("span", { class: "heard" });
    this.counts = el("span");
    this.spark = empty();
    this.node = el("li", { class: "row" }, this.label, el("span", { class: "about" }, this.grade, this.status, this.heard, this.counts), this.spark, this.value);
    this.node.addEventListener("animationend", () => this.node.classList.remove("changed"));
  }

  update(line, window, windows, changed) {
    const before = this.cell;
    const { definition } = this.card;
    const cell = this.cell = line.cells.get(window);
    this.node.dataset.key = cell.key;
    const name = label(cell, definition);
    say(this.label, name);
    const unit = scale(cell.value, definition);
    const text = this.text(cell.value, unit);
    say(this.unit, cell.value === null ? "" : unit.unit);
    this.value.title = unit.by === 1 ? exact(cell.value) : `${exact(cell.value)} ${definition.unit}`;
    this.value.setAttribute("aria-label", t("open")(`${name}, ${text} ${unit.unit}`));
    this.state(cell);
    draw(this.spark, line.cells, windows, window);
    const same = before && before.key === cell.key;
    if (changed?.has(`${cell.indicator} ${cell.key}`)) {
      this.node.classList.remove("changed");
      void this.node.offsetWidth;
      this.node.classList.add("changed");
    }
    const run = same && changed && before.value !== cell.value;
    tween(this.number, run ? before.value : null, cell.value, (value) => this.text(value, unit));
  }

  /** The number; an estimate is marked as one. */
  text(value, unit) { return this.cell.suppressed ? t("withheld") : `${this.cell.error && this.cell.error !== "0" ? "≈ " : ""}${scaled(value, unit)}`; }

  /** What is to be known of the number: how final it is, who has reported, and its grade. */
  state(cell) {
    const { kind } = this.card.definition;
    const status = cell.window_start === null ? "current" : cell.status;
    for (const each of [this.status, this.counts]) each.hidden = Boolean(cell.suppressed);
    if (cell.suppressed) { this.grade.hidden = this.heard.hidden = true; return; }
    this.status.className = `status ${status}`;
    say(this.status, t(status));
    this.grade.hidden = cell.label === null || kind === "top";
    say(this.grade, cell.label ?? "");
    this.heard.hidden = !cell.expected;
    this.heard.classList.toggle("partial", cell.heard < cell.expected);
    this.heard.title = t("complete")(cell.heard, cell.expected);
    say(this.heard, t("of")(cell.heard, cell.expected));
    say(this.counts, `${t("events")} ${number(String(cell.n), 0)} · ${t("revision")} ${number(String(cell.revision), 0)}`);
  }
}

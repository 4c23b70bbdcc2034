// One indicator: a line of it over time, all its lines in one window, what it means, and the proof of the number that is shown.

import { Breakdown } from "../breakdown.js";
import { Chart } from "../chart.js";
import { Choice } from "../choice.js";
import { el, say } from "../dom.js";
import { brief, label, scaled, valueName } from "../format.js";
import { known } from "../known.js";
import { change, linesWhere, usual, valuesOf, windowsOf } from "../lines.js";
import { Meaning } from "../meaning.js";
import { Panel } from "../panel.js";
import { go, href } from "../router.js";
import { Stepper } from "../stepper.js";
import { dimensionName, inLanguage, t } from "../text.js";
import { Change } from "../tile.js";
import { tween } from "../tween.js";

/** What the address says beside dimensions. */
const WINDOW = "jendela";

/** A dimension without a value is a choice too, and stays in the address. */
const given = (where) => Object.fromEntries(Object.entries(where).map(([name, value]) => [name, value === "" ? null : value]));

export class IndicatorView {
  constructor(store) {
    this.store = store;
    this.id = "";
    this.query = {};
    this.choices = new Map();
    this.agency = el("a");
    this.heading = el("h1", { tabindex: "-1" });
    this.line = el("p", { class: "lead" });
    this.picks = el("div", { class: "picks" });
    this.stepper = new Stepper((window) => go(["indikator", this.id], { ...given(this.query), [WINDOW]: window ?? undefined }, { replace: true }));
    this.number = el("b");
    this.unit = el("small");
    this.grade = el("span", { class: "grade" });
    this.change = new Change();
    this.status = el("span", { class: "status" });
    this.heard = el("span", { class: "heard" });
    this.hero = el("p", { class: "hero" }, el("span", { class: "figure" }, this.number, " ", this.unit, " ", this.grade), el("span", { class: "about" }, this.change.node, this.status, this.heard));
    this.chart = new Chart();
    this.breakdown = new Breakdown();
    this.meaning = new Meaning();
    this.panel = new Panel();
    this.chartTitle = el("h2");
    this.chartPanel = el("section", { class: "panel" }, this.chartTitle, this.chart.node);
    this.empty = el("p", { class: "empty" });
    this.content = el("div", { class: "columns" }, el("div", {}, this.chartPanel, this.breakdown.node), el("div", {}, this.panel.node, this.meaning.node));
    this.node = el("div", { class: "view indicator" }, el("header", { class: "head" }, el("p", { class: "over" }, this.agency), this.heading, this.line),
      el("div", { class: "tools" }, this.picks, this.stepper.node), this.hero, this.empty, this.content);
  }

  get definition() { return known.definitions.get(this.id); }
  title() { return this.definition ? inLanguage(this.definition.title) : this.id; }
  ids() { return this.definition ? [this.id] : []; }

  route({ path, query }) {
    if (path[1] !== this.id) { this.choices.clear(); this.picks.replaceChildren(); }
    this.id = path[1];
    this.query = query;
    this.node.dataset.page = this.id;
  }

  render(news) {
    const { definition } = this;
    const data = this.store.indicators.get(this.id);
    say(this.heading, this.title());
    this.empty.hidden = Boolean(definition && data);
    this.content.hidden = !definition;
    this.hero.hidden = this.stepper.node.hidden = !data;
    say(this.empty, definition ? t("noValue") : t("unknown"));
    if (!definition) { say(this.line, ""); say(this.agency, t("back")); this.agency.href = href(["indikator"]); return; }
    say(this.agency, known.agencies[definition.agency] ?? definition.agency);
    this.agency.href = href(["indikator"], { instansi: definition.agency });
    this.meaning.update(definition);
    const where = this.where(data, definition);
    const line = linesWhere(data, where)[0] ?? null;
    const windows = windowsOf(data);
    const own = windowsOf(line);
    const window = windows.includes(this.query[WINDOW]) ? this.query[WINDOW] : own.at(-1) ?? windows.at(-1);
    this.pick(data, definition, where);
    const any = line?.cells.get(window) ?? [...(data?.series.values() ?? [])].map((each) => each.cells.get(window)).find(Boolean);
    if (data) this.stepper.update(windows, window, any, definition.window);
    this.show(line?.cells.get(window) ?? null, this.before(line, window), definition, news);
    say(this.chartTitle, t("chart"));
    this.chart.update(line ?? { cells: new Map() }, definition, window);
    this.chartPanel.hidden = this.chart.node.hidden;
    this.breakdown.update([...(data?.series.values() ?? [])], definition, window, line?.name);
    this.panel.update(definition, line?.cells.get(window) ?? null);
  }

  before(line, window) {
    const earlier = windowsOf(line);
    return earlier.slice(0, Math.max(0, earlier.indexOf(window))).reverse().map((each) => line.cells.get(each)).find((each) => each.value !== null) ?? null;
  }

  /** The chosen dimensions; what nobody has chosen is what most cells have, of regions the largest. */
  where(data, definition) {
    const names = definition.dimensions;
    const asked = Object.fromEntries(names.filter((name) => name in this.query).map((name) => [name, this.query[name]]));
    if (linesWhere(data, asked).length === 1 && Object.keys(asked).length === names.length) return asked;
    const found = { ...usual(data, names), ...asked };
    if (names.includes("region") && !("region" in asked)) found.region = linesWhere(data, found).map((line) => line.dimensions.region ?? "").sort((a, b) => a.length - b.length || a.localeCompare(b))[0] ?? "";
    return found;
  }

  pick(data, definition, where) {
    for (const name of definition.dimensions) {
      let choice = this.choices.get(name);
      if (!choice) {
        this.choices.set(name, choice = new Choice((value) => go(["indikator", this.id], { ...given({ ...this.picked, [name]: value }), [WINDOW]: this.query[WINDOW] })));
        this.picks.append(choice.node);
      }
      choice.update(dimensionName(name), valuesOf(data, name).map((value) => [value, valueName(name, value)]), where[name] ?? "");
    }
    this.picked = where;
  }

  show(cell, before, definition, news) {
    const has = cell && cell.value !== null;
    const unit = brief(has ? cell.value : null, definition);
    const former = this.cell;
    this.cell = cell;
    if (has) tween(this.number, news?.keys && former?.key === cell.key && former.indicator === cell.indicator ? former.value : null, cell.value, (value) => `${cell.error && cell.error !== "0" ? "≈ " : ""}${scaled(value, unit)}`);
    else say(this.number, cell?.suppressed ? t("withheld") : "–");
    say(this.unit, has ? unit.unit : cell?.suppressed ? t("withheldWhy") : t("noCell"));
    say(this.line, cell ? label(cell, definition) : "");
    this.grade.hidden = !has || !cell.label;
    say(this.grade, has ? cell.label ?? "" : "");
    this.change.update(has ? change(cell, before, definition.unit) : null, before, definition.window, null);
    const status = has ? (cell.window_start === null ? "current" : cell.status) : "";
    this.status.hidden = !has;
    this.status.className = `status ${status}`;
    say(this.status, status ? t(status) : "");
    this.heard.hidden = !has || !cell.expected;
    this.heard.classList.toggle("partial", Boolean(has && cell.heard < cell.expected));
    say(this.heard, has && cell.expected ? t("complete")(cell.heard, cell.expected) : "");
  }
}

// The hall of the service mall: who waits how long, live, in numbers that are read from afar.

import { el, say } from "../dom.js";
import { brief, number, scaled, windowLabel } from "../format.js";
import { known } from "../known.js";
import { moment, windowsOf } from "../lines.js";
import { href } from "../router.js";
import { Stepper } from "../stepper.js";
import { t } from "../text.js";
import { tween } from "../tween.js";

const DAY = { waiting: "mpp.waiting_tenant_day", waitMedian: "mpp.wait_median_tenant_day", waitP90: "mpp.wait_p90_tenant_day", abandoned: "mpp.abandoned_tenant_day" };
const [IKM, MALL] = ["mpp.ikm_tenant_month", "mpp.ikm_mall_month"];

class Figure {
  constructor(name) {
    this.number = el("b");
    this.grade = el("span", { class: "grade" });
    this.words = el("span", { class: "words" });
    this.node = el("div", { class: "figure", "data-figure": name }, el("span", {}, this.number, " ", this.grade), this.words);
  }

  update(value, write, words, grade = null) {
    if (value === null) say(this.number, "–"); else tween(this.number, this.before ?? null, value, write);
    this.before = value;
    say(this.words, words);
    this.grade.hidden = !grade;
    say(this.grade, grade ?? "");
  }
}

export class MppView {
  constructor(store) {
    this.store = store;
    this.window = null;
    this.heading = el("h1", { tabindex: "-1" });
    this.stepper = new Stepper((window) => { this.window = window; this.render(null); });
    this.figures = { waiting: new Figure("waiting"), longest: new Figure("longest"), ikm: new Figure("ikm") };
    this.head = el("tr");
    this.body = el("tbody");
    this.table = el("div", { class: "scroll", tabindex: "0", role: "region" }, el("table", {}, el("thead", {}, this.head), this.body));
    this.empty = el("p", { class: "empty" });
    this.rows = new Map();
    this.node = el("div", { class: "view hall" }, el("header", { class: "head" }, this.heading, this.stepper.node),
      el("div", { class: "figures" }, ...Object.values(this.figures).map((each) => each.node)), el("section", { class: "panel" }, this.table), this.empty);
  }

  title() { return t("mppTitle"); }
  ids() { return [...Object.values(DAY), IKM, MALL].filter((id) => known.definitions.has(id)); }
  route() { /* nothing to choose */ }

  render() {
    say(this.heading, this.title());
    const data = Object.fromEntries(Object.entries(DAY).map(([key, id]) => [key, this.store.indicators.get(id)]));
    const windows = windowsOf({ windows: new Map(Object.values(data).flatMap((each) => (each ? [...each.windows] : []))) });
    const window = windows.includes(this.window) ? this.window : windows.at(-1);
    const cells = Object.fromEntries(Object.entries(data).map(([key, each]) => [key, byTenant(each, window)]));
    const ikm = newest(this.store.indicators.get(IKM));
    const any = Object.values(cells).flatMap((each) => [...each.values()])[0];
    this.stepper.update(windows, window, any, "1d");
    this.empty.hidden = windows.length > 0 || ikm.size > 0;
    this.table.parentElement.hidden = !this.empty.hidden;
    say(this.empty, t("noMpp"));
    this.sum(cells, any);
    this.columns();
    const tenants = [...new Set([...Object.values(cells).flatMap((each) => [...each.keys()]), ...ikm.keys()])];
    const size = (tenant, key) => Number(cells[key].get(tenant)?.value ?? -1);
    tenants.sort((a, b) => size(b, "waiting") - size(a, "waiting") || size(b, "waitMedian") - size(a, "waitMedian") || a.localeCompare(b));
    for (const [tenant, row] of this.rows) if (!tenants.includes(tenant)) { row.node.remove(); this.rows.delete(tenant); }
    tenants.forEach((tenant, index) => this.row(tenant, index, { ...Object.fromEntries(Object.keys(DAY).map((key) => [key, cells[key].get(tenant)])), ikm: ikm.get(tenant) }));
  }

  sum(cells, any) {
    const waiting = [...cells.waiting.values()].reduce((sum, cell) => sum + Number(cell.value ?? 0), 0);
    this.figures.waiting.update(any ? String(waiting) : null, (value) => number(value, 0), t("waitingAll"));
    const longest = [...cells.waitMedian].filter(([, cell]) => cell.value !== null).sort((a, b) => Number(b[1].value) - Number(a[1].value))[0];
    this.figures.longest.update(longest ? longest[1].value : null, (value) => `${number(value, 0)}′`, longest ? `${t("longest")}: ${longest[0]}` : t("longest"));
    const mall = [...newest(this.store.indicators.get(MALL)).values()][0];
    const said = mall?.label ? `${t("ikmAll")} · ${t("grades")[mall.label] ?? mall.label} · ${windowLabel(mall, "1mo")}` : t("ikmAll");
    this.figures.ikm.update(mall?.value ?? null, (value) => number(value, 2), said, mall?.label);
  }

  columns() {
    const of = { waiting: "", waitMedian: t("minutes"), waitP90: t("minutes"), abandoned: "%", ikm: "" };
    this.table.setAttribute("aria-label", this.title());
    this.head.replaceChildren(el("th", { scope: "col" }, t("tenant")), ...Object.entries(of).map(([key, unit]) => el("th", { scope: "col", class: "number" }, t(key), unit ? el("small", {}, ` ${unit}`) : null)));
  }

  row(tenant, index, cells) {
    let row = this.rows.get(tenant);
    if (!row) {
      const parts = Object.fromEntries(Object.keys(cells).map((key) => [key, el("a")]));
      const grade = el("span", { class: "grade" });
      const node = el("tr", { "data-tenant": tenant }, el("th", { scope: "row" }, tenant), ...Object.entries(parts).map(([key, part]) => el("td", { class: "number", "data-key": key }, part, ...(key === "ikm" ? [" ", grade] : []))));
      this.rows.set(tenant, row = { node, parts, grade, before: {} });
    }
    for (const [key, part] of Object.entries(row.parts)) {
      const cell = cells[key];
      const id = key === "ikm" ? IKM : DAY[key];
      const definition = known.definitions.get(id);
      const has = cell && cell.value !== null && definition;
      if (has) tween(part, row.before[key] ?? null, cell.value, (value) => scaled(value, { ...brief(value, definition), by: 1, decimals: key === "waiting" ? 0 : 1 }));
      else say(part, cell?.suppressed ? t("withheld") : key === "waiting" && definition && cells.waitMedian ? "0" : "–");
      row.before[key] = has ? cell.value : null;
      if (has) part.setAttribute("href", href(["indikator", id], { ...cell.dimensions, jendela: cell.window_start ?? undefined })); else part.removeAttribute("href");
    }
    row.grade.hidden = !cells.ikm?.label;
    say(row.grade, cells.ikm?.label ?? "");
    if (this.body.children[index] !== row.node) this.body.insertBefore(row.node, this.body.children[index] ?? null);
  }
}

const byTenant = (data, window) => new Map([...(data?.series.values() ?? [])].filter((line) => line.cells.has(window)).map((line) => [line.dimensions.tenant, line.cells.get(window)]));

/** Of every line its newest cell. */
function newest(data) {
  return new Map([...(data?.series.values() ?? [])].map((line) => [line.dimensions.tenant ?? "", [...line.cells.values()].reduce((best, cell) => (moment(cell.window_start) >= moment(best.window_start) ? cell : best))]));
}

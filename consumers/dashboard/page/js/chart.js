// A line over an indicator's windows (uPlot), with a tooltip; the table beside it says the same in words.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { el, say } from "./dom.js";
import { brief, scaled, windowLabel } from "./format.js";
import { windowsOf } from "./lines.js";
import { currentLanguage, t, windowName } from "./text.js";

const MOST = 400;
const ZONE = "Asia/Jakarta";
const HEIGHT_REM = 17;

/** A colour of the style sheet as the canvas takes it. */
function colour(node, name) {
  node.style.color = `var(${name})`;
  const found = getComputedStyle(node).color;
  node.style.color = "";
  return found;
}

export class Chart {
  constructor() {
    this.box = el("div", { class: "plot", "aria-hidden": "true" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.words = el("summary");
    this.body = el("tbody");
    this.head = el("tr");
    this.table = el("details", { class: "values" }, this.words, el("div", { class: "scroll", tabindex: "0", role: "region" }, el("table", {}, el("thead", {}, this.head), this.body)));
    this.node = el("div", { class: "chart" }, this.box, this.table);
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  update(line, definition, window) {
    const windows = windowsOf(line).filter((each) => each !== "now").slice(-MOST);
    this.cells = windows.map((each) => line.cells.get(each));
    this.definition = definition;
    this.node.hidden = windows.length < 2;
    if (this.node.hidden) return;
    const largest = this.cells.reduce((best, cell) => (cell.value !== null && Math.abs(Number(cell.value)) > Math.abs(Number(best ?? 0)) ? cell.value : best), null);
    this.unit = brief(largest, definition);
    const data = [this.cells.map((cell) => Date.parse(cell.window_start) / 1000), this.cells.map((cell) => (cell.value === null ? null : Number(cell.value) / this.unit.by))];
    const look = [currentLanguage(), colour(this.box, "--ink"), this.unit.unit, definition.id, getComputedStyle(document.documentElement).fontSize].join();
    if (look !== this.look || !this.plot) { this.look = look; this.make(data); } else this.plot.setData(data);
    this.marked = windows.indexOf(window);
    this.plot.redraw(false);
    this.rows();
  }

  make(data) {
    this.plot?.destroy();
    const [ink, line, accent] = ["--soft", "--line", "--accent"].map((name) => colour(this.box, name));
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const font = `${Math.round(0.78 * rem)}px system-ui, sans-serif`;
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font, labelFont: `600 ${font}`, labelSize: 1.6 * rem, gap: 6 };
    const ticks = (_, splits) => splits.map((at) => new Intl.DateTimeFormat(currentLanguage(), { timeZone: ZONE, ...this.step(splits) }).format(new Date(at * 1000)));
    this.plot = new uPlot({
      width: Math.max(this.box.clientWidth, 200), height: HEIGHT_REM * rem, legend: { show: false }, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), ZONE),
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 0.55 * rem } }, scales: { x: { time: true } },
      series: [{}, { stroke: accent, width: rem / 8, points: { show: data[0].length <= 60, size: 0.38 * rem, fill: accent, stroke: accent }, spanGaps: false }],
      axes: [{ ...axis, label: t("chart_x")(windowName(this.definition.window)), space: 5.5 * rem, size: 2.2 * rem, values: ticks },
        { ...axis, label: this.unit.unit, size: 4.4 * rem, values: (_, splits) => splits.map((value) => new Intl.NumberFormat(currentLanguage()).format(value)) }],
      hooks: { setCursor: [(plot) => this.point(plot)], draw: [(plot) => this.mark(plot, accent)] },
    }, data, this.box);
    this.plot.over.append(this.tip);
  }

  step(splits) {
    const gap = splits.length > 1 ? splits[1] - splits[0] : 0;
    if (gap >= 360 * 86400) return { year: "numeric" };
    if (gap >= 27 * 86400) return { month: "short", year: "2-digit" };
    return gap >= 86400 ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  }

  point({ cursor, data, valToPos, over }) {
    const cell = this.cells[cursor.idx];
    this.tip.hidden = cursor.idx === null || cursor.idx === undefined || !cell;
    if (this.tip.hidden) return;
    say(this.tip, `${windowLabel(cell, this.definition.window)}: ${this.text(cell)}`);
    const left = this.plot.valToPos(data[0][cursor.idx], "x");
    this.tip.style.left = `${left}px`;
    this.tip.classList.toggle("left", left > over.clientWidth / 2);
  }

  /** A ring around the window that the rest of the page is about. */
  mark(plot, accent) {
    const cell = this.cells[this.marked];
    if (!cell || cell.value === null) return;
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = accent;
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.arc(plot.valToPos(plot.data[0][this.marked], "x", true), plot.valToPos(plot.data[1][this.marked], "y", true), 7 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.restore();
  }

  text(cell) { return cell.value === null ? t(cell.suppressed ? "withheld" : "noData") : `${scaled(cell.value, this.unit)} ${this.unit.unit}`; }

  rows() {
    say(this.words, `${t("table")} (${this.cells.length})`);
    this.table.lastElementChild.setAttribute("aria-label", t("table"));
    this.head.replaceChildren(...[["window"], ["value", "number"], ["state"]].map(([key, kind]) => el("th", { scope: "col", class: kind ?? null }, t(key))));
    this.body.replaceChildren(...[...this.cells].reverse().map((cell) => el("tr", {}, el("th", { scope: "row" }, windowLabel(cell, this.definition.window)),
      el("td", { class: "number" }, this.text(cell)), el("td", {}, cell.suppressed ? t("withheld") : t(cell.status)))));
  }

  resize() {
    if (this.plot && this.box.clientWidth && this.box.clientWidth !== this.plot.width) this.plot.setSize({ width: this.box.clientWidth, height: this.plot.height });
  }
}

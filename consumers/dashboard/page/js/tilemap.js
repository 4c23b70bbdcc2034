// The regency as a grid of equal tiles, coloured by class; each tile is a link to what lies below it.

import { classOf, quantiles, shadeOf } from "./classes.js";
import { el, say } from "./dom.js";
import { brief, placeName, scaled } from "./format.js";
import { t } from "./text.js";

export class TileMap {
  constructor() {
    this.grid = el("ul", { class: "tilemap" });
    this.legendTitle = el("h2");
    this.legend = el("ul", { class: "legend" });
    this.note = el("p", { class: "meta" });
    this.node = el("div", { class: "mapbox" }, this.grid, el("div", { class: "legendbox" }, this.legendTitle, this.legend, this.note));
    this.tiles = new Map();
  }

  /** `cellOf(code)`: the cell of a region, if any; `linkOf(code)`: where its tile leads; `keys`: what has just changed. */
  update(drawn, definition, title, cellOf, linkOf, keys) {
    this.grid.style.setProperty("--columns", drawn.columns);
    this.grid.setAttribute("aria-label", t("mapOf")(title));
    const cells = new Map(drawn.tiles.map(({ code }) => [code, cellOf(code)]));
    const values = [...cells.values()].filter((cell) => cell && cell.value !== null).map((cell) => cell.value);
    const bounds = quantiles(values.map(Number));
    const largest = values.reduce((best, value) => (Math.abs(Number(value)) > Math.abs(Number(best)) ? value : best), "0");
    const unit = brief(largest, definition);
    // From north to south, so that reading goes as the eye does.
    const places = [...drawn.tiles].sort((a, b) => a.row - b.row || a.column - b.column);
    for (const place of places) this.tile(place, cells.get(place.code), bounds, unit, linkOf(place.code), keys);
    for (const [code, tile] of this.tiles) if (!cells.has(code)) { tile.node.remove(); this.tiles.delete(code); }
    this.describe(values.map(Number), bounds, unit, [...cells.values()]);
  }

  tile({ code, row, column }, cell, bounds, unit, link, keys) {
    let tile = this.tiles.get(code);
    if (!tile) {
      const [name, value] = [el("span", { class: "name" }), el("b")];
      const anchor = el("a", {}, name, value);
      tile = { name, value, anchor, node: el("li", { "data-region": code }, anchor) };
      anchor.addEventListener("animationend", () => anchor.classList.remove("changed"));
      this.tiles.set(code, tile);
      this.grid.append(tile.node);
    }
    tile.node.style.gridRow = row;
    tile.node.style.gridColumn = column;
    const has = cell && cell.value !== null;
    const kind = has ? `q${shadeOf(classOf(Number(cell.value), bounds), bounds.length)}` : "empty";
    tile.anchor.className = kind + (cell && keys?.has(`${cell.indicator} ${cell.key}`) ? " changed" : "");
    tile.anchor.setAttribute("href", link);
    const text = has ? scaled(cell.value, unit) : cell?.suppressed ? t("withheld") : t("noData");
    say(tile.name, placeName(code));
    say(tile.value, text);
    tile.anchor.setAttribute("aria-label", `${placeName(code)}: ${text}${has ? ` ${unit.unit}` : ""}`);
    tile.anchor.title = `${placeName(code)}: ${text}${has ? ` ${unit.unit}` : ""}`;
  }

  describe(values, bounds, unit, cells) {
    say(this.legendTitle, `${t("legend")} (${unit.unit})`);
    const text = (value) => scaled(String(value), unit);
    const items = bounds.map((bound, index) => {
      const inside = values.filter((value) => classOf(value, bounds) === index);
      return el("li", {}, el("span", { class: `swatch q${shadeOf(index, bounds.length)}`, "aria-hidden": "true" }), t("upTo")(text(Math.min(...inside)), text(bound)));
    });
    const hatched = (words) => el("li", {}, el("span", { class: "swatch empty", "aria-hidden": "true" }), words);
    if (cells.some((cell) => cell?.suppressed)) items.push(hatched(`${t("withheld")}. ${t("withheldWhy")}`));
    if (cells.some((cell) => !cell || (cell.value === null && !cell.suppressed))) items.push(hatched(t("noData")));
    this.legend.replaceChildren(...items);
    say(this.note, t("mapNote"));
  }
}

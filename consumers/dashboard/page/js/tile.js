// One headline: value, trend, change against the window before, how fresh and how final it is. The whole of it is a link.

import { el, say, svg } from "./dom.js";
import { ago, brief, number, scaled, shortLabel } from "./format.js";
import { known } from "./known.js";
import { change, ends, lineOf, windowsOf } from "./lines.js";
import { href } from "./router.js";
import { draw, empty } from "./spark.js";
import { inLanguage, t } from "./text.js";
import { tween } from "./tween.js";

const UP = "M12 4l8 14H4z";
const DOWN = "M12 20L4 6h16z";
const LEVEL = "M4 9h16v2.5H4zM4 14h16v2.5H4z";

/** So many decimals that a small change does not read as none. */
const places = (size) => (size >= 1 || size === 0 ? 1 : size >= 0.1 ? 2 : 3);

/** A change in words with its sign: never by colour alone. */
export class Change {
  constructor() {
    this.path = svg("path");
    this.words = el("span");
    this.node = el("span", { class: "change" }, svg("svg", { viewBox: "0 0 24 24", width: 12, height: 12, "aria-hidden": "true" }, this.path), this.words);
  }

  /** `better`: "more" or "less" where either way is good news. */
  update(found, before, span, better) {
    this.node.hidden = !found;
    if (!found) return;
    const { direction, size, points } = found;
    this.path.setAttribute("d", direction > 0 ? UP : direction < 0 ? DOWN : LEVEL);
    const by = size === null ? "" : `${number(size.toFixed(places(size)), places(size))} ${points ? t("point") : "%"}`;
    const moved = direction ? t(direction > 0 ? "rose" : "fell")(by).trim() : t("same");
    const good = direction && better ? (direction > 0) === (better === "more") : null;
    say(this.words, [moved, t("since")(shortLabel(before, span)), good === null ? "" : `(${t(good ? "better" : "worse")})`].filter(Boolean).join(" "));
    this.node.dataset.news = good === null ? "" : good ? "good" : "bad";
  }
}

export class Tile {
  constructor(tile) {
    this.tile = tile;
    this.name = el("span", { class: "name" });
    this.number = el("b");
    this.unit = el("small");
    this.grade = el("span", { class: "grade" });
    this.change = new Change();
    this.window = el("span");
    this.status = el("span", { class: "status" });
    this.heard = el("span", { class: "heard" });
    this.fresh = el("span", { class: "fresh" });
    this.spark = empty();
    this.link = el("a", { class: "tile" }, this.name, this.fresh,
      el("span", { class: "figure" }, this.number, " ", this.unit, " ", this.grade), this.spark, this.change.node,
      el("span", { class: "about" }, this.window, this.status, this.heard));
    this.node = el("li", { "data-headline": tile.indicator }, this.link);
    this.link.addEventListener("animationend", () => this.link.classList.remove("changed"));
  }

  update(data, keys) {
    const { tile } = this;
    const definition = known.definitions.get(tile.indicator);
    this.node.hidden = !definition;
    if (!definition) return;
    const line = lineOf(data, tile);
    const { cell, before } = ends(line);
    say(this.name, inLanguage(tile.title ?? definition.title));
    this.link.setAttribute("href", href(["indikator", tile.indicator], line?.dimensions ?? tile.where));
    const former = this.cell;
    this.cell = cell;
    const has = cell && cell.value !== null;
    this.link.classList.toggle("none", !has);
    const unit = brief(has ? cell.value : null, definition);
    const write = (value) => `${cell.error && cell.error !== "0" ? "≈ " : ""}${scaled(value, unit)}`;
    if (has) tween(this.number, keys && former && former.key === cell.key ? former.value : null, cell.value, write);
    else say(this.number, cell?.suppressed ? t("withheld") : "–");
    say(this.unit, has ? unit.unit : cell?.suppressed ? "" : t("notYet"));
    this.grade.hidden = !has || !cell.label;
    say(this.grade, has ? cell.label ?? "" : "");
    this.change.update(has ? change(cell, before, definition.unit) : null, before, definition.window, tile.better);
    this.state(cell, has, definition);
    draw(this.spark, line?.cells ?? new Map(), windowsOf(line), cell?.window_start);
    if (cell && keys?.has(`${cell.indicator} ${cell.key}`)) {
      this.link.classList.remove("changed");
      void this.link.offsetWidth;
      this.link.classList.add("changed");
    }
  }

  state(cell, has, definition) {
    const newest = this.tile.newest.map((name) => cell?.dimensions[name]).filter(Boolean);
    say(this.window, cell ? [shortLabel(cell, definition.window), ...newest].join(" · ") : "");
    const status = !has ? "" : cell.window_start === null ? "current" : cell.status;
    this.status.hidden = !has || status === "current";
    this.status.className = `status ${status}`;
    say(this.status, status ? t(status) : "");
    this.heard.hidden = !has || !cell.expected;
    this.heard.classList.toggle("partial", has && cell.heard < cell.expected);
    say(this.heard, has && cell.expected ? t("of")(cell.heard, cell.expected) : "");
    this.heard.title = has && cell.expected ? t("complete")(cell.heard, cell.expected) : "";
    this.age();
  }

  /** How long ago it changed; said anew as time goes by. */
  age() {
    const at = known.fresh.get(this.tile.indicator);
    this.fresh.hidden = !at || !this.cell;
    if (at) say(this.fresh, ago(at));
  }
}

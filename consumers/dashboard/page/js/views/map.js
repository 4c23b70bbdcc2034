// The map: one indicator that has regions, in one window, by kecamatan; and from there down to the RT.

import { Children, trailOf } from "../children.js";
import { Choice } from "../choice.js";
import { el, say } from "../dom.js";
import { brief, placeName, scaled, valueName } from "../format.js";
import { known } from "../known.js";
import { linesWhere, usual, valuesOf, windowsOf } from "../lines.js";
import { go, href } from "../router.js";
import { Stepper } from "../stepper.js";
import { dimensionName, inLanguage, t } from "../text.js";
import { TileMap } from "../tilemap.js";

const [INDICATOR, REGION, WINDOW] = ["indikator", "wilayah", "jendela"];
const given = (where) => Object.fromEntries(Object.entries(where).map(([name, value]) => [name, value === "" ? null : value]));

export class MapView {
  constructor(store) {
    this.store = store;
    this.query = {};
    this.heading = el("h1", { tabindex: "-1" });
    this.lead = el("p", { class: "lead" });
    this.indicator = new Choice((id) => go(["peta"], { [INDICATOR]: id, [REGION]: this.query[REGION] }));
    this.choices = new Map();
    this.picks = el("div", { class: "picks" }, this.indicator.node);
    this.stepper = new Stepper((window) => this.go({ [WINDOW]: window ?? undefined }, true));
    this.map = new TileMap();
    this.mapPanel = el("section", { class: "panel" }, this.map.node);
    this.children = new Children();
    this.empty = el("p", { class: "empty" });
    this.node = el("div", { class: "view map" }, el("header", { class: "head" }, this.heading, this.lead), el("div", { class: "tools" }, this.picks, this.stepper.node), this.empty,
      el("div", { class: "columns" }, el("div", {}, this.mapPanel), el("div", {}, this.children.node)));
  }

  title() { return t("routes").map; }
  ids() { return this.id ? [this.id] : []; }

  route({ query }) {
    this.query = query;
    if (known.loaded) this.choose();
  }

  /** What can be drawn; to begin with what the board says, or the headline that has most to show. */
  choose() {
    this.able = [...known.definitions.values()].filter((each) => each.dimensions.includes("region") && each.cells);
    const headlines = known.board.sectors.flatMap((sector) => sector.tiles.map((tile) => tile.indicator));
    const rich = [...this.able].sort((a, b) => headlines.includes(b.id) - headlines.includes(a.id) || b.cells - a.cells);
    const first = [this.id, known.board.map?.indicator].find((id) => known.definitions.has(id)) ?? rich[0]?.id ?? "";
    const before = this.id;
    this.id = known.definitions.has(this.query[INDICATOR]) ? this.query[INDICATOR] : first;
    if (before !== this.id) { for (const choice of this.choices.values()) choice.node.remove(); this.choices.clear(); }
  }

  go(changed, replace = false) { go(["peta"], { [INDICATOR]: this.id, ...given(this.where), [REGION]: this.query[REGION], [WINDOW]: this.query[WINDOW], ...changed }, { replace }); }

  link(code) { return href(["peta"], { [INDICATOR]: this.id, ...given(this.where), [REGION]: code === this.root ? undefined : code, [WINDOW]: this.query[WINDOW] }); }

  render(news) {
    const before = this.id;
    this.choose();
    if (before !== this.id) this.store.follow(this.ids());
    const definition = known.definitions.get(this.id);
    const data = this.store.indicators.get(this.id);
    const drawn = known.board.map;
    this.root = drawn?.root ?? Object.keys(known.regions)[0] ?? "";
    say(this.heading, this.title());
    this.empty.hidden = Boolean(definition && data);
    say(this.empty, definition ? t("noValue") : t("nothing"));
    this.node.querySelector(".columns").hidden = !definition || !data;
    if (!definition) return;
    this.options();
    const names = definition.dimensions.filter((name) => name !== "region");
    this.where = { ...usual(data, definition.dimensions), ...Object.fromEntries(names.filter((name) => name in this.query).map((name) => [name, this.query[name]])) };
    this.pick(data, names);
    if (data) this.draw(data, definition, drawn, news);
  }

  draw(data, definition, drawn, news) {
    const lines = linesWhere(data, this.where);
    const windows = windowsOf({ windows: new Map(lines.flatMap((line) => [...line.cells])) });
    const window = windows.includes(this.query[WINDOW]) ? this.query[WINDOW] : windows.at(-1);
    const cells = new Map(lines.filter((line) => line.cells.has(window)).map((line) => [line.dimensions.region ?? "", line.cells.get(window)]));
    this.stepper.update(windows, window, [...cells.values()][0], definition.window);
    const wanted = this.query[REGION] ?? this.root;
    const code = trailOf(this.root, wanted).at(-1);
    const own = cells.get(code);
    const unit = brief(own?.value ?? null, definition);
    const title = inLanguage(definition.title);
    const number = own && own.value !== null ? `${scaled(own.value, unit)} ${unit.unit}` : own?.suppressed ? t("withheld") : t("noData");
    say(this.lead, `${title} · ${placeName(code)}: ${number}`);
    const proof = (cell) => href(["indikator", this.id], { ...cell.dimensions, [WINDOW]: cell.window_start ?? undefined });
    this.mapPanel.hidden = !drawn;
    if (drawn) {
      this.map.update(drawn, definition, title, (each) => cells.get(each), (each) => this.link(each), news?.keys);
      const inside = trailOf(this.root, code)[1];
      for (const [each, tile] of this.map.tiles) if (each === inside) tile.anchor.setAttribute("aria-current", "location"); else tile.anchor.removeAttribute("aria-current");
    }
    this.children.update(this.root, code, definition, cells, (each) => this.link(each), proof);
  }

  options() {
    const able = [...this.able].sort((a, b) => a.agency.localeCompare(b.agency) || inLanguage(a.title).localeCompare(inLanguage(b.title)));
    this.indicator.update(t("indicator"), able.map((each) => [each.id, inLanguage(each.title), known.agencies[each.agency] ?? each.agency]), this.id);
  }

  pick(data, names) {
    for (const name of names) {
      let choice = this.choices.get(name);
      if (!choice) {
        this.choices.set(name, choice = new Choice((value) => this.go(given({ [name]: value }))));
        this.picks.append(choice.node);
      }
      choice.update(dimensionName(name), valuesOf(data, name).map((value) => [value, valueName(name, value)]), this.where[name]);
    }
  }
}

// The overview: headlines by sector, as the board says.

import { el, say } from "../dom.js";
import { number, today } from "../format.js";
import { known } from "../known.js";
import { inLanguage, t } from "../text.js";
import { Tile } from "../tile.js";

export class OverviewView {
  constructor(store) {
    this.store = store;
    this.heading = el("h1", { tabindex: "-1" });
    this.place = el("p", { class: "lead" });
    this.sectors = el("div", { class: "sectors" });
    this.empty = el("p", { class: "empty" });
    this.node = el("div", { class: "view overview" }, el("header", { class: "head" }, this.heading, this.place), this.sectors, this.empty);
    this.tiles = [];
    this.made = "";
  }

  title() { return t("routes").overview; }
  ids() { return known.board.sectors.flatMap((sector) => sector.tiles.map((tile) => tile.indicator)).filter((id) => known.definitions.has(id)); }
  route() { /* nothing to choose */ }

  render(news) {
    const made = JSON.stringify(known.board.sectors);
    if (made !== this.made) this.make(made);
    if (!news) this.words();
    for (const tile of this.tiles) if (!news?.ids || news.ids.has(tile.tile.indicator)) tile.update(this.store.indicators.get(tile.tile.indicator), news?.keys);
  }

  make(made) {
    this.made = made;
    this.tiles = [];
    this.sectors.replaceChildren(...known.board.sectors.map((sector) => {
      const tiles = sector.tiles.map((tile) => new Tile(tile));
      this.tiles.push(...tiles);
      const title = el("h2", { id: `sector-${sector.id}` });
      return el("section", { class: "sector", "aria-labelledby": title.id, "data-sector": sector.id }, title, el("ul", {}, ...tiles.map((tile) => tile.node)));
    }));
  }

  words() {
    say(this.heading, this.title());
    const root = known.regions[known.board.map?.root];
    const agencies = new Set([...known.definitions.values()].map((each) => each.agency));
    const count = t("overviewCount")(number(String(known.definitions.size), 0), number(String(agencies.size), 0));
    say(this.place, [root ? t("regency")(root.name) : null, today(), count].filter(Boolean).join(" · "));
    for (const sector of known.board.sectors) say(document.getElementById(`sector-${sector.id}`) ?? this.sectors.querySelector(`#sector-${sector.id}`), inLanguage(sector.title));
    this.empty.hidden = known.board.sectors.length > 0;
    say(this.empty, t("noBoard"));
  }

  age() { for (const tile of this.tiles) tile.age(); }
}

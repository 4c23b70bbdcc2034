// Every indicator as a card with its rows, by agency: search, periods, one agency.

import { Card } from "../card.js";
import { el, say } from "../dom.js";
import { number } from "../format.js";
import { known } from "../known.js";
import { openProof } from "../proof.js";
import { t, windowName } from "../text.js";

const ORDER = ["now", "15m", "1h", "1d", "1w", "1mo", "1q", "6mo", "1y"];

export class ListView {
  constructor(store) {
    this.store = store;
    this.cards = new Map();
    this.period = "";
    this.words = "";
    this.agency = "";
    this.heading = el("h1", { tabindex: "-1" });
    this.label = el("span", { class: "hidden" });
    this.search = el("input", { id: "search", type: "search", autocomplete: "off", oninput: () => { this.words = this.search.value.trim().toLowerCase(); this.filter(); } });
    this.periods = el("div", { class: "periods", id: "periods", role: "group" });
    this.summary = el("p", { class: "summary", id: "summary" });
    this.sections = el("div", { id: "agencies" });
    this.empty = el("p", { class: "empty", id: "empty" });
    this.node = el("div", { class: "view" }, this.heading, el("div", { class: "tools" }, el("label", { class: "search" }, this.label, this.search), this.periods, this.summary),
      this.sections, this.empty);
  }

  title() { return t("routes").list; }
  ids() { return null; }
  route({ query }) { this.agency = query.instansi ?? ""; }

  render(news) {
    if (news?.ids) {
      for (const id of news.ids) {
        const card = this.cards.get(id);
        if (card) { card.data = this.store.indicators.get(id); card.render(news.keys); }
      }
      this.sum();
    } else this.arrange();
  }

  /** Cards in their agencies' sections: monthly ones first, those without values last. */
  arrange() {
    say(this.heading, this.agency ? known.agencies[this.agency] ?? this.agency : this.title());
    say(this.label, t("search"));
    this.search.placeholder = t("search");
    const focused = document.activeElement;
    const groups = new Map();
    for (const definition of known.definitions.values()) {
      if (!groups.has(definition.agency)) groups.set(definition.agency, []);
      groups.get(definition.agency).push(definition);
    }
    for (const id of this.cards.keys()) if (!known.definitions.has(id)) this.cards.delete(id);
    this.sections.replaceChildren(...[...groups].sort().map(([agency, definitions]) => this.section(agency, definitions)));
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    this.choices();
    this.filter();
    this.sum();
  }

  section(agency, definitions) {
    const last = (each) => (each.cells ? 0 : 10) + (each.window === "1mo" ? 0 : 1 + ORDER.indexOf(each.window));
    definitions.sort((a, b) => last(a) - last(b) || a.id.localeCompare(b.id));
    const grid = el("div", { class: "grid" }, ...definitions.map((definition) => {
      let card = this.cards.get(definition.id);
      if (!card) this.cards.set(definition.id, card = new Card(definition, (d, cell) => openProof(document.getElementById("proof"), d, cell)));
      card.update(definition, this.store.indicators.get(definition.id));
      return card.node;
    }));
    return el("section", { class: "agency", "aria-label": known.agencies[agency] ?? agency, "data-agency": agency },
      el("h2", {}, known.agencies[agency] ?? agency, el("small")), grid);
  }

  choices() {
    const windows = [...new Set([...known.definitions.values()].map((each) => each.window).filter(Boolean))];
    windows.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
    this.periods.setAttribute("aria-label", t("period"));
    const choice = (code, words) => el("button", { type: "button", "aria-pressed": String(this.period === code), onclick: (event) => {
      this.period = code;
      for (const each of this.periods.children) each.setAttribute("aria-pressed", String(each === event.currentTarget));
      this.filter();
    } }, words);
    this.periods.replaceChildren(...(windows.length > 1 ? [choice("", t("all")), ...windows.map((code) => choice(code, windowName(code)))] : []));
  }

  filter() {
    let any = false;
    for (const section of this.sections.children) {
      let count = 0;
      for (const card of this.cards.values()) {
        if (card.definition.agency !== section.dataset.agency) continue;
        const fits = (!this.agency || this.agency === card.definition.agency) && (!this.period || card.definition.window === this.period) &&
          this.words.split(/\s+/).every((word) => card.words.includes(word));
        card.node.hidden = !fits;
        count += fits;
      }
      section.hidden = !count;
      say(section.querySelector("h2 small"), t("count")(count));
      any ||= count > 0;
    }
    this.empty.hidden = any;
    say(this.empty, known.definitions.size ? t("noMatch") : t("nothing"));
  }

  sum() { say(this.summary, t("summary")(number(String(known.definitions.size), 0), number(String(this.store.cells), 0))); }
}

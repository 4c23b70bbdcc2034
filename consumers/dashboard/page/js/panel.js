// The evidence panel of one number: its exact value, positions, revisions, and recomputing it now.

import { el, say } from "./dom.js";
import { evidence, load } from "./evidence.js";
import { exact, moment } from "./format.js";
import { ask, asked, known } from "./known.js";
import { t } from "./text.js";

const SETTLE_MS = 400;

export class Panel {
  constructor() {
    this.title = el("h2");
    this.proof = el("div", { class: "body" });
    this.outcome = el("p", { class: "outcome", role: "status" });
    this.button = el("button", { type: "button", class: "strong", onclick: () => this.recompute() });
    this.why = el("p", { class: "meta" });
    this.verify = el("div", { class: "recompute" }, this.button, this.why, this.outcome);
    this.past = el("section", { class: "past" });
    this.node = el("section", { class: "panel evidence" }, this.title, this.verify, this.proof, this.past);
    this.number = 0;
  }

  /** The cell that it is about. Asked for anew when it is another one or has changed, once that has settled. */
  update(definition, cell) {
    say(this.title, t("proof"));
    this.node.hidden = !cell;
    if (!cell) return;
    // Recomputing is not there for the public.
    this.verify.hidden = known.board.role === "public";
    say(this.button, t("recompute"));
    say(this.why, t("recomputeWhy"));
    const about = JSON.stringify([definition.id, cell.key, cell.version, cell.revision, cell.status, cell.value, document.documentElement.lang]);
    if (about === this.about) return;
    const same = this.cell && this.cell.key === cell.key && this.definition.id === definition.id;
    this.about = about;
    this.definition = definition;
    this.cell = cell;
    if (!same) { say(this.outcome, ""); delete this.outcome.dataset.state; this.proof.replaceChildren(el("p", { class: "wait" }, t("loading"))); this.past.replaceChildren(); }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fill(), same ? SETTLE_MS : 0);
  }

  async fill() {
    const number = this.number += 1;
    const { cell, definition } = this;
    try {
      const found = await load(cell);
      if (number !== this.number) return;
      this.proof.replaceChildren(...evidence(definition, found));
      const past = found.suppressed ? null : await ask(`/v1/indicators/${encodeURIComponent(cell.indicator)}/revisions`, asked(cell));
      if (number === this.number && past) this.past.replaceChildren(...history(past));
    } catch (error) {
      if (number === this.number) this.past.replaceChildren(el("p", { class: "wait", role: "alert" }, t("failed") + error.message));
    }
  }

  async recompute() {
    const { cell } = this;
    this.button.disabled = true;
    this.outcome.dataset.state = "busy";
    say(this.outcome, t("recomputing"));
    try {
      const found = await ask(`/v1/indicators/${encodeURIComponent(cell.indicator)}/verify`, asked(cell));
      const told = [exact(String(found.records_read)), exact(String(found.seconds))];
      this.outcome.dataset.state = found.agrees ? "good" : "bad";
      say(this.outcome, found.agrees ? t("agrees")(...told) : t("differs")(found.differences.map((each) => each.field).join(", "), ...told));
    } catch (error) {
      this.outcome.dataset.state = "bad";
      say(this.outcome, t("recomputeFailed") + error.message);
    }
    this.button.disabled = false;
  }
}

function history({ revisions, total }) {
  const title = el("h3", {}, total > revisions.length ? `${t("history")} (${t("older")(exact(String(revisions.length)))})` : t("history"));
  if (!revisions.length) return [title, el("p", { class: "meta" }, t("noHistory"))];
  const head = el("tr", {}, ...[["published"], ["value", "number"], ["revised", "number"], ["reasons"]].map(([key, kind]) => el("th", { scope: "col", class: kind ?? null }, t(key))));
  const rows = [...revisions].reverse().map((each) => el("tr", {}, el("td", {}, each.published_at ? moment(each.published_at) : "–"), el("td", { class: "number" }, exact(each.value)),
    el("td", { class: "number" }, exact(String(each.revision))), el("td", {}, each.reasons.map((why) => (why.count ? `${exact(String(why.count))} ${t("why")[why.why] ?? why.why}` : t("why")[why.why] ?? why.why)).join(", "))));
  return [title, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("history") }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)))];
}

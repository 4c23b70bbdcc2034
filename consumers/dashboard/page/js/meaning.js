// What an indicator means and how it is published, and where to say that it is wrong.

import { el, say } from "./dom.js";
import { span } from "./format.js";
import { ask, known } from "./known.js";
import { href } from "./router.js";
import { t, windowName } from "./text.js";

export class Meaning {
  constructor() {
    this.title = el("h2");
    this.list = el("dl");
    this.agencies = el("p", { class: "agencies" });
    this.feedback = el("a", { class: "plain", rel: "noopener" });
    this.node = el("section", { class: "panel meaning" }, this.title, this.list, this.agencies, el("p", {}, this.feedback));
  }

  update(definition) {
    say(this.title, t("definition"));
    const portal = known.board.portal_url;
    this.feedback.hidden = !portal || !/^https?:\/\//.test(portal);
    if (!this.feedback.hidden) this.feedback.href = `${portal}/masukan?indikator=${encodeURIComponent(definition.id)}`;
    say(this.feedback, t("feedback"));
    const about = JSON.stringify([definition, document.documentElement.lang]);
    if (about === this.about) return;
    this.about = about;
    this.load(definition, about);
  }

  async load(definition, about) {
    try {
      const found = await ask(`/v1/indicators/${encodeURIComponent(definition.id)}/definition`);
      if (about === this.about) this.fill(definition, found);
    } catch (error) {
      if (about === this.about) { this.about = ""; this.list.replaceChildren(el("dd", {}, error.message)); }
    }
  }

  fill(definition, { satu_data: meaning, publish, agencies }) {
    const pairs = [
      ...Object.entries(t("meaning")).map(([key, words]) => [words, meaning[key]]),
      [t("windowSpan"), windowName(definition.window)],
      [t("lateness"), definition.window === "now" || !definition.late ? null : span(definition.late)],
      [t("publication"), t("classes")[publish.class] ?? publish.class],
      [t("basis"), publish.basis ?? t("laws")[publish.class]],
      [t("until_"), publish.until],
      [t("licence"), publish.licence],
      [t("madeOf"), definition.parts.join(", ")],
      [t("id_"), definition.id],
    ].filter(([, text]) => text);
    this.list.replaceChildren(...pairs.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
    const links = Object.entries(agencies).flatMap(([id, title], index) => [index ? ", " : "", el("a", { href: href(["indikator"], { instansi: id }) }, title)]);
    this.agencies.replaceChildren(`${t("agencies")}: `, ...links);
  }
}

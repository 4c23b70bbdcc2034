// Alerts on every route, serta merta first. The gateway or the alerts service being away costs the strip, never the page.

import { el, say, svg } from "./dom.js";
import { ago } from "./format.js";
import { href } from "./router.js";
import { inLanguage, t } from "./text.js";

const LONGEST_WAIT_MS = 30_000;
const narrow = matchMedia("(max-width: 35rem)");
/** How many are shown before the reader asks for the others. */
const first = () => (narrow.matches ? 1 : 2);
const WEIGHT = { danger: 0, warning: 1, info: 2 };
const SHAPES = {
  danger: "M8 2h8l6 6v8l-6 6H8l-6-6V8zM11 7v6h2V7zM11 15v2h2v-2z",
  warning: "M12 2.5L23 21H1zM11 10v5h2v-5zM11 16.5v2h2v-2z",
  info: "M12 2a10 10 0 1 0 .01 0zM11 10.5v6.5h2v-6.5zM11 7v2h2V7z",
};

export class Strip {
  constructor(node) {
    this.node = node;
    this.there = false;
    this.connected = false;
    this.heard = this.tried = false;
    this.alerts = [];
    this.all = false;
    this.wait = 1000;
    this.list = el("ul");
    this.state = el("p", { class: "state" });
    this.more = el("button", { type: "button", class: "newest", onclick: () => { this.all = !this.all; this.render(); } });
    node.replaceChildren(this.list, this.state, this.more);
  }

  /** Whether there are alerts at this gateway. */
  follow(there) {
    if (there === this.there) return;
    this.there = there;
    if (there) this.connect(); else this.pause();
    this.render();
  }

  /** Let go of the connection; who does not look needs none. */
  pause() {
    clearTimeout(this.timer);
    this.source?.close();
  }

  /** Take it up again. */
  resume() { if (this.there) this.connect(); }

  connect() {
    this.pause();
    this.source = new EventSource("/v1/alerts/stream");
    this.source.addEventListener("alerts", (event) => {
      this.wait = 1000;
      this.take(JSON.parse(event.data));
    });
    // Reconnecting is ours, not EventSource's: it gives up for good at a 503.
    this.source.onerror = () => {
      this.source.close();
      this.connected = false;
      this.tried = true;
      this.render();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.connect(), this.wait * (0.7 + Math.random() * 0.6));
      this.wait = Math.min(this.wait * 1.8, LONGEST_WAIT_MS);
    };
  }

  /** Say anew how long ago; not under the reader's hands. */
  age() { if (!this.node.contains(document.activeElement)) this.render(); }

  take({ connected, alerts }) {
    const order = (each) => (each.open ? 0 : 100) + (each.serta_merta ? 0 : 10) + (WEIGHT[each.severity] ?? 3);
    this.alerts = [...alerts].sort((a, b) => order(a) - order(b) || Date.parse(b.begun_at) - Date.parse(a.begun_at));
    this.connected = connected;
    this.heard = true;
    this.render();
  }

  render() {
    const open = this.alerts.filter((each) => each.open);
    // Nothing is said while all is well; that the service is away is, quietly.
    this.node.hidden = !this.there || (this.connected && !open.length && !this.all) || (!this.heard && !this.tried);
    this.node.setAttribute("aria-label", t("alerts"));
    const shown = this.all ? this.alerts : open.slice(0, first());
    this.list.replaceChildren(...shown.map((each) => this.item(each)));
    const left = this.alerts.length - Math.min(open.length, first());
    this.more.hidden = this.alerts.length === 0 || (!this.all && left <= 0);
    say(this.more, this.all ? t("fewerAlerts") : t("moreAlerts")(left));
    this.more.setAttribute("aria-expanded", String(this.all));
    this.state.hidden = this.connected;
    say(this.state, t("alertsAway"));
  }

  item(alert) {
    const icon = svg("svg", { viewBox: "0 0 24 24", width: 18, height: 18, "aria-hidden": "true" }, svg("path", { d: SHAPES[alert.severity] ?? SHAPES.info, "fill-rule": "evenodd" }));
    const severity = el("strong", {}, [t("severity")[alert.severity] ?? alert.severity, alert.serta_merta ? t("urgent") : null].filter(Boolean).join(" · "));
    const link = el("a", { href: href(["indikator", alert.indicator], alert.dimensions) }, inLanguage(alert.text));
    const when = el("span", { class: "when" }, alert.open ? t("begun")(ago(Date.parse(alert.begun_at))) : `${t("over")} ${ago(Date.parse(alert.ended_at))}`);
    return el("li", { class: "alert", "data-severity": alert.open ? alert.severity : "over", "data-episode": alert.episode }, icon, severity, link, when);
  }
}

// Earlier and later windows.

import { arrow, el, say } from "./dom.js";
import { windowLabel } from "./format.js";
import { t } from "./text.js";

export class Stepper {
  /** `stepped(window)`: the window to show, `null` for whatever is newest. */
  constructor(stepped) {
    this.windows = [];
    this.before = el("button", { type: "button", class: "icon", onclick: () => this.step(-1) }, arrow("M15 5l-7 7 7 7"));
    this.after = el("button", { type: "button", class: "icon", onclick: () => this.step(1) }, arrow("M9 5l7 7-7 7"));
    this.shown = el("output");
    this.newest = el("button", { type: "button", class: "newest", onclick: () => stepped(null) });
    this.node = el("div", { class: "stepper", role: "group" }, this.before, this.shown, this.after, this.newest);
    this.stepped = stepped;
  }

  step(by) {
    const next = this.windows.indexOf(this.current) + by;
    if (next >= 0 && next < this.windows.length) this.stepped(next === this.windows.length - 1 ? null : this.windows[next]);
  }

  /** `cell`: any cell of the current window, which says how long it is. */
  update(windows, current, cell, span) {
    this.windows = windows;
    this.current = current;
    this.node.hidden = !windows.length;
    this.node.setAttribute("aria-label", t("period"));
    say(this.shown, cell ? windowLabel(cell, span) : "");
    for (const [button, words] of [[this.before, t("before")], [this.after, t("after")]]) { button.title = words; button.setAttribute("aria-label", words); }
    const at = windows.indexOf(current);
    this.before.hidden = this.after.hidden = windows.length < 2;
    this.before.disabled = at <= 0;
    this.after.disabled = at >= windows.length - 1;
    this.newest.hidden = this.after.disabled || windows.length < 2;
    say(this.newest, t("newest"));
  }
}

// A labelled select whose options change while it stays the same element, so that it keeps the focus.

import { el, say } from "./dom.js";

let count = 0;

export class Choice {
  /** `chosen(value)` when the reader has chosen. */
  constructor(chosen) {
    const id = `choice-${count += 1}`;
    this.words = el("label", { for: id });
    this.select = el("select", { id, onchange: () => chosen(this.select.value) });
    this.node = el("div", { class: "choice" }, this.words, this.select);
    this.made = "";
  }

  /** `options`: [value, words, group] in order. */
  update(words, options, value) {
    say(this.words, words);
    const made = JSON.stringify(options);
    if (made !== this.made) {
      this.made = made;
      const groups = new Map();
      for (const [each, text, group = ""] of options) {
        if (!groups.has(group)) groups.set(group, []);
        groups.get(group).push(el("option", { value: each }, text));
      }
      this.select.replaceChildren(...[...groups].flatMap(([group, all]) => (group ? [el("optgroup", { label: group }, ...all)] : all)));
    }
    if (this.select.value !== value) this.select.value = value;
    this.select.disabled = options.length < 2;
  }
}

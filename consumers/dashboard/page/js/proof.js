// The evidence of one number: asked for when it is opened, so that the stream need not carry it.

import { el } from "./dom.js";
import { evidence, load } from "./evidence.js";
import { label, windowLabel } from "./format.js";
import { href } from "./router.js";
import { inLanguage, t } from "./text.js";

let asked = 0;

function frame(dialog, definition, cell, body) {
  const close = el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, t("close"));
  const what = [label(cell, definition), windowLabel(cell, definition.window)].join(" · ");
  dialog.replaceChildren(
    el("div", { class: "head" }, el("div", {}, el("h2", { id: "proof-title" }, inLanguage(definition.title)), el("p", {}, what)),
      el("div", { class: "actions" }, close, el("a", { class: "plain", href: href(["indikator", definition.id], cell.dimensions), onclick: () => dialog.close() }, t("page")))),
    el("div", { class: "body" }, ...body),
  );
}

/** Open the dialog for a cell; focus goes back to where it came from. */
export async function openProof(dialog, definition, cell) {
  const number = asked += 1;
  frame(dialog, definition, cell, [el("p", { class: "wait" }, t("loading"))]);
  dialog.showModal();
  try {
    const found = await load(cell);
    if (number === asked) frame(dialog, definition, found, evidence(definition, found));
  } catch (error) {
    if (number === asked) frame(dialog, definition, cell, [el("p", { class: "wait", role: "alert" }, t("failed") + error.message)]);
  }
}

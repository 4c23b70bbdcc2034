// The form about a dataset or a page of the board, and the answers that were given.

import { el, get } from "./dom.js";
import { current, day, t } from "./text.js";

const both = (texts) => texts[current()] ?? texts.id;
const about = () => { const asked = new URLSearchParams(location.search); return asked.get("dataset") ?? asked.get("indikator") ?? ""; };
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** What is being written, for as long as the tab is open: sent again after a lost answer it is the same feedback. */
function draft(id) {
  const place = `simpul.feedback.${id}`;
  const kept = JSON.parse(sessionStorage.getItem(place) ?? "null") ?? { key: newKey(), kind: "KESALAHAN", text: "" };
  return { ...kept, keep: (part) => sessionStorage.setItem(place, JSON.stringify(Object.assign(kept, part))), drop: () => sessionStorage.removeItem(place) };
}

export async function feedback(view) {
  const id = about();
  const data = await get(`/api/feedback${id ? `?about=${encodeURIComponent(id)}` : ""}`);
  document.title = `${t("feedback")} · Simpul`;
  const subject = data.about && el("p", { class: "lead" }, data.published ? el("a", { href: `/dataset/${data.about.id}` }, both(data.about.title)) : both(data.about.title), ` · ${both(data.about.agency)}`);
  view.replaceChildren(
    el("h1", {}, t("feedback")), subject ?? "",
    data.open ? (data.about ? form(data) : await chooser()) : el("p", { class: "note" }, t("feedbackClosed", { n: data.contact })),
    el("section", { class: "panel answers", "data-panel": "answers" }, el("h2", {}, t("answers")), answers(data.answers, !id)),
  );
}

async function chooser() {
  const { datasets } = await get("/api/datasets");
  const pick = el("select", { id: "about", onchange: () => { location.search = `?dataset=${encodeURIComponent(pick.value)}`; } },
    el("option", { value: "" }, t("choose")), datasets.map((each) => el("option", { value: each.id }, both(each.title))));
  return el("div", { class: "panel form" }, el("label", { for: "about" }, t("feedbackAbout")), pick);
}

function form(data) {
  const id = data.about.id, kept = draft(id);
  const kinds = data.kinds.map((kind) => el("label", {}, el("input", { type: "radio", name: "kind", value: kind, checked: kind === kept.kind, onchange: () => kept.keep({ kind }) }), t(kind)));
  const count = el("span", { class: "count", id: "length" });
  const fault = el("p", { class: "fault", id: "fault", role: "alert" });
  const text = el("textarea", { id: "text", name: "text", rows: "7", required: true, maxlength: data.longest, "aria-describedby": "privacy length fault", oninput: () => { kept.keep({ text: text.value }); counted(); } });
  const trap = el("input", { id: "website", name: "website", tabindex: "-1", autocomplete: "off" });
  const button = el("button", { type: "submit", class: "send" }, t("send"));
  const counted = () => { count.textContent = t("length", { n: text.value.length, m: data.longest }); };
  const failed = (why) => { fault.textContent = why; text.setAttribute("aria-invalid", "true"); button.disabled = false; text.focus(); };
  text.value = kept.text;
  counted();
  const made = el("form", { class: "panel form", novalidate: true },
    el("fieldset", {}, el("legend", {}, t("kind")), kinds),
    el("label", { for: "text" }, t("text")), text, count,
    el("p", { class: "note", id: "privacy" }, t("privacy")),
    el("div", { class: "trap", "aria-hidden": "true" }, el("label", { for: "website" }, t("trap")), trap),
    fault, button);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (text.value.trim().length < data.shortest) return failed(t("tooShort", { n: data.shortest }));
    Object.assign(button, { disabled: true });
    fault.textContent = "";
    text.removeAttribute("aria-invalid");
    const body = JSON.stringify({ key: kept.key, about: id, kind: made.elements.kind.value, text: text.value, website: trap.value });
    try {
      const answer = await fetch("/api/feedback", { method: "POST", headers: { "content-type": "application/json" }, body });
      const said = await answer.json();
      if (!answer.ok) return failed(said.message ? both(said.message) : t("unavailable"));
      kept.drop();
      const receipt = el("div", { class: "panel receipt", role: "status", tabindex: "-1" }, el("h2", {}, t("thanks")), el("p", {}, t("receipt")), el("p", { class: "number" }, said.number), el("p", { class: "count" }, t("receiptAbout")));
      made.replaceWith(receipt);
      receipt.focus();
    } catch {
      failed(t("unavailable"));
    }
  });
  return made;
}

function answers(rows, everything) {
  if (!rows.length) return el("p", { class: "count" }, t("noAnswers"));
  return el("ul", { class: "files" }, rows.map((row) => el("li", {},
    el("b", {}, t(row.outcome)), ` · ${t(row.kind)} · ${day(row.answered_on, true)}`, everything ? [" · ", el("a", { href: `/masukan?dataset=${row.about}` }, row.about)] : "",
    el("p", {}, row.answer), el("small", {}, row.number))));
}

// Two lists that the law asks for: what is public, and what changed.

import { el, get } from "./dom.js";
import { day, t } from "./text.js";

function table(columns, rows) {
  return el("div", { class: "scroll wide", tabindex: "0", role: "region", "aria-label": t("datasets") }, el("table", {}, el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))))));
}

function page(view, name, lead, file, content) {
  view.replaceChildren(el("h1", {}, t(name)), el("div", { class: "toolbar" }, el("p", { class: "lead" }, t(lead)), el("a", { href: file, download: true }, t("csv"))), content);
}

export async function dip(view) {
  const data = await get("/api/dip");
  const keys = Object.keys(data.columns).filter((key) => key !== "alamat");
  const rows = data.rows.map((row) => keys.map((key) => (key === "judul" ? el("a", { href: row.alamat }, row.judul) : row[key])));
  page(view, "dip", "dipLead", "/dip.csv", table(keys.map((key) => data.columns[key]), rows));
}

export async function changelog(view) {
  const data = await get("/api/changes");
  const rows = data.changes.map((each) => [day(each.at), el("a", { href: `/dataset/${each.dataset}` }, each.title), `${each.from ? `${t(each.from)} → ` : ""}${t(each.to)}`, each.by, each.note]);
  page(view, "changelog", "changeLead", "/changelog.csv", table([t("when"), t("dataset"), t("step"), t("by"), t("note")], rows));
}

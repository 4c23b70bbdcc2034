// One dataset in one of its editions.

import { chart } from "./chart.js";
import { el, facts, get } from "./dom.js";
import { current, day, number, t } from "./text.js";

const TERMS = ["konsep", "definisi", "rumus", "satuan", "ukuran", "klasifikasi", "produsen_data", "interpretasi"];
const HIDDEN = new Set(["window_start", "window_end", "numerator", "denominator", "heard", "expected", "suppressed", "released_at", "revision"]);

export async function dataset(view, id, vintage) {
  const data = await get(`/api/datasets/${encodeURIComponent(id)}${vintage ? `?vintage=${encodeURIComponent(vintage)}` : ""}`);
  const title = data.title[current()] ?? data.title.id;
  document.title = `${title} · Simpul`;
  const panel = (name, ...children) => el("section", { class: "panel", "data-panel": name }, el("h2", {}, t(name)), children);
  const drawn = chart(data.chart);
  view.replaceChildren(
    el("p", { class: "crumbs" }, el("a", { href: "/" }, t("datasets")), " / ", el("a", { href: `/?agency=${data.agency.id}` }, data.agency[`title_${current()}`])),
    el("h1", {}, title),
    el("p", { class: "lead" }, data.satu_data.definisi),
    el("div", { class: "chips" }, el("span", { class: "chip strong" }, data.class.title), el("span", { class: "chip" }, data.licence.id), el("span", { class: "chip" }, data.unit), el("span", { class: "chip" }, t("rows", { n: number(data.total) })), el("span", { class: "chip" }, t("released", { n: day(data.vintage.released_at) }))),
    el("p", { class: "crumbs" }, el("a", { href: `/masukan?dataset=${encodeURIComponent(data.id)}` }, t("feedback"))),
    data.vintage.newest ? "" : el("p", { class: "note" }, t("old"), el("a", { href: `/dataset/${data.id}` }, t("newest"))),
    el("div", { class: "grid" },
      el("div", {}, drawn ? panel("chart", drawn) : null, panel("preview", preview(data)),
        panel("metadata", facts([...TERMS.map((key) => [t(key), data.satu_data[key]]), [t("licence"), el("a", { href: data.licence.url, rel: "license" }, data.licence.title)], [t("version"), String(data.version)], [t("event"), data.event]])),
        panel("history", steps(data.changes))),
      el("div", {}, panel("downloads", files(data)), panel("vintages", editions(data)), panel("api", examples(data)), panel("standards", machines(data)))),
  );
}

function preview(data) {
  const columns = data.columns.map((column, index) => ({ ...column, index })).filter((column) => !HIDDEN.has(column.name) && data.rows.some((row) => row[column.index] !== null));
  const withheld = data.columns.findIndex((column) => column.name === "suppressed");
  const cell = (row, column) => {
    const value = row[column.index];
    if (column.name === "value" && row[withheld]) return el("td", { class: "withheld" }, t("withheld"));
    const numeric = column.kind === "number" || column.kind === "integer";
    return el("td", { class: numeric ? "number" : null }, numeric ? number(value) : value ?? "–");
  };
  return [
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("preview") }, el("table", {},
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", title: column.about[current()] }, column.name)))),
      el("tbody", {}, data.rows.map((row) => el("tr", {}, columns.map((column) => cell(row, column))))))),
    el("p", { class: "count" }, t("previewOf", { n: number(data.rows.length), m: number(data.total) }), data.withheld ? ` ${t("withheldWhy", { n: number(data.withheld) })}` : ""),
  ];
}

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${number(Math.round(bytes / 102.4) / 10)} KB` : `${number(Math.round(bytes / 104857.6) / 10)} MB`);

function files(data) {
  return [
    el("ul", { class: "files" }, data.files.map((file) => el("li", {}, el("a", { href: data.vintage.newest ? file.latest : file.url, download: true }, file.label), ` · ${size(file.bytes)}`, el("small", {}, file.about), el("small", {}, `SHA-256 ${file.sha256}`)))),
    el("p", { class: "count" }, t("beside"), ": ", Object.entries(data.beside).flatMap(([name, address]) => [el("a", { href: address }, name), " "])),
  ];
}

function editions(data) {
  const pick = el("select", { id: "vintage", onchange: () => { location.href = `/dataset/${data.id}/vintage/${pick.value}`; } },
    data.vintages.map((each) => el("option", { value: each.name, selected: each.name === data.vintage.name }, day(each.released_at))));
  return [el("label", { for: "vintage", class: "count" }, t("vintageAbout")), pick];
}

function examples(data) {
  return [["datastore", data.api.datastore], ["asOf", data.api.as_of]].flatMap(([key, address]) => [el("p", { class: "count" }, t(key)), el("pre", { tabindex: "0" }, `curl -s '${address}'`)]);
}

function machines(data) {
  const links = [["DCAT-AP (Turtle)", data.rdf.ttl], ["DCAT-AP (JSON-LD)", data.rdf.jsonld], ["BPS INDAH (JSON)", data.indah], ["CKAN package_show", data.api.package]];
  return el("ul", { class: "files" }, links.map(([name, address]) => el("li", {}, el("a", { href: address }, name))));
}

function steps(changes) {
  return el("ul", { class: "files" }, changes.map((each) => el("li", {}, el("b", {}, t(each.to)), ` · ${day(each.at)} · ${each.by}`, el("small", {}, each.note))));
}

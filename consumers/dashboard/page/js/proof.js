// The evidence of one number: asked for when it is opened, so that the stream need not carry it.

import { el } from "./dom.js";
import { exact, label, moment, offBy, windowLabel } from "./format.js";
import { inLanguage, t } from "./text.js";

let asked = 0;

function frame(dialog, definition, cell, body) {
  const close = el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, t("close"));
  const what = [label(cell, definition), windowLabel(cell, definition.window)].join(" · ");
  dialog.replaceChildren(
    el("div", { class: "head" }, el("div", {}, el("h2", { id: "proof-title" }, inLanguage(definition.title)), el("p", {}, what)), close),
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
    if (number === asked) frame(dialog, definition, found, content(definition, found));
  } catch (error) {
    if (number === asked) frame(dialog, definition, cell, [el("p", { class: "wait", role: "alert" }, t("failed") + error.message)]);
  }
}

async function load(cell) {
  const query = new URLSearchParams({ window: cell.window_start ?? "now" });
  for (const [name, value] of Object.entries(cell.dimensions)) query.append(name, value ?? "");
  const answer = await fetch(`/v1/indicators/${encodeURIComponent(cell.indicator)}?${query}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  const found = body.cells.find((each) => each.key === cell.key);
  if (!found) throw new Error(t("noCell"));
  return found;
}

function content(definition, cell) {
  const pairs = [
    [t("fraction"), cell.denominator === "1" ? null : `${exact(cell.numerator)} / ${exact(cell.denominator)}`],
    [t("entered"), exact(String(cell.n))],
    [t("revised"), revisions(cell)],
    [t("status"), t(cell.window_start === null ? "current" : cell.status)],
    [t("standing"), cell.label],
    [t("off"), cell.error && cell.error !== "0" ? offBy(cell, definition) : null],
    [t("aged"), cell.as_of && moment(cell.as_of)],
    [t("reporters"), cell.expected ? t("of")(cell.heard, cell.expected) : cell.heard ? String(cell.heard) : null],
    [t("version"), String(cell.version)],
    [t("print"), cell.fingerprint.slice(0, 16)],
    ...cell.leaves.map((leaf) => [t("madeOf"), `${leaf.indicator}, ${t("version_")(leaf.version)}`]),
    ...Object.entries(cell.watermarks).map(([source, at]) => [t("heard"), `${source}: ${moment(at)}`]),
  ].filter(([, text]) => text !== null);
  return [
    el("div", {}, el("p", { class: "meta" }, t("exact")), el("p", { class: "exact" }, exact(cell.value), " ", el("small", {}, cell.value === null ? "" : definition.unit))),
    el("dl", {}, ...pairs.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
    el("section", {}, el("h3", {}, t("evidence")), table(cell.evidence)),
    el("section", {}, el("h3", {}, t("verify")), command(cell)),
  ];
}

/** How often the number has changed, and why: 12 = 9 new, 1 late, 2 corrected. */
function revisions(cell) {
  const kinds = { fresh: cell.revision - cell.late - cell.corrected - cell.withdrawn, late: cell.late, corrected: cell.corrected, withdrawn: cell.withdrawn };
  const told = Object.entries(kinds).filter(([, count]) => count).map(([kind, count]) => `${exact(String(count))} ${t("changes")[kind]}`);
  return told.length ? `${exact(String(cell.revision))} (${told.join(", ")})` : exact(String(cell.revision));
}

function table(evidence) {
  const shared = evidence.some((each) => each.indicator);
  const head = el("tr", {}, shared ? el("th", { scope: "col" }, t("of_")) : null, el("th", { scope: "col" }, t("topic")), el("th", { scope: "col", class: "number" }, t("partition")), el("th", { scope: "col", class: "number" }, t("offset")));
  const rows = evidence.map((each) => el("tr", {}, shared ? el("td", {}, each.indicator) : null, el("td", {}, each.topic), el("td", { class: "number" }, String(each.partition)), el("td", { class: "number" }, String(each.offset))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
}

/** A dimension's value in a cell's name: what would be taken for a separator, or for no value, is escaped. */
function named(value) {
  if (value === null) return "(null)";
  const text = value.replaceAll("\\", "\\\\").replaceAll("/", "\\/");
  return text === "(null)" ? `\\${text}` : text;
}

/** The cell as `bus verify` takes it: the local begin of its window and its dimension values, quoted where a shell needs it. */
function cellName(cell) {
  const [day, time] = cell.window_start === null ? ["now", "00:00"] : [cell.window_start.slice(0, 10), cell.window_start.slice(11, 16)];
  const name = [time === "00:00" ? day : `${day}T${time}`, ...Object.values(cell.dimensions).map(named)].join("/");
  return /^[\w/:.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

function command(cell) {
  const text = `bus verify ${cell.indicator} ${cellName(cell)}`;
  const copy = el("button", { type: "button", class: "plain", onclick: async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = t("copied");
  } }, t("copy"));
  return el("div", { class: "command" }, el("code", {}, text), navigator.clipboard ? copy : null);
}

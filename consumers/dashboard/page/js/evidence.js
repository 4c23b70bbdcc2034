// The evidence of one number in words: what it is exactly, how it came about, and the log positions that prove it.

import { el } from "./dom.js";
import { exact, moment, offBy } from "./format.js";
import { ask, asked } from "./known.js";
import { t } from "./text.js";

/** All that there is of a cell: the stream does not carry its evidence. Throws when there is no such cell. */
export async function load(cell) {
  const body = await ask(`/v1/indicators/${encodeURIComponent(cell.indicator)}`, asked(cell));
  const found = body.cells.find((each) => each.key === cell.key);
  if (!found) throw new Error(t("noCell"));
  return found;
}

/** The nodes that tell it; of a number withheld from the public there is nothing to tell. */
export function evidence(definition, cell) {
  if (cell.suppressed) return [el("p", { class: "wait" }, t("withheldWhy"))];
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
    [t("print"), cell.fingerprint?.slice(0, 16) ?? null],
    ...(cell.leaves ?? []).map((leaf) => [t("madeOf"), `${leaf.indicator}, ${t("version_")(leaf.version)}`]),
    ...Object.entries(cell.watermarks ?? {}).map(([source, at]) => [t("heard"), `${source}: ${moment(at)}`]),
  ].filter(([, text]) => text !== null && text !== undefined);
  return [
    el("div", {}, el("p", { class: "meta" }, t("exact")), el("p", { class: "exact" }, exact(cell.value), " ", el("small", {}, cell.value === null ? "" : definition.unit))),
    el("dl", {}, ...pairs.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])),
    el("section", {}, el("h3", {}, t("evidence")), table(cell.evidence)),
    el("section", {}, el("h3", {}, t("verify")), command(cell)),
  ];
}

/** How often the number has changed, and why: 12 = 9 new, 1 late, 2 corrected. */
function revisions(cell) {
  if (cell.late === undefined) return exact(String(cell.revision));
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

// Numbers and windows as people read them. Values are exact decimals as text and are only rounded here, for the eye.

import { locale, t } from "./text.js";

const ZONE = "Asia/Jakarta";
const cache = new Map();

function made(key, make) {
  const full = `${locale()} ${key}`;
  if (!cache.has(full)) cache.set(full, make());
  return cache.get(full);
}

/** The value with `decimals` places (2 when not declared); an integer has none. A closing may be without one. */
export function number(text, decimals) {
  if (text === null) return t("none");
  const places = text.includes(".") ? decimals ?? 2 : 0;
  const options = { minimumFractionDigits: places, maximumFractionDigits: places };
  return made(`n${places}`, () => new Intl.NumberFormat(locale(), options)).format(text);
}

const SPANS = [86400, 3600, 60];

/** In which unit people read the value: of seconds the largest that there is one whole of; of anything else its own. */
export function scale(text, { unit, decimals }) {
  const place = unit === "detik" && text !== null ? SPANS.findIndex((seconds) => Math.abs(Number(text)) >= seconds) : -1;
  return place < 0 ? { by: 1, unit, decimals } : { by: SPANS[place], unit: t("spans")[place], decimals: 1 };
}

const LARGE = [1e12, 1e9, 1e6];

/** The same where there is little room: large sums in millions and more, shares in percent. */
export function brief(text, definition) {
  const size = text === null ? 0 : Math.abs(Number(text));
  if (definition.unit === "bagian") return { by: 0.01, unit: t("percent"), decimals: 1 };
  if (definition.unit === "detik kerja" && size >= 3600) return { by: 3600, unit: t("workHours"), decimals: 1 };
  const place = LARGE.findIndex((each) => size >= each);
  if (definition.unit === "rupiah" && place >= 0) return { by: LARGE[place], unit: t("large")[place], decimals: 2 };
  if (definition.unit === "rupiah") return { by: 1, unit: t("units").rupiah ?? "rupiah", decimals: 0 };
  if (definition.kind === "ratio" || definition.unit === "persen") return { by: 1, unit: t("units")[definition.unit] ?? definition.unit, decimals: Math.min(definition.decimals ?? 1, 1) };
  const unit = scale(text, definition);
  return { ...unit, unit: t("units")[unit.unit] ?? unit.unit };
}

/** The value in that unit. */
export const scaled = (text, { by, decimals }) => (by === 1 ? number(text, decimals) : number((Number(text) / by).toFixed(decimals), decimals));

/** All digits, with the locale's separators. */
export function exact(text) {
  if (text === null) return t("none");
  if (!/^-?\d+(\.\d+)?$/.test(text)) return text;
  const [whole, fraction] = text.split(".");
  const head = new Intl.NumberFormat(locale(), { maximumFractionDigits: 0 }).format(BigInt(whole));
  const sign = whole.startsWith("-") && !head.startsWith("-") ? "-" : "";
  return fraction ? `${sign}${head}${locale() === "id-ID" ? "," : "."}${fraction}` : sign + head;
}

const date = (moment, options) =>
  made(JSON.stringify(options), () => new Intl.DateTimeFormat(locale(), { timeZone: ZONE, ...options })).format(moment);

/** A window in words: its month, day, quarter … */
export function windowLabel(cell, window) {
  if (cell.window_start === null) return t("now");
  const start = new Date(cell.window_start);
  const end = new Date(Date.parse(cell.window_end) - 1);
  const long = { day: "numeric", month: "long", year: "numeric" };
  switch (window) {
    case "1y": return date(start, { year: "numeric" });
    case "1q": {
      const month = Number(date(start, { month: "numeric" }));
      return `${t("quarter")} ${["I", "II", "III", "IV"][Math.floor((month - 1) / 3)]} ${date(start, { year: "numeric" })}`;
    }
    case "6mo": return `${t("semester")} ${date(start, { month: "numeric" }) === "1" ? "I" : "II"} ${date(start, { year: "numeric" })}`;
    case "1mo": return date(start, { month: "long", year: "numeric" });
    case "1d": return date(start, { weekday: "long", ...long });
    case "1w": return `${date(start, { day: "numeric", month: "short" })} – ${date(end, { day: "numeric", month: "short", year: "numeric" })}`;
    default: return `${date(start, { day: "numeric", month: "short", year: "numeric" })} ${date(start, { hour: "2-digit", minute: "2-digit" })}`;
  }
}

/** The same where there is little room. */
export function shortLabel(cell, window) {
  if (cell.window_start === null || window !== "1d") return windowLabel(cell, window);
  return date(new Date(cell.window_start), { day: "numeric", month: "short", year: "numeric" });
}

/** A span such as 30d in words. */
export function span(text) {
  const [, size, unit] = /^(\d+)([a-z]+)$/.exec(text) ?? [];
  return t("spanUnits")[unit] ? `${size} ${t("spanUnits")[unit]}` : text;
}

export const moment = (text) => date(new Date(text), { dateStyle: "long", timeStyle: "medium" });
export const today = () => date(new Date(), { weekday: "long", day: "numeric", month: "long", year: "numeric" });
export const clock = (when) => date(when, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const AGES = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** How long ago that was, in words. */
export function ago(at) {
  const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
  if (seconds < 5) return t("justNow");
  const [unit, size] = AGES.find(([, each]) => seconds >= each) ?? AGES.at(-1);
  return made("ago", () => new Intl.RelativeTimeFormat(locale(), { numeric: "always" })).format(-Math.floor(seconds / size), unit).replace(" yang lalu", " lalu");
}

let regions = {};
export const knowRegions = (known) => { regions = known ?? {}; };

/** A region's name beside its code, where the name is known. Of an RT: RT 002/RW 003 Tlogolele (33.09.01.2001.003.002). */
function place(code) {
  const parts = code.split(".");
  const region = regions[parts.slice(0, 4).join(".")];
  if (!region) return code;
  const below = parts.length > 4 ? [parts[5] && `RT ${parts[5]}`, `RW ${parts[4]}`].filter(Boolean).join("/") : t("levels")[region.level];
  return `${[below, region.name].filter(Boolean).join(" ")} (${code})`;
}

/** What a region alone is called: Boyolali, Selo, Tlogolele, RW 003, RT 002; its code where nobody has named it. */
export function placeName(code) {
  const parts = code.split(".");
  if (parts.length === 6) return `RT ${parts[5]}`;
  if (parts.length === 5) return `RW ${parts[4]}`;
  return regions[code]?.name ?? code;
}

/** A dimension's value in words. */
export const valueName = (name, value) => (value === null || value === "" ? t("none") : name === "region" ? place(value) : value);

/** Dimension values in words; of a ranking with what stands on the rank. */
export function label(cell, definition) {
  const words = Object.entries(cell.dimensions).map(([name, value]) => {
    if (value === null) return t("none");
    if (name === "region") return place(value);
    return definition.kind === "reconcile" && name === "match" ? t("matches")[value]?.(...definition.parts) ?? value : value;
  });
  if (definition.kind === "top" && cell.label) words.push(place(cell.label));
  return words.length ? words.join(" · ") : t("whole");
}

/** How rows are ordered: by what dimensions are, not by what they are called. */
export const order = (dimensions) => Object.values(dimensions).map((value) => value ?? "\uffff").join("\u0001");

/** An estimate's error in words: of ages seconds, of other kinds a part of the value. */
export function offBy(cell, definition) {
  if (!/^\d+(\.\d+)?$/.test(cell.error)) return cell.error;
  return definition.kind === "age" ? `± ${exact(cell.error)} ${definition.unit}` : `± ${exact(String(Number((Number(cell.error) * 100).toFixed(6))))} %`;
}

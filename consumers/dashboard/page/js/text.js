// All words of the page, Indonesian first: which language, and how they are looked up.

import { id } from "./words.id.js";
import { en } from "./words.en.js";

const TEXTS = { id, en };

let language = "id";

export function setLanguage(code) {
  language = code in TEXTS ? code : "id";
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;
export const locale = () => (language === "id" ? "id-ID" : "en-GB");
export const t = (key) => TEXTS[language][key];
export const windowName = (code) => TEXTS[language].windows[code] ?? code;
/** A title given in several languages, in the current one if there is such. */
export const inLanguage = (titles) => titles[language] ?? titles.id ?? Object.values(titles)[0] ?? "";
/** What a dimension is called; its own name where nobody has named it. */
export const dimensionName = (name) => TEXTS[language].dims[name] ?? name;

// Which view an address means, and the switches of language and theme.

import { dataset } from "./dataset.js";
import { el } from "./dom.js";
import { feedback } from "./feedback.js";
import { list } from "./list.js";
import { changelog, dip } from "./tables.js";
import { choose, current, t } from "./text.js";

const view = document.getElementById("view");
const announce = (text) => { document.getElementById("announce").textContent = text; };
const THEME = "simpul.theme";

function words() {
  document.documentElement.lang = current();
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === current()));
  document.getElementById("theme").setAttribute("aria-label", t("theme"));
  for (const link of document.querySelectorAll("nav a")) link.toggleAttribute("aria-current", link.pathname === location.pathname);
}

async function show() {
  words();
  view.setAttribute("aria-busy", "true");
  const [kind, id, , vintage] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  try {
    if (kind === "dataset") await dataset(view, id, vintage);
    else if (kind === "dip") await dip(view);
    else if (kind === "masukan") await feedback(view);
    else if (kind === "changelog") await changelog(view);
    else await list(view, announce);
  } catch (error) {
    view.replaceChildren(el("p", { class: "note", role: "alert" }, t("failed", { n: error.message })), el("p", { class: "crumbs" }, el("a", { href: "/" }, t("datasets"))));
  }
  view.setAttribute("aria-busy", "false");
}

for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => { choose(button.dataset.language); show(); });
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem(THEME, root.dataset.theme);
});
if (localStorage.getItem(THEME)) document.documentElement.dataset.theme = localStorage.getItem(THEME);
show();

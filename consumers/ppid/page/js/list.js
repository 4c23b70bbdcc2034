// The list of datasets: words, agencies and classes narrow it down; what is chosen stands in the address.

import { el, get } from "./dom.js";
import { current, day, number, t } from "./text.js";

export async function list(view, announce) {
  const data = await get("/api/datasets");
  const asked = new URLSearchParams(location.search);
  const chosen = { q: asked.get("q") ?? "", agency: new Set(asked.getAll("agency")), class: new Set(asked.getAll("class")) };
  const results = el("ul", { class: "results" });
  const count = el("p", { class: "count" });
  const facets = el("div", { class: "facets" });
  const input = el("input", { type: "search", id: "search", autocomplete: "off", placeholder: t("search"), value: chosen.q, oninput: () => { chosen.q = input.value; show(); } });
  const title = (each) => each.title[current()] ?? each.title.id;
  const agency = (id) => data.agencies[id]?.[current()] ?? id;

  const fits = (each, without) => {
    const text = [each.id, each.title.id, each.title.en, each.about, agency(each.agency), ...each.keywords].join(" ").toLowerCase();
    return chosen.q.toLowerCase().split(/\s+/).every((word) => text.includes(word))
      && ["agency", "class"].every((facet) => facet === without || !chosen[facet].size || chosen[facet].has(each[facet]));
  };

  const facet = (name, label) => {
    const counts = new Map();
    for (const each of data.datasets) counts.set(each[name], (counts.get(each[name]) ?? 0) + (fits(each, name) ? 1 : 0));
    const options = [...counts].sort(([a], [b]) => label(a).localeCompare(label(b))).map(([value, n]) => el("label", {},
      el("input", { type: "checkbox", value, "data-facet": name, checked: chosen[name].has(value), onchange: (event) => { event.target.checked ? chosen[name].add(value) : chosen[name].delete(value); show(event.target); } }),
      el("span", {}, label(value)), el("span", {}, number(n))));
    return el("fieldset", {}, el("legend", {}, t(name)), options);
  };

  function show(touched) {
    const found = data.datasets.filter((each) => fits(each));
    const query = new URLSearchParams([...(chosen.q ? [["q", chosen.q]] : []), ...[...chosen.agency].map((id) => ["agency", id]), ...[...chosen.class].map((id) => ["class", id])]);
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
    facets.replaceChildren(facet("agency", agency), facet("class", (id) => data.classes[id] ?? id));
    if (touched) facets.querySelector(`input[data-facet="${touched.dataset.facet}"][value="${CSS.escape(touched.value)}"]`)?.focus();
    count.textContent = t("found", { n: number(found.length) });
    announce(count.textContent);
    results.replaceChildren(...found.map((each) => el("li", { class: "result", "data-dataset": each.id },
      el("h2", {}, el("a", { href: `/dataset/${each.id}` }, title(each))),
      el("p", {}, each.about),
      el("div", { class: "chips" }, el("span", { class: "chip strong" }, agency(each.agency)), el("span", { class: "chip" }, data.classes[each.class] ?? each.class),
        el("span", { class: "chip" }, t("rows", { n: number(each.rows) })), el("span", { class: "chip" }, t("released", { n: day(each.released_at) })), each.formats.map((name) => el("span", { class: "chip" }, name))))));
    if (!found.length) results.replaceChildren(el("li", { class: "empty" }, t(data.datasets.length ? "none" : "nothing")));
  }

  view.replaceChildren(el("h1", {}, t("tagline")), el("p", { class: "lead" }, t("lead")),
    el("div", { class: "layout" }, facets, el("section", { "aria-label": t("datasets") }, el("label", { class: "search" }, el("span", { class: "hidden" }, t("search")), input), count, results)));
  show();
}

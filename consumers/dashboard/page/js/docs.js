// The API's description as a page: what /openapi.json says, without anybody else's server.

import { el } from "./dom.js";

const list = (title, pairs) => (pairs.length ? [el("h3", {}, title), el("dl", {}, ...pairs.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]))] : []);

function route(path, verb, said) {
  const parameters = (said.parameters ?? []).map((each) => [each.name, [each.in === "query" ? "" : `(${each.in})`, each.description ?? ""].filter(Boolean).join(" ")]);
  const answers = Object.entries(said.responses ?? {}).map(([code, each]) => [code, each.description ?? ""]);
  const name = el("code", {}, el("span", { class: "verb" }, verb.toUpperCase()), ` ${path}`);
  return el("section", { class: "route" }, el("h2", {}, name, el("span", {}, said.summary ?? "")), el("p", {}, said.description ?? ""),
    ...list("Parameters", parameters), ...list("Answers", answers));
}

const answer = await fetch("/openapi.json");
const api = await answer.json();
document.getElementById("about").textContent = `${api.info.description} (${api.info.version})`;
const routes = Object.entries(api.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, said]) => route(path, verb, said)));
document.getElementById("routes").replaceChildren(...routes);

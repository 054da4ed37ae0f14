"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);
const BATCH = 40;
const two = content.runs.length > 1;

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// Faults: how much of an answer is wrong; null if it was not scored or the suite does not say.
const hasFaults = content.samples.some((sample) => sample.answers.some((answer) => answer.faults !== null));
function change(sample) {
  const a = sample.answers[0].faults, b = two ? sample.answers[1].faults : 0;
  return a === null || b === null ? null : b - a;
}
const worst = (sample) => Math.max(...sample.answers.map((answer) => answer.faults ?? 0));
const failed = (answer) => answer.state !== "ok";
const unfinished = (answer) => answer.state === "unfinished";

const STATES = [
  ["all", "all states", () => true],
  ...(hasFaults ? [
    ["faulty", two ? "any answer has faults" : "with faults", (s) => s.answers.some((a) => a.faults > 0)],
    ["clean", two ? "neither has faults" : "without faults", (s) => s.answers.every((a) => a.faults === 0)],
  ] : []),
  ["failed", "empty, failed or not judged", (s) => s.answers.some(failed)],
  ...(content.samples.some((s) => s.answers.some(unfinished))
    ? [["unfinished", "still reasoning", (s) => s.answers.some(unfinished)]] : []),
  ...(two && hasFaults ? [
    ["worse", `${content.runs[1]} is worse`, (s) => change(s) > 0],
    ["better", `${content.runs[1]} is better`, (s) => change(s) < 0],
  ] : []),
];
const SORTS = [
  ...(two && hasFaults
    ? [["change", "largest change first", (a, b) => Math.abs(change(b) ?? 0) - Math.abs(change(a) ?? 0)]] : []),
  ...(hasFaults ? [["faults", "most faults first", (a, b) => worst(b) - worst(a)]] : []),
  ["order", "in the suite's order", (a, b) => a.position - b.position],
];

function fill(select, choices) {
  for (const [value, text] of choices) select.append(new Option(text, value));
}
const counts = new Map();
for (const sample of content.samples)
  for (const object of new Set(sample.answers.flatMap((answer) => answer.objects))) counts.set(object, (counts.get(object) ?? 0) + 1);
const objects = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
fill(byId("object"), [["", "all objects"], ...objects.map(([name, times]) => [name, `${name} (${times})`])]);
byId("object").hidden = objects.length === 0;
byId("legend").hidden = !content.samples.some((sample) => sample.answers.some((answer) => answer.spans.length));
fill(byId("group"), [["", "all groups"], ...[...new Set(content.samples.map((s) => s.group))].map((g) => [g, g])]);
byId("group").hidden = byId("group").length < 3;
fill(byId("state"), STATES);
fill(byId("sort"), SORTS);
byId("notes").textContent = [content.signature, ...content.notes].join(" · ");

// Offsets count characters as Python does; JavaScript's strings count UTF-16 units.
function marked(text, spans) {
  const paragraph = element("p", "text");
  paragraph.dir = "auto";
  const letters = spans.length ? Array.from(text) : null;
  let at = 0;
  for (const [begin, end, kind, base] of spans) {
    paragraph.append(letters.slice(at, begin).join(""));
    const mark = element("mark", kind, letters.slice(begin, end).join(""));
    mark.title = kind === "hallucinated" ? `${base}: not in the image` : `${base}: in the image`;
    paragraph.append(mark);
    at = end;
  }
  paragraph.append(letters ? letters.slice(at).join("") : text);
  return paragraph;
}

function answered(answer, run) {
  const box = element("div", "answer");
  if (two) box.append(element("h3", "", content.runs[run]));
  if (answer.thoughts) {
    const thoughts = element("details", "thoughts");
    thoughts.append(element("summary", "", "thoughts"), element("p", "judge", answer.thoughts));
    box.append(thoughts);
  }
  box.append(answer.text ? marked(answer.text, answer.spans) : element("p", "failed", "no answer"));
  if (failed(answer) || answer.error) box.append(element("p", "failed", [answer.state, answer.error].filter(Boolean).join(": ")));
  if (answer.read !== null) {
    const verdict = element("p", "verdict", answer.read);
    if (answer.faults !== null)
      verdict.append(", ", element("mark", answer.faults > 0 ? "hallucinated" : "correct", answer.faults > 0 ? "wrong" : "right"));
    box.append(verdict);
  }
  if (answer.judge !== null && answer.judge !== undefined)
    box.append(element("p", "judge", `judge${answer.rating === null ? "" : `, rating ${answer.rating}`}: ${answer.judge}`));
  return box;
}

function picture(name) {
  const source = content.images[name];
  if (!source) return element("p", "placeholder", `image not available: ${name}`);
  const image = element("img");
  image.loading = "lazy";
  image.alt = image.title = name;
  image.src = source;
  return image;
}

const imageNames = (sample) => (sample.images.length ? sample.images : [sample.cluster]);
function card(sample) {
  const article = element("article");
  article.tabIndex = -1;
  article.dataset.id = sample.id;
  const left = element("div", "images"), right = element("div");
  left.append(...sample.images.map(picture));
  if (!sample.images.length) left.append(element("p", "placeholder", "no image"));
  right.append(element("p", "about", [...new Set([sample.id, sample.group, ...imageNames(sample)])].join(" · ")));
  if (sample.prompt) right.append(element("p", "prompt", sample.prompt));
  const answers = element("div", "answers");
  sample.answers.forEach((answer, run) => answers.append(answered(answer, run)));
  right.append(answers);
  if (sample.truth.length) right.append(element("p", "truth", sample.truth.join("\n")));
  article.append(left, right);
  return article;
}

let shown = [], drawn = 0;
function more() {
  const end = Math.min(drawn + BATCH, shown.length);
  const part = document.createDocumentFragment();
  for (; drawn < end; drawn++) part.append(card(shown[drawn]));
  byId("samples").append(part);
}
function refresh() {
  const search = byId("search").value.trim().toLowerCase();
  const object = byId("object").value, group = byId("group").value;
  const state = STATES.find(([name]) => name === byId("state").value)[2];
  const sort = SORTS.find(([name]) => name === byId("sort").value)[2];
  shown = content.samples
    .filter((s) => (!group || s.group === group) && (!object || s.answers.some((a) => a.objects.includes(object))) && state(s))
    .filter((s) => !search || [s.id, ...imageNames(s), s.prompt, ...s.answers.map((a) => a.text)].some((t) => t.toLowerCase().includes(search)))
    .sort(sort);
  drawn = 0;
  byId("samples").replaceChildren();
  byId("count").textContent = `${shown.length} of ${content.samples.length}`;
  if (!shown.length) byId("samples").append(element("p", "empty", "No sample matches these filters."));
  more();
}
new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) more(); }, { rootMargin: "1200px" }).observe(byId("more"));

function step(by) {
  const cards = byId("samples").children;
  const now = document.activeElement?.closest?.("article");
  let index = now ? [...cards].indexOf(now) + by : 0;
  if (index >= cards.length - 1) more();
  index = Math.max(0, Math.min(index, cards.length - 1));
  cards[index]?.focus({ preventScroll: true });
  cards[index]?.scrollIntoView({ block: "start" });
}
function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return document.activeElement.blur();
  if (["INPUT", "SELECT"].includes(document.activeElement.tagName)) return;
  const action = {
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
    "/": () => byId("search").focus(), t: theme, "?": () => byId("keys").showModal(),
  }[event.key];
  if (action && !byId("keys").open) { event.preventDefault(); action(); }
});
byId("theme").addEventListener("click", theme);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", refresh);
for (const id of ["object", "group", "state", "sort"]) byId(id).addEventListener("change", refresh);
refresh();

"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);
const BATCH = 40;
const two = content.runs.length > 1;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const faultOf = (sample, run) => sample.answers[run].fault;
function change(sample) {
  const a = faultOf(sample, 0), b = two ? faultOf(sample, 1) : 0;
  return a === null || b === null ? null : b - a;
}
const worst = (sample) => Math.max(...sample.answers.map((answer) => answer.fault ?? 0));
const failed = (answer) => answer.state !== "ok";

const STATES = [
  ["all", "every state", () => true],
  ["hallucinated", two ? "any of them is at fault" : "at fault", (s) => s.answers.some((a) => a.wrong)],
  ["clean", two ? "neither is at fault" : "not at fault", (s) => s.answers.every((a) => a.wrong === false)],
  ["failed", "empty, failed or not judged", (s) => s.answers.some(failed)],
  ...(two ? [
    ["worse", `${content.runs[1]} is worse`, (s) => change(s) > 0],
    ["better", `${content.runs[1]} is better`, (s) => change(s) < 0],
  ] : []),
];
const SORTS = [
  ...(two ? [["change", "biggest change first", (a, b) => Math.abs(change(b) ?? 0) - Math.abs(change(a) ?? 0)]] : []),
  ["fault", "most hallucinated first", (a, b) => worst(b) - worst(a)],
  ["order", "in the suite's order", (a, b) => a.id.localeCompare(b.id, "en", { numeric: true })],
];

function fill(select, choices) {
  for (const [value, text] of choices) select.append(new Option(text, value));
}
const counts = new Map();
for (const sample of content.samples)
  for (const object of new Set(sample.answers.flatMap((answer) => answer.objects))) counts.set(object, (counts.get(object) ?? 0) + 1);
const objects = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
fill(byId("object"), [["", "every object"], ...objects.map(([name, times]) => [name, `${name} (${times})`])]);
byId("object").hidden = objects.length === 0;
byId("legend").hidden = !content.samples.some((sample) => sample.answers.some((answer) => answer.spans.length));
fill(byId("group"), [["", "every group"], ...[...new Set(content.samples.map((s) => s.group))].map((g) => [g, g])]);
byId("group").hidden = byId("group").length < 3;
fill(byId("state"), STATES);
fill(byId("sort"), SORTS);
byId("notes").textContent = [content.signature, ...content.notes].join(" · ");

// Offsets count characters as Python does; JavaScript's strings count halves of some of them.
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
  box.append(answer.text ? marked(answer.text, answer.spans) : element("p", "failed", "no answer"));
  if (failed(answer) || answer.error) box.append(element("p", "failed", [answer.state, answer.error].filter(Boolean).join(": ")));
  if (answer.read !== null) {
    const verdict = element("p", "verdict", `read as ${answer.read}, `);
    verdict.append(element("mark", answer.wrong ? "hallucinated" : "correct", answer.wrong ? "wrong" : "right"));
    box.append(verdict);
  }
  if (answer.judge !== null && answer.judge !== undefined)
    box.append(element("p", "judge", `judge${answer.rating === null ? "" : `, rating ${answer.rating}`}: ${answer.judge}`));
  return box;
}

function card(sample) {
  const made = element("article");
  made.tabIndex = -1;
  made.dataset.id = sample.id;
  const left = element("div"), right = element("div");
  const source = content.images[sample.image];
  if (source) {
    const image = element("img");
    image.loading = "lazy";
    image.alt = sample.image;
    image.src = source;
    left.append(image);
  } else left.append(element("p", "placeholder", `no image here: ${sample.image}`));
  right.append(element("p", "about", `${sample.id} · ${sample.group} · ${sample.image}`));
  if (sample.prompt) right.append(element("p", "prompt", sample.prompt));
  const answers = element("div", "answers");
  sample.answers.forEach((answer, run) => answers.append(answered(answer, run)));
  right.append(answers);
  if (sample.truth.length) right.append(element("p", "truth", `truth: ${sample.truth.join("\n")}`));
  made.append(left, right);
  return made;
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
    .filter((s) => !search || [s.id, s.image, s.prompt, ...s.answers.map((a) => a.text)].some((t) => t.toLowerCase().includes(search)))
    .sort(sort);
  drawn = 0;
  byId("samples").replaceChildren();
  byId("count").textContent = `${shown.length} of ${content.samples.length}`;
  if (!shown.length) byId("samples").append(element("p", "empty", "No sample fits these filters."));
  more();
}
new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) more(); }, { rootMargin: "1200px" }).observe(byId("more"));

function step(by) {
  const cards = byId("samples").children;
  const now = document.activeElement?.closest?.("article");
  let place = now ? [...cards].indexOf(now) + by : 0;
  if (place >= cards.length - 1) more();
  place = Math.max(0, Math.min(place, cards.length - 1));
  cards[place]?.focus({ preventScroll: true });
  cards[place]?.scrollIntoView({ block: "start" });
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

"use strict";
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
for (const button of document.querySelectorAll("button.open")) {
  button.addEventListener("click", () => {
    const frame = button.nextElementSibling;
    // Only when opened: a page of samples is large.
    if (!frame.srcdoc) frame.srcdoc = JSON.parse(document.getElementById(button.dataset.page).textContent);
    frame.hidden = !frame.hidden;
  });
}

"use strict";
// Pointing at a class anywhere shows its sites everywhere. The page says the same without this.
(() => {
  const all = [...document.querySelectorAll("[data-k]")];
  let shown = "";
  const show = (key) => {
    if (key === shown) return;
    shown = key;
    document.body.classList.toggle("pointing", key !== "");
    for (const one of all) one.classList.toggle("lit", one.dataset.k === key);
  };
  const keyOf = (target) => {
    const one = target instanceof Element ? target.closest("[data-k]") : null;
    return one ? one.dataset.k : "";
  };
  document.addEventListener("pointerover", (event) => show(keyOf(event.target)));
  document.addEventListener("focusin", (event) => show(keyOf(event.target)));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") show(""); });
})();

"use strict";

// What lies under the pointer explains itself; a canvas shows its own tips.
const tip = document.getElementById("tip");

function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - box.width - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - box.height - 8)}px`;
}

function hideTip() {
  tip.hidden = true;
}

document.addEventListener("pointermove", (event) => {
  if (event.target.matches("canvas")) return;
  const owner = event.target.closest("[data-tip]");
  if (owner) showTip(event, owner.dataset.tip);
  else hideTip();
});

// One tooltip for everything that carries data-tip: lines split at "|", values after a tab.
(() => {
  const tip = document.getElementById("tip");
  const put = (event) => {
    const text = event.target.dataset && event.target.dataset.tip;
    tip.hidden = !text;
    if (!text) return;
    tip.replaceChildren(...text.split("|").map((line, i) => {
      const row = document.createElement(i ? "span" : "b");
      for (const part of line.split("\t")) {
        const cell = document.createElement("i");
        cell.style.fontStyle = "normal";
        cell.textContent = part;
        row.append(cell);
      }
      return row;
    }));
    const box = tip.getBoundingClientRect(), gap = 14;
    const right = event.clientX + gap + box.width > innerWidth;
    tip.style.left = Math.max(8, right ? event.clientX - gap - box.width : event.clientX + gap) + "px";
    tip.style.top = Math.max(8, Math.min(event.clientY + gap, innerHeight - box.height - 8)) + "px";
  };
  addEventListener("pointermove", put);
  addEventListener("pointerdown", put);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();

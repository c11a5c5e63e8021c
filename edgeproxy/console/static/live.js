// Keeps the list of decisions fresh: asks for what is newer than the newest shown, every two seconds while it is looked at.
"use strict";
(() => {
  const MOST = 200, PAUSE = 2000;
  const holder = document.getElementById("tail"), state = document.getElementById("state");
  let newest = Math.max(0, ...[...document.querySelectorAll("[data-ended]")].map((row) => Number(row.dataset.ended)));
  const list = () => {
    let found = holder.querySelector("ol");
    if (!found) {
      found = document.createElement("ol");
      found.className = "tail card";
      holder.replaceChildren(found);
    }
    return found;
  };
  const take = (text) => {
    const piece = document.createElement("template");
    piece.innerHTML = text; // our own listener's page, escaped there; the page's policy runs nothing in it
    const rows = [...piece.content.querySelectorAll("li[id]")].filter((row) => !document.getElementById(row.id));
    if (!rows.length) return;
    rows.forEach((row) => { newest = Math.max(newest, Number(row.dataset.ended)); row.classList.add("fresh"); });
    list().prepend(...rows);
    while (list().children.length > MOST) list().lastElementChild.remove();
  };
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch("/live/rows?after=" + (newest ? newest - 30 : 0), { cache: "no-store" });
        if (answer.status === 401) { location.reload(); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        take(await answer.text());
        state.textContent = "Follows by itself.";
      } catch {
        state.textContent = "The proxy does not answer; tried again in a moment.";
      }
    }
    setTimeout(look, PAUSE);
  };
  setTimeout(look, PAUSE);
})();

"use strict";
// Sorting the table, filters, the switch of pictures, and the viewer that enlarges them. No library.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const cards = document.querySelector(".cards");
  const body = document.querySelector("#table tbody");

  // Table: a click on a heading sorts, another click turns the order; the cards follow.
  const value = (row, column) => row.children[column].dataset.value ?? "";
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const x = Number(a), y = Number(b);
    if (Number.isFinite(x) && Number.isFinite(y)) return x - y;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  all("#table thead th button").forEach((button) => {
    const head = button.parentElement;
    const column = [...head.parentElement.children].indexOf(head);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      all("#table thead th[aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = all("tr", body);
      rows.sort((a, b) => {
        const x = value(a, column), y = value(b, column);
        const order = compare(x, y);
        return up || x === "" || y === "" ? order : -order;
      });
      body.append(...rows);
      if (!cards) return;
      rows.forEach((row) => {
        const link = row.querySelector("a");
        const card = link && document.querySelector(link.getAttribute("href"));
        if (card) cards.append(card);
      });
    });
  });

  // Filters: cards and rows whose name has the text and, where asked for, that are to be verified.
  const filter = document.querySelector("#filter");
  const only = document.querySelector("#only-verify");
  const sift = () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    all("[data-name]").forEach((item) => {
      const hidden = !item.dataset.name.toLowerCase().includes(wanted)
        || (only?.checked && item.dataset.verdict !== "verify");
      item.hidden = hidden;
      if (!hidden && item.matches(".card")) shown += 1;
    });
    document.querySelector("#nothing").hidden = shown > 0;
  };
  filter?.addEventListener("input", sift);
  only?.addEventListener("change", sift);
  if (only?.checked || filter?.value) sift(); // a browser may remember both over a reload

  // Switch: uncertainty on all pictures or not, and the like; style does it, the key U goes on.
  const views = all(".switch input");
  const turnOver = () => {
    const next = views[(views.findIndex((view) => view.checked) + 1) % views.length];
    if (!next) return;
    next.checked = true;
    if (viewer.open) show(current);
  };
  views.forEach((view) => view.addEventListener("change", () => viewer.open && show(current)));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input[type=search], textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "u" || event.key === "U") turnOver();
  });

  // Viewer: one dialog that borrows the picture of a card.
  const viewer = document.querySelector("#viewer");
  const part = (name) => document.querySelector(`#viewer-${name}`);
  let current = null;
  const pictures = () => all(".card:not([hidden]) .open");
  const show = (button) => {
    current = button;
    const view = views.find((one) => one.checked)?.id.replace("view-", ".");
    const picture = (view && button.querySelector(view)) || button.querySelector("img");
    const card = button.closest(".card");
    part("image").src = picture.src;
    part("image").alt = picture.alt;
    part("name").textContent = card.dataset.name;
    const list = pictures();
    const place = `${list.indexOf(button) + 1} of ${list.length}`;
    const facts = [...card.querySelector(".facts").children].map((fact) => fact.textContent);
    const verdict = card.dataset.verdict;
    if (verdict) facts.unshift(verdict);
    part("facts").textContent = [...facts, place].join(" · ");
  };
  const move = (step) => {
    const list = pictures();
    if (list.length) show(list[(list.indexOf(current) + step + list.length) % list.length]);
  };
  cards?.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (!button) return;
    show(button);
    viewer.showModal();
  });
  part("previous").addEventListener("click", () => move(-1));
  part("next").addEventListener("click", () => move(1));
  part("switch").hidden = views.length === 0;
  part("switch").addEventListener("click", turnOver);
  part("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer || event.target.matches(".stage")) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(step);
  });
  viewer.addEventListener("close", () => {
    current?.focus();
    current?.closest(".card").scrollIntoView({ block: "nearest" });
  });
})();

// Leaderboards: rows filtered by task, model, format and date, tables sorted by a score. Everything is in the page
// already; the script only hides rows and moves them.
"use strict";
(() => {
  const collator = new Intl.Collator("en", { numeric: true });

  function sortTable(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const head = heads[column];
    const down = head.dataset.better !== "lower";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => {
      const { value, rank } = row.cells[column].dataset;
      return { row, rank, value: value === undefined ? null : Number(value) };
    });
    rows.sort((a, b) => (a.value === null) - (b.value === null) || (down ? b.value - a.value : a.value - b.value)
      || collator.compare(a.row.dataset.words, b.row.dataset.words));
    for (const { row, rank } of rows) {
      row.cells[0].textContent = rank ?? "";
      for (const cell of row.cells) cell.classList.toggle("sorted", cell.cellIndex === column);
    }
    table.tBodies[0].append(...rows.map(({ row }) => row));
  }

  function start(board) {
    const form = board.querySelector("form");
    const count = board.querySelector(".count");
    const tables = [...board.querySelectorAll("table.board")];
    const listed = tables.map((table) => [...table.tHead.rows[0].cells].findIndex((head) => head.hasAttribute("aria-sort")));

    for (const table of tables) {
      [...table.tHead.rows[0].cells].forEach((head, column) => {
        if (head.dataset.score === undefined) return;
        const button = document.createElement("button");
        button.type = "button";
        button.append(head.firstChild);
        head.prepend(button);
        button.addEventListener("click", () => sortTable(table, column));
      });
    }

    function sortAll() {
      const score = form.elements.score.value;
      tables.forEach((table, i) => {
        const chosen = [...table.tHead.rows[0].cells].findIndex((head) => head.dataset.score === score);
        const column = score === "" || chosen < 0 ? listed[i] : chosen;
        if (column >= 0) sortTable(table, column);
      });
    }

    function filter() {
      const words = form.elements.model.value.toLowerCase().split(/\s+/).filter(Boolean);
      const { value: task } = form.elements.task;
      const { value: format } = form.elements.format;
      const { value: from } = form.elements.from;
      const { value: to } = form.elements.to;
      let shown = 0;
      let total = 0;
      for (const section of board.querySelectorAll("[data-task]")) {
        let ofTask = 0;
        for (const group of section.querySelectorAll("[data-group]")) {
          let ofGroup = 0;
          for (const row of group.querySelector("tbody").rows) {
            const { words: own, format: asked, date } = row.dataset;
            row.hidden = !((!task || task === section.dataset.task) && (!format || format === asked)
              && (!from || date >= from) && (!to || date <= to) && words.every((word) => own.includes(word)));
            ofGroup += !row.hidden;
            total += 1;
          }
          group.hidden = !ofGroup;
          ofTask += ofGroup;
        }
        section.hidden = !ofTask;
        shown += ofTask;
      }
      count.textContent = `${shown.toLocaleString("en")} of ${total.toLocaleString("en")} rows`;
    }

    form.addEventListener("input", (event) => (event.target.name === "score" ? sortAll() : filter()));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { filter(); sortAll(); }));
    form.hidden = false;
    filter();
  }

  for (const board of document.querySelectorAll("[data-board]")) start(board);
})();

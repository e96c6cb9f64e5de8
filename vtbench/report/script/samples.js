// The table of samples: sorted by its headers, filtered, drawn a part at a time from the JSON beside it. Whatever a
// model or a data file said becomes a text node, never markup.
"use strict";
(() => {
  const step = 50;
  const [TASK, ID, PROMPT, OUTPUT, TRUE, RESULT, KIND, CUES, SCORES, IMAGES, CHOICES, ERROR, REASONING, REASONING_TOKENS, SENT] =
    Array(15).keys();
  const results = ["failed", "wrong", "right"];

  function make(tag, text, attributes = {}) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function folded(title, content) {
    const details = make("details");
    details.append(make("summary", title), content);
    return details;
  }

  // A bar for each choice, as long as its probability; the right ones have a tick.
  function odds(choices, names) {
    const list = make("ul", undefined, { class: "odds" });
    for (const [at, share, right] of choices) {
      const line = make("li", undefined, right ? { class: "right" } : {});
      line.append(make("span", names[at]), make("b", share.toFixed(3)), make("i", undefined, { "aria-hidden": "true" }));
      if (right) line.firstChild.append(make("span", " (true)"));
      line.lastChild.style.setProperty("--share", `${100 * share}%`);
      list.append(line);
    }
    return list;
  }

  function start(section) {
    const data = JSON.parse(section.querySelector("script[type='application/json']").textContent);
    const form = section.querySelector("form");
    const count = section.querySelector(".count");
    const body = section.querySelector("tbody");
    const more = section.querySelector(".more");
    const heads = [...section.querySelectorAll("thead th")];
    const scored = data.scores.map((_, i) => (row) => row[SCORES][i]);
    const keys = [
      (row) => row[PROMPT], (row) => row[ERROR] ?? row[OUTPUT], (row) => row[TRUE], (row) => row[RESULT],
      (row) => data.kinds[row[KIND]], ...scored,
    ];
    const haystacks = data.rows.map((row) =>
      [row[ID], row[PROMPT], row[OUTPUT], row[TRUE], row[ERROR]].filter(Boolean).join("\n").toLowerCase());
    let order = { column: 3, down: false };
    let found = [];

    function drawn(row) {
      const line = make("tr");
      const cell = make("td", undefined, { class: "image" });
      for (const position of row[IMAGES]) {
        const image = make("img", undefined, { src: data.images[position], alt: `Image of ${row[ID]}` });
        image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth < 64));
        const button = make("button", undefined, {
          type: "button", class: "enlarge", "data-enlarge": "", "aria-label": `Enlarge the image of ${row[ID]}`,
        });
        button.append(image);
        cell.append(button);
      }
      const question = make("td", row[PROMPT], { "data-name": "question" });
      question.append(make("small", row[ID]));
      if (row[SENT]) question.append(folded("the prompt sent", make("pre", row[SENT])));
      const answer = make("td", undefined, { "data-name": "answer" });
      answer.append(row[ERROR] ? make("span", row[ERROR], { class: "bad" }) : row[OUTPUT] === null ? "–" : row[OUTPUT] || "(nothing)");
      if (row[REASONING]) {
        const tokens = row[REASONING_TOKENS] === null ? "" : `, ${row[REASONING_TOKENS].toLocaleString("en")} tokens`;
        answer.append(folded(`reasoning${tokens}`, make("pre", row[REASONING])));
      }
      if (row[CHOICES].length) answer.append(folded("probabilities of the choices", odds(row[CHOICES], data.choices)));
      const result = make("td", undefined, { "data-name": "result" });
      result.append(make("span", results[row[RESULT]], { class: `tag ${results[row[RESULT]]}` }));
      line.append(cell, question, answer, make("td", row[TRUE], { "data-name": "true" }), result,
        make("td", data.kinds[row[KIND]] || "–", { "data-name": "kind" }));
      row[SCORES].forEach((value, i) => {
        const text = value === null ? "–" : String(Number(value.toPrecision(3)));
        line.append(make("td", text, { class: "n", "data-name": data.scores[i] }));
      });
      return line;
    }

    function grow(by) {
      const from = body.children.length;
      body.append(...found.slice(from, from + by).map(drawn));
      const left = found.length - body.children.length;
      more.replaceChildren();
      if (left <= 0) return;
      const next = Math.min(step, left);
      const buttons = [make("button", `Show ${next} more`, { type: "button" })];
      if (left > step) buttons.push(make("button", `Show all ${found.length.toLocaleString("en")}`, { type: "button" }));
      buttons.forEach((button, i) => button.addEventListener("click", () => {
        const at = body.children.length;
        grow(i ? Infinity : step);
        const first = body.children[at];
        first.tabIndex = -1;
        first.focus({ preventScroll: true });
      }));
      more.append(...buttons);
    }

    function compare(a, b) {
      const [x, y] = [a, b].map(keys[order.column]);
      const none = (value) => value === null || value === undefined;
      if (none(x) || none(y)) return none(x) - none(y);
      const apart = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
      return order.down ? -apart : apart;
    }

    function update() {
      const { result, task, kind, cue, text } = Object.fromEntries(new FormData(form));
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      found = data.rows.filter((row, i) =>
        (result === "" || row[RESULT] === Number(result)) && (task === "" || row[TASK] === Number(task)) &&
        (kind === "" || row[KIND] === Number(kind)) && (cue === "" || row[CUES].includes(Number(cue))) &&
        words.every((word) => haystacks[i].includes(word)));
      found.sort(compare);
      body.replaceChildren();
      if (found.length) {
        grow(step);
      } else {
        const line = make("tr");
        line.append(make("td", "No sample is like that.", { class: "none", colspan: heads.length + 1 }));
        body.append(line);
        more.replaceChildren();
      }
      const chosen = [
        result && results[Number(result)], task && data.tasks[Number(task)], kind && (data.kinds[Number(kind)] || "no kind"),
        cue && data.cues[Number(cue)].join(" "), text && `“${text}”`,
      ].filter(Boolean);
      const n = (value) => value.toLocaleString("en");
      count.textContent = `${n(found.length)} of ${n(data.rows.length)}${chosen.length ? `: ${chosen.join(", ")}` : ""}`;
    }

    heads.forEach((head, column) => {
      const button = make("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        order = { column, down: order.column === column && !order.down };
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
        update();
      });
    });

    function offer(name, names, groups) {
      const select = form.elements[name];
      for (const [title, places] of groups ?? [[null, names.map((_, i) => i)]]) {
        const parent = title === null ? select : make("optgroup", undefined, { label: title });
        parent.append(...places.map((i) => make("option", names[i], { value: i })));
        if (parent !== select) select.append(parent);
      }
      select.closest(".choice").hidden = names.length < 2;
    }
    const sorted = (places) => places.sort((a, b) => data.cues[a][1].localeCompare(data.cues[b][1], "en"));
    const cues = [...new Set(data.cues.map(([cue]) => cue))].map((cue) =>
      [cue, sorted(data.cues.flatMap(([of], i) => (of === cue ? [i] : [])))]);
    offer("task", data.tasks);
    offer("kind", data.kinds.map((kind) => kind || "none"));
    offer("cue", data.cues.map(([, word]) => word), cues);

    let waiting;
    form.addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(update, event.target.name === "text" ? 120 : 0);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(update));
    heads[order.column].setAttribute("aria-sort", "ascending");
    form.hidden = false;
    update();
  }

  for (const section of document.querySelectorAll("[data-samples]")) start(section);
})();

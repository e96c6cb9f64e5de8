// Token maps: two grids of buttons over one matrix. Pointing at a token (or reaching it by keyboard) colours the
// patches by what it says about them; pointing at a patch colours the tokens that carry it.
"use strict";
(() => {
  const top = 3;
  const nats = (value) => value.toFixed(3);
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  function start(figure) {
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const reading = figure.querySelector(".reading");
    const across = data.values[0].map((_, j) => data.values.map((row) => row[j]));
    const ends = (values) => [Math.min(...values), Math.max(...values)];
    const all = ends(data.values.flat());
    const place = (i, grid) => `row ${Math.floor(i / grid[1]) + 1}, column ${(i % grid[1]) + 1}`;
    const token = (i) => (data.placed ? place(i, data.tokens) : `${i + 1}`);
    const patch = (j) => place(j, data.patches);
    const sides = {
      tokens: side("tokens", data.values, token, patch, (i, total, most) =>
        `Token ${token(i)}: ${nats(total)} nats, added up over patches; most about the patches at ${most}.`),
      patches: side("patches", across, patch, token, (j, total, most) =>
        `Patch ${patch(j)}: ${nats(total)} nats, added up over tokens; most in the tokens ${data.placed ? "at " : ""}${most}.`),
    };

    function side(name, values, own, others, tell) {
      const box = figure.querySelector(`.${name}`);
      const totals = values.map(sum);
      const buttons = values.map((_, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.tabIndex = i ? -1 : 0;
        button.setAttribute("aria-label", `${name === "tokens" ? "Token" : "Patch"} ${own(i)}: ${nats(totals[i])} nats`);
        return button;
      });
      box.append(...buttons);
      return { name, box, values, totals, buttons, others, tell };
    }

    // Shades run from the smallest to the largest entry of the whole map, so that tokens compare.
    const shade = (buttons, values, [low, high]) =>
      buttons.forEach((button, i) => {
        button.style.setProperty("--share", `${Math.round((100 * (values[i] - low)) / (high - low || 1))}%`);
      });

    function show(side, i) {
      const other = side === sides.tokens ? sides.patches : sides.tokens;
      for (const one of [side, other]) for (const button of one.buttons) button.removeAttribute("aria-current");
      side.buttons[i].setAttribute("aria-current", "true");
      shade(side.buttons, side.totals, ends(side.totals));
      shade(other.buttons, side.values[i], all);
      const order = side.values[i].map((value, j) => [value, j]).sort((a, b) => b[0] - a[0]).slice(0, top);
      reading.textContent = side.tell(i, side.totals[i], order.map(([v, j]) => `${side.others(j)} (${nats(v)})`).join("; "));
    }

    function move(side, i, key) {
      const columns = Number(getComputedStyle(side.box).getPropertyValue("--columns"));
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
      const last = side.buttons.length - 1;
      if (key === "Home") return 0;
      if (key === "End") return last;
      return step === undefined || i + step < 0 || i + step > last ? null : i + step;
    }

    for (const side of Object.values(sides)) {
      side.buttons.forEach((button, i) => {
        for (const event of ["pointerenter", "focus", "click"]) button.addEventListener(event, () => show(side, i));
      });
      side.box.addEventListener("keydown", (event) => {
        const next = move(side, side.buttons.indexOf(event.target), event.key);
        if (next === null) return;
        event.preventDefault();
        side.buttons[side.buttons.indexOf(event.target)].tabIndex = -1;
        side.buttons[next].tabIndex = 0;
        side.buttons[next].focus();
      });
    }
    const marks = figure.querySelectorAll(".ramp-line .ramp span");
    all.forEach((end, k) => (marks[k].textContent = `${nats(end)}${k ? " nats" : ""}`));
    figure.querySelector("details.values").open = false;
    show(sides.tokens, sides.tokens.totals.indexOf(Math.max(...sides.tokens.totals)));
  }

  for (const figure of document.querySelectorAll("[data-token-map]")) start(figure);
})();

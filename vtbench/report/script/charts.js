// Draws every element with data-chart from the JSON beside it, anew when its width changes. Text reaches the page as
// text nodes only (Plot's labels are), so names from a run stay names.
"use strict";
(() => {
  const hues = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `var(--c${i})`);
  const shapes = ["circle", "square", "triangle", "diamond", "star", "wye", "cross", "hexagon", "asterisk", "times"];
  // What is called after a colour or a shape has it: "blue" drawn in orange misleads. Other names share what is left.
  const blue = 0, orange = 1, green = 2, purple = 3, yellow = 4, cyan = 5, red = 6;
  const named = Object.entries({ blue, orange, green, purple, yellow, cyan, red }).map(([word, i]) => [word, hues[i]]);
  const ownHues = [["black", "var(--ink)"], ["background", "var(--soft)"], ["none", "var(--soft)"], ...named];
  const ownShapes = shapes.map((word) => [word, word]);
  const assigned = (names, own, all) => {
    const found = names.map((name) => own.find(([word]) => name.split(/[\s_]+/).includes(word))?.[1]);
    const left = all.filter((one) => !found.includes(one));
    const others = left.length ? left : all;
    let next = 0;
    return found.map((one) => one ?? others[next++ % others.length]);
  };
  // Scales are named, as Plot takes a label such as "red" or "circle" for the colour or symbol itself otherwise.
  const stroke = { value: "name", scale: "color" };
  const symbol = { value: "name", scale: "symbol" };
  const scales = (names) => {
    const legend = names.length > 1;
    return {
      color: { domain: names, range: assigned(names, ownHues, hues) },
      symbol: { domain: names, range: assigned(names, ownShapes, shapes), legend },
    };
  };

  // Measured points as ticks, where there is room. A logarithm, but for 0, which stands two doublings before the first.
  function logAxis(label, values, width) {
    const points = [...new Set(values)].sort((a, b) => a - b);
    const first = points.find((value) => value > 0);
    const constant = first / 3;
    const place = (value) => Math.log1p(value / constant);
    const room = (48 * (place(points.at(-1)) - place(points[0]))) / (width - 76);
    const ticks = [];
    for (const value of points.toReversed()) {
      if (!ticks.length || place(ticks.at(-1)) - place(value) >= room) ticks.push(value);
    }
    return { label, type: "symlog", constant, ticks, tickFormat: String };
  }

  function line({ x, y, names, log, series }, width) {
    const shift = names ? 0.06 : 0;
    const rows = series.flatMap((s, k) =>
      s.x.map((at, i) => ({
        x: at + shift * (k - (series.length - 1) / 2),
        y: s.y[i],
        low: s.low ? s.low[i] : null,
        high: s.high ? s.high[i] : null,
        name: s.name,
        at: names ? names[at] : at,
      })),
    );
    const sure = rows.filter((d) => d.low !== null && d.high !== null);
    const channels = { x: "x", stroke };
    const ends = { x: "x", y1: "low", y2: "high" };
    const longest = names ? Math.max(0, ...names.map((n) => n.length)) : 0;
    const tilted = names && longest * names.length * 7 > width - 60;
    return Plot.plot({
      width,
      height: Math.round(Math.min(340, Math.max(240, width * 0.5))) + (tilted ? longest * 3 : 0),
      marginTop: 28,
      marginLeft: 52,
      marginRight: 24,
      marginBottom: tilted ? 36 + longest * 3.4 : 42,
      ...scales(series.map((s) => s.name)),
      x: names
        ? { label: x, ticks: names.map((_, i) => i), tickFormat: (i) => names[i] ?? "", tickRotate: tilted ? -32 : 0,
            domain: [-0.25, names.length - 0.75], labelAnchor: "right", labelArrow: "none" }
        : log ? logAxis(x, rows.map((d) => d.x), width) : { label: x, nice: true },
      y: { label: y, grid: true, nice: true, ticks: 5 },
      marks: [
        names
          ? Plot.ruleX(sure, { ...ends, stroke, strokeWidth: 2, strokeOpacity: 0.55 })
          : Plot.areaY(sure, { ...ends, fill: stroke, fillOpacity: 0.16, z: "name" }),
        Plot.lineY(rows, { ...channels, y: "y", z: "name", strokeWidth: 2, strokeOpacity: names ? 0.45 : 1 }),
        Plot.dot(rows, { ...channels, y: "y", symbol, fill: "var(--card)", r: 3.5, strokeWidth: 2 }),
        Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title: (d) => said(d, x, y), lineHeight: 1.4 })),
      ],
    });
  }

  function said(d, x, y) {
    const ends = d.low === null || d.high === null ? "" : ` (${d.low} to ${d.high})`;
    return `${d.name}\n${x}: ${d.at}\n${y}: ${d.y ?? "–"}${ends}`;
  }

  function scatter({ names, x, y, of }, width) {
    const rows = of.map((k, i) => ({ x: x[i], y: y[i], name: names[k] }));
    const side = Math.min(width, 460);
    const free = { axis: null, domain: [-30, 1029] };
    return Plot.plot({
      width: side,
      height: side,
      margin: 8,
      ...scales(names),
      x: free,
      y: free,
      marks: [
        Plot.frame({ stroke: "var(--line)" }),
        Plot.dot(rows, { x: "x", y: "y", stroke, symbol, r: 2.5, strokeWidth: 1.25, strokeOpacity: 0.8 }),
        Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title: "name", lineHeight: 1.4 })),
      ],
    });
  }

  const draw = { line, scatter };
  const screen = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const width = Math.round(contentRect.width);
      if (!width || target.drawnAt === width) continue;
      target.drawnAt = width;
      const drawn = draw[target.dataset.chart](target.holds, width);
      drawn.setAttribute("aria-hidden", "true"); // the place around it is an image with a name, and a table has the numbers
      target.replaceChildren(drawn);
    }
  });
  for (const place of document.querySelectorAll("[data-chart]")) {
    const figure = place.closest("figure");
    place.holds = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    figure.querySelector("details.values").open = false;
    screen.observe(place);
  }
})();

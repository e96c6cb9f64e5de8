// A click, or Enter, on a button with data-enlarge shows the image in it large, in a dialog. Escape, the button Close and
// a click beside the image close it; the browser gives the focus back.
"use strict";
(() => {
  const dialog = document.createElement("dialog");
  const title = document.createElement("p");
  const close = document.createElement("button");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-labelledby", "enlarged-title");
  title.id = "enlarged-title";
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);

  document.addEventListener("click", (event) => {
    const small = event.target.closest("[data-enlarge]")?.querySelector("img");
    if (!small) return;
    title.textContent = `${small.alt}, ${small.naturalWidth} × ${small.naturalHeight} pixels as stored`;
    dialog.replaceChildren(title, small.cloneNode(), close);
    dialog.showModal();
  });
})();

"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const remember = (theme) => { try { localStorage.setItem("clmassmod-theme", theme); } catch { /* not allowed for files */ } };
  const recall = () => { try { return localStorage.getItem("clmassmod-theme"); } catch { return null; } };
  const dark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const known = recall();
  if (known === "dark" || known === "light") root.dataset.theme = known;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    remember(root.dataset.theme);
  });

  const order = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");  // what has no value comes last
    const [x, y] = [Number.parseFloat(a), Number.parseFloat(b)];
    const numbers = /^[-+.\d]/.test(a) && /^[-+.\d]/.test(b) && !Number.isNaN(x) && !Number.isNaN(y);
    return numbers && x !== y ? x - y : a.localeCompare(b, "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort;
      const rows = [...table.tBodies[0].rows].sort((p, q) => {
        const [a, b] = [key(p), key(q)];
        return a === "" || b === "" ? order(a, b) : (down ? -1 : 1) * order(a, b);
      });
      table.tBodies[0].append(...rows);
    }));
  }

  // What scrolls can be reached and scrolled by the keyboard, and says what it is.
  for (const box of document.querySelectorAll(".scroll")) {
    const heading = box.closest("section, details").querySelector("h2, h3, summary");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `Table: ${heading ? heading.textContent.trim() : "values"}`);
  }

  // A link into a closed group opens it.
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details.group")) d.open = true; });
  reveal();
})();

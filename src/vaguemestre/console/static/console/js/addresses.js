// The whitelist's form: one more line, and lines taken away.
function number(row, index) {
  for (const element of row.querySelectorAll("[id], [for], [aria-label]")) {
    for (const name of ["id", "for", "aria-label"]) {
      const value = element.getAttribute(name);
      if (value) element.setAttribute(name, value.replace("__", index));
    }
  }
  for (const label of row.querySelectorAll("label")) label.textContent = label.textContent.replace("__", index);
}

export function enhanceAddresses() {
  const rows = document.getElementById("address-rows");
  if (!rows) return;
  const offerRemoval = (row) => {
    const button = row.querySelector("[data-remove-row]");
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      next?.querySelector("input").focus();
    });
  };
  for (const row of rows.children) offerRemoval(row);
  let count = rows.children.length;
  const add = document.getElementById("add-row");
  add.hidden = false;
  add.addEventListener("click", () => {
    const row = document.getElementById("address-row").content.firstElementChild.cloneNode(true);
    count += 1;
    number(row, count);
    rows.append(row);
    offerRemoval(row);
    row.querySelector("input").focus();
  });
}

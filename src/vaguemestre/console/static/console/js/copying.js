// Buttons that copy: `data-copy` names the element whose `data-line` parts are copied, one a line; all of a `pre`.
function textOf(source) {
  const lines = source.matches("pre, [data-line]") ? [source] : [...source.querySelectorAll("[data-line]")];
  return lines.map((line) => line.textContent.trim()).join("\n");
}

async function copy(button) {
  const label = button.querySelector("span");
  const words = label.textContent;
  await navigator.clipboard.writeText(textOf(document.getElementById(button.dataset.copy)));
  label.textContent = button.dataset.copied;
  label.setAttribute("role", "status");
  setTimeout(() => {
    label.textContent = words;
    label.removeAttribute("role");
  }, 2500);
}

export function offerCopies() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

// A form is posted once, however often its button is pressed: the second click of a double click would fail on
// what the first has done. Forms of htmx keep order themselves, and post as often as they are asked: one that
// sends mail (`data-once`) waits between two.
const PATIENCE = 10_000; // milliseconds after which another try is let through
const APART = 2_000; // milliseconds between two of htmx

export function submitOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.submitted) event.preventDefault();
    form.dataset.submitted = "yes";
    setTimeout(() => delete form.dataset.submitted, PATIENCE);
  });
  document.addEventListener("htmx:before:request", (event) => {
    const form = event.detail.ctx.sourceElement;
    if (!form.matches("form[data-once]")) return;
    if (form.dataset.asked) event.preventDefault();
    else setTimeout(() => delete form.dataset.asked, APART);
    form.dataset.asked = "yes";
  });
  // A page that is come back to may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.submitted;
  });
}

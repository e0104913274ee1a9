// A form is posted once, however often its button is pressed: the second click of a double click would fail on
// what the first has done. Forms of htmx keep order themselves.
const PATIENCE = 10_000; // milliseconds after which another try is let through

export function submitOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.submitted) event.preventDefault();
    form.dataset.submitted = "yes";
    setTimeout(() => delete form.dataset.submitted, PATIENCE);
  });
  // A page that is come back to may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.submitted;
  });
}

// A certificate to trust goes into its field at once; without a script the same button fetches the page anew.
export function enhancePinning() {
  const form = document.getElementById("connection");
  if (!form) return;
  document.addEventListener("click", (event) => {
    const button = event.target.closest('button[name="pin"]');
    if (!button) return;
    event.preventDefault();
    const field = form.elements.pinned_certificate;
    field.value = button.value;
    field.closest("details")?.setAttribute("open", "");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    const moved = document.getElementById("password-moved");
    (moved && !moved.hidden ? form.elements.password : field).focus();
  });
}
